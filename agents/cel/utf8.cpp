#include "agents/cel/utf8.h"

#include <algorithm>

namespace assistiv::agents::cel {

std::size_t point_length(std::string_view text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const std::size_t wanted = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  std::size_t length = 1;
  while (length < wanted && at + length < text.size() &&
         (static_cast<unsigned char>(text[at + length]) & 0xC0) == 0x80) {
    ++length;
  }
  return length == wanted ? wanted : 1;
}

std::size_t count_points(std::string_view text) {
  std::size_t out = 0;
  for (std::size_t at = 0; at < text.size(); at += point_length(text, at)) ++out;
  return out;
}

std::optional<std::size_t> point_offset(std::string_view text, std::int64_t index) {
  if (index < 0) return std::nullopt;
  std::size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at += point_length(text, at);
  return index == 0 ? std::optional(at) : std::nullopt;
}

std::size_t space_length(std::string_view text, std::size_t at) {
  const char c = text[at];
  if (c == ' ' || (c >= '\t' && c <= '\r')) return 1;
  constexpr std::string_view kSpaces[] = {
      "\xc2\x85", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
      "\u2007",   "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  for (const auto space : kSpaces) {
    if (text.substr(at).starts_with(space)) return space.size();
  }
  return 0;
}

}  // namespace assistiv::agents::cel
