#include <algorithm>
#include <nlohmann/json.hpp>

#include "agents/doors/model_door.h"
#include "api/model_gateway.h"
#include "api/routes/agent_caller.h"
#include "api/routes/agent_doors.h"
#include "api/routes/routes.h"
#include "core/error.h"
#include "inference/providers/platform_targets.h"

namespace assistiv::api {

namespace {

// One object for OpenAI's and Anthropic's clients: each reads the members that it knows.
core::Json offered_model_view(const inference::OfferedModel& model) {
  return {{"id", model.id},
          {"object", "model"},
          {"created", core::to_epoch_seconds(model.created_at)},
          {"owned_by", model.owned_by},
          {"type", "model"},
          {"display_name", model.id},
          {"created_at", core::format_time(model.created_at)}};
}

inference::OfferedModel agent_model(const agents::Agent& agent) {
  return {std::string(agents::kAgentModelPrefix) + agent.slug, "agents", agent.created_at};
}

// Agents are models too, for whom may use them.
core::Task<std::vector<inference::OfferedModel>> offered_agents(Services* s, const Call* call) {
  const auto caller = co_await run_caller(*s, *call);
  std::vector<inference::OfferedModel> out;
  for (const auto& agent : co_await agents::usable_agents(door_world(*s), caller.reach))
    out.push_back(agent_model(agent));
  co_return out;
}

core::Task<core::HttpReply> list_models(Services* s, Call call) {
  auto models = co_await s->models->targets.models(call.principal->platform_id);
  for (auto& agent : co_await offered_agents(s, &call)) models.push_back(std::move(agent));
  core::Json rows = core::Json::array();
  for (const auto& model : models) rows.push_back(offered_model_view(model));
  core::Json first = models.empty() ? core::Json() : core::Json(models.front().id);
  core::Json last = models.empty() ? core::Json() : core::Json(models.back().id);
  const core::Json list = {{"object", "list"},
                           {"data", std::move(rows)},
                           {"has_more", false},
                           {"first_id", std::move(first)},
                           {"last_id", std::move(last)}};
  co_return core::json_reply(200, list.dump());
}

core::Task<core::HttpReply> get_model(Services* s, Call call) {
  const auto platform = call.principal->platform_id;
  const auto& name = call.params.at("model");
  if (agents::is_agent_model(name)) {
    const auto caller = co_await run_caller(*s, call);
    const auto found = co_await agents::find_agent(door_world(*s), caller.reach,
                                                   name.substr(agents::kAgentModelPrefix.size()));
    co_return core::json_reply(200, offered_model_view(agent_model(found.agent)).dump());
  }
  // Knows aliases and the models of open providers, which the list does not hold.
  const auto plan = co_await s->models->targets.targets(platform, name);
  const auto models = co_await s->models->targets.models(platform);
  const auto& target = plan->models.front();
  const auto named = [&](const std::string& id) {
    return std::find_if(models.begin(), models.end(), [&](const auto& model) { return model.id == id; });
  };
  auto listed = named(target.name);
  // "<provider>/<name>" is not listed by itself.
  if (listed == models.end()) listed = named(target.name.substr(target.name.find('/') + 1));
  inference::OfferedModel model{name, target.targets.front()->provider, {}};
  if (listed != models.end()) model.created_at = listed->created_at;
  co_return core::json_reply(200, offered_model_view(model).dump());
}

}  // namespace

void add_model_routes(RouteTable& table, Services& services) {
  table.push_back({.method = "GET",
                   .path = "/v1/models",
                   .access = Access::Tenant,
                   .scope = "inference",
                   .operation_id = "listModels",
                   .tag = "Inference",
                   .summary = "The models that this platform can call.",
                   .reply_schema = "ModelList",
                   .enveloped = false,
                   .handle = with_services(services, list_models)});
  table.push_back({.method = "GET",
                   .path = "/v1/models/{model}",
                   .access = Access::Tenant,
                   .scope = "inference",
                   .operation_id = "getModel",
                   .tag = "Inference",
                   .summary = "One of them, by its name or an alias.",
                   .reply_schema = "ModelInfo",
                   .enveloped = false,
                   .handle = with_services(services, get_model)});
}

}  // namespace assistiv::api
