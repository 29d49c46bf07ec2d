#pragma once
// The checkpoint that an update of a state makes, as LangGraph's update_state: values as if a node had
// written them, and its edges decide what is next.
#include <memory>
#include <string>

#include "agents/pregel/ids.h"
#include "agents/pregel/program.h"
#include "agents/runtime/journal.h"
#include "agents/service/thread_state.h"
#include "core/clock.h"
#include "core/random.h"
#include "core/task.h"

namespace assistiv::agents {

struct StepFrom {
  std::shared_ptr<const pregel::Program> program;
  pregel::Checkpoint base;  // with an empty id: the thread has no state yet
  pregel::Pending pending;
  std::string thread;
  core::Json context = core::Json::object();  // for the expressions of routers and maps
  core::Json user = core::Json::object();
};

struct StepMaker {
  const core::Clock& clock;
  core::Random& random;
  pregel::CheckpointIds& ids;
};

// Throws Error{Unprocessable} for what the graph does not take.
core::Task<pregel::Checkpoint> make_step(StepFrom from, Superstep writes, StepMaker maker);

}  // namespace assistiv::agents
