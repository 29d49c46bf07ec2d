#pragma once
// Numbers as text.
#include <optional>
#include <string>
#include <string_view>

namespace assistiv::agents::cel {

// The shortest text that reads back as the same double: "1.5", "100000", "1e+21", "NaN", "Infinity".
std::string format_double(double value);
// The whole text as a double, "NaN", "Infinity" and "-Infinity" too.
std::optional<double> parse_double(std::string_view text);

}  // namespace assistiv::agents::cel
