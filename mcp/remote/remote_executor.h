#pragma once
// Runs a tool of a registered MCP server: with the platform's credential or the end user's own, never with
// the caller's key.
#include "core/clock.h"
#include "core/random.h"
#include "core/task.h"
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
};

// Thread-safe.
class RemoteExecutor final : public ToolExecutor {
 public:
  explicit RemoteExecutor(RemoteExecutorParts parts, RemoteResultLimits limits = {})
      : parts_(parts), limits_(limits) {}

  core::Task<ToolExecution> execute(ToolInvocation invocation) override;

 private:
  core::Task<core::Secret> own_credential(core::PlatformId platform, core::ConnectionId connection);

  RemoteExecutorParts parts_;
  RemoteResultLimits limits_;
};

}  // namespace assistiv::mcp
