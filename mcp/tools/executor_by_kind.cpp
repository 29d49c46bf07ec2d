#include "mcp/tools/executor_by_kind.h"

#include "core/error.h"

namespace assistiv::mcp {

core::Task<ToolExecution> ExecutorByKind::execute(ToolInvocation invocation) {
  const App* app = invocation.catalog->find_app(invocation.app);
  if (app == nullptr) throw core::internal("the app " + invocation.app + " is not in the catalogue");
  const auto executor = executors_.find(app->kind);
  if (executor == executors_.end()) throw core::internal("nothing runs the tools of " + invocation.app);
  return executor->second->execute(std::move(invocation));
}

}  // namespace assistiv::mcp
