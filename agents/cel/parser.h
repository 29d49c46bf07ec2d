#pragma once
// The grammar of CEL, with its macros expanded.
#include <string_view>

#include "agents/cel/ast.h"

namespace assistiv::agents::cel {

// Bounded by kTextMax, kDepthMax and, for chains of operators, kHeightMax. Throws CompileError.
NodePtr parse(std::string_view text);

// No tree is higher, so that walking one needs little stack. && and || take any number of operands on one
// level.
inline constexpr int kHeightMax = 160;

}  // namespace assistiv::agents::cel
