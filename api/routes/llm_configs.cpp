#include <nlohmann/json.hpp>

#include "api/model_gateway.h"
#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "core/json_read.h"
#include "inference/providers/config_service.h"

namespace assistiv::api {

namespace {

core::Json config_view(const core::PlatformId& platform, const inference::ProviderConfig& config) {
  return {{"id", config.id.str()},
          {"platform_id", platform.str()},
          {"provider", config.provider},
          {"provider_id", config.provider_id.str()},
          {"name", config.name ? core::Json(*config.name) : core::Json()},
          {"key_hint", config.key_hint ? core::Json("..." + *config.key_hint) : core::Json()},
          {"base_url", config.base_url ? core::Json(*config.base_url) : core::Json()},
          {"local", config.local},
          {"priority", config.priority},
          {"weight", config.weight},
          {"is_default", config.is_default},
          {"is_active", config.is_active},
          {"models", config.models ? core::Json(*config.models) : core::Json()},
          {"created_at", core::format_time(config.created_at)},
          {"updated_at", core::format_time(config.updated_at)}};
}

// Members that are null count as absent, but for "models", where null means all of them.
inference::ProviderConfigInput config_input(const core::Json& json) {
  const core::JsonReader body(json);
  inference::ProviderConfigInput out;
  out.provider = body.optional_string("provider");
  if (const auto id = body.optional_string("provider_id")) out.provider_id = inference::ProviderId::of(*id);
  out.name = body.optional_string("name");
  if (const auto key = body.optional_string("api_key", 0, 4096)) out.api_key = core::Secret(*key);
  out.base_url = body.optional_string("base_url");
  out.local = body.optional_bool("local");
  out.priority = body.optional_integer("priority", 0, 1000);
  out.weight = body.optional_integer("weight", 0, 1000);
  out.is_default = body.optional_bool("is_default");
  out.is_active = body.optional_bool("is_active");
  if (body.has("models")) out.models = body.strings("models", 500, 200);
  out.all_models = json.contains("models") && json["models"].is_null();
  return out;
}

inference::ConfigId config_param(const Call& call) {
  return call.id<inference::ConfigId>("config_id", "LLM configuration");
}

core::Task<core::HttpReply> list_configs(Services* s, Call call) {
  const auto page = co_await s->models->configs.list(call.platform_id(), page_request(call));
  core::Json rows = core::Json::array();
  for (const auto& config : page.items) rows.push_back(config_view(call.platform_id(), config));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> create_config(Services* s, Call call) {
  const auto made =
      co_await s->models->configs.create(call.platform_id(), config_input(*call.body), audit_context(call));
  co_return data_reply(201, config_view(call.platform_id(), made));
}

core::Task<core::HttpReply> get_config(Services* s, Call call) {
  co_return data_reply(200, config_view(call.platform_id(), co_await s->models->configs.get(
                                                                call.platform_id(), config_param(call))));
}

core::Task<core::HttpReply> patch_config(Services* s, Call call) {
  const auto changed = co_await s->models->configs.update(call.platform_id(), config_param(call),
                                                          config_input(*call.body), audit_context(call));
  co_return data_reply(200, config_view(call.platform_id(), changed));
}

core::Task<core::HttpReply> delete_config(Services* s, Call call) {
  co_await s->models->configs.remove(call.platform_id(), config_param(call), audit_context(call));
  co_return no_content();
}

Route config_route(std::string method, std::string path, std::string operation_id, std::string summary) {
  return {.method = std::move(method),
          .path = std::move(path),
          .access = Access::Platform,
          .scope = "management",
          .operation_id = std::move(operation_id),
          .tag = "LLM configurations",
          .summary = std::move(summary),
          .reply_schema = "LlmConfig"};
}

}  // namespace

void add_llm_config_routes(RouteTable& table, Services& services) {
  const std::string base = "/v1/platforms/{platform_id}/llm-configs";
  const std::string one = base + "/{config_id}";
  auto list = config_route("GET", base, "listLlmConfigs", "Keys at model providers, in the order of use.");
  list.paginated = true;
  list.handle = with_services(services, list_configs);
  auto create = config_route("POST", base, "createLlmConfig", "Add a key at a model provider.");
  create.body_schema = "LlmConfigCreate";
  create.success = 201;
  create.handle = with_services(services, create_config);
  auto get = config_route("GET", one, "getLlmConfig", "Read a configuration; the key stays hidden.");
  get.handle = with_services(services, get_config);
  auto patch = config_route("PATCH", one, "updateLlmConfig", "Change a configuration.");
  patch.body_schema = "LlmConfigPatch";
  patch.handle = with_services(services, patch_config);
  auto remove = config_route("DELETE", one, "deleteLlmConfig", "Remove a configuration with its key.");
  remove.reply_schema = "";
  remove.success = 204;
  remove.handle = with_services(services, delete_config);
  for (auto* route : {&list, &create, &get, &patch, &remove}) table.push_back(std::move(*route));
}

}  // namespace assistiv::api
