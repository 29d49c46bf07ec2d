#pragma once
// Names of checkpoints, tasks and interrupts.
#include <mutex>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/random.h"

namespace assistiv::agents::pregel {

// UUIDs in the layout of version 6 (RFC 9562 section 5.6): their text orders as time does, and the step is in
// the clock sequence. Each is later than the ones before and than `after`, whatever the clock says.
// Thread-safe.
class CheckpointIds {
 public:
  CheckpointIds(const core::Clock& clock, core::Random& random) : clock_(clock), random_(random) {}
  // `after`: the id of the parent, or empty.
  std::string next(std::string_view after, int step);
  // The ids to come are later than `id`, too: the thread's head, when a run goes on from elsewhere.
  void seen(std::string_view id);

 private:
  const core::Clock& clock_;
  core::Random& random_;
  std::mutex mutex_;
  std::uint64_t last_ = 0;  // ticks of 100 ns since 1582-10-15
};

enum class TaskKind { Pull, Push };

// Both in the form of a UUID and the same each time: a task is found again after a crash. The name of a
// subgraph's namespace leaves the checkpoint out, so that it is the same on a fork, where the parent's id is
// another.
std::string task_id(std::string_view checkpoint, std::string_view ns, int step, std::string_view node,
                    TaskKind kind, std::size_t index);
std::string namespace_id(std::string_view ns, int step, std::string_view node, TaskKind kind,
                         std::size_t index);
// "node:<id>" under `parent` ("" is the root), levels joined by "|".
std::string child_namespace(std::string_view parent, std::string_view node, std::string_view id);

// 32 hex digits, one for each call that waits within a task.
std::string interrupt_id(std::string_view ns, std::string_view task, std::string_view call);
bool looks_like_interrupt_id(std::string_view text);

}  // namespace assistiv::agents::pregel
