#pragma once
// Icons of apps and tools: what a client may show beside a name (MCP from 2025-11-25 on). A definition and
// its icons are kept apart: older revisions have none, and no model is told of them. Pure.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace assistiv::mcp {

struct Icon {
  std::string src;                      // an https URL, or an image in a data: URI
  std::string mime_type = {};           // "" when it is not said
  std::vector<std::string> sizes = {};  // "48x48", or "any"
  std::string theme = {};               // "light", "dark" or ""
};

// Bounds of what one app or tool has. Every tool of a list repeats them.
inline constexpr std::size_t kIconsMax = 4;
inline constexpr std::size_t kIconsBytesMax = 4096;  // of their `src` together
inline constexpr std::size_t kIconSizesMax = 8;

inline constexpr char kSvgType[] = "image/svg+xml";

struct IconImage {
  std::string type;  // image/png, image/jpeg or image/svg+xml
  std::string bytes;
};
// What a data: URI in base64 carries. Nothing when it is no image of these types.
std::optional<IconImage> icon_image(std::string_view src);
// Shapes and text only: nothing in it runs, loads or refers to anything outside.
bool is_plain_svg(std::string_view svg);
bool is_icon_size(std::string_view text);

// As the protocol has them: {src, mimeType?, sizes?, theme?}.
core::Json icon_list(const std::vector<Icon>& icons);
// The same as text, "" for none.
std::string icons_text(const std::vector<Icon>& icons);
// A definition (an object with members) with its icons; as it is when `icons_json` is "".
void append_with_icons(std::string& out, std::string_view definition_json, std::string_view icons_json);
core::Json with_icons(core::Json definition, const std::string& icons_json);

}  // namespace assistiv::mcp
