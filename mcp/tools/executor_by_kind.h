#pragma once
// Runs each tool by what stands behind its app.
#include <map>

#include "mcp/connectors/catalog.h"
#include "mcp/tools/tool_executor.h"

namespace assistiv::mcp {

// Thread-safe.
class ExecutorByKind final : public ToolExecutor {
 public:
  // One for each kind that apps have. All must outlive it.
  explicit ExecutorByKind(std::map<AppKind, ToolExecutor*> executors) : executors_(std::move(executors)) {}

  core::Task<ToolExecution> execute(ToolInvocation invocation) override;

 private:
  std::map<AppKind, ToolExecutor*> executors_;
};

}  // namespace assistiv::mcp
