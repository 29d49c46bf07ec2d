#include "mcp/remote/remote_servers.h"

#include <nlohmann/json.hpp>

#include "api/config.h"
#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "core/error.h"
#include "core/json_read.h"
#include "oauth/connect/app_service.h"
#include "oauth/connect/client_registration.h"
#include "oauth/connect/connector_spec.h"

namespace assistiv::api {

namespace {

core::Json remote_view(const mcp::RemoteServerView& view) {
  core::Json out = mcp::to_json(view.server);
  out["tools"] = core::Json::array();
  for (const auto& tool : view.tools) out["tools"].push_back(mcp::to_json(tool));
  return out;
}

mcp::NewRemoteServer read_remote(const core::Json& object) {
  const core::JsonReader body(object);
  mcp::NewRemoteServer out;
  out.app = body.string("app");
  out.title = body.optional_string("title").value_or(out.app);
  out.description = body.optional_string("description").value_or("");
  out.url = body.string("url");
  out.approve_all = body.optional_bool("approve_all").value_or(false);
  if (const core::Json* given = body.object("auth")) {
    const core::JsonReader auth(*given, "/auth");
    out.auth =
        *mcp::parse_remote_auth(auth.choice("kind", {"none", "shared_header", "user_header", "oauth"}));
    out.header_name = auth.optional_string("header_name").value_or("");
    out.header_value = core::Secret(auth.optional_string("value").value_or(""));
    out.client_id = auth.optional_string("client_id").value_or("");
    out.client_secret = core::Secret(auth.optional_string("client_secret").value_or(""));
    out.return_urls = auth.strings("return_urls");
  }
  return out;
}

core::Task<core::HttpReply> list_remotes(Services* s, Call call) {
  core::Json rows = core::Json::array();
  for (const auto& server : co_await s->remotes->list(call.platform_id()))
    rows.push_back(mcp::to_json(server));
  co_return data_reply(200, rows);
}

core::Task<core::HttpReply> add_remote(Services* s, Call call) {
  co_return data_reply(201, remote_view(co_await s->remotes->add(call.platform_id(), read_remote(*call.body),
                                                                 audit_context(call))));
}

core::Task<core::HttpReply> get_remote(Services* s, Call call) {
  co_return data_reply(200, remote_view(co_await s->remotes->get(call.platform_id(), call.params.at("app"))));
}

core::Task<core::HttpReply> patch_remote(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  mcp::RemoteServerPatch patch;
  patch.title = body.optional_string("title");
  patch.description = body.optional_string("description");
  patch.url = body.optional_string("url");
  patch.is_active = body.optional_bool("is_active");
  if (const auto value = body.optional_string("header_value")) patch.header_value = core::Secret(*value);
  co_return data_reply(200, remote_view(co_await s->remotes->update(call.platform_id(), call.params.at("app"),
                                                                    std::move(patch), audit_context(call))));
}

core::Task<core::HttpReply> delete_remote(Services* s, Call call) {
  // Another kind of app is not removed here.
  co_await s->remotes->get(call.platform_id(), call.params.at("app"));
  co_await s->apps.remove(call.platform_id(), call.params.at("app"), audit_context(call));
  co_return no_content();
}

core::Task<core::HttpReply> refresh_remote(Services* s, Call call) {
  co_return data_reply(200,
                       remote_view(co_await s->remotes->refresh(call.platform_id(), call.params.at("app"),
                                                                audit_context(call), call.request.gone)));
}

core::Task<core::HttpReply> approve_remote(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  std::vector<mcp::ReviewedTool> tools;
  if (const core::Json* list = body.array("tools")) {
    for (const auto& item : *list) {
      const core::JsonReader tool(item);
      tools.push_back({tool.string("remote_name"), tool.string("digest")});
    }
  }
  if (tools.empty() != body.optional_bool("all").value_or(false)) {
    throw core::bad_request("Name the tools with their digests, or say {\"all\": true}.", "/tools");
  }
  co_return data_reply(200,
                       remote_view(co_await s->remotes->approve(call.platform_id(), call.params.at("app"),
                                                                std::move(tools), audit_context(call))));
}

core::Task<core::HttpReply> put_remote_credential(Services* s, Call call) {
  const auto id = co_await s->remotes->set_user_header(
      call.platform_id(), end_user_param(call), call.params.at("app"),
      core::Secret(core::JsonReader(*call.body).string("value")), audit_context(call));
  co_return data_reply(200, {{"connection_id", id.str()}, {"app", call.params.at("app")}});
}

// Authorization servers fetch it (client ID metadata documents, the authorization chapter of MCP). It follows
// from its address, so nothing is looked up and nobody learns which servers are registered.
core::Task<core::HttpReply> client_metadata_document(Services* s, Call call) {
  const auto platform = core::PlatformId::parse(call.params.at("platform_id"));
  const auto& app = call.params.at("app");
  if (!platform || !oauth::is_own_app_id(app)) throw core::not_found("There is no such client.");
  const auto path = "/" + app + "/" + platform->str();
  auto reply = core::json_reply(
      200, core::dump_json(oauth::client_document(s->config.public_url + "/oauth/clients" + path,
                                                  s->config.public_url + "/oauth/callback" + path)));
  reply.headers.add("cache-control", "public, max-age=3600");
  co_return reply;
}

Route remote_route(std::string method, std::string path, std::string operation, std::string summary) {
  Route out;
  out.method = std::move(method);
  out.path = std::move(path);
  out.access = Access::Platform;
  out.scope = "management";
  out.operation_id = std::move(operation);
  out.tag = "Remote MCP servers";
  out.summary = std::move(summary);
  out.reply_schema = "RemoteServer";
  return out;
}

void add_route(RouteTable& table, Services& services, Route route, ServiceHandler handler) {
  route.handle = with_services(services, handler);
  table.push_back(std::move(route));
}

}  // namespace

void add_remote_server_routes(RouteTable& table, Services& services) {
  const std::string base = "/v1/platforms/{platform_id}/mcp/remote-servers";
  const std::string one = base + "/{app}";
  Route list = remote_route("GET", base, "listRemoteServers", "Registered MCP servers, without their tools.");
  list.reply_schema = "RemoteServers";
  add_route(table, services, std::move(list), list_remotes);
  Route add = remote_route("POST", base, "addRemoteServer", "Register an MCP server and read its tools.");
  add.body_schema = "RemoteServerCreate";
  add.success = 201;
  add_route(table, services, std::move(add), add_remote);
  add_route(
      table, services,
      remote_route("GET", one, "getRemoteServer", "A registered MCP server and the state of its tools."),
      get_remote);
  Route patch = remote_route("PATCH", one, "updateRemoteServer", "Change a registered MCP server.");
  patch.body_schema = "RemoteServerPatch";
  add_route(table, services, std::move(patch), patch_remote);
  Route remove =
      remote_route("DELETE", one, "removeRemoteServer", "Remove an MCP server and its connections.");
  remove.success = 204;
  remove.reply_schema.clear();
  add_route(table, services, std::move(remove), delete_remote);
  add_route(table, services,
            remote_route("POST", one + "/refresh", "refreshRemoteServer",
                         "Read the tools again; what is new or has changed waits for approval."),
            refresh_remote);
  Route approve = remote_route("POST", one + "/approve", "approveRemoteTools",
                               "Serve definitions as they were reviewed.");
  approve.body_schema = "RemoteToolsApprove";
  add_route(table, services, std::move(approve), approve_remote);
  Route credential = remote_route(
      "PUT", "/v1/platforms/{platform_id}/end-users/{end_user_id}/remote-servers/{app}/credential",
      "putRemoteCredential", "Set an end user's own credential at a registered MCP server.");
  credential.body_schema = "RemoteCredentialPut";
  credential.reply_schema = "RemoteCredential";
  add_route(table, services, std::move(credential), put_remote_credential);
  add_route(table, services,
            {.method = "GET",
             .path = "/oauth/clients/{app}/{platform_id}",
             .access = Access::Public,
             .scope = "",
             .operation_id = "remoteClientDocument",
             .tag = "Remote MCP servers",
             .summary = "Who we are to the authorization server of a remote MCP server.",
             .reply_schema = "ClientDocument",
             .enveloped = false},
            client_metadata_document);
}

}  // namespace assistiv::api
