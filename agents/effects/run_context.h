#pragma once
// What the effects of one attempt at a run share: who acts, and the run's trace. Internal to effects/.
#include <cstdint>
#include <string>
#include <string_view>

#include "agents/effects/gateway_effects.h"
#include "core/error.h"
#include "core/log.h"

namespace assistiv::agents {

struct RunContext {
  EffectsWorld& world;
  RunIdentity identity;
};

// A place in the run's trace (W3C Trace Context, level 1): the trace of the request that made the run, else
// one whose id is made of the run's.
struct Span {
  std::string trace_id;     // 32 hex digits
  std::string span_id;      // 16 hex digits, of the act
  std::string traceparent;  // for whom the act calls
};
Span begin_span(const RunContext& context, const Act& act);

// One line for an act: which run and node, how long it took, how it ended; never what was said. Names of
// OpenTelemetry's GenAI conventions where it has them.
void log_act(std::string_view event, const RunContext& context, const Act& act, const Span& span,
             std::int64_t ms, const core::Error* failure, core::log::Fields more);

// For the request ids and the far side's logs: no two calls have the same, also of one act that is repeated
// (each call is billed by itself, so each has a usage row).
std::string request_id_of(const RunContext& context, const Act& act);

core::Error run_cancelled();

}  // namespace assistiv::agents
