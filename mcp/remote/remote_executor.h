#pragma once
// Runs a tool of a registered MCP server: with the platform's credential or the end user's own, never with
// the caller's key.
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/clock.h"
#include "core/json.h"
#include "core/random.h"
#include "core/task.h"
#include "mcp/connectors/failure.h"
#include "mcp/connectors/token_source.h"
#include "mcp/remote/remote_client.h"
#include "mcp/remote/remote_result.h"
#include "mcp/tools/tool_executor.h"
#include "storage/database.h"

namespace assistiv::oauth {
class Vault;
}

namespace assistiv::mcp {

// All must outlive the executor.
struct RemoteExecutorParts {
  storage::Database& database;
  const oauth::Vault& vault;
  const core::Clock& clock;
  core::Random& random;
  RemoteClient& client;
  TokenSource& tokens;  // of RemoteAuth::Oauth
  // Called after a commit with what Transaction::notify sent: caches of this node need not wait for it.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};

// Thread-safe.
class RemoteExecutor final : public ToolExecutor {
 public:
  explicit RemoteExecutor(RemoteExecutorParts parts, RemoteResultLimits limits = {})
      : parts_(std::move(parts)), limits_(limits) {}

  core::Task<ToolExecution> execute(ToolInvocation invocation) override;

 private:
  core::Task<core::Secret> own_credential(core::PlatformId platform, core::ConnectionId connection);
  core::Task<std::variant<core::Json, Failure>> call_signed_in(RemoteTarget target, RemoteCall call,
                                                               CredentialRef credential);
  core::Task<> ask_for_more(core::PlatformId platform, std::string app, std::vector<std::string> scopes);

  RemoteExecutorParts parts_;
  RemoteResultLimits limits_;
};

}  // namespace assistiv::mcp
