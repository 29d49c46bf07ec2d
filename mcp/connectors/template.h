#pragma once
// Text and JSON with placeholders, as the tools of a manifest use them (docs/connectors.md, "Templates").
// Kept too weak to abuse: a placeholder is {name}, {name.member} or, in a path, {name...}; there are no
// expressions and no nesting; values never become syntax.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/encoding.h"
#include "core/json.h"

namespace assistiv::mcp {

// What placeholders stand for: an object of arguments, connection variables, derived values and step results.
// A name that is not in it is absent, null is a value.
using Bindings = core::Json;

// Literal text and names. Arrays of scalars are joined with commas, other scalars are written as in JSON
// without quotes.
class TextPattern {
 public:
  struct Part {
    std::string text;
    bool is_name = false;
  };

  // Throws core::Error{InvalidArgument} that says what is wrong.
  static TextPattern parse(std::string_view text);

  std::vector<std::string> names() const;
  // The single placeholder that the whole text is, if it is one.
  const std::string* sole_name() const {
    return parts_.size() == 1 && parts_[0].is_name ? &parts_[0].text : nullptr;
  }
  // Empty when a name is absent: the member that the text is the value of vanishes.
  std::optional<std::string> render(const Bindings& bindings) const;
  const std::vector<Part>& parts() const { return parts_; }

 private:
  std::vector<Part> parts_;
};

// A path below the API's base. Each {name} is percent-encoded within its segment; {name...} is a whole
// segment of the template and becomes one segment per "/"-separated part. No segment can come out empty, "."
// or "..".
class PathPattern {
 public:
  static PathPattern parse(std::string_view text);

  std::vector<std::string> names() const;
  // The {name...} at the end of the path, which may be absent; empty when there is none.
  const std::string& optional_rest() const { return optional_rest_; }
  // Throws core::Error{InvalidArgument} with the argument's name as field when a value cannot stand in a
  // path.
  std::string render(const Bindings& bindings) const;

 private:
  struct Segment {
    TextPattern text;
    std::string rest;  // the name of {name...}
  };
  std::vector<Segment> segments_;
  std::string optional_rest_;
};

// A JSON tree with placeholders at its leaves. A string that is one placeholder becomes the value with its
// type; other strings stay strings. Members and items whose value is absent vanish, and so do objects and
// arrays that come out empty because of that.
class JsonPattern {
 public:
  // `pointer` is put in front of the pointers of faults.
  static JsonPattern parse(const core::Json& tree, const std::string& pointer);

  std::vector<std::string> names() const;
  // False when it vanished.
  bool render(const Bindings& bindings, core::Json& out) const;

 private:
  enum class Kind { Literal, Text, Object, Array };
  Kind kind_ = Kind::Literal;
  std::string literal_;  // JSON text
  TextPattern text_;
  std::vector<std::pair<std::string, JsonPattern>> children_;
};

using NamedPatterns = std::vector<std::pair<std::string, JsonPattern>>;

// Name and value pairs for a query or a form; objects become JSON text.
core::FormFields render_fields(const NamedPatterns& patterns, const Bindings& bindings);
// The same as application/x-www-form-urlencoded for a body that is an object.
std::string form_body(const core::Json& body);
// Throws core::Error{InvalidArgument} for a value that is not printable ASCII (no CR, LF, NUL).
std::vector<std::pair<std::string, std::string>> render_headers(const NamedPatterns& patterns,
                                                                const Bindings& bindings);

}  // namespace assistiv::mcp
