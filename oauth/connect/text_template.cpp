#include "oauth/connect/text_template.h"

#include <algorithm>
#include <utility>

#include "core/encoding.h"
#include "core/error.h"

namespace assistiv::oauth {

namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_word(std::string_view text) {
  return !text.empty() && is_lower(text.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_lower(c) || is_digit(c) || c == '_'; });
}

bool is_placeholder(std::string_view name) {
  const auto dot = name.find('.');
  if (dot == std::string_view::npos) return is_word(name);
  return is_word(name.substr(0, dot)) && is_word(name.substr(dot + 1));
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), is_digit);
}

bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > 253 || text.front() == '.' || text.back() == '.') return false;
  if (text.find("..") != std::string_view::npos) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_lower(c) || is_digit(c) || c == '-' || c == '.'; });
}

bool is_ipv6(std::string_view text) {
  return text.size() >= 2 && text.size() <= 45 && std::all_of(text.begin(), text.end(), [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
         });
}

// Scheme, host and path of an absolute URL, as written.
struct UrlParts {
  std::string scheme, host, path;
};

UrlParts split_url(std::string_view text, const std::string& pointer) {
  const auto mark = text.find("://");
  if (mark == std::string_view::npos) throw core::bad_request("This must be an absolute URL.", pointer);
  UrlParts parts;
  parts.scheme = text.substr(0, mark);
  const auto rest = text.substr(mark + 3);
  const auto slash = rest.find('/');
  parts.host = rest.substr(0, slash);
  if (slash != std::string_view::npos) parts.path = rest.substr(slash);
  const bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '\\'; });
  if (!printable || text.find_first_of("?#@") != std::string_view::npos) {
    throw core::bad_request("A URL here has no user info, query, fragment or space.", pointer);
  }
  if (parts.host.empty()) throw core::bad_request("This URL has no host.", pointer);
  return parts;
}

}  // namespace

bool is_host(std::string_view text) {
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos || !is_ipv6(text.substr(1, close - 1))) return false;
    port = text.substr(close + 1);
  } else {
    const auto colon = text.find(':');
    if (!is_host_name(text.substr(0, colon))) return false;
    if (colon != std::string_view::npos) port = text.substr(colon);
  }
  return port.empty() || (port.front() == ':' && is_port(port.substr(1)));
}

TextTemplate TextTemplate::parse(std::string_view text, const std::string& pointer) {
  TextTemplate out;
  out.text_ = text;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto open = text.find_first_of("{}", at);
    if (open != at) out.parts_.push_back({std::string(text.substr(at, open - at)), false});
    if (open == std::string_view::npos) break;
    const auto close = text.find('}', open);
    const auto name =
        close == std::string_view::npos ? std::string_view() : text.substr(open + 1, close - open - 1);
    if (text[open] == '}' || !is_placeholder(name)) {
      throw core::bad_request("A placeholder must be {name} or {name.member}, in lowercase.", pointer);
    }
    out.parts_.push_back({std::string(name), true});
    at = close + 1;
  }
  return out;
}

std::vector<std::string> TextTemplate::names() const {
  std::vector<std::string> out;
  for (const auto& part : parts_) {
    if (part.is_name) out.push_back(part.text);
  }
  return out;
}

std::string TextTemplate::expand(const Values& values, Escape escape) const {
  std::string out;
  for (const auto& part : parts_) {
    if (!part.is_name) {
      out += part.text;
      continue;
    }
    const auto value = values.find(part.text);
    if (value == values.end())
      throw core::internal("no value for {" + part.text + "} in a connector's template");
    out += escape == Escape::Percent ? core::percent_encode(value->second) : value->second;
  }
  return out;
}

std::string TextTemplate::preview(const Values& values) const {
  std::string out;
  for (const auto& part : parts_) {
    const auto value = part.is_name ? values.find(part.text) : values.end();
    out += !part.is_name ? part.text : value == values.end() ? "..." : value->second;
  }
  return out;
}

UrlTemplate UrlTemplate::parse(std::string_view text, const std::string& pointer) {
  const auto parts = split_url(text, pointer);
  if (parts.scheme != "https") throw core::bad_request("This URL must begin with https://.", pointer);
  UrlTemplate out;
  out.scheme_ = parts.scheme;
  out.host_ = TextTemplate::parse(parts.host, pointer);
  out.path_ = TextTemplate::parse(parts.path, pointer);
  if (out.host_.names().empty() && !is_host(parts.host)) {
    throw core::bad_request("This URL's host is not a host name in lowercase.", pointer);
  }
  return out;
}

std::vector<std::string> UrlTemplate::names() const {
  auto out = host_.names();
  for (auto& name : path_.names()) out.push_back(std::move(name));
  return out;
}

std::string UrlTemplate::expand(const Values& values) const {
  const std::string host = host_.expand(values, Escape::None);
  if (!is_host(host)) throw core::internal("a connector's variables make no host name of " + host_.text());
  for (const auto& name : path_.names()) {
    const auto value = values.find(name);
    // As a whole segment these would climb out of the path; percent-encoding leaves dots alone.
    if (value != values.end() && (value->second.empty() || value->second == "." || value->second == "..")) {
      throw core::internal("the value of {" + name + "} cannot stand in a path");
    }
  }
  return scheme_ + "://" + host + path_.expand(values, Escape::Percent);
}

UrlTemplate UrlTemplate::at_origin(std::string_view origin) const {
  while (!origin.empty() && origin.back() == '/') origin.remove_suffix(1);
  const auto parts = split_url(origin, "");
  if (parts.scheme != "https" && parts.scheme != "http") {
    throw core::bad_request("An override must be an http or https URL.");
  }
  if (!is_host(parts.host)) throw core::bad_request("An override's host is not a host name in lowercase.");
  UrlTemplate out;
  out.scheme_ = parts.scheme;
  out.host_ = TextTemplate::parse(parts.host, "");
  out.path_ = TextTemplate::parse(parts.path + path_.text(), "");
  return out;
}

}  // namespace assistiv::oauth
