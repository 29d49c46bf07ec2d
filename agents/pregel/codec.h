#pragma once
// Checkpoints and results as JSON, for the journal. Reading throws Error{Internal} for what was not written
// here.
#include "agents/pregel/checkpoint.h"

namespace assistiv::agents::pregel {

// Every so many checkpoints one is stored whole; the others hold what changed.
inline constexpr int kFullEvery = 32;

// Untracked keys of `untracked` are left out.
core::Json encode(const Checkpoint& checkpoint, const std::set<std::string, std::less<>>& untracked);
Checkpoint decode(const core::Json& json);

// What changed since `base`, its parent: keys anew, and lists by how many items stay and what follows them.
core::Json encode_delta(const Checkpoint& base, const Checkpoint& checkpoint,
                        const std::set<std::string, std::less<>>& untracked);
Checkpoint decode_delta(const Checkpoint& base, const core::Json& json);

core::Json encode(const TaskResult& result);
TaskResult decode_result(const core::Json& json);

}  // namespace assistiv::agents::pregel
