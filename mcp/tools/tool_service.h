#pragma once
// The one door to the tools of connected apps. A call passes, in this order: does the caller see the app; do
// its rules let the tool through; are the arguments valid; is the app connected; are the scopes there; is an
// approval needed. Then it is executed. Every call leaves one audit entry, "tool.called" or "tool.denied";
// one that changes something leaves "tool.started" before. Refused calls past refusal_limit.h leave none of
// their own: the next entry of the key says how many there were.
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/task.h"
#include "mcp/tools/refusal_limit.h"
#include "mcp/tools/tool.h"

namespace assistiv::storage {
class AuditLog;
}

namespace assistiv::mcp {

class ApprovalService;
class ConnectLinks;
class ResultKeeper;
class ToolAccess;
class ToolExecutor;

struct ToolServiceOptions {
  std::size_t calls_per_end_user_max = 48;  // in flight on this node
  // Of them with one app, so that one that hangs leaves seats for the others.
  std::size_t calls_per_app_max = 32;
  std::size_t calls_per_remote_app_max = 8;  // an MCP server of the platform
  RefusalLimitOptions refusals;
};

// All must outlive the service.
struct ToolServiceParts {
  ToolAccess& access;
  ToolExecutor& executor;
  ConnectLinks& links;
  ApprovalService& approvals;
  storage::AuditLog& audit;
  ResultKeeper* keeper = nullptr;  // of results that are cut
};

// Thread-safe.
class ToolService final : public ToolDoor {
 public:
  explicit ToolService(ToolServiceParts parts, ToolServiceOptions options = {});
  ~ToolService() override;

  // NotFound when `context.app` is not an app that the platform activated.
  core::Task<std::shared_ptr<const ToolList>> list(CallContext context) override;
  // In search mode (tool_selection.h) call_tool is the call of the tool it names, here and in the audit
  // trail.
  core::Task<ToolCallResult> call(CallContext context, std::string name, core::Json arguments) override;
  core::Task<std::vector<std::string>> unknown_names(CallContext context) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace assistiv::mcp
