#pragma once
// Text with placeholders, as connector manifests use it. Kept too weak to abuse: a placeholder is {name} or
// {name.member}, there are no expressions, no nesting, no defaults, and values never become syntax.
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace assistiv::oauth {

using Values = std::map<std::string, std::string, std::less<>>;

enum class Escape {
  None,     // JSON leaves, form fields, header values (checked by the sender)
  Percent,  // one path segment or query value: "/", "?", "#", "%" cannot pass
};

// Immutable. Parsing throws Error{InvalidArgument} whose field is `pointer`.
class TextTemplate {
 public:
  TextTemplate() = default;
  static TextTemplate parse(std::string_view text, const std::string& pointer);

  const std::string& text() const { return text_; }  // as written
  std::vector<std::string> names() const;
  // Throws Error{Internal} when a value is missing: the lint has checked the names, so that is our fault.
  std::string expand(const Values& values, Escape escape) const;
  // For people: what is not known yet is shown as "...".
  std::string preview(const Values& values) const;

 private:
  struct Part {
    std::string text;
    bool is_name;
  };
  std::string text_;
  std::vector<Part> parts_;
};

// An absolute URL without user info, query and fragment. Placeholders in the host must come from checked
// variables; the expanded host must still be a host name, whatever the values were.
class UrlTemplate {
 public:
  UrlTemplate() = default;
  // Accepts https only.
  static UrlTemplate parse(std::string_view text, const std::string& pointer);

  bool empty() const { return scheme_.empty(); }
  const TextTemplate& host() const { return host_; }  // with the port, if there is one
  const TextTemplate& path() const { return path_; }  // "" or "/..."
  std::string origin() const { return scheme_ + "://" + host_.text(); }
  std::vector<std::string> names() const;
  std::string expand(const Values& values) const;
  // The same path at another origin, e.g. "http://127.0.0.1:4001" (its own path, if any, goes in front).
  UrlTemplate at_origin(std::string_view origin) const;

 private:
  std::string scheme_;
  TextTemplate host_, path_;
};

// "example.com", "127.0.0.1:4001", "[::1]:80": lowercase letters, digits, "-", "." and an optional port.
bool is_host(std::string_view text);

}  // namespace assistiv::oauth
