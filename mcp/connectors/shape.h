#pragma once
// From an upstream's value to what the agent gets: the fields of a shape, cleaned, of the declared types.
#include <set>
#include <string>

#include "core/json.h"
#include "mcp/connectors/plan.h"

namespace assistiv::mcp {

// Which of the shape's fields to give; empty for all of them.
using FieldChoice = std::set<std::string>;

// `bindings` are the arguments (ShapeField::argument, when, start_line, end_line).
core::Json apply_shape(const Shape& shape, const core::Json& value, const Bindings& bindings,
                       const FieldChoice& choice);

// Makes `value` at most `bytes` long as JSON text by cutting its longest strings and lists; false when it
// fitted.
bool shrink_to(core::Json& value, std::size_t bytes);

}  // namespace assistiv::mcp
