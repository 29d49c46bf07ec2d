#pragma once
// Models through inference/: one call, its fallbacks, what it may cost. Internal to effects/.
#include "agents/effects/run_context.h"

namespace assistiv::agents {

// What one attempt is held for at most, over the alias's model and fallbacks.
core::Task<Quote> quote_model(const RunContext* context, ModelCall call);

// Throws ModelFailure. Another model is asked when one cannot answer and nothing of its answer was shown.
// All of them together use up no more than `call.cap`.
core::Task<ModelAnswer> place_model_call(const RunContext* context, ModelCall call);

}  // namespace assistiv::agents
