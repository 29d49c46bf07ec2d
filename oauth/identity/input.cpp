#include "oauth/identity/input.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::oauth {

namespace {

constexpr int kMaxDepth = 16;

std::size_t code_points(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; }));
}

// C0, C1 and what changes the direction of the text around it (Unicode: bidirectional embeddings, overrides
// and isolates): a name is shown to people beside our own words. `text` is valid UTF-8.
bool has_control_character(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = [&](std::size_t n) {
      return i + n < text.size() ? static_cast<unsigned char>(text[i + n]) : 0u;
    };
    if (byte(0) < 0x20 || byte(0) == 0x7f) return true;
    if (byte(0) == 0xC2 && byte(1) < 0xA0) return true;
    if (byte(0) == 0xE2 && byte(1) == 0x80 && byte(2) >= 0xAA && byte(2) <= 0xAE) return true;
    if (byte(0) == 0xE2 && byte(1) == 0x81 && byte(2) >= 0xA6 && byte(2) <= 0xA9) return true;
  }
  return false;
}

// jsonb cannot hold U+0000. The depth is bounded by the parser.
bool holds_nul(const core::Json& value) {
  if (const auto* text = value.get_ptr<const std::string*>()) return text->find('\0') != std::string::npos;
  if (value.is_object()) {
    return std::any_of(value.items().begin(), value.items().end(), [](const auto& item) {
      return item.key().find('\0') != std::string::npos || holds_nul(item.value());
    });
  }
  return value.is_array() && std::any_of(value.begin(), value.end(), holds_nul);
}

core::Json parse_object(std::string_view text, std::size_t max_bytes, const std::string& field) {
  if (text.size() > max_bytes) {
    throw core::bad_request("Must be at most " + std::to_string(max_bytes) + " bytes of JSON.", field);
  }
  auto value = core::try_parse_json(text, kMaxDepth);
  if (!value || !value->is_object()) {
    throw core::bad_request("Must be a JSON object of at most " + std::to_string(kMaxDepth) + " levels.",
                            field);
  }
  if (holds_nul(*value)) throw core::bad_request("Must not contain the character U+0000.", field);
  return std::move(*value);
}

}  // namespace

std::string checked_text(std::string_view text, std::size_t min, std::size_t max, const std::string& field) {
  if (!core::is_valid_utf8(text)) throw core::bad_request("Must be valid UTF-8.", field);
  if (has_control_character(text)) throw core::bad_request("Must not contain control characters.", field);
  const auto length = code_points(text);
  if (length < min || length > max) {
    throw core::bad_request(
        "Must be " + std::to_string(min) + " to " + std::to_string(max) + " characters long.", field);
  }
  return std::string(text);
}

std::string checked_object(std::string_view json, std::size_t max_bytes, const std::string& field) {
  return core::dump_json(parse_object(json, max_bytes, field));
}

std::string merged_object(std::string_view current, std::string_view patch, std::size_t max_bytes,
                          const std::string& field) {
  const auto change = parse_object(patch, max_bytes, field);
  auto merged = core::parse_json(current);
  merged.merge_patch(change);
  return checked_object(core::dump_json(merged), max_bytes, field);
}

}  // namespace assistiv::oauth
