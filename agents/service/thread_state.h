#pragma once
// The state of a thread as clients of the LangGraph API read and change it: what a checkpoint holds, which
// nodes come next, what waits for an answer, and updates that no run makes.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agents/store/agent_service.h"
#include "agents/store/reach.h"
#include "agents/store/thread_store.h"
#include "core/json.h"
#include "core/task.h"

namespace assistiv::agents {

struct StateQuery {
  std::optional<CheckpointId> checkpoint;  // absent: the head
  std::string ns;                          // "" is the root
  bool subgraphs = false;                  // with the states of subgraphs inside their tasks
};

struct StateChange {
  core::Json values;                       // object, list of messages under a key, or null
  std::string as_node;                     // "": the node that ran last
  std::optional<CheckpointId> checkpoint;  // from there instead of the head: a fork
};

// Thread-safe. What the reach does not hold throws NotFound.
class ThreadStates {
 public:
  virtual ~ThreadStates() = default;
  // ThreadState of the LangGraph API: {values, next, tasks, checkpoint, parent_checkpoint, metadata,
  // created_at, interrupts}. Of a thread without state: empty values and no checkpoint.
  virtual core::Task<core::Json> get(Reach reach, ThreadId thread, StateQuery query) = 0;
  // Newest first.
  virtual core::Task<std::vector<core::Json>> history(Reach reach, ThreadId thread, HistoryQuery query) = 0;
  // Gives the new checkpoint {thread_id, checkpoint_ns, checkpoint_id}. Conflict while a run is open;
  // InvalidArgument for what the graph's state does not take.
  virtual core::Task<core::Json> update(Reach reach, ThreadId thread, StateChange change) = 0;
};

}  // namespace assistiv::agents
