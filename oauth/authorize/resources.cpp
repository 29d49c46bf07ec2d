#include "oauth/authorize/resources.h"

#include <algorithm>
#include <set>

namespace assistiv::oauth {

namespace {

constexpr std::string_view kMcpPath = "/mcp";

// "https://Host" and "/path", the first part in lower case.
std::pair<std::string, std::string_view> split_origin(std::string_view url) {
  const auto scheme = url.find("://");
  const auto end = scheme == std::string_view::npos ? url.size() : url.find('/', scheme + 3);
  std::string origin(url.substr(0, end));
  for (char& c : origin) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return {std::move(origin), end == std::string_view::npos ? std::string_view() : url.substr(end)};
}

std::string_view without_slash(std::string_view path) {
  return path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
}

bool is_legacy_transport(std::string_view path) {
  return path == "/mcp/sse" || path == "/mcp/message";
}

}  // namespace

std::string full_scope() {
  return std::string(kScopeMcp) + " " + std::string(kScopeWrite);
}

Resources::Resources(std::string base, std::function<bool(std::string_view)> knows_app)
    : base_(std::move(base)), knows_app_(std::move(knows_app)) {}

std::optional<Resource> Resources::find(std::string_view url) const {
  const auto [origin, path] = split_origin(url);
  const auto [base_origin, base_path] = split_origin(base_);
  if (origin != base_origin || !path.starts_with(base_path)) return std::nullopt;
  const auto rest = without_slash(path.substr(base_path.size()));
  if (rest.empty() || rest == kMcpPath || is_legacy_transport(rest)) return Resource{all_apps(), {}};
  if (!rest.starts_with("/mcp/")) return std::nullopt;
  const auto app = rest.substr(5);
  if (!knows_app_(app)) return std::nullopt;
  return Resource{all_apps() + "/" + std::string(app), std::string(app)};
}

std::string Resources::url_of_path(std::string_view path) const {
  const auto plain = without_slash(path);
  if (plain == kMcpPath || is_legacy_transport(plain)) return all_apps();
  return plain.starts_with("/mcp/") ? base_ + std::string(plain) : std::string();
}

std::string Resources::metadata_url(std::string_view url) const {
  const auto [origin, path] = split_origin(base_);
  return base_.substr(0, base_.size() - path.size()) + "/.well-known/oauth-protected-resource" +
         std::string(url.substr(origin.size()));
}

std::vector<std::string> known_scopes(std::string_view text) {
  std::set<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const auto scope = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
    if (scope != kScopeMcp && scope != kScopeWrite && scope != kScopeOffline) continue;
    out.emplace(scope);
    if (scope == kScopeWrite) out.emplace(kScopeMcp);
  }
  return {out.begin(), out.end()};
}

std::string scope_text(const std::vector<std::string>& scopes) {
  std::string out;
  for (const auto& scope : scopes) out += (out.empty() ? "" : " ") + scope;
  return out;
}

}  // namespace assistiv::oauth
