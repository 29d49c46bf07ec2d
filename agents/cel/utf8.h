#pragma once
// Strings by code point. Bytes that are no UTF-8 count one each: nothing is read beyond the end.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace assistiv::agents::cel {

std::size_t count_points(std::string_view text);
// Where the code point of this number begins; the size for the one behind the last; empty beyond.
std::optional<std::size_t> point_offset(std::string_view text, std::int64_t index);
// Bytes of the code point at `at` < size.
std::size_t point_length(std::string_view text, std::size_t at);
// Bytes of the white space of Unicode at `at`; 0 when it is none.
std::size_t space_length(std::string_view text, std::size_t at);

}  // namespace assistiv::agents::cel
