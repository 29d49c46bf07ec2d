#include "mcp/remote/remote_server.h"

#include <nlohmann/json.hpp>

namespace assistiv::mcp {

namespace {

using core::Json;

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json time_or_null(const std::optional<core::Time>& time) {
  return time ? Json(core::format_time(*time)) : Json();
}

Json oauth_view(const RemoteOauth& oauth) {
  return {{"issuer", oauth.issuer},
          {"resource", oauth.resource},
          {"scopes", oauth.scopes},
          {"registration", oauth.registration}};
}

Json definition_view(const RemoteToolDefinition& definition) {
  return {{"digest", definition.digest},
          {"title", definition.title},
          {"description", definition.description},
          {"risk", risk_name(definition.risk)},
          {"read_only", definition.hints.read_only},
          {"input_schema", *definition.input},
          {"output_schema", definition.output ? *definition.output : Json()},
          {"icons", icon_list(definition.icons)}};
}

}  // namespace

std::string_view remote_auth_name(RemoteAuth auth) {
  switch (auth) {
    case RemoteAuth::None:
      return "none";
    case RemoteAuth::SharedHeader:
      return "shared_header";
    case RemoteAuth::UserHeader:
      return "user_header";
    case RemoteAuth::Oauth:
      return "oauth";
  }
  return "none";
}

std::optional<RemoteAuth> parse_remote_auth(std::string_view name) {
  for (const auto auth :
       {RemoteAuth::None, RemoteAuth::SharedHeader, RemoteAuth::UserHeader, RemoteAuth::Oauth}) {
    if (remote_auth_name(auth) == name) return auth;
  }
  return {};
}

std::string_view remote_tool_state_name(RemoteToolState state) {
  switch (state) {
    case RemoteToolState::Active:
      return "active";
    case RemoteToolState::PendingReview:
      return "pending_review";
    case RemoteToolState::Refused:
      return "refused";
    case RemoteToolState::Gone:
      return "gone";
  }
  return "refused";
}

Json to_json(const RemoteServer& server) {
  return {{"app", server.app},
          {"title", server.title},
          {"description", server.description},
          {"url", server.url},
          {"auth", remote_auth_name(server.auth)},
          {"header_name", text_or_null(server.header_name)},
          {"oauth", server.oauth ? oauth_view(*server.oauth) : Json()},
          {"is_active", server.is_active},
          {"protocol", text_or_null(server.protocol)},
          {"server_name", text_or_null(server.server_name)},
          {"server_version", text_or_null(server.server_version)},
          {"refreshed_at", time_or_null(server.refreshed_at)},
          {"refresh_error", text_or_null(server.refresh_error)},
          {"created_at", core::format_time(server.created_at)},
          {"updated_at", core::format_time(server.updated_at)}};
}

Json to_json(const RemoteTool& tool) {
  const bool served = tool.approved && tool.state != RemoteToolState::Gone;
  return {{"remote_name", tool.remote_name},
          {"name", text_or_null(tool.name)},
          {"state", remote_tool_state_name(tool.state)},
          {"refused", text_or_null(tool.refused)},
          {"served", served ? definition_view(*tool.approved) : Json()},
          {"at_server", tool.seen ? definition_view(*tool.seen) : Json()},
          {"approved_at", time_or_null(tool.approved_at)},
          {"changed_at", core::format_time(tool.changed_at)}};
}

}  // namespace assistiv::mcp
