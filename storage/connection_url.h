#pragma once
// Inside storage/ only: libpq connection strings (PostgreSQL documentation, 34.1.1: key=value words or a
// URI).
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace assistiv::storage {

using ConnectionDefaults = std::vector<std::pair<std::string_view, std::string>>;

// `url` with settings that hold unless it says otherwise. Values need no escaping (letters, digits, '-',
// '_').
std::string with_defaults(std::string_view url, const ConnectionDefaults& defaults);

}  // namespace assistiv::storage
