#pragma once
// The attempts of one call: which target is asked next, under which hold, and what comes of it. Internal to
// the engine.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "inference/engine/inference_service.h"
#include "inference/engine/live_stream.h"
#include "inference/engine/prepared.h"
#include "inference/engine/signature_memory.h"
#include "inference/routing/health.h"
#include "inference/routing/router.h"

namespace assistiv::inference {

inline constexpr std::size_t kSignatureBytesMax = 16 << 20;

// What the service's calls share.
struct Engine {
  InferenceOptions options;
  InferenceWorld world;
  Health health;
  SignatureMemory signatures{kSignatureBytesMax};
};

// A whole reply of a provider, settled.
struct WholeReply {
  std::string body;
  // Decoded, unless the body goes out as it came: the caller speaks the provider's dialect.
  std::optional<Reply> reply = {};
};

// One call from its start to its first bytes. Used by one coroutine.
struct CallState {
  InferenceCall call;
  std::string forward_path;  // of a ForwardCall, else empty
  bool free = false;
  std::unique_ptr<RateTicket> ticket;
  TargetPlanPtr plan;
  TurnFacts facts;
  std::chrono::microseconds upstream_time{0};
  core::NanoUsd failed_cost;  // of attempts that were billed and tried elsewhere; part of the call's cost
  std::int64_t failed_tokens = 0;  // of the same
  std::chrono::steady_clock::time_point deadline;

  // The outcome: one of the two, or a fault.
  std::unique_ptr<LiveStream> stream;
  std::optional<WholeReply> whole;
  std::optional<Fault> fault;
  std::optional<std::chrono::milliseconds> retry_after;  // with the fault
  TargetPtr target;                                      // that answered
  Prepared prepared;                                     // for it

  const InferenceSettings& settings() const { return *plan->settings; }
  bool wants_stream() const { return call.request.stream && forward_path.empty(); }
  std::chrono::microseconds overhead() const;
};

// Rate limit, plan, attempts. Sets the outcome; throws core::Error for a refusal of ours.
core::Task<> answer(std::shared_ptr<Engine> engine, std::shared_ptr<CallState> state);

}  // namespace assistiv::inference
