#include <nlohmann/json.hpp>

#include "agents/doors/mcp_door.h"
#include "api/config.h"
#include "api/http/pipeline.h"
#include "api/routes/routes.h"
#include "api/web/inspect_page.h"
#include "api/web/pages.h"
#include "core/error.h"
#include "core/json_read.h"
#include "mcp/connectors/app_book.h"
#include "mcp/connectors/catalog.h"
#include "mcp/protocol/endpoint.h"
#include "mcp/tools/access_snapshot.h"
#include "mcp/tools/tool_search.h"
#include "oauth/authorize/authorization_server.h"

namespace assistiv::api {

namespace {

// The tool that a call is of: call_tool is the call of the tool that it names, whether or not the session has
// it.
core::Json called_tool(const core::Json& params) {
  const auto name = params.value("name", core::Json());
  if (name != mcp::kCallTool) return name;
  const auto arguments = params.find("arguments");
  return arguments != params.end() && arguments->is_object() ? arguments->value("name", core::Json())
                                                             : core::Json();
}

// A tool that only reads, or the way to connect an app. What is not known here could change something.
bool only_reads(const mcp::Catalog& catalog, const std::string& name) {
  const auto* tool = catalog.find_tool(name);
  if (tool != nullptr) return tool->hints.read_only;
  return name == mcp::kConnectTool || name == mcp::kSearchTool || name == mcp::kGetTool;
}

// The id of a call that the token's scope is too small for; nothing when there is none in the body.
std::optional<core::Json> call_beyond_scope(const mcp::Catalog& catalog, const core::Json& message) {
  if (!message.is_object() || message.value("method", core::Json()) != "tools/call") return std::nullopt;
  const auto params = message.find("params");
  const auto name = params != message.end() && params->is_object() ? called_tool(*params) : core::Json();
  if (!name.is_string() || only_reads(catalog, name.get<std::string>())) return std::nullopt;
  return message.value("id", core::Json());
}

// Step-up (RFC 6750 section 3.1): one challenge with every scope that this address could need, so that a
// client asks its user once.
core::HttpReply step_up(Services* s, const std::string& path, const core::Json& id) {
  const auto& resources = s->authorization->world().resources;
  const core::Json error = {{"code", -32600},
                            {"message",
                             "This tool makes changes, and the user allowed reading only. Ask the user to "
                             "authorize again with the scope " +
                                 oauth::full_scope() + "."}};
  auto reply = core::json_reply(403, core::dump_json({{"jsonrpc", "2.0"}, {"id", id}, {"error", error}}));
  reply.headers.add("www-authenticate", "Bearer error=\"insufficient_scope\", scope=\"" +
                                            oauth::full_scope() + "\", resource_metadata=\"" +
                                            resources.metadata_url(resources.url_of_path(path)) + "\"");
  return reply;
}

bool may_only_read(const Call& call) {
  const auto& who = *call.principal;
  return !who.audience.empty() && !who.has_scope(oauth::kScopeWrite) && call.request.method == "POST";
}

// Set when the request must not go on.
std::optional<core::HttpReply> scope_refusal(Services* s, const mcp::Catalog& catalog, const Call& call) {
  const auto body = core::try_parse_json(call.request.body);
  if (!body) return std::nullopt;  // the endpoint says what is wrong with it
  const core::Json one = core::Json::array({*body});
  for (const auto& message : body->is_array() ? *body : one) {
    if (const auto id = call_beyond_scope(catalog, message)) return step_up(s, call.request.path, *id);
  }
  return std::nullopt;
}

core::Task<core::HttpReply> serve(Services* s, Call call, std::optional<std::string> app) {
  if (may_only_read(call)) {
    const auto catalog = co_await s->book.get(call.principal->platform_id);
    if (auto refusal = scope_refusal(s, *catalog, call)) co_return std::move(*refusal);
  }
  co_return co_await s->endpoint.handle(std::move(call.request), std::move(call.principal), std::move(app));
}

core::Task<core::HttpReply> serve_all_apps(Services* s, Call call) {
  return serve(s, std::move(call), {});
}

core::Task<core::HttpReply> serve_one_app(Services* s, Call call) {
  auto app = call.params.at("app");
  // An app that is known but not activated has an address: the endpoint says what is missing.
  const auto catalog = co_await s->book.get(call.principal->platform_id);
  if (catalog->find_app(app) == nullptr) {
    throw core::not_found("This server has no app \"" + app + "\". GET /v1/mcp/catalog lists its apps.");
  }
  co_return co_await serve(s, std::move(call), std::move(app));
}

// An authorization is for chosen apps, and an agent acts with all of its end user's.
core::Task<core::HttpReply> serve_agents(Services* s, Call call) {
  if (!call.principal->audience.empty())
    throw core::forbidden("Agents are called with an end user's API key, not with an access token.");
  return s->endpoint.handle(std::move(call.request), std::move(call.principal),
                            std::string(agents::kAgentsEndpoint));
}

core::Task<core::HttpReply> serve_sse(Services* s, Call call) {
  if (may_only_read(call)) {
    const auto catalog = co_await s->book.get(call.principal->platform_id);
    if (auto refusal = scope_refusal(s, *catalog, call)) co_return std::move(*refusal);
  }
  co_return co_await s->endpoint.handle_sse(std::move(call.request), std::move(call.principal));
}

core::Task<core::HttpReply> show_inspector(Services*, Call) {
  co_return inspect_page();
}

// Only images of manifests that the operator has put in, and our own mark. Opened by itself an SVG is a page
// of this origin: the policy leaves it nothing.
core::Task<core::HttpReply> show_icon(Services* s, Call call) {
  const auto& name = call.params.at("file");
  core::HttpReply reply;
  if (name == "assistiv.svg") {
    reply = asset("icon.svg", mcp::kSvgType);
  } else {
    const auto* icon = s->book.built_in()->find_icon(name);
    if (icon == nullptr) throw core::not_found("There is no such icon.");
    reply = core::text_reply(200, icon->bytes, icon->type);
    reply.headers.add("cache-control", "public, max-age=31536000, immutable");
  }
  reply.headers.add("content-security-policy", "default-src 'none'; sandbox");
  reply.headers.add("cross-origin-resource-policy", "cross-origin");
  co_return reply;
}

core::Task<core::HttpReply> serve_fixtures(Services* s, Call call) {
  return s->conformance->handle(std::move(call.request), nullptr, {});
}

}  // namespace

void add_mcp_routes(RouteTable& table, Services& services) {
  if (services.conformance != nullptr) {
    table.push_back({.method = "*",
                     .path = "/mcp/conformance",
                     .access = Access::Public,
                     .scope = "",
                     .operation_id = "mcpConformance",
                     .tag = "MCP",
                     .summary = "Fixtures of the MCP conformance suite.",
                     .handle = with_services(services, serve_fixtures)});
  }
  table.push_back({.method = "GET",
                   .path = "/mcp/inspect",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "inspectPage",
                   .tag = "Pages",
                   .summary = "A page that lists and calls an end user's tools in the browser.",
                   .reply_type = "text/html",
                   .handle = with_services(services, show_inspector)});
  table.push_back({.method = "GET",
                   .path = "/mcp/icons/{file}",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "mcpIcon",
                   .tag = "MCP",
                   .summary = "An icon that serverInfo or a definition names.",
                   .reply_type = "image/*",
                   .handle = with_services(services, show_icon)});
  table.push_back({.method = "*",
                   .path = "/mcp",
                   .access = Access::EndUser,
                   .scope = "mcp",
                   .operation_id = "mcp",
                   .tag = "MCP",
                   .summary = "MCP (Streamable HTTP): the tools of all apps that the end user connected.",
                   .handle = with_services(services, serve_all_apps)});
  table.push_back({.method = "GET",
                   .path = "/mcp/sse",
                   .access = Access::EndUser,
                   .scope = "mcp",
                   .operation_id = "mcpSse",
                   .tag = "MCP",
                   .summary =
                       "MCP (HTTP+SSE of 2024-11-05): the event stream; its first event names the URL to "
                       "post to.",
                   .reply_type = "text/event-stream",
                   .handle = with_services(services, serve_sse)});
  table.push_back(
      {.method = "POST",
       .path = "/mcp/message",
       .access = Access::EndUser,
       .scope = "mcp",
       .operation_id = "mcpMessage",
       .tag = "MCP",
       .summary = "MCP (HTTP+SSE of 2024-11-05): a message; its answer comes on the event stream.",
       .query = {{"sessionId", "The session that the event stream named.", {}}},
       .success = 202,
       .handle = with_services(services, serve_sse)});
  table.push_back({.method = "*",
                   .path = "/mcp/agents",
                   .access = Access::EndUser,
                   .scope = "mcp",
                   .operation_id = "mcpAgents",
                   .tag = "MCP",
                   .summary = "MCP (Streamable HTTP): the agents that the end user may use, as tools.",
                   .handle = with_services(services, serve_agents)});
  table.push_back({.method = "*",
                   .path = "/mcp/{app}",
                   .access = Access::EndUser,
                   .scope = "mcp",
                   .operation_id = "mcpApp",
                   .tag = "MCP",
                   .summary = "MCP (Streamable HTTP): the tools of one app.",
                   .handle = with_services(services, serve_one_app)});
}

}  // namespace assistiv::api
