#pragma once
// Where tasks live, so that any node can tell of them and go on with them.
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/task.h"
#include "mcp/tasks/task.h"

namespace assistiv::mcp {

// Changes a task, or says false and leaves it. Must be free of side effects: it may run more than once.
using TaskEdit = std::function<bool(ToolTask&)>;

struct DueTasks {
  std::vector<ToolTask> tasks;     // each now belongs to the runner that asked
  std::optional<core::Time> next;  // when the next one of all is due
};

// Thread-safe. Every node's on_notify hears of changes: "mcp_task" (`<end user>/<task>`: what a client sees
// has changed), "mcp_task_due" (there is a turn to run), "mcp_task_cancel" (`<task>`: its turn is to stop).
class TaskStore {
 public:
  virtual ~TaskStore() = default;

  // When it returns true, find() finds the task on every node. False when the end user has `open_max` tasks
  // that are not over.
  virtual core::Task<bool> create(ToolTask task, std::size_t open_max) = 0;
  // Nothing when there is none, its time is over, or it is somebody else's.
  virtual core::Task<std::optional<ToolTask>> find(TaskOwner owner, std::string id) = 0;
  // The task after `edit`, alone with it; nothing as with find().
  virtual core::Task<std::optional<ToolTask>> change(TaskOwner owner, std::string id, TaskEdit edit) = 0;

  // Takes at most `max` due tasks for `runner`, until `lease_until`; a task whose lease ran out is due again.
  virtual core::Task<DueTasks> claim(std::string runner, core::Time lease_until, std::size_t max) = 0;
  // Deletes at most `max` tasks whose time is over.
  virtual core::Task<std::size_t> sweep(std::size_t max) = 0;
};

}  // namespace assistiv::mcp
