#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/model_gateway.h"
#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "core/json_read.h"
#include "inference/providers/catalogue_service.h"

namespace assistiv::api {

namespace {

constexpr std::int64_t kCatalogueTokensMax = 1'000'000'000;

template <class T>
core::Json value_or_null(const std::optional<T>& value) {
  return value ? core::Json(*value) : core::Json();
}

core::Json catalogue_provider_view(const inference::CatalogProvider& provider) {
  return {{"id", provider.id.str()},
          {"slug", provider.slug},
          {"title", provider.title},
          {"dialect", to_string(provider.dialect)},
          {"flavor", provider.flavor},
          {"base_url", value_or_null(provider.base_url)},
          {"local", provider.local},
          {"open_models", provider.open_models},
          {"stream_options", provider.stream_options},
          {"is_active", provider.is_active},
          {"source", to_string(provider.source)},
          {"created_at", core::format_time(provider.created_at)},
          {"updated_at", core::format_time(provider.updated_at)}};
}

core::Json catalogue_model_view(const inference::CatalogModel& model) {
  const auto& can = model.capabilities;
  core::Json capabilities = {{"reasoning", can.reasoning},
                             {"effort", can.effort},
                             {"structured_output", can.structured_output},
                             {"json_schema_fields", can.json_schema_fields},
                             {"thinking", can.thinking}};
  if (can.dialect) capabilities["dialect"] = to_string(*can.dialect);
  return {{"id", model.id.str()},
          {"provider_id", model.provider_id.str()},
          {"slug", model.slug},
          {"provider_model", model.provider_model},
          {"context_tokens", value_or_null(model.context_tokens)},
          {"max_output_tokens", value_or_null(model.max_output_tokens)},
          {"capabilities", std::move(capabilities)},
          {"aliases", model.aliases},
          {"fallbacks", model.fallbacks},
          {"priority", model.priority},
          {"is_active", model.is_active},
          {"source", to_string(model.source)},
          {"created_at", core::format_time(model.created_at)},
          {"updated_at", core::format_time(model.updated_at)}};
}

inference::ProviderInput provider_input(const core::Json& json) {
  const core::JsonReader body(json);
  inference::ProviderInput out;
  out.slug = body.optional_string("slug");
  out.title = body.optional_string("title");
  if (const auto name = body.optional_string("dialect")) out.dialect = inference::dialect_of(*name);
  out.flavor = body.optional_string("flavor");
  out.base_url = body.optional_string("base_url");
  out.local = body.optional_bool("local");
  out.open_models = body.optional_bool("open_models");
  out.stream_options = body.optional_bool("stream_options");
  out.is_active = body.optional_bool("is_active");
  return out;
}

inference::Capabilities capabilities_input(const core::Json& json) {
  const core::JsonReader body(json, "/capabilities");
  inference::Capabilities out;
  out.reasoning = body.optional_bool("reasoning").value_or(false);
  out.effort = body.optional_bool("effort").value_or(false);
  out.structured_output = body.optional_bool("structured_output").value_or(true);
  out.json_schema_fields = body.optional_bool("json_schema_fields").value_or(true);
  out.thinking = body.optional_string("thinking").value_or("");
  if (const auto name = body.optional_string("dialect")) out.dialect = inference::dialect_of(*name);
  return out;
}

inference::ModelInput model_input(const core::Json& json) {
  const core::JsonReader body(json);
  inference::ModelInput out;
  out.slug = body.optional_string("slug");
  if (const auto id = body.optional_string("provider_id")) out.provider_id = inference::ProviderId::of(*id);
  out.provider_model = body.optional_string("provider_model");
  out.context_tokens = body.optional_integer("context_tokens", 1, kCatalogueTokensMax);
  out.max_output_tokens = body.optional_integer("max_output_tokens", 1, kCatalogueTokensMax);
  if (const auto* capabilities = body.object("capabilities")) {
    out.capabilities = capabilities_input(*capabilities);
  }
  if (body.has("aliases")) out.aliases = body.strings("aliases");
  if (body.has("fallbacks")) out.fallbacks = body.strings("fallbacks");
  out.priority = body.optional_integer("priority", 0, 1000);
  out.is_active = body.optional_bool("is_active");
  return out;
}

// The catalogue is small and comes whole; its pages are cut here.
template <class T>
core::HttpReply page_reply(const std::vector<T>& all, core::Json (*view)(const T&), const Call& call) {
  core::Json rows = core::Json::array();
  const auto limit = static_cast<std::size_t>(call.limit());
  const auto first = (static_cast<std::size_t>(call.page()) - 1) * limit;
  for (std::size_t i = first; i < std::min(all.size(), first + limit); ++i) rows.push_back(view(all[i]));
  return list_reply(rows, static_cast<std::int64_t>(all.size()), call);
}

inference::ProviderId provider_param(const Call& call) {
  return call.id<inference::ProviderId>("provider_id", "provider");
}
inference::ModelId model_param(const Call& call) {
  return call.id<inference::ModelId>("model_id", "model");
}

core::Task<core::HttpReply> list_providers(Services* s, Call call) {
  co_return page_reply(co_await s->models->catalogue.providers(), catalogue_provider_view, call);
}
core::Task<core::HttpReply> create_provider(Services* s, Call call) {
  co_return data_reply(
      201, catalogue_provider_view(co_await s->models->catalogue.create(provider_input(*call.body))));
}
core::Task<core::HttpReply> get_provider(Services* s, Call call) {
  co_return data_reply(200,
                       catalogue_provider_view(co_await s->models->catalogue.provider(provider_param(call))));
}
core::Task<core::HttpReply> patch_provider(Services* s, Call call) {
  co_return data_reply(200, catalogue_provider_view(co_await s->models->catalogue.update(
                                provider_param(call), provider_input(*call.body))));
}
core::Task<core::HttpReply> delete_provider(Services* s, Call call) {
  co_await s->models->catalogue.remove(provider_param(call));
  co_return no_content();
}

core::Task<core::HttpReply> list_catalogue_models(Services* s, Call call) {
  co_return page_reply(co_await s->models->catalogue.models(), catalogue_model_view, call);
}
core::Task<core::HttpReply> create_catalogue_model(Services* s, Call call) {
  co_return data_reply(201,
                       catalogue_model_view(co_await s->models->catalogue.create(model_input(*call.body))));
}
core::Task<core::HttpReply> get_catalogue_model(Services* s, Call call) {
  co_return data_reply(200, catalogue_model_view(co_await s->models->catalogue.model(model_param(call))));
}
core::Task<core::HttpReply> patch_catalogue_model(Services* s, Call call) {
  co_return data_reply(200, catalogue_model_view(co_await s->models->catalogue.update(
                                model_param(call), model_input(*call.body))));
}
core::Task<core::HttpReply> delete_catalogue_model(Services* s, Call call) {
  co_await s->models->catalogue.remove(model_param(call));
  co_return no_content();
}

struct CatalogueHandlers {
  ServiceHandler list, create, get, patch, remove;
};

void add_resource(RouteTable& table, Services& services, const std::string& base, const std::string& noun,
                  const std::string& schema, const CatalogueHandlers& handlers) {
  const std::string lower = noun == "Provider" ? "provider" : "model";
  const std::string one = base + "/{" + lower + "_id}";
  const auto add = [&](const std::string& method, const std::string& path, const std::string& verb,
                       const std::string& summary, ServiceHandler handler) -> Route& {
    Route route{.method = method,
                .path = path,
                .access = Access::Operator,
                .scope = "",
                .operation_id = verb + "Catalogue" + noun,
                .tag = "Catalogue",
                .summary = summary,
                .reply_schema = schema};
    route.handle = with_services(services, handler);
    table.push_back(std::move(route));
    return table.back();
  };
  add("GET", base, "list", "The " + lower + "s that this server knows.", handlers.list).paginated = true;
  auto& create = add("POST", base, "create", "Add a " + lower + ".", handlers.create);
  create.body_schema = schema + "Create";
  create.success = 201;
  add("GET", one, "get", "Read a " + lower + ".", handlers.get);
  add("PATCH", one, "update", "Change a " + lower + "; it is then the operator's, not the program's.",
      handlers.patch)
      .body_schema = schema + "Patch";
  auto& remove = add("DELETE", one, "delete", "Remove a " + lower + ".", handlers.remove);
  remove.reply_schema = "";
  remove.success = 204;
}

}  // namespace

void add_admin_catalogue_routes(RouteTable& table, Services& services) {
  add_resource(table, services, "/v1/admin/providers", "Provider", "CatalogueProvider",
               {list_providers, create_provider, get_provider, patch_provider, delete_provider});
  add_resource(table, services, "/v1/admin/models", "Model", "CatalogueModel",
               {list_catalogue_models, create_catalogue_model, get_catalogue_model, patch_catalogue_model,
                delete_catalogue_model});
}

}  // namespace assistiv::api
