#pragma once
// Walks a checked expression.
#include <array>
#include <string>

#include "agents/cel/ast.h"
#include "agents/cel/expression.h"
#include "agents/cel/memory.h"

namespace assistiv::agents::cel {

// More variables of macros cannot be in scope at once.
inline constexpr std::size_t kSlotsMax = 32;

// The value may be an Error; it lives as long as `memory` and the values of the scope. Throws EvaluationError
// only when the budget is spent.
Value evaluate_value(const Program& program, const Scope& scope, Memory& memory);

// What an Error means to the author of the expression.
EvaluationError describe(const Program& program, const Value& error);

}  // namespace assistiv::agents::cel
