#pragma once
// Upstream text is written by strangers. Before an agent reads it, what a person would not see is taken out.
#include <cstddef>
#include <string>
#include <string_view>

namespace assistiv::mcp {

// Drops invalid UTF-8, control characters (but tab, line feed and carriage return), bidirectional controls,
// zero-width characters, tags (U+E0000) and other invisible code points that can carry hidden instructions. A
// joiner or a variation selector survives alone after a non-ASCII character, as scripts and emoji need it.
std::string clean_text(std::string_view text);

// The first `characters` code points; "…" is appended when something was cut. 0 keeps all.
std::string clip_text(std::string text, std::size_t characters);

}  // namespace assistiv::mcp
