#pragma once
// The macros of CEL: calls that bind variables or look at a member without reading it.
#include <cstdint>

#include "agents/cel/ast.h"

namespace assistiv::agents::cel {

// Turns a Call that is a macro into its node; any other stays as it is. Throws CompileError.
NodePtr expand_macro(NodePtr call);

}  // namespace assistiv::agents::cel
