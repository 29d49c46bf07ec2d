#pragma once
// Pages of a list behind an opaque cursor (specification, "Pagination"). A cursor is good for exactly the
// list that it was made for: after a change the client starts again, so that it neither misses nor repeats an
// item.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"

namespace assistiv::mcp {

struct PageBounds {
  std::size_t first = 0, last = 0;  // [first, last)
  std::string next_cursor;          // "" on the last page
};

// Empty when params.cursor is not a cursor of this list.
std::optional<PageBounds> page_of(const core::Json* params, std::size_t items, std::string_view etag,
                                  std::size_t page_size);

}  // namespace assistiv::mcp
