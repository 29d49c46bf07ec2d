#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "api/wire/connections.h"
#include "core/json_read.h"
#include "oauth/connect/connect_flow.h"
#include "oauth/connect/connection_service.h"
#include "oauth/identity/identity_service.h"

namespace assistiv::api {

namespace {

core::ConnectionId connection_param(const Call& call) {
  return call.id<core::ConnectionId>("connection_id", "connection");
}

core::Task<core::HttpReply> create_link(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  oauth::NewLink input;
  input.app = body.string("app");
  input.return_url = body.optional_string("return_url");
  if (const auto id = body.optional_string("connection_id"))
    input.connection_id = core::ConnectionId::parse(*id);
  if (const core::Json* vars = body.object("vars")) {
    for (const auto& [name, value] : vars->items()) input.vars[name] = value.get<std::string>();
  }
  const auto link = co_await s->connect.create_link(call.platform_id(), end_user_param(call),
                                                    std::move(input), audit_context(call));
  co_return data_reply(
      201, {{"url", link.url}, {"app", link.app}, {"expires_at", core::format_time(link.expires_at)}});
}

// The connections of a platform, of one of its end users, or of the end user that calls.
core::Task<core::HttpReply> list_connections(Services* s, Call call) {
  oauth::ConnectionFilter filter;
  const bool own = call.principal->kind == oauth::PrincipalKind::EndUser;
  const auto platform = own ? call.principal->platform_id : call.platform_id();
  if (own) filter.end_user_id = call.principal->end_user_id;
  if (call.params.contains("end_user_id")) {
    filter.end_user_id = end_user_param(call);
    co_await s->identity.get_end_user(platform, *filter.end_user_id);
  }
  if (call.query.contains("app")) filter.app = call.query.at("app");
  const auto page = co_await s->connections.list(platform, filter, page_request(call));
  core::Json rows = core::Json::array();
  for (const auto& connection : page.items) rows.push_back(connection_view(connection));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> change_connection(Services* s, Call call) {
  const bool own = call.principal->kind == oauth::PrincipalKind::EndUser;
  const auto platform = own ? call.principal->platform_id : call.platform_id();
  const auto end_user = own ? call.principal->end_user_id : std::optional(end_user_param(call));
  oauth::ConnectionChange change;
  const core::JsonReader body(*call.body);
  if (call.body->contains("label")) change.label = body.optional_string("label");
  change.make_default = body.optional_bool("is_default").value_or(false);
  const auto changed = co_await s->connections.change(platform, end_user, connection_param(call),
                                                      std::move(change), audit_context(call));
  co_return data_reply(200, connection_view(changed));
}

core::Task<core::HttpReply> disconnect(Services* s, Call call) {
  const bool own = call.principal->kind == oauth::PrincipalKind::EndUser;
  const auto platform = own ? call.principal->platform_id : call.platform_id();
  const auto end_user = own ? call.principal->end_user_id : std::optional(end_user_param(call));
  const auto result =
      co_await s->connections.disconnect(platform, end_user, connection_param(call), audit_context(call));
  co_return data_reply(200, disconnected_view(result));
}

core::Task<core::HttpReply> confirm_flow(Services* s, Call call) {
  const auto end_user = core::EndUserId::parse(core::JsonReader(*call.body).string("end_user_id"));
  if (!end_user) throw core::bad_request("\"end_user_id\" must be an id.", "/end_user_id");
  const auto flow = call.id<core::FlowId>("flow_id", "connect flow");
  const auto done = co_await s->connect.confirm(call.platform_id(), flow, *end_user, audit_context(call));
  core::Json view = {{"connection_id", done.connection_id.str()}, {"app", done.app}};
  if (done.return_url) view["return_url"] = *done.return_url;
  co_return data_reply(200, view);
}

std::vector<QueryParam> by_app() {
  return {{"app", "Only this app.", {}}};
}

void add_own_routes(RouteTable& table, Services& services) {
  table.push_back({.method = "GET",
                   .path = "/v1/me/connections",
                   .access = Access::EndUser,
                   .scope = "connections",
                   .operation_id = "listMyConnections",
                   .tag = "Me",
                   .summary = "The caller's connections.",
                   .query = by_app(),
                   .paginated = true,
                   .reply_schema = "Connection",
                   .handle = with_services(services, list_connections)});
  table.push_back({.method = "PATCH",
                   .path = "/v1/me/connections/{connection_id}",
                   .access = Access::EndUser,
                   .scope = "connections",
                   .operation_id = "changeMyConnection",
                   .tag = "Me",
                   .summary = "Name a connection, or make it the app's default.",
                   .body_schema = "ConnectionPatch",
                   .reply_schema = "Connection",
                   .handle = with_services(services, change_connection)});
  table.push_back({.method = "DELETE",
                   .path = "/v1/me/connections/{connection_id}",
                   .access = Access::EndUser,
                   .scope = "connections",
                   .operation_id = "disconnectMine",
                   .tag = "Me",
                   .summary = "Disconnect; the tokens are revoked at the provider first.",
                   .reply_schema = "Disconnected",
                   .handle = with_services(services, disconnect)});
}

}  // namespace

void add_connection_routes(RouteTable& table, Services& services) {
  const std::string user = "/v1/platforms/{platform_id}/end-users/{end_user_id}";
  table.push_back(
      {.method = "POST",
       .path = user + "/connect-links",
       .access = Access::Platform,
       .scope = "management",
       .operation_id = "createConnectLink",
       .tag = "Connections",
       .summary = "A one-time link, good for ten minutes, with which the end user connects an app.",
       .body_schema = "ConnectLinkCreate",
       .success = 201,
       .reply_schema = "ConnectLink",
       .handle = with_services(services, create_link)});
  table.push_back(
      {.method = "POST",
       .path = "/v1/platforms/{platform_id}/connect-flows/{flow_id}/confirm",
       .access = Access::Platform,
       .scope = "management",
       .operation_id = "confirmConnectFlow",
       .tag = "Connections",
       .summary = "With settings.connect_verifier_url: say which of your users came back from the provider.",
       .body_schema = "FlowConfirm",
       .reply_schema = "FlowConfirmed",
       .handle = with_services(services, confirm_flow)});
  table.push_back({.method = "GET",
                   .path = user + "/connections",
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "listEndUserConnections",
                   .tag = "Connections",
                   .summary = "An end user's connections.",
                   .query = by_app(),
                   .paginated = true,
                   .reply_schema = "Connection",
                   .handle = with_services(services, list_connections)});
  table.push_back({.method = "PATCH",
                   .path = user + "/connections/{connection_id}",
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "changeConnection",
                   .tag = "Connections",
                   .summary = "Name a connection, or make it the app's default.",
                   .body_schema = "ConnectionPatch",
                   .reply_schema = "Connection",
                   .handle = with_services(services, change_connection)});
  table.push_back({.method = "DELETE",
                   .path = user + "/connections/{connection_id}",
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "disconnectEndUser",
                   .tag = "Connections",
                   .summary = "Disconnect; the tokens are revoked at the provider first.",
                   .reply_schema = "Disconnected",
                   .handle = with_services(services, disconnect)});
  table.push_back({.method = "GET",
                   .path = "/v1/platforms/{platform_id}/connections",
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "listConnections",
                   .tag = "Connections",
                   .summary = "All connections of the platform.",
                   .query = by_app(),
                   .paginated = true,
                   .reply_schema = "Connection",
                   .handle = with_services(services, list_connections)});
  add_own_routes(table, services);
}

}  // namespace assistiv::api
