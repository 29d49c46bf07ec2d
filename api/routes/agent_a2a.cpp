// A2A 1.0: each agent's card and its JSON-RPC (agents/doors/a2a_door.h).
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "agents/doors/a2a_door.h"
#include "api/config.h"
#include "api/routes/agent_caller.h"
#include "api/routes/agent_doors.h"
#include "api/routes/routes.h"

namespace assistiv::api {

namespace {

constexpr const char* kA2aPath = "/v1/agents/a2a/{agent}";
constexpr const char* kVersionHeader = "a2a-version";

core::Task<core::HttpReply> a2a_call(Services* s, Call call) {
  agents::A2aCall out;
  out.caller = co_await run_caller(*s, call);
  out.slug = call.params.at("agent");
  out.version = call.request.headers.get(kVersionHeader).value_or("");
  if (out.version.empty()) out.version = call.query_or("A2A-Version", "");
  out.body = std::move(call.request.body);
  out.gone = call.request.gone;
  co_return co_await agents::answer_a2a(door_world(*s), std::move(out));
}

core::Task<core::HttpReply> a2a_agent_card(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto& slug = call.params.at("agent");
  co_return co_await agents::a2a_card(door_world(*s), caller.reach, slug,
                                      s->config.public_url + "/v1/agents/a2a/" + slug);
}

}  // namespace

void add_agent_a2a_routes(RouteTable& table, Services& services) {
  table.push_back({.method = "POST",
                   .path = kA2aPath,
                   .access = Access::Tenant,
                   .scope = "inference",
                   .operation_id = "a2a",
                   .tag = "Agents",
                   .summary = "A2A 1.0 (JSON-RPC): messages to an agent, its tasks, and their streams.",
                   .query = {{"A2A-Version", "In place of the header: \"1.0\".", {}}},
                   .also_type = "text/event-stream",
                   .any_origin = true,
                   .handle = with_services(services, a2a_call)});
  table.push_back({.method = "GET",
                   .path = std::string(kA2aPath) + "/.well-known/agent-card.json",
                   .access = Access::Tenant,
                   .scope = "inference",
                   .operation_id = "a2aAgentCard",
                   .tag = "Agents",
                   .summary = "The A2A card of an agent.",
                   .query = {{"A2A-Version", "In place of the header.", {}}},
                   .reply_schema = "A2aAgentCard",
                   .enveloped = false,
                   .any_origin = true,
                   .handle = with_services(services, a2a_agent_card)});
}

}  // namespace assistiv::api
