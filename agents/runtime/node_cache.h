#pragma once
// Results of nodes that are used again (`cache`). Internal to runtime/.
#include <optional>

#include "agents/runtime/effects.h"
#include "agents/runtime/run_state.h"

namespace assistiv::agents {

// Nothing when the node has no cache, would do nothing, or has begun before. Throws expression_failed.
std::optional<CacheKey> cache_key(const TaskRun& task);
// Messages get ids of their own, and are told to those who watch.
std::optional<NodeOutcome> recalled(const TaskRun& task, const CacheKey& key);

}  // namespace assistiv::agents
