#pragma once
// What a run is between two super-steps. Immutable by convention: each step makes a new one that shares the
// values which did not change. Pure values, no threading.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agents/pregel/reduce.h"
#include "agents/pregel/value.h"
#include "core/clock.h"

namespace assistiv::agents::pregel {

enum class Source { Input, Loop, Update, Fork };
std::string_view to_string(Source source);  // "input", "loop", "update", "fork"

// One more task of `node` in the next step, with `input` beside the state (LangGraph's Send).
struct Send {
  std::string node;
  Value input;
  std::string origin;  // the map node that made it; "": a command
};

// Node -> the channels that set it off: "branch:to:<node>", "join:<a>+<b>:<node>", "__start__".
using Triggers = std::map<std::string, std::set<std::string>, std::less<>>;

struct Checkpoint {
  std::string id;      // "": nothing has been recorded yet
  std::string parent;  // id, or ""
  std::string ns;      // "" is the root; "node:<id>", joined by "|"
  int step = -2;
  Source source = Source::Loop;
  core::Time at;
  Values values;
  std::map<std::string, std::int64_t, std::less<>> versions;  // key -> `version` at its last change
  std::int64_t version = 0;                                   // counts the checkpoints that changed something
  std::int64_t interrupts_seen = 0;  // `version` at which a run last went on past a breakpoint
  Triggers ready;                    // run in the next step
  Triggers waiting;                  // deferred: run when nothing else does
  std::map<std::string, std::set<std::string>, std::less<>> arrived;  // join -> who came
  std::vector<Send> sends;                                            // run in the next step
  Value input;                                                        // what "__start__" will write
  std::vector<std::string> updated;                                   // keys that this step changed
  std::vector<std::string> ran;                                       // nodes of this step
  std::map<std::string, std::string, std::less<>>
      children;   // namespace of a subgraph that remembers -> its head
  int chain = 0;  // checkpoints since the last one that was stored whole
  int forks = 0;  // on the way here: the namespaces of subgraphs do not count their steps
};

// What one task did.
struct TaskResult {
  std::vector<Write> writes;
  std::vector<std::string> to;  // nodes, beside its edges
  std::vector<Send> sends;
  std::vector<std::string> passes;  // nodes whose edges are taken as if they had run
  bool edges = true;                // its own edges are taken
  std::map<std::string, std::string, std::less<>> children;
};

struct Interrupt {
  std::string id;  // 32 hex
  std::string ns;  // where its task is
  Value value;
  bool again = false;  // its answer made the task fail: another one may be given
};

// What is recorded of a task before its step ends.
struct TaskRecord {
  std::optional<TaskResult> result;
  std::vector<Interrupt> interrupts;
  std::map<std::string, Value, std::less<>> steps;  // key of a model call, a tool call, ... -> what it gave
  std::set<std::string, std::less<>> started;       // keys of acts that may have happened without a record
  std::string child;                                // head of its subgraph
  int thrown_away = 0;                              // attempts whose steps could not be used
};

// Kept beside a checkpoint until the next one is there.
struct Pending {
  std::string commanded_by;                           // run whose Command it holds
  TaskResult command;                                 // of Command: update and goto
  std::map<std::string, Value, std::less<>> answers;  // interrupt -> what it was resumed with
  std::map<std::string, TaskRecord, std::less<>> tasks;
};

}  // namespace assistiv::agents::pregel
