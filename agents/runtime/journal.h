#pragma once
// What is durable of a run, and the door to where it is kept (agents/store). One super-step is one
// JournalWrite, in one transaction: a checkpoint, what its tasks did, events and totals are all there or
// none.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agents/pregel/checkpoint.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json.h"
#include "core/task.h"

namespace assistiv::agents {

// A new row of the checkpoint table; never changed later. Its id orders as time does (as text).
struct CheckpointRow {
  std::string id;
  std::string parent;  // id, or ""
  std::string ns;
  int step = 0;
  std::string source;  // input, loop, update, fork
  core::Time at;
  bool whole = true;    // false: `body` is what changed since `parent`
  core::Json body;      // pregel::encode or pregel::encode_delta
  core::Json metadata;  // object with run_id, source, step, parents {ns: id}, and the run's own metadata
};

// The row of `next` over `stored`, the newest one of its namespace that is kept (an empty id: none). A whole
// body every so often; `next.chain` becomes what is stored. `metadata` gets its source and step.
CheckpointRow checkpoint_row(const pregel::Checkpoint& stored, pregel::Checkpoint& next,
                             const std::set<std::string, std::less<>>& untracked, core::Json metadata);

// Facts about a task before its step ends. The key of a row is (checkpoint, task, fact, key); writing it
// again replaces the value. The rows of a checkpoint go with it; those of one that has a child only matter to
// history.
enum class Fact {
  Command,    // task "", key "": {"run": id, "result": pregel::encode(TaskResult)}
  Answer,     // task "", key interrupt id: what it was resumed with. Always beside a root checkpoint.
  Started,    // key of an act that must not be repeated blindly: null, or false: it was not done
  Step,       // key of a model call, a tool call, ...: what it gave
  Interrupt,  // key interrupt id: {"ns", "value"}, and "again" when its answer made the task fail
  Child,      // key "": id of the head of its subgraph
  Result,     // key "": pregel::encode(TaskResult); null: it could not be used
};
std::string_view to_string(Fact fact);  // "command", "answer", ...
std::optional<Fact> fact_of(std::string_view name);
// The value of Fact::Interrupt.
core::Json interrupt_row(const pregel::Interrupt& interrupt);

struct TaskRow {
  std::string checkpoint;
  std::string task;
  Fact fact = Fact::Result;
  std::string key;
  core::Json value;
};

// One event of the run's stream. `seq` counts by one within a thread, over its runs. What `data` is, by
// method (readers pass over members that they do not know):
//   lifecycle    {event, graph_name, error?, attempt?}; "running" opens every attempt. Of a subgraph, in its
//                namespace: "started" (with cause {type "send", from_node} in a map) each time it is entered
//   values       the state; {"__interrupt__": [{id, value}]} when the run waits
//   updates      {node: what it wrote}; {"__interrupt__": [...]}
//   tasks        {id, name, input, triggers, interrupts, step}, then {id, name, interrupts, step} with result
//                or error
//   checkpoints  {id, parent_id, step, source, values, next, metadata, tasks: [{id, name, interrupts}]}
//   messages     a message, LangChain's form, with "langgraph": {step, task, triggers}. Pieces of it (seq 0)
//                come before: AIMessageChunks of its id, with "langgraph": {..., content, args}, the bytes of
//                text and of tool arguments before this piece
//   tools        {event: "tool-started", tool_call_id, tool_name, input}, then {event: "tool-finished",
//   output}
//                or {event: "tool-error", message}
//   custom       what a node told
//   input.requested  {interrupt_id, payload}
//   error        {error, message}
//   end          {run_id, status, error?}; the last of every run
struct RunEvent {
  std::int64_t seq = 0;
  std::string method;  // metadata, values, updates, tasks, checkpoints, messages, tools, custom, lifecycle,
                       // input.requested, error, end
  std::string ns;      // "" is the root
  std::string node;    // or ""
  core::Time at;
  core::Json data;
};

enum class RunStatus { Pending, Running, Success, Error, Timeout, Interrupted };
std::string_view to_string(RunStatus status);

// What the run has used so far, over its attempts.
struct RunTotals {
  std::int64_t cost_nano_usd = 0;
  std::int64_t tokens = 0;
  // Of them, as the models' answers said it (usage_metadata); they may say less.
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t llm_calls = 0;
  std::int64_t tool_calls = 0;
  std::int64_t active_ms = 0;
  int supersteps = 0;
  std::map<std::string, int> same_calls;  // hash of tool and arguments -> how often
};
core::Json to_json(const RunTotals& totals);
RunTotals totals_of(const core::Json& json);

// Where the run stands after a write that changed it for clients.
struct RunView {
  RunStatus status = RunStatus::Running;  // Interrupted: parked, or cancelled (then no interrupts are open)
  std::string error_code;                 // of Error and Timeout
  std::string error_message;
  core::Json values;              // the root's state
  std::vector<std::string> next;  // nodes
  core::Json interrupts;          // {task id: [{id, value}]}
  std::string checkpoint;         // head of the root
};

struct JournalWrite {
  std::vector<CheckpointRow> checkpoints;  // parents first
  std::vector<TaskRow> tasks;
  std::vector<RunEvent> events;  // in order
  RunTotals totals;
  std::optional<RunView> view;  // set at the end
  bool ends = false;            // the run is over, or parked: view->status is final for this run

  bool empty() const { return checkpoints.empty() && tasks.empty() && events.empty() && !view; }
};
// `later` after `into`, as one write.
void merge(JournalWrite& into, JournalWrite later);
// About the bytes of its text.
std::size_t bytes_of(const core::Json& json);
std::size_t bytes_of(const JournalWrite& write);
// Of a write that no transaction should be as long as. Error{Unprocessable, "STATE_TOO_LARGE"}.
core::Error write_too_large(std::size_t bytes);

struct StoredCheckpoint {
  pregel::Checkpoint checkpoint;
  core::Json metadata;
  pregel::Pending pending;
};
// From the rows of a store: `chain` begins with a whole one and ends with the one that is wanted; `tasks` are
// its.
StoredCheckpoint stored_checkpoint(const std::vector<CheckpointRow>& chain,
                                   const std::vector<TaskRow>& tasks);

// The door of one run: made for a run that this process has claimed, and refuses (Error{Conflict, "fenced"})
// once another has. Used by the coroutines of one run, calls do not overlap.
class Journal {
 public:
  virtual ~Journal() = default;
  // Durable when it returns.
  virtual core::Task<void> commit(JournalWrite write) = 0;
  // The checkpoint `id` of the run's thread, or the head of `ns` ("") when `id` is empty.
  virtual core::Task<std::optional<StoredCheckpoint>> load(std::string ns, std::string id) = 0;
  // Something for those who watch now (a piece of a message), not kept. Must not block.
  virtual void show(RunEvent event) = 0;
};

}  // namespace assistiv::agents
