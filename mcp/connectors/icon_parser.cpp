#include <algorithm>

#include "core/encoding.h"
#include "mcp/connectors/plan_parser.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kIconUrlMax = 500;

// Written out, with a host and without a user: it is shown to clients, never called by us.
bool is_icon_url(std::string_view url) {
  constexpr std::string_view kScheme = "https://";
  constexpr std::string_view kMarks = "-._~:/?#[]@!$&'()*+,;=%";
  const auto is_url_char = [kMarks](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  };
  if (!url.starts_with(kScheme) || url.size() > kIconUrlMax) return false;
  const auto rest = url.substr(kScheme.size());
  const auto host = rest.substr(0, rest.find_first_of("/?#"));
  return !host.empty() && host.find('@') == std::string_view::npos &&
         std::all_of(rest.begin(), rest.end(), is_url_char);
}

void read_source(const ManifestNode& node, Icon& icon) {
  const auto source = node["src"];
  icon.src = source.text(1, kIconsBytesMax);
  icon.mime_type = node.has("mimeType") ? node["mimeType"].choice({"image/png", "image/jpeg", kSvgType}) : "";
  if (icon.src.empty() || is_icon_url(icon.src)) return;
  const auto image = icon_image(icon.src);
  if (!image) {
    return source.fault("must be an https URL, or a data: URI in base64 of a PNG, JPEG or SVG image");
  }
  if (image->type == kSvgType && !is_plain_svg(image->bytes)) {
    source.fault("must be plain shapes and text: nothing that runs, loads or refers to something else");
  }
  if (!icon.mime_type.empty() && icon.mime_type != image->type) {
    node["mimeType"].fault("is not the type in the data: URI");
  }
  icon.mime_type = image->type;
}

Icon parse_icon(const ManifestNode& node) {
  node.only({"src", "mimeType", "sizes", "theme"});
  Icon out;
  read_source(node, out);
  node["sizes"].each_item([&out](const ManifestNode& size) {
    out.sizes.push_back(size.text(1, 9));
    if (!is_icon_size(out.sizes.back())) size.fault("must be \"any\" or like \"48x48\"");
  });
  if (out.sizes.size() > kIconSizesMax) {
    node["sizes"].fault("must have at most " + std::to_string(kIconSizesMax) + " items");
  }
  if (node.has("theme")) out.theme = node["theme"].choice({"light", "dark"});
  return out;
}

}  // namespace

std::vector<Icon> parse_icons(const ManifestNode& node) {
  std::vector<Icon> out;
  std::size_t bytes = 0;
  node.each_item([&](const ManifestNode& icon) {
    out.push_back(parse_icon(icon));
    bytes += out.back().src.size();
  });
  if (out.size() > kIconsMax) node.fault("must have at most " + std::to_string(kIconsMax) + " items");
  if (bytes > kIconsBytesMax) {
    node.fault("are too large: at most " + std::to_string(kIconsBytesMax) + " bytes of \"src\" together");
  }
  return out;
}

std::vector<IconFile> serve_icons(std::vector<Icon>& icons, const std::string& base) {
  std::vector<IconFile> out;
  for (auto& icon : icons) {
    auto image = icon_image(icon.src);
    if (!image) continue;
    const std::string end = image->type == kSvgType ? ".svg" : image->type == "image/png" ? ".png" : ".jpg";
    const std::string name = core::sha256_hex(image->bytes).substr(0, 20) + end;
    icon.src = base + "/" + name;
    out.push_back({name, std::move(image->type), std::move(image->bytes)});
  }
  return out;
}

}  // namespace assistiv::mcp
