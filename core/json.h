#pragma once
// The door to nlohmann::json for headers. Sources that read or write JSON include <nlohmann/json.hpp>.
#include <nlohmann/json_fwd.hpp>

namespace assistiv::core {
using Json = nlohmann::json;
}
