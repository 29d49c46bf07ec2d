#pragma once
// The MCP servers that a response's tools may be on, as the loop sees them. api/ plugs this server's own
// tools.
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/secret.h"
#include "core/task.h"
#include "oauth/principal.h"

namespace assistiv::inference {

// One {"type": "mcp"} entry of a request's tools.
struct McpServer {
  std::string label;
  std::string url;
  core::Secret authorization;  // "" when the entry has none
};

// Who calls, for the audit trail and the end of waiting.
struct McpCaller {
  oauth::PrincipalPtr principal;  // of the model call
  std::string request_id;
  std::string traceparent;
  std::stop_token stop;
};

struct McpServerTool {
  std::string name;
  std::string description;
  core::Json input_schema;  // an object
  core::Json annotations;   // null when it has none
  bool read_only = false;
};

struct McpOutcome {
  bool is_error = false;
  std::string text;  // what the model is told
};

// Thread-safe.
class McpTools {
 public:
  virtual ~McpTools() = default;
  // Throws Error{InvalidArgument} for a server that cannot be called from here, Unauthenticated or
  // PermissionDenied when the caller may not use its tools.
  virtual core::Task<std::vector<McpServerTool>> list(McpCaller caller, McpServer server) = 0;
  // Through the caller's grants. What a tool did wrong is an outcome; throws core::Error as list() does, and
  // for our own faults.
  virtual core::Task<McpOutcome> call(McpCaller caller, McpServer server, std::string name,
                                      core::Json arguments) = 0;
};

}  // namespace assistiv::inference
