#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/model_gateway.h"
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

core::Task<core::HttpReply> list_models(Services* s, Call call) {
  const auto models = co_await s->models->targets.models(call.principal->platform_id);
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
