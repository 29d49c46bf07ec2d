#pragma once
// UUIDs made of a name (RFC 9562 section 5.5): the same name gives the same id.
#include <string_view>

#include "core/ids.h"

namespace assistiv::core {

// SHA-1 is the format's: such an id names something, it proves nothing.
Uuid uuid5(const Uuid& space, std::string_view name);

}  // namespace assistiv::core
