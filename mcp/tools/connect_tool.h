#pragma once
// assistiv_connect_app: the one tool that is about connections instead of an app.
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "mcp/schema/json_schema.h"
#include "mcp/tools/access_snapshot.h"
#include "mcp/tools/connect_links.h"

namespace assistiv::mcp {

std::string_view connect_tool_definition();  // as tools/list shows it
const JsonSchema& connect_tool_input();

// The app to make a link for: the one that was named, or the only one there is. `fault` is set when an app
// was named that cannot be connected.
struct ConnectChoice {
  const AppAccess* app = nullptr;
  std::optional<std::string> fault;
};
ConnectChoice choose_app(const AccessSnapshot& access, const core::Json& arguments);

// The CallToolResult: the apps with their state and, for the chosen one, the link.
std::string connect_result(const AccessSnapshot& access, const AppAccess* chosen,
                           const std::optional<ConnectLink>& link);

}  // namespace assistiv::mcp
