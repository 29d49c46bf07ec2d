#include "storage/connection_url.h"

namespace assistiv::storage {

namespace {

bool is_uri(std::string_view url) {
  return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

bool query_has(std::string_view query, std::string_view key) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto pair = query.substr(0, end);
    if (pair.substr(0, pair.find('=')) == key) return true;
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace

std::string with_defaults(std::string_view url, const ConnectionDefaults& defaults) {
  std::string out;
  if (!is_uri(url)) {
    // libpq takes the last of two equal keys.
    for (const auto& [key, value] : defaults) out.append(key).append("=").append(value).append(" ");
    return out.append(url);
  }
  const auto mark = url.find('?');
  const auto query = mark == std::string_view::npos ? std::string_view() : url.substr(mark + 1);
  out = url;
  char separator = mark == std::string_view::npos ? '?' : '&';
  for (const auto& [key, value] : defaults) {
    if (query_has(query, key)) continue;
    out.append(1, separator).append(key).append("=").append(value);
    separator = '&';
  }
  return out;
}

}  // namespace assistiv::storage
