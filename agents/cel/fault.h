#pragma once
// Refusing the text of an expression.
#include <cstddef>
#include <string>
#include <utility>

#include "agents/cel/expression.h"

namespace assistiv::agents::cel {

[[noreturn]] inline void refuse(std::string message, std::size_t offset) {
  throw CompileError({std::move(message), offset});
}

}  // namespace assistiv::agents::cel
