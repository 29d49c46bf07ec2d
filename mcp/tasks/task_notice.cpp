#include "mcp/tasks/task_notice.h"

namespace assistiv::mcp {

std::vector<TaskNotice> notices_of(const ToolTask* before, const ToolTask& after) {
  std::vector<TaskNotice> out;
  const bool shown =
      before != nullptr && (before->status != after.status || before->message != after.message ||
                            before->call.requests_json != after.call.requests_json);
  if (shown) out.push_back({"mcp_task", after.owner.end_user.str() + "/" + after.id});
  // A lease that is renewed is no turn to run.
  const bool due =
      after.due_at && after.runner.empty() && (before == nullptr || before->due_at != after.due_at);
  if (due) out.push_back({"mcp_task_due", after.id});
  if (after.cancel_asked && (before == nullptr || !before->cancel_asked))
    out.push_back({"mcp_task_cancel", after.id});
  return out;
}

}  // namespace assistiv::mcp
