#pragma once
// Time zones by name, from the machine's database (tzdata).
#include <cstdint>
#include <optional>
#include <string_view>

namespace assistiv::agents::cel {

// Seconds east of Greenwich at a time since 1970: of "UTC", "+05:30", "-02:00", "02:00" or a name like
// "Europe/Berlin". Empty for anything else. A name is read from its file once and kept; thread-safe.
std::optional<std::int64_t> zone_offset(std::string_view name, std::int64_t seconds);

}  // namespace assistiv::agents::cel
