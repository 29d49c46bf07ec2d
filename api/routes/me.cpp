#include <nlohmann/json.hpp>

#include "api/config.h"
#include "api/http/pipeline.h"
#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "api/wire/views.h"
#include "oauth/connect/connection_service.h"
#include "oauth/identity/identity_service.h"

namespace assistiv::api {

namespace {

// Settings are for those who may manage them: a key that only infers sees whose it is.
core::Json platform_part(const oauth::Platform& platform, bool manages) {
  return manages ? platform_view(platform) : core::Json{{"id", platform.id.str()}, {"name", platform.name}};
}

core::Task<core::HttpReply> get_me(Services* s, Call call) {
  const auto& who = *call.principal;
  core::Json view = {{"key_id", who.key_id.str()}, {"scopes", who.scopes}};
  switch (who.kind) {
    case oauth::PrincipalKind::Operator:
      view["kind"] = "operator";
      break;
    case oauth::PrincipalKind::Platform:
      view["kind"] = "platform";
      view["platform"] =
          platform_part(co_await s->identity.get_platform(who.platform_id), who.has_scope("management"));
      break;
    case oauth::PrincipalKind::EndUser: {
      view["kind"] = "end_user";
      // An end user sees its platform's name, not its settings.
      view["platform"] = platform_part(co_await s->identity.get_platform(who.platform_id), false);
      view["end_user"] = end_user_view(co_await s->identity.get_end_user(who.platform_id, *who.end_user_id));
      break;
    }
  }
  co_return data_reply(200, view);
}

// One entry per connected app. The key in it is the caller's own, as it sent it.
core::Task<core::HttpReply> get_mcp_config(Services* s, Call call) {
  oauth::ConnectionFilter filter;
  filter.end_user_id = call.principal->end_user_id;
  filter.status = oauth::ConnectionStatus::Active;
  const auto page = co_await s->connections.list(call.principal->platform_id, filter, {1, 100});
  const std::string bearer = "Bearer " + bearer_key(call.request);
  core::Json standard = core::Json::object();
  core::Json openai = core::Json::array();
  for (const auto& connection : page.items) {
    if (standard.contains(connection.app)) continue;
    const std::string url = s->config.mcp_public_url + "/mcp/" + connection.app;
    standard[connection.app] = {
        {"transport", "streamable_http"}, {"url", url}, {"headers", {{"Authorization", bearer}}}};
    openai.push_back(
        {{"type", "mcp"}, {"server_label", connection.app}, {"server_url", url}, {"authorization", bearer}});
  }
  co_return data_reply(200, {{"standard", std::move(standard)}, {"openai", std::move(openai)}});
}

}  // namespace

void add_me_routes(RouteTable& table, Services& services) {
  table.push_back({.method = "GET",
                   .path = "/v1/me",
                   .access = Access::AnyKey,
                   .scope = "",
                   .operation_id = "getMe",
                   .tag = "Me",
                   .summary = "Who this key is.",
                   .reply_schema = "Me",
                   .handle = with_services(services, get_me)});
  table.push_back({.method = "GET",
                   .path = "/v1/me/mcp-config",
                   .access = Access::EndUser,
                   .scope = "mcp",
                   .operation_id = "getMcpConfig",
                   .tag = "Me",
                   .summary = "Ready client configuration, one entry per connected app.",
                   .reply_schema = "McpConfig",
                   .handle = with_services(services, get_mcp_config)});
}

}  // namespace assistiv::api
