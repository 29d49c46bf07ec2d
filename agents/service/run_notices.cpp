#include "agents/service/run_notices.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "agents/runtime/journal.h"
#include "billing/webhook_events.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/money.h"

namespace assistiv::agents {

namespace {

using core::Json;

constexpr std::string_view kCompleted = "agent.run.completed";

Json time_or_null(const std::optional<core::Time>& at) {
  return at ? Json(core::format_time(*at)) : Json();
}

// Null for a run that was made without a request.
Json slug_of(const Run& run) {
  const Json::json_pointer at("/config/configurable/graph_id");
  return run.kwargs.contains(at) ? run.kwargs.at(at) : Json();
}

Json usage_of(const Run& run) {
  const auto totals = totals_of(run.usage);
  return {{"cost_usd", core::format_usd(core::NanoUsd{totals.cost_nano_usd})},
          {"tokens", totals.tokens},
          {"input_tokens", totals.input_tokens},
          {"output_tokens", totals.output_tokens},
          {"llm_calls", totals.llm_calls},
          {"tool_calls", totals.tool_calls}};
}

}  // namespace

billing::WebhookMessage completed_message(core::PlatformId platform, const Run& run) {
  const std::string type(kCompleted);
  const std::string event_id = run.id.str() + ":" + type;
  const Json data = {{"platform_id", platform.str()},
                     {"run_id", run.id.str()},
                     {"thread_id", run.thread.str()},
                     {"agent", slug_of(run)},
                     {"agent_version", run.agent_version},
                     {"assistant_id", run.assistant.str()},
                     {"end_user_id", run.end_user ? Json(run.end_user->str()) : Json()},
                     {"status", run.status},
                     {"error", run.error},
                     {"created_at", core::format_time(run.created_at)},
                     {"started_at", time_or_null(run.started_at)},
                     {"ended_at", time_or_null(run.ended_at)},
                     {"usage", usage_of(run)}};
  return {event_id, type, billing::webhook_body(type, event_id, run.ended_at.value_or(run.updated_at), data)};
}

void RunNotices::note(storage::Transaction& tx, const EndedRun& ended) const {
  if (ended.rolled_back) return;
  if (!ended.has_webhook && !events_.is_chosen(tx, ended.platform, kCompleted)) return;
  const auto run = ended_run(tx, ended);
  events_.record(tx, ended.platform, completed_message(ended.platform, run), run.webhook);
}

}  // namespace assistiv::agents
