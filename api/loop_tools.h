#pragma once
// The tools of this server's own MCP endpoint for the Responses loop, in process: the same door, grants,
// approvals and audit entries as /mcp.
#include <functional>
#include <optional>
#include <string>

#include "inference/responses/mcp_tools.h"
#include "mcp/tools/tool.h"

namespace assistiv::oauth {
class Authenticator;
}

namespace assistiv::api {

struct Config;

class LoopTools final : public inference::McpTools {
 public:
  // All outlive it.
  LoopTools(const Config& config, mcp::ToolDoor& tools, oauth::Authenticator& authenticator)
      : config_(config), tools_(tools), authenticator_(authenticator) {}

  core::Task<std::vector<inference::McpServerTool>> list(inference::McpCaller caller,
                                                         inference::McpServer server) override;
  core::Task<inference::McpOutcome> call(inference::McpCaller caller, inference::McpServer server,
                                         std::string name, core::Json arguments) override;

 private:
  // Whose tools: the caller's, or of the end user's key that the entry carries, of the caller's platform.
  core::Task<mcp::CallContext> context(inference::McpCaller caller, inference::McpServer server);
  std::optional<std::string> app_of(const std::string& url) const;

  const Config& config_;
  mcp::ToolDoor& tools_;
  oauth::Authenticator& authenticator_;
};

}  // namespace assistiv::api
