#pragma once
// Pages of rows that may be megabytes each: what does not fit into one reply is left for the next page. Rows
// are weighed where they are; only those that are given are read.
#include <cstdint>
#include <string>

namespace assistiv::agents {

inline constexpr std::int64_t kReplyBytesMax = 16 << 20;

// `rows`: a select with its order and limit. `bytes`: an expression over its columns, of the row "s"; of text
// octet_length does not read the value. The rows from the first on that fit together, and the first one in
// any case. Beside their columns: page_found, how many `rows` has.
std::string fitting_rows(const std::string& rows, const std::string& bytes);

}  // namespace assistiv::agents
