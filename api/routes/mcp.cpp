#include "api/config.h"
#include "api/routes/routes.h"
#include "core/error.h"
#include "mcp/connectors/catalog.h"
#include "mcp/protocol/endpoint.h"

namespace assistiv::api {

namespace {

core::Task<core::HttpReply> serve_all_apps(Services* s, Call call) {
  return s->endpoint.handle(std::move(call.request), std::move(call.principal), {});
}

core::Task<core::HttpReply> serve_one_app(Services* s, Call call) {
  auto app = call.params.at("app");
  // An app that is known but not activated has an address: the endpoint says what is missing.
  if (s->catalog.find_app(app) == nullptr) {
    throw core::not_found("This server has no app \"" + app + "\". GET /v1/mcp/catalog lists its apps.");
  }
  return s->endpoint.handle(std::move(call.request), std::move(call.principal), std::move(app));
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
  table.push_back({.method = "*",
                   .path = "/mcp",
                   .access = Access::EndUser,
                   .scope = "mcp",
                   .operation_id = "mcp",
                   .tag = "MCP",
                   .summary = "MCP (Streamable HTTP): the tools of all apps that the end user connected.",
                   .handle = with_services(services, serve_all_apps)});
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
