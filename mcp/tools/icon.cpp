#include "mcp/tools/icon.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"

namespace assistiv::mcp {

namespace {

constexpr std::string_view kSvgNamespace = "http://www.w3.org/2000/svg";
constexpr std::array<std::string_view, 16> kSvgElements = {
    "svg",     "g",    "path",  "rect",  "circle", "ellipse",        "line",           "polyline",
    "polygon", "text", "tspan", "title", "desc",   "linearGradient", "radialGradient", "stop"};

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool has_magic(std::string_view type, std::string_view bytes) {
  if (type == "image/png") return bytes.starts_with("\x89PNG\r\n\x1a\n");
  if (type == "image/jpeg") return bytes.starts_with("\xff\xd8\xff");
  return type == kSvgType && bytes.starts_with("<svg") && core::is_valid_utf8(bytes);
}

constexpr std::array<std::string_view, 48> kSvgAttributes = {"viewBox",
                                                             "preserveAspectRatio",
                                                             "version",
                                                             "id",
                                                             "role",
                                                             "aria-label",
                                                             "width",
                                                             "height",
                                                             "x",
                                                             "y",
                                                             "x1",
                                                             "y1",
                                                             "x2",
                                                             "y2",
                                                             "cx",
                                                             "cy",
                                                             "r",
                                                             "rx",
                                                             "ry",
                                                             "fx",
                                                             "fy",
                                                             "dx",
                                                             "dy",
                                                             "d",
                                                             "points",
                                                             "transform",
                                                             "opacity",
                                                             "fill",
                                                             "fill-rule",
                                                             "fill-opacity",
                                                             "clip-rule",
                                                             "stroke",
                                                             "stroke-width",
                                                             "stroke-linecap",
                                                             "stroke-opacity",
                                                             "stroke-linejoin",
                                                             "font-family",
                                                             "font-size",
                                                             "font-weight",
                                                             "font-style",
                                                             "letter-spacing",
                                                             "text-anchor",
                                                             "dominant-baseline",
                                                             "offset",
                                                             "stop-color",
                                                             "stop-opacity",
                                                             "gradientUnits",
                                                             "gradientTransform"};

// In brackets there are numbers of a transformation, or the name of something in the image itself.
bool is_harmless_value(std::string_view name, std::string_view value) {
  if (value.find_first_of("<&:/\\") != std::string_view::npos) return false;
  constexpr std::string_view kOwn = "url(#";
  if (name == "transform" || name == "gradientTransform") return true;
  return value.find('(', value.starts_with(kOwn) ? kOwn.size() : 0) == std::string_view::npos;
}

// Reads the tags of an SVG text against the list of what is harmless; what it does not understand is not.
class SvgReader {
 public:
  explicit SvgReader(std::string_view text) : rest_(text) {}

  bool is_plain() {
    while (!rest_.empty()) {
      const auto open = rest_.find('<');
      if (rest_.substr(0, open).find('&') != std::string_view::npos) return false;
      if (open == std::string_view::npos) return true;
      rest_.remove_prefix(open + 1);
      if (!tag()) return false;
    }
    return true;
  }

 private:
  bool tag() {
    const bool closes = take('/');
    const auto name = word();
    if (std::find(kSvgElements.begin(), kSvgElements.end(), name) == kSvgElements.end()) return false;
    for (;;) {
      const bool apart = blanks();
      if (take('>')) return true;
      if (closes) return false;
      if (take('/')) return take('>');
      if (!apart || !attribute()) return false;
    }
  }

  // A value is a number, a colour, a path, a name: without ":", "/" and "\" it is no address.
  bool attribute() {
    const auto name = word();
    const bool is_harmless =
        std::find(kSvgAttributes.begin(), kSvgAttributes.end(), name) != kSvgAttributes.end();
    if ((!is_harmless && name != "xmlns") || !take('=')) return false;
    const char quote = rest_.empty() ? '\0' : rest_.front();
    if ((quote != '"' && quote != '\'') || !take(quote)) return false;
    const auto end = rest_.find(quote);
    if (end == std::string_view::npos) return false;
    const auto value = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    if (name == "xmlns") return value == kSvgNamespace;
    return is_harmless_value(name, value);
  }

  std::string_view word() {
    std::size_t size = 0;
    while (size < rest_.size() && (is_alphanumeric(rest_[size]) || rest_[size] == '-')) ++size;
    const auto out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool blanks() {
    const auto before = rest_.size();
    while (take(' ') || take('\n') || take('\t') || take('\r')) {
    }
    return rest_.size() < before;
  }

  std::string_view rest_;
};

}  // namespace

std::optional<IconImage> icon_image(std::string_view src) {
  constexpr std::string_view kScheme = "data:", kEncoding = ";base64,";
  const auto comma = src.find(kEncoding);
  if (!src.starts_with(kScheme) || comma == std::string_view::npos) return {};
  auto bytes = core::base64_decode(src.substr(comma + kEncoding.size()));
  IconImage out{std::string(src.substr(kScheme.size(), comma - kScheme.size())), {}};
  if (!bytes || !has_magic(out.type, *bytes)) return {};
  out.bytes = std::move(*bytes);
  return out;
}

bool is_plain_svg(std::string_view svg) {
  return svg.starts_with("<svg") && SvgReader(svg).is_plain();
}

bool is_icon_size(std::string_view text) {
  if (text == "any") return true;
  const auto is_length = [](std::string_view part) {
    return !part.empty() && part.size() <= 4 && part.front() != '0' &&
           part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  const auto by = text.find('x');
  return by != std::string_view::npos && is_length(text.substr(0, by)) && is_length(text.substr(by + 1));
}

core::Json icon_list(const std::vector<Icon>& icons) {
  core::Json out = core::Json::array();
  for (const auto& icon : icons) {
    core::Json& one = out.emplace_back(core::Json{{"src", icon.src}});
    if (!icon.mime_type.empty()) one["mimeType"] = icon.mime_type;
    if (!icon.sizes.empty()) one["sizes"] = icon.sizes;
    if (!icon.theme.empty()) one["theme"] = icon.theme;
  }
  return out;
}

std::string icons_text(const std::vector<Icon>& icons) {
  return icons.empty() ? std::string() : core::dump_json(icon_list(icons));
}

void append_with_icons(std::string& out, std::string_view definition_json, std::string_view icons_json) {
  if (icons_json.empty()) {
    out.append(definition_json);
  } else {
    out.append("{\"icons\":").append(icons_json).append(",").append(definition_json.substr(1));
  }
}

core::Json with_icons(core::Json definition, const std::string& icons_json) {
  if (!icons_json.empty()) definition["icons"] = core::parse_json(icons_json);
  return definition;
}

}  // namespace assistiv::mcp
