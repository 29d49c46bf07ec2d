#pragma once
// The algorithm: from a checkpoint to the tasks of the next super-step, and from their results to the next
// checkpoint. Pure functions; the order in which tasks finish never matters.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/pregel/checkpoint.h"
#include "agents/pregel/ids.h"
#include "agents/pregel/program.h"

namespace assistiv::agents::pregel {

// Tasks that one step may have, over all that made them.
inline constexpr std::size_t kMaxTasks = 4096;

struct PlannedTask {
  std::string id;
  std::string node;  // kStart: write the input
  TaskKind kind = TaskKind::Pull;
  std::size_t index = 0;  // of a Push: its place among the sends
  Value input;            // of a Push, or of kStart; else none: the task sees the state
  std::string origin;     // of a Push: the map node
  std::vector<std::string> triggers;
  std::string child_ns;  // the namespace of a subgraph in it
};

// Who a new checkpoint is.
struct Identity {
  std::string id;
  core::Time at;
};

// Before anything was recorded.
Checkpoint blank(const Program& program, std::string ns);

// Sends in their order, then nodes by name. Empty: the graph has ended.
std::vector<PlannedTask> plan(const Program& program, const Checkpoint& checkpoint);

// New input on top of `base`: what was left to do there is dropped.
Checkpoint begin(const Program& program, const Checkpoint& base, core::Json input, Identity identity);
// What kStart writes: the graph's input keys of `input`. Throws Error{Unprocessable, INVALID_INPUT} when the
// input is no object or has none of them.
TaskResult start_result(const Program& program, const core::Json& input, core::Random& random);

// Ends the step. `results` by task id, one for each task of plan(). Throws Error{Unprocessable}: the
// reducers' codes, INVALID_GRAPH_UPDATE for a key or a node that is not there, STATE_TOO_LARGE,
// FANOUT_TOO_LARGE.
Checkpoint apply(const Program& program, const Checkpoint& base, const std::vector<PlannedTask>& tasks,
                 const std::map<std::string, TaskResult, std::less<>>& results, Identity identity);

// What a Command brought, on top of a checkpoint and without a new one: its tasks keep their ids.
Checkpoint with_command(const Program& program, const Checkpoint& checkpoint, const TaskResult& command);

// `writes` as if `node` had run after `base` (kStart: as input would; kEnd: nothing is left to do). What
// finished siblings in `pending` had written counts, too.
Checkpoint update(const Program& program, const Checkpoint& base, const Pending& pending,
                  std::string_view node, const TaskResult& result, Identity identity);
// The same of several nodes, as if they had run in one step.
struct NodeUpdate {
  std::string node;
  TaskResult result;
};
Checkpoint update(const Program& program, const Checkpoint& base, const Pending& pending,
                  const std::vector<NodeUpdate>& updates, Identity identity);
// Whose update it is when the client does not say. Throws Error{Unprocessable, INVALID_GRAPH_UPDATE} when
// several nodes ran.
std::string writer_of(const Program& program, const Checkpoint& base);

// A copy to go on from, beside what came after `base`.
Checkpoint fork(const Checkpoint& base, Identity identity);

// ---- interrupts ----

// Whether a run stops here for a breakpoint: `nodes` ("*": all) names one of `tasks`, and something changed
// since the run last went on.
bool stops(const Checkpoint& checkpoint, const std::vector<std::string>& nodes,
           const std::vector<PlannedTask>& tasks);
bool stops_after(const Checkpoint& checkpoint, const std::vector<std::string>& nodes);
// The run has gone on past the breakpoints of `checkpoint`.
void pass_breakpoints(Checkpoint& checkpoint);

// Interrupts without an answer, and those that may be answered again, in the order of the tasks.
std::vector<Interrupt> open_interrupts(const std::vector<PlannedTask>& tasks, const Pending& pending);
// True for a task that waits for an answer.
bool parked(const Pending& pending, std::string_view task);
// Answers by interrupt id. A map of interrupt ids answers those it names (at least one must be open);
// anything else answers the only one there is. Throws Error{Unprocessable}: MULTIPLE_INTERRUPTS,
// NO_SUCH_INTERRUPT.
std::map<std::string, Value, std::less<>> answers_of(const core::Json& resume,
                                                     const std::vector<Interrupt>& open);

// update (an object of keys, or [[key, value], ...]) and goto (a node, {node, input}, or a list of them) of a
// LangGraph Command. Throws Error{Unprocessable, INVALID_GRAPH_UPDATE}.
TaskResult command_result(const Program& program, const core::Json& update, const core::Json& go_to,
                          core::Random& random);

// Names of the nodes that are left to do, as clients see them in `next`.
std::vector<std::string> next_of(const std::vector<PlannedTask>& tasks, const Pending& pending);

std::size_t state_bytes(const Checkpoint& checkpoint);

}  // namespace assistiv::agents::pregel
