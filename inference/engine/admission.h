#pragma once
// The hold of one attempt. Internal to the engine.
#include <memory>

#include "inference/engine/attempt.h"

namespace assistiv::inference {

billing::Payer payer_of(const oauth::Principal& principal);
// What the usage row says of the call before a target is chosen.
billing::CallFacts call_facts(const InferenceCall& call);

// The most that one attempt can use up, over all targets of the plan. Throws what keeps every one of them
// from being asked.
CallBound bound_of(const Engine& engine, const InferenceCall& call, const TargetPlan& plan);

// Reserves what the prepared call can cost at most. When the call's cap or the budget cannot pay that, the
// output is limited to what they can pay and `prepared` made again. Throws Error{PaymentRequired}; of the cap
// with the code "limit_cost", or Unprocessable with "limit_tokens".
core::Task<std::unique_ptr<Meter>> admit(std::shared_ptr<Engine> engine, std::shared_ptr<CallState> state,
                                         Candidate candidate, int attempt);

}  // namespace assistiv::inference
