#include "mcp/schema/uri.h"

#include <cctype>
#include <optional>

namespace assistiv::mcp {

namespace {

// The five parts of RFC 3986 appendix B; an absent part differs from an empty one.
struct UriParts {
  std::optional<std::string> scheme, authority, query, fragment;
  std::string path;
};

bool is_scheme(std::string_view text) {
  if (text.empty() || std::isalpha(static_cast<unsigned char>(text[0])) == 0) return false;
  for (const unsigned char c : text) {
    if (std::isalnum(c) == 0 && c != '+' && c != '-' && c != '.') return false;
  }
  return true;
}

UriParts split_uri(std::string_view text) {
  UriParts parts;
  if (const auto hash = text.find('#'); hash != std::string_view::npos) {
    parts.fragment = text.substr(hash + 1);
    text = text.substr(0, hash);
  }
  if (const auto mark = text.find('?'); mark != std::string_view::npos) {
    parts.query = text.substr(mark + 1);
    text = text.substr(0, mark);
  }
  if (const auto colon = text.find(':');
      colon != std::string_view::npos && is_scheme(text.substr(0, colon))) {
    parts.scheme = text.substr(0, colon);
    text = text.substr(colon + 1);
  }
  if (text.starts_with("//")) {
    const auto end = text.find('/', 2);
    parts.authority = text.substr(2, end == std::string_view::npos ? end : end - 2);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end);
  }
  parts.path = text;
  return parts;
}

// RFC 3986 section 5.2.4.
std::string remove_dot_segments(std::string_view in) {
  std::string out;
  const auto drop_last = [&out] {
    const auto slash = out.rfind('/');
    out.resize(slash == std::string::npos ? 0 : slash);
  };
  while (!in.empty()) {
    if (in.starts_with("../")) {
      in.remove_prefix(3);
    } else if (in.starts_with("./") || in.starts_with("/./")) {
      in.remove_prefix(2);
    } else if (in == "/." || in == "/..") {
      if (in == "/..") drop_last();
      out.push_back('/');
      in = {};
    } else if (in.starts_with("/../")) {
      in.remove_prefix(3);
      drop_last();
    } else if (in == "." || in == "..") {
      in = {};
    } else {
      const auto end = in.find('/', 1);
      out.append(in.substr(0, end));
      in = end == std::string_view::npos ? std::string_view() : in.substr(end);
    }
  }
  return out;
}

std::string merge_paths(const UriParts& base, const std::string& relative) {
  if (base.authority && base.path.empty()) return "/" + relative;
  const auto slash = base.path.rfind('/');
  return (slash == std::string::npos ? std::string() : base.path.substr(0, slash + 1)) + relative;
}

std::string join_uri(const UriParts& parts) {
  std::string out;
  if (parts.scheme) out += *parts.scheme + ":";
  if (parts.authority) out += "//" + *parts.authority;
  out += parts.path;
  if (parts.query) out += "?" + *parts.query;
  return out;
}

}  // namespace

UriReference resolve_uri(std::string_view base, std::string_view reference) {
  const UriParts from = split_uri(base);
  UriParts to = split_uri(reference);
  const std::string fragment = to.fragment.value_or("");
  if (to.scheme || to.authority) {
    to.path = remove_dot_segments(to.path);
  } else if (to.path.empty()) {
    to.authority = from.authority;
    to.path = from.path;
    if (!to.query) to.query = from.query;
  } else {
    to.authority = from.authority;
    to.path = remove_dot_segments(to.path[0] == '/' ? to.path : merge_paths(from, to.path));
  }
  if (!to.scheme) to.scheme = from.scheme;
  return {join_uri(to), fragment};
}

}  // namespace assistiv::mcp
