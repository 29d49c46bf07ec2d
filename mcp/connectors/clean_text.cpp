#include "mcp/connectors/clean_text.h"

#include <cstdint>

namespace assistiv::mcp {

namespace {

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;  // 0: not valid UTF-8 here
};

CodePoint decode_utf8(std::string_view text) {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t size = first >= 0xF0 ? 4 : (first >= 0xE0 ? 3 : 2);
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return {};
  std::uint32_t value = first & (0xFFu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3F);
  }
  const bool overlong = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  return overlong || surrogate || value > 0x10FFFF ? CodePoint{} : CodePoint{value, size};
}

bool is_within(std::uint32_t c, std::uint32_t first, std::uint32_t last) {
  return c >= first && c <= last;
}

bool is_hidden(std::uint32_t c) {
  if (c < 0x20) return c != '\t' && c != '\n' && c != '\r';
  return is_within(c, 0x7F, 0x9F) || c == 0xAD || c == 0x34F || c == 0x61C || is_within(c, 0x115F, 0x1160) ||
         is_within(c, 0x17B4, 0x17B5) || is_within(c, 0x180B, 0x180F) || c == 0x200B ||
         is_within(c, 0x200E, 0x200F) || is_within(c, 0x202A, 0x202E) || is_within(c, 0x2060, 0x206F) ||
         c == 0x3164 || c == 0xFEFF || c == 0xFFA0 || is_within(c, 0xFFF0, 0xFFFB) ||
         is_within(c, 0x1D173, 0x1D17A) || is_within(c, 0xE0000, 0xE0FFF);
}

// Zero-width (non-)joiner and the variation selectors: needed by some scripts and emoji, one at a time.
bool is_companion(std::uint32_t c) {
  return is_within(c, 0x200C, 0x200D) || is_within(c, 0xFE00, 0xFE0F);
}

}  // namespace

std::string clean_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool companion_may_follow = false;
  while (!text.empty()) {
    const CodePoint point = decode_utf8(text);
    const std::size_t bytes = point.bytes == 0 ? 1 : point.bytes;
    const bool companion = is_companion(point.value);
    const bool keep = point.bytes != 0 && !is_hidden(point.value) && (!companion || companion_may_follow);
    if (keep) {
      out.append(text.substr(0, bytes));
      // Emoji have a selector and then a joiner; any longer run of companions could spell something.
      const bool joiner_next = text.substr(bytes).starts_with("\xE2\x80\x8D");
      companion_may_follow = companion ? point.value >= 0xFE00 && joiner_next : point.value >= 0x80;
    }
    text.remove_prefix(bytes);
  }
  return out;
}

std::string clip_text(std::string text, std::size_t characters) {
  if (characters == 0 || text.size() <= characters) return text;
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (seen++ == characters) {
      text.resize(i);
      return text + "\u2026";
    }
  }
  return text;
}

}  // namespace assistiv::mcp
