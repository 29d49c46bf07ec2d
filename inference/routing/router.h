#pragma once
// In which order the targets of a plan are asked.
#include <chrono>
#include <string>
#include <vector>

#include "core/random.h"
#include "inference/routing/health.h"
#include "inference/routing/target.h"

namespace assistiv::inference {

struct Candidate {
  TargetPtr target;
  std::string model;            // the slug that it answers for
  std::size_t model_index = 0;  // in the plan; 0 is the model asked for
};

// Under which name the target's key is known to Health: a key that was replaced starts with a clean record.
std::string health_key(const Target& target);

// Models in the plan's order; within one by rising priority; within a priority by the platform's strategy.
// What is cooling down stands behind all others of its model, what is broken behind all others. `local_only`
// leaves out every target that is not marked local.
std::vector<Candidate> order_targets(const TargetPlan& plan, bool local_only, const Health& health,
                                     core::Random& random, std::chrono::steady_clock::time_point now);

}  // namespace assistiv::inference
