#include "oauth/connect/return_url.h"

#include <algorithm>

#include "core/encoding.h"
#include "core/http.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kReturnUrlMax = 2048;

// The host of "host", "host:port", "[v6]", "[v6]:port"; empty when the form is another.
std::string_view host_of_authority(std::string_view authority) {
  const bool bracket = !authority.empty() && authority.front() == '[';
  const auto end = bracket ? authority.find(']') : authority.find(':');
  if (bracket && end == std::string_view::npos) return {};
  const auto host = authority.substr(0, bracket ? end + 1 : end);
  const auto port = authority.substr(host.size());
  if (port.empty()) return host;
  const auto digits = port.substr(1);
  const bool number = port.front() == ':' && !digits.empty() && digits.size() <= 5 &&
                      digits.find_first_not_of("0123456789") == std::string_view::npos;
  return number ? host : std::string_view();
}

bool is_loopback_host(std::string_view host) {
  if (host == "[::1]" || core::equals_ignore_case(host, "localhost")) return true;
  return host.substr(0, 4) == "127." && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

std::string return_url_fault(std::string_view url) {
  if (url.empty() || url.size() > kReturnUrlMax) return "must have 1 to 2048 bytes";
  // A backslash is a slash to browsers: "https://good\@evil" must not pass.
  if (std::any_of(url.begin(), url.end(), [](char c) { return c <= 0x20 || c >= 0x7f || c == '\\'; })) {
    return "must be printable ASCII without spaces and backslashes (percent-encode the rest)";
  }
  const auto mark = url.find("://");
  const auto scheme = url.substr(0, mark == std::string_view::npos ? 0 : mark);
  if (scheme != "https" && scheme != "http") return "must be an absolute https URL";
  const auto rest = url.substr(mark + 3);
  const auto authority = rest.substr(0, rest.find_first_of("/?#"));
  if (authority.find('@') != std::string_view::npos) return "must not contain a user name or password";
  if (rest.find('#') != std::string_view::npos) return "must not have a fragment";
  const auto host = host_of_authority(authority);
  if (host.empty()) return "must name a host";
  if (scheme == "http" && !is_loopback_host(host)) return "must use https (http is for loopback hosts only)";
  return {};
}

std::string with_query(std::string_view url, const std::vector<std::pair<std::string, std::string>>& params) {
  std::string out(url);
  char separator = out.find('?') == std::string::npos ? '?' : '&';
  for (const auto& [name, value] : params) {
    if (out.back() != '?' && out.back() != '&') out.push_back(separator);
    out += core::percent_encode(name) + "=" + core::percent_encode(value);
    separator = '&';
  }
  return out;
}

}  // namespace assistiv::oauth
