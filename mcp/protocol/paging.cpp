#include "mcp/protocol/paging.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/encoding.h"

namespace assistiv::mcp {

namespace {

std::string list_mark(std::string_view etag) {
  return core::sha256_hex(etag).substr(0, 16);
}

std::optional<std::size_t> read_cursor(std::string_view cursor, std::string_view etag) {
  const auto text = core::base64url_decode(cursor);
  if (!text) return {};
  const auto colon = text->find(':');
  if (colon == std::string::npos || text->substr(colon + 1) != list_mark(etag)) return {};
  std::size_t offset = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + colon, offset);
  if (error != std::errc() || end != text->data() + colon) return {};
  return offset;
}

}  // namespace

std::optional<PageBounds> page_of(const core::Json* params, std::size_t items, std::string_view etag,
                                  std::size_t page_size) {
  PageBounds out;
  if (params != nullptr) {
    const auto cursor = params->find("cursor");
    if (cursor != params->end() && !cursor->is_null()) {
      if (!cursor->is_string()) return {};
      const auto offset = read_cursor(cursor->get_ref<const std::string&>(), etag);
      if (!offset || *offset == 0 || *offset >= items) return {};
      out.first = *offset;
    }
  }
  out.last = std::min(items, out.first + std::max<std::size_t>(page_size, 1));
  if (out.last < items)
    out.next_cursor = core::base64url_encode(std::to_string(out.last) + ":" + list_mark(etag));
  return out;
}

}  // namespace assistiv::mcp
