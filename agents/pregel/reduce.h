#pragma once
// What the writes of one super-step make of a key's value. Pure.
#include <span>
#include <string>

#include "agents/definition/graph.h"
#include "agents/pregel/value.h"
#include "core/random.h"

namespace assistiv::agents::pregel {

// One write to a key of state. {"__overwrite__": v} and {"type": "__overwrite__", "value": v} replace instead
// of being reduced.
struct Write {
  std::string key;
  Value value;
};

// The value of a key that nothing has written: its default, or the reducer's own empty value, or none.
Value initial_value(const StateKey& key);

// A write as it is recorded: messages are coerced and get their ids here, so that reducing them again after a
// crash gives the same. Throws Error{Unprocessable, INVALID_GRAPH_UPDATE}.
Write prepare_write(const StateKey& key, core::Json value, core::Random& random);

// `writes` in the order of their tasks, at least one. Throws Error{Unprocessable}:
// INVALID_CONCURRENT_GRAPH_UPDATE for two writers of a `last` key, INVALID_GRAPH_UPDATE for a value that the
// reducer cannot take.
Value reduce(const StateKey& key, const Value& current, std::span<const Value> writes);

}  // namespace assistiv::agents::pregel
