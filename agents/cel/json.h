#pragma once
// From values of an evaluation to JSON.
#include <nlohmann/json.hpp>

#include "agents/cel/memory.h"
#include "agents/cel/value.h"

namespace assistiv::agents::cel {

// A copy, charged by what it holds. Throws EvaluationError{invalid_argument} for what JSON does not have:
// infinite numbers, NaN, and nesting of more than 200 levels.
core::Json to_json(Memory& memory, const Value& value);

// Its JSON text: compact, the members of maps sorted by name. Throws as to_json.
void write_json(TextBuilder& out, Memory& memory, const Value& value);

// As text among other text: strings as they are, anything else as JSON.
void write_text(TextBuilder& out, Memory& memory, const Value& value);

}  // namespace assistiv::agents::cel
