#pragma once
// Retries, time limits and what becomes of a failure. Internal to runtime/.
#include "agents/runtime/run_state.h"

namespace assistiv::agents {

// Runs the node as often as its policy allows; a failure becomes a way to its handler or a skipped item where
// the graph says so. Throws core::Error.
core::Task<NodeOutcome> run_with_policies(TaskRun task);

}  // namespace assistiv::agents
