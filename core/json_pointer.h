#pragma once
// JSON pointers (RFC 6901).
#include <string>
#include <string_view>

namespace assistiv::core {

// A member's name as one token of a pointer: ~ and / escaped.
std::string pointer_token(std::string_view name);

}  // namespace assistiv::core
