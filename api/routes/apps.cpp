#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "core/json_read.h"
#include "mcp/connectors/app_book.h"
#include "mcp/connectors/own_app_service.h"
#include "oauth/connect/app_service.h"

namespace assistiv::api {

namespace {

// Why an app is left out, by its id. Empty where none of these is.
core::Task<mcp::LeftOut> reasons_for(Services* s, core::PlatformId platform, bool wanted) {
  co_return wanted ? co_await s->own_apps->left_out(platform) : mcp::LeftOut();
}

std::string status_of(const oauth::App& app) {
  if (!app.available) return "unavailable";
  return app.is_active ? "active" : "off";
}

core::Json reason_of(const oauth::App& app, const mcp::LeftOut& left_out) {
  if (app.available) return nullptr;
  const auto found = left_out.find(app.app);
  return found != left_out.end() ? found->second : "This server has no app of this name any more.";
}

core::Json app_view(const oauth::App& app, const mcp::LeftOut& left_out = {}) {
  core::Json vars = core::Json::object();
  for (const auto& [name, value] : app.vars) vars[name] = value;
  return {{"app", app.app},
          {"title", app.title},
          {"client_id", app.client_id},
          {"return_urls", app.return_urls},
          {"scopes", app.scopes ? core::Json(*app.scopes) : core::Json::array()},
          {"vars", std::move(vars)},
          {"is_active", app.is_active},
          {"status", status_of(app)},
          {"status_reason", reason_of(app, left_out)},
          {"callback_url", app.callback_url},
          {"created_at", core::format_time(app.created_at)},
          {"updated_at", core::format_time(app.updated_at)}};
}

std::optional<std::vector<std::string>> optional_strings(const core::JsonReader& body,
                                                         const std::string& name) {
  return body.has(name) ? std::optional<std::vector<std::string>>(body.strings(name)) : std::nullopt;
}

oauth::Values read_vars(const core::JsonReader& body) {
  oauth::Values vars;
  if (const core::Json* object = body.object("vars")) {
    for (const auto& [name, value] : object->items()) vars[name] = value.get<std::string>();
  }
  return vars;
}

core::Json catalog_tool(const mcp::Tool& tool) {
  return {{"name", tool.name},
          {"title", tool.title},
          {"description", tool.description},
          {"risk", mcp::risk_name(tool.risk)},
          {"read_only", tool.hints.read_only},
          {"scopes", tool.scopes_any}};
}

// With the platform's own apps, for whoever has a platform.
core::Task<core::HttpReply> get_catalog(Services* s, Call call) {
  const bool of_platform = call.principal->kind != oauth::PrincipalKind::Operator;
  const auto catalog = of_platform ? co_await s->book.get(call.principal->platform_id) : s->book.built_in();
  core::Json apps = core::Json::array();
  for (const auto& app : catalog->apps()) {
    core::Json tools = core::Json::array();
    for (const auto& tool : app->tools) tools.push_back(catalog_tool(tool));
    apps.push_back(
        {{"app", app->id}, {"title", app->title}, {"version", app->version}, {"tools", std::move(tools)}});
  }
  co_return data_reply(200, apps);
}

core::Task<core::HttpReply> list_apps(Services* s, Call call) {
  const auto page = co_await s->apps.list(call.platform_id(), page_request(call));
  const bool lacking =
      std::any_of(page.items.begin(), page.items.end(), [](const auto& app) { return !app.available; });
  const auto left_out = co_await reasons_for(s, call.platform_id(), lacking);
  core::Json rows = core::Json::array();
  for (const auto& app : page.items) rows.push_back(app_view(app, left_out));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> activate_app(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  if (const auto* manifest = body.object("manifest")) {
    co_return data_reply(
        201, manifest_view(co_await s->own_apps->submit(call.platform_id(), *manifest, audit_context(call))));
  }
  oauth::NewApp app;
  app.app = body.string("app");
  app.client_id = body.string("client_id");
  app.client_secret = core::Secret(body.string("client_secret"));
  app.return_urls = body.strings("return_urls");
  app.scopes = optional_strings(body, "scopes");
  app.vars = read_vars(body);
  co_return data_reply(
      201, app_view(co_await s->apps.activate(call.platform_id(), std::move(app), audit_context(call))));
}

core::Task<core::HttpReply> get_app(Services* s, Call call) {
  const auto app = co_await s->apps.get(call.platform_id(), call.params.at("app"));
  const auto left_out = co_await reasons_for(s, call.platform_id(), !app.available);
  co_return data_reply(200, app_view(app, left_out));
}

core::Task<core::HttpReply> patch_app(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  oauth::AppPatch patch;
  patch.client_id = body.optional_string("client_id");
  if (const auto secret = body.optional_string("client_secret")) patch.client_secret = core::Secret(*secret);
  patch.return_urls = optional_strings(body, "return_urls");
  patch.scopes = optional_strings(body, "scopes");
  if (body.has("vars")) patch.vars = read_vars(body);
  patch.is_active = body.optional_bool("is_active");
  co_return data_reply(200, app_view(co_await s->apps.update(call.platform_id(), call.params.at("app"),
                                                             std::move(patch), audit_context(call))));
}

core::Task<core::HttpReply> delete_app(Services* s, Call call) {
  co_await s->apps.remove(call.platform_id(), call.params.at("app"), audit_context(call));
  co_return no_content();
}

}  // namespace

void add_app_routes(RouteTable& table, Services& services) {
  const std::string base = "/v1/platforms/{platform_id}/mcp/apps";
  const std::string one = base + "/{app}";
  table.push_back({.method = "GET",
                   .path = "/v1/mcp/catalog",
                   .access = Access::AnyKey,
                   .scope = "",
                   .operation_id = "getCatalog",
                   .tag = "Apps",
                   .summary = "The apps that this server knows, with their tools.",
                   .reply_schema = "Catalog",
                   .handle = with_services(services, get_catalog)});
  table.push_back({.method = "GET",
                   .path = base,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "listApps",
                   .tag = "Apps",
                   .summary = "Activated apps.",
                   .paginated = true,
                   .reply_schema = "App",
                   .handle = with_services(services, list_apps)});
  table.push_back({.method = "POST",
                   .path = base,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "activateApp",
                   .tag = "Apps",
                   .summary = "Activate an app with your OAuth client, or submit a manifest of your own.",
                   .body_schema = "AppCreate",
                   .success = 201,
                   .reply_schema = "AppOrManifest",
                   .handle = with_services(services, activate_app)});
  table.push_back({.method = "GET",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "getApp",
                   .tag = "Apps",
                   .summary = "Read an activated app.",
                   .reply_schema = "App",
                   .handle = with_services(services, get_app)});
  table.push_back({.method = "PATCH",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "updateApp",
                   .tag = "Apps",
                   .summary = "Change an activated app.",
                   .body_schema = "AppPatch",
                   .reply_schema = "App",
                   .handle = with_services(services, patch_app)});
  table.push_back({.method = "DELETE",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "deactivateApp",
                   .tag = "Apps",
                   .summary = "Deactivate an app; every connection to it is revoked.",
                   .success = 204,
                   .handle = with_services(services, delete_app)});
}

}  // namespace assistiv::api
