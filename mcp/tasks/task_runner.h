#pragma once
// Runs the turns of due tasks, on every node that has the worker role: whichever node is free takes the next
// one, under a lease that it renews while the turn runs. Tasks that wait are rows: they cost neither a thread
// nor memory.
//
// A node that dies leaves its lease. When that has run out another node takes the task: it runs the turn
// again where that is safe (nothing had been asked of the upstream, or only what may be asked twice), else
// the task fails and says that the outcome is not known.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "core/clock.h"
#include "core/random.h"
#include "core/task.h"
#include "mcp/tasks/task_store.h"
#include "mcp/tools/tool.h"

namespace assistiv::mcp {

struct TaskRunnerOptions {
  std::size_t running_max = 64;                // turns at once on this node
  std::chrono::milliseconds lease{15000};      // renewed at a third of it
  std::chrono::milliseconds look_every{5000};  // for what no notice told of
  std::chrono::milliseconds sweep_every{60000};
  int turns_max = 100;  // of one task
};

// All must outlive the runner.
struct TaskRunnerWorld {
  TaskStore& store;
  ToolDoor& tools;
  const core::Clock& clock;
  core::Random& random;
  // Who made the call, as it is allowed to act now; null when its key is no good any more. Absent where
  // callers are anonymous.
  std::function<core::Task<oauth::PrincipalPtr>(TaskOwner)> caller = {};
};

class TaskRunner {
 public:
  explicit TaskRunner(TaskRunnerWorld world, TaskRunnerOptions options = {});
  ~TaskRunner();  // stop()

  void start(core::AnyExecutor executor);
  // Turns that run are stopped and, where that is safe, given back. Not on an I/O thread.
  void stop();
  // Topics of task_store.h and "resync". Any thread, quick.
  void on_notify(std::string_view topic, std::string_view payload);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace assistiv::mcp
