#pragma once
// A checkpoint as clients of the LangGraph API see it. Pure.
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agents/pregel/program.h"
#include "agents/pregel/step.h"
#include "agents/runtime/journal.h"
#include "core/json.h"

namespace assistiv::agents {

struct StateOf {
  std::string thread;
  const StoredCheckpoint& stored;
  // Null: the graph is not there any more, and the tasks cannot be told.
  std::shared_ptr<const pregel::Program> program;
  // As the next run would find it: with what a command and finished siblings wrote.
  bool is_head = false;
};

// {values, next, tasks, checkpoint, parent_checkpoint, metadata, created_at, interrupts}
core::Json state_json(const StateOf& state);
// Of a thread that has none.
core::Json no_state_json(const std::string& created_at);
core::Json checkpoint_json(const std::string& thread, const std::string& ns, const std::string& id,
                           const core::Json& parents);

// The tasks that the checkpoint's next step has, a command applied.
std::vector<pregel::PlannedTask> tasks_of(const StateOf& state);

// "node:<id>|inner:<id>" as its nodes, and what is above it.
std::vector<std::string> nodes_of_namespace(const std::string& ns);
std::string parent_namespace(const std::string& ns);
// The graph that runs in `ns` below `root`; null when no subgraph is there.
GraphPtr graph_in(GraphPtr root, const std::string& ns);

}  // namespace assistiv::agents
