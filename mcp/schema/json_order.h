#pragma once
// Equality and order of JSON values as JSON Schema means them: 1 and 1.0 are the same number, true is not 1.
#include <cstddef>

#include "core/json.h"

namespace assistiv::mcp {

// Negative, zero or positive: an exact total order (nlohmann's own compares integers with doubles by
// rounding).
int compare_json(const core::Json& a, const core::Json& b);

bool is_integral(const core::Json& number);  // an integer, or a float without a fraction
bool is_multiple_of(const core::Json& number, const core::Json& divisor);

}  // namespace assistiv::mcp
