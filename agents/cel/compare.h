#pragma once
// Equality and order of values, across the three kinds of numbers.
#include <compare>
#include <optional>

#include "agents/cel/memory.h"
#include "agents/cel/value.h"

namespace assistiv::agents::cel {

// CEL's ==: numbers by what they are, lists and maps by their content, values of other different kinds are
// not equal, NaN equals nothing. Charges by what it looks at. No argument is an error.
bool equal(Memory& memory, const Value& a, const Value& b);

// CEL's < and the like. Empty when the two have no order; unordered with NaN.
std::optional<std::partial_ordering> order(Memory& memory, const Value& a, const Value& b);
// Whether there is an order for values of these kinds.
bool have_order(Kind a, Kind b);

// The value under a key of a map; empty when there is none.
std::optional<Value> find_member(Memory& memory, const Value& map, const Value& key);

// The number as an int, when it is one; for an index.
std::optional<std::int64_t> whole_number(const Value& value);

}  // namespace assistiv::agents::cel
