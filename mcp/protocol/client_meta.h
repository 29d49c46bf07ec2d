#pragma once
// What a request says about its client: the `_meta` of a modern request (2026-07-28 basic, "_meta"), and the
// capabilities of a legacy `initialize`.
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "mcp/protocol/fault.h"
#include "mcp/protocol/log_level.h"
#include "mcp/tools/tool.h"

namespace assistiv::mcp {

inline constexpr std::string_view kMetaVersion = "io.modelcontextprotocol/protocolVersion";
inline constexpr std::string_view kMetaClientInfo = "io.modelcontextprotocol/clientInfo";
inline constexpr std::string_view kMetaCapabilities = "io.modelcontextprotocol/clientCapabilities";
inline constexpr std::string_view kMetaLogLevel = "io.modelcontextprotocol/logLevel";
inline constexpr std::string_view kMetaServerInfo = "io.modelcontextprotocol/serverInfo";
inline constexpr std::string_view kMetaSubscription = "io.modelcontextprotocol/subscriptionId";

inline constexpr std::string_view kTasksExtension = "io.modelcontextprotocol/tasks";

struct ModernMeta {
  std::string version;  // as it was sent
  ClientAbilities abilities;
  ClientLogLevel log_level = ClientLogLevel::Off;
};

// The `_meta` object of the params, or null.
const core::Json* meta_of(const core::Json* params);
// True when the request states its version itself, rightly or wrongly: then it is a modern one.
bool states_version(const core::Json* params);
// Fills `out` or says what is missing (400, -32602).
std::optional<Fault> read_modern_meta(const core::Json* params, ModernMeta& out);

ClientAbilities read_abilities(const core::Json& capabilities);
ClientAbilities parse_abilities(std::string_view capabilities_json);
// The token as JSON text, "" without a valid one (a string or an integer).
std::string progress_token(const core::Json* params);

}  // namespace assistiv::mcp
