#pragma once
// The beginning of an absolute URL as text, without a judgement on it: addresses of strangers are vetted by
// net/url_guard.h.
#include <string>
#include <string_view>

namespace assistiv::core {

// "https://host:port" of "https://host:port/path?query"; all of it when nothing follows the authority.
inline std::string url_origin(std::string_view url) {
  const auto scheme = url.find("://");
  const auto start = scheme == std::string_view::npos ? 0 : scheme + 3;
  return std::string(url.substr(0, url.find_first_of("/?#", start)));
}

// "host:port" of it.
inline std::string url_authority(std::string_view url) {
  const auto origin = url_origin(url);
  const auto scheme = origin.find("://");
  return scheme == std::string::npos ? origin : origin.substr(scheme + 3);
}

}  // namespace assistiv::core
