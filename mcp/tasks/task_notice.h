#pragma once
// What the nodes are told when a task changes (topics in task_store.h). Pure.
#include <string>
#include <vector>

#include "mcp/tasks/task.h"

namespace assistiv::mcp {

struct TaskNotice {
  std::string topic, payload;
};

// `before` is null for a new task.
std::vector<TaskNotice> notices_of(const ToolTask* before, const ToolTask& after);

}  // namespace assistiv::mcp
