#pragma once
// What operators hear of runs: how they end, how many there are now.
#include <string>

#include "agents/runtime/run.h"
#include "agents/store/run.h"
#include "core/ids.h"
#include "core/metrics.h"

namespace assistiv::agents {

// `end`: a status, or another way for an attempt to end (docs/operations.md).
core::metrics::Counter& runs_counter(const std::string& end);
// One line for a run that is over or parked; what failed is found by its platform.
void log_end(const core::PlatformId& platform, const Run& run, const RunOutcome& outcome);
// Runs that a worker of this process carries out.
core::metrics::Gauge& running_gauge();
// Places that are taken (run_shares.h), by runs that are kept and by those of which nothing is.
core::metrics::Gauge& places_gauge(bool kept);

}  // namespace assistiv::agents
