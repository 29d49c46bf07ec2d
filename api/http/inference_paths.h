#pragma once
// Which inference API a path belongs to: decides the error envelope and where the key may stand.
#include <optional>
#include <string_view>

#include "inference/canonical.h"

namespace assistiv::api {

// None for the management API and everything else.
std::optional<inference::DialectId> dialect_of_path(std::string_view path);

}  // namespace assistiv::api
