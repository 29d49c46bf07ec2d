#pragma once
// What can be known of an expression before it runs: names, types, the functions of each call.
#include "agents/cel/ast.h"

namespace assistiv::agents::cel {

// Resolves names, macros' variables and functions in the tree, and fills `type`, `reads` and `slots`. Throws
// CompileError.
void check(Program& program, const Declarations& declarations);

}  // namespace assistiv::agents::cel
