#include "mcp/content/content_uri.h"

#include <charconv>

namespace assistiv::mcp {

namespace {

constexpr std::string_view kConnectionPrefix = "assistiv://connections/";
constexpr std::string_view kAppPrefix = "assistiv://apps/";
constexpr std::string_view kToolPrefix = "assistiv://tools/";
constexpr std::string_view kResultPrefix = "assistiv://results/";
constexpr std::size_t kPartsMax = 100'000;

bool is_plain_name(std::string_view text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  return !text.empty() && text.size() <= 128 && text.find_first_not_of(kPlain) == std::string_view::npos;
}

std::optional<ContentUri> result_of(std::string_view rest) {
  ContentUri out{ContentKind::Result, std::string(rest.substr(0, rest.find('/'))), 1};
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    const auto digits = rest.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.part);
    if (error != std::errc() || end != digits.data() + digits.size()) return {};
    if (out.part == 0 || out.part > kPartsMax || digits.front() == '0') return {};
  }
  return is_plain_name(out.name) ? std::optional(out) : std::nullopt;
}

}  // namespace

std::optional<ContentUri> parse_content_uri(std::string_view uri) {
  if (uri == kConnectionsUri) return ContentUri{ContentKind::Connections, {}, 1};
  if (uri.starts_with(kResultPrefix)) return result_of(uri.substr(kResultPrefix.size()));
  for (const auto& [prefix, kind] : {std::pair{kConnectionPrefix, ContentKind::Connection},
                                     {kAppPrefix, ContentKind::App},
                                     {kToolPrefix, ContentKind::Tool}}) {
    if (!uri.starts_with(prefix)) continue;
    const auto name = uri.substr(prefix.size());
    return is_plain_name(name) ? std::optional(ContentUri{kind, std::string(name), 1}) : std::nullopt;
  }
  return {};
}

std::string connection_uri(std::string_view id) {
  return std::string(kConnectionPrefix) + std::string(id);
}
std::string app_uri(std::string_view app) {
  return std::string(kAppPrefix) + std::string(app);
}
std::string tool_uri(std::string_view tool) {
  return std::string(kToolPrefix) + std::string(tool);
}
std::string result_uri(std::string_view id) {
  return std::string(kResultPrefix) + std::string(id);
}
std::string result_uri(std::string_view id, std::size_t part) {
  return result_uri(id) + "/" + std::to_string(part);
}

}  // namespace assistiv::mcp
