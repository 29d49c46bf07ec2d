#pragma once
// Where a node leads as if it had run: for updates of a state that no run makes.
#include <memory>
#include <string>

#include "agents/pregel/checkpoint.h"
#include "agents/pregel/program.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/random.h"
#include "core/task.h"

namespace assistiv::agents {

struct RouteQuestion {
  std::shared_ptr<const pregel::Program> program;
  pregel::Checkpoint state;  // with the node's own writes
  std::string node;
  std::string thread;
  core::Json context;  // object: CEL's `context`
  core::Json user;     // object: CEL's `user`
};

// Targets, sends, and whether its own edges are taken; no writes. Only a router and a map have to be asked,
// the others have nothing but edges. Throws core::Error as the node would.
core::Task<pregel::TaskResult> route_of(RouteQuestion question, const core::Clock* clock,
                                        core::Random* random);

}  // namespace assistiv::agents
