#include "agents/service/run_metrics.h"

#include <utility>

#include "agents/service/run_spec.h"
#include "core/log.h"

namespace assistiv::agents {

core::metrics::Counter& runs_counter(const std::string& end) {
  return core::metrics::counter("assistiv_agent_runs_total", "Attempts at agents' runs by how they ended.",
                                {{"end", end}});
}

void log_end(const core::PlatformId& platform, const Run& run, const RunOutcome& outcome) {
  core::log::Fields fields = {{"run_id", run.id.str()},
                              {"thread_id", run.thread.str()},
                              {"platform_id", platform.str()},
                              {"gen_ai.agent.name", graph_id_of(run.kwargs)},
                              {"agent_version", run.agent_version},
                              {"status", to_string(outcome.view.status)},
                              {"attempt", run.attempt},
                              {"supersteps", outcome.totals.supersteps},
                              {"llm_calls", outcome.totals.llm_calls},
                              {"tool_calls", outcome.totals.tool_calls},
                              {"ms", outcome.totals.active_ms},
                              {"cost_nano_usd", outcome.totals.cost_nano_usd}};
  if (run.end_user) fields.emplace_back("end_user_id", run.end_user->str());
  if (!outcome.view.error_code.empty()) fields.emplace_back("error.type", outcome.view.error_code);
  core::log::info("agent.run", std::move(fields));
}

core::metrics::Gauge& running_gauge() {
  static auto& out = core::metrics::gauge("assistiv_agent_runs_running",
                                          "Runs of agents that a worker of this process carries out.");
  return out;
}

core::metrics::Gauge& places_gauge(bool kept) {
  return core::metrics::gauge("assistiv_agent_places_taken",
                              "Places for runs of agents that are taken in this process.",
                              {{"of", kept ? "kept" : "not_kept"}});
}

}  // namespace assistiv::agents
