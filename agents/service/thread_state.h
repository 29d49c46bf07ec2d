#pragma once
// The state of a thread as clients of the LangGraph API read and change it: what a checkpoint holds, which
// nodes come next, what waits for an answer, and updates that no run makes.
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agents/service/assistant_service.h"
#include "agents/store/agent_service.h"
#include "agents/store/reach.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/random.h"
#include "core/task.h"

namespace assistiv::agents {

struct StateQuery {
  std::optional<CheckpointId> checkpoint;  // absent: the head
  std::string ns;                          // "" is the root
  // With the states of subgraphs inside their tasks, as many as fit into a reply; of the others the
  // checkpoint.
  bool subgraphs = false;
};

struct StateChange {
  core::Json values;                       // object, list of messages, or null
  std::string as_node;                     // "": the node that ran last
  std::optional<CheckpointId> checkpoint;  // from there instead of the head: a fork
  std::string ns;                          // of a subgraph that is open; "" is the root
  bool own = false;                        // an end user asks for it
};

// What one node is said to have done.
struct StateWrite {
  core::Json values;  // object or null
  core::Json update;  // of a Command, as its goto
  core::Json go_to;
  std::string as_node;  // "__input__": the graph's input; "__start__": what it wrote; "__copy__"
};
using Superstep = std::vector<StateWrite>;

struct StatePage {
  std::vector<core::Json> states;
  bool more = false;  // after them: with the last one's checkpoint as `before`
};

// Thread-safe. What the reach does not hold throws NotFound. The graph of a state is that of the run which
// made it; a thread that has none yet names it in its metadata ("graph_id" or "assistant_id").
class ThreadStates {
 public:
  virtual ~ThreadStates() = default;
  // ThreadState of the LangGraph API: {values, next, tasks, checkpoint, parent_checkpoint, metadata,
  // created_at, interrupts}. Of a thread without state: empty values and no checkpoint.
  virtual core::Task<core::Json> get(Reach reach, ThreadId thread, StateQuery query) = 0;
  // Newest first. Fewer than the limit when more do not fit into a reply (store/reply_page_store.h).
  virtual core::Task<StatePage> history(Reach reach, ThreadId thread, HistoryQuery query) = 0;
  // Gives the new checkpoint {thread_id, checkpoint_ns, checkpoint_id}. Conflict while a run is open;
  // Unprocessable for what the graph's state does not take.
  virtual core::Task<core::Json> update(Reach reach, ThreadId thread, StateChange change) = 0;
  // Several steps, all or none, on top of the head.
  virtual core::Task<> replay(Reach reach, ThreadId thread, std::vector<Superstep> steps, bool own) = 0;
  // For what an end user must not do in a graph that asks its platform, as update() and
  // replay() with `own`: throws PermissionDenied ("platform_only").
  virtual core::Task<> check_own(Reach reach, ThreadId thread) = 0;
};

// What it takes must outlive it.
std::unique_ptr<ThreadStates> make_thread_states(ThreadStore& threads, RunStore& runs, AgentService& agents,
                                                 AssistantService& assistants, const core::Clock& clock,
                                                 core::Random& random);

}  // namespace assistiv::agents
