#pragma once
// An MCP server that a platform registered, and the state of its tools.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/json.h"
#include "core/secret.h"
#include "mcp/remote/remote_oauth.h"
#include "mcp/remote/tool_definition.h"

namespace assistiv::mcp {

enum class RemoteAuth {
  None,
  SharedHeader,  // one credential for all end users, the platform's
  UserHeader,    // each end user's own
  Oauth,         // each end user's own, from the server's authorization server
};
std::string_view remote_auth_name(RemoteAuth auth);  // "none", "shared_header", "user_header", "oauth"
std::optional<RemoteAuth> parse_remote_auth(std::string_view name);

// Without the credential: that is never read back.
struct RemoteServer {
  std::string app;  // the prefix of its tools' names
  std::string title, description, url;
  RemoteAuth auth = RemoteAuth::None;
  std::string header_name;           // "" with RemoteAuth::None and Oauth
  std::optional<RemoteOauth> oauth;  // with RemoteAuth::Oauth
  bool is_active = true;
  // As of the last refresh that got an answer.
  std::string protocol, server_name, server_version;
  std::optional<core::Time> refreshed_at;
  std::string refresh_error;  // "" when the last one succeeded
  int failures = 0;           // refreshes in a row without an answer
  core::Time created_at, updated_at;
};

enum class RemoteToolState {
  Active,         // what was approved is what the server says
  PendingReview,  // new, or changed: what was approved before, if anything, is served
  Refused,        // the server's definition cannot be used; what was approved before is served
  Gone,           // the server has no such tool any more; not served
};
std::string_view remote_tool_state_name(RemoteToolState state);

struct RemoteTool {
  std::string remote_name;
  std::string name;  // "" for one that was always refused
  RemoteToolState state = RemoteToolState::PendingReview;
  std::string refused;
  std::optional<RemoteToolDefinition> approved;  // what is served, unless Gone
  std::optional<RemoteToolDefinition> seen;      // what the server says now
  std::optional<core::Time> approved_at;
  core::Time changed_at;
};

core::Json to_json(const RemoteServer& server);
core::Json to_json(const RemoteTool& tool);

}  // namespace assistiv::mcp
