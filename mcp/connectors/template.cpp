#include "mcp/connectors/template.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::mcp {

namespace {

using core::Json;

bool is_pattern_word(std::string_view text) {
  const auto inner = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !text.empty() && text.size() <= 64 && text[0] >= 'a' && text[0] <= 'z' &&
         std::all_of(text.begin(), text.end(), inner);
}

bool is_pattern_name(std::string_view text) {
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return is_pattern_word(text);
  return is_pattern_word(text.substr(0, dot)) && is_pattern_word(text.substr(dot + 1));
}

// RFC 3986 section 3.3 without "%", and what templates need.
bool is_path_character(char c) {
  const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return plain || std::string_view("-._~!$&'()*+,;=:@/{}").find(c) != std::string_view::npos;
}

std::string scalar_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return {};
  return core::dump_json(value);
}

std::string value_text(const Json& value) {
  const bool scalars = value.is_array() && std::none_of(value.begin(), value.end(), [](const Json& item) {
                         return item.is_structured();
                       });
  if (!scalars) return scalar_text(value);
  std::string out;
  for (const auto& item : value) out += (out.empty() ? "" : ",") + scalar_text(item);
  return out;
}

[[noreturn]] void refuse_segment(const std::string& name, const std::string& why) {
  throw core::bad_request("\"" + name + "\" cannot be used in a URL: " + why + ".", name);
}

void check_segment(const std::string& name, std::string_view decoded) {
  if (decoded.empty()) refuse_segment(name, "it is empty");
  if (decoded == "." || decoded == "..") refuse_segment(name, "\".\" and \"..\" are not names");
  if (decoded.find('\0') != std::string_view::npos) refuse_segment(name, "it contains a NUL character");
}

}  // namespace

TextPattern TextPattern::parse(std::string_view text) {
  TextPattern out;
  while (!text.empty()) {
    const auto open = text.find_first_of("{}");
    if (open != 0) out.parts_.push_back({std::string(text.substr(0, open)), false});
    if (open == std::string_view::npos) break;
    const auto close = text.find('}', open);
    const bool closed = text[open] == '{' && close != std::string_view::npos;
    const auto name = closed ? text.substr(open + 1, close - open - 1) : std::string_view();
    if (!is_pattern_name(name))
      throw core::bad_request("A placeholder must be {name} or {name.member}, in lowercase.");
    out.parts_.push_back({std::string(name), true});
    text.remove_prefix(close + 1);
  }
  return out;
}

std::vector<std::string> TextPattern::names() const {
  std::vector<std::string> out;
  for (const auto& part : parts_) {
    if (part.is_name) out.push_back(part.text);
  }
  return out;
}

std::optional<std::string> TextPattern::render(const Bindings& bindings) const {
  std::string out;
  for (const auto& part : parts_) {
    if (!part.is_name) {
      out += part.text;
      continue;
    }
    const auto value = bindings.find(part.text);
    if (value == bindings.end()) return {};
    out += value_text(*value);
  }
  return out;
}

PathPattern PathPattern::parse(std::string_view text) {
  if (text.empty() || text[0] != '/') throw core::bad_request("A path must begin with \"/\".");
  if (!std::all_of(text.begin(), text.end(), is_path_character)) {
    throw core::bad_request("A path has no query, fragment, escape or space.");
  }
  PathPattern out;
  text.remove_prefix(1);
  for (bool more = true; more;) {
    const auto slash = text.find('/');
    const auto segment = text.substr(0, slash);
    more = slash != std::string_view::npos;
    if (more) text.remove_prefix(slash + 1);
    if (segment.empty() || segment == "." || segment == "..")
      throw core::bad_request("A path segment is empty or dots.");
    if (segment.ends_with("...}")) {
      const auto name = segment.substr(1, segment.size() - 5);
      if (segment[0] != '{' || !is_pattern_name(name)) {
        throw core::bad_request("{name...} must be a whole path segment.");
      }
      out.segments_.push_back({{}, std::string(name)});
    } else {
      out.segments_.push_back({TextPattern::parse(segment), {}});
    }
  }
  if (out.segments_.size() > 1) out.optional_rest_ = out.segments_.back().rest;
  return out;
}

std::vector<std::string> PathPattern::names() const {
  std::vector<std::string> out;
  for (const auto& segment : segments_) {
    if (!segment.rest.empty()) out.push_back(segment.rest);
    for (auto& name : segment.text.names()) out.push_back(std::move(name));
  }
  return out;
}

std::string PathPattern::render(const Bindings& bindings) const {
  std::string out;
  const auto value_of = [&bindings](const std::string& name) {
    const auto value = bindings.find(name);
    if (value == bindings.end() || value->is_structured() || value->is_null())
      refuse_segment(name, "it is missing");
    return scalar_text(*value);
  };
  for (const auto& segment : segments_) {
    if (!segment.rest.empty()) {
      if (segment.rest == optional_rest_ && !bindings.contains(segment.rest)) continue;
      std::string rest = value_of(segment.rest) + "/";
      for (std::size_t at = 0; at < rest.size();) {
        const auto end = rest.find('/', at);
        const std::string part = rest.substr(at, end - at);
        if (part.empty())
          refuse_segment(segment.rest, "write it relative, without \"/\" at its ends or twice in a row");
        check_segment(segment.rest, part);
        out += "/" + core::percent_encode(part);
        at = end + 1;
      }
      continue;
    }
    std::string whole, last_name, encoded;
    for (const auto& part : segment.text.parts()) {
      const std::string text = part.is_name ? value_of(part.text) : part.text;
      if (part.is_name) last_name = part.text;
      whole += text;
      encoded += part.is_name ? core::percent_encode(text) : text;
    }
    if (!last_name.empty()) check_segment(last_name, whole);
    out += "/" + encoded;
  }
  return out;
}

JsonPattern JsonPattern::parse(const Json& tree, const std::string& pointer) {
  JsonPattern out;
  if (tree.is_string()) {
    out.kind_ = Kind::Text;
    try {
      out.text_ = TextPattern::parse(tree.get_ref<const std::string&>());
    } catch (const core::Error& error) {
      throw core::bad_request(error.message(), pointer);
    }
  } else if (tree.is_object()) {
    out.kind_ = Kind::Object;
    for (const auto& [name, value] : tree.items())
      out.children_.emplace_back(name, parse(value, pointer + "/" + name));
  } else if (tree.is_array()) {
    out.kind_ = Kind::Array;
    for (std::size_t i = 0; i < tree.size(); ++i) {
      out.children_.emplace_back("", parse(tree[i], pointer + "/" + std::to_string(i)));
    }
  } else {
    out.literal_ = tree.dump();
  }
  return out;
}

std::vector<std::string> JsonPattern::names() const {
  std::vector<std::string> out = text_.names();
  for (const auto& [name, child] : children_) {
    for (auto& inner : child.names()) out.push_back(std::move(inner));
  }
  return out;
}

bool JsonPattern::render(const Bindings& bindings, Json& out) const {
  if (kind_ == Kind::Literal) {
    out = Json::parse(literal_);
    return true;
  }
  if (kind_ == Kind::Text) {
    if (const std::string* name = text_.sole_name()) {
      const auto value = bindings.find(*name);
      if (value == bindings.end()) return false;
      out = *value;
      return true;
    }
    auto text = text_.render(bindings);
    if (!text) return false;
    out = std::move(*text);
    return true;
  }
  out = kind_ == Kind::Object ? Json::object() : Json::array();
  for (const auto& [name, child] : children_) {
    Json value;
    if (!child.render(bindings, value)) continue;
    if (kind_ == Kind::Object) {
      out[name] = std::move(value);
    } else {
      out.push_back(std::move(value));
    }
  }
  return children_.empty() || !out.empty();
}

core::FormFields render_fields(const NamedPatterns& patterns, const Bindings& bindings) {
  core::FormFields out;
  for (const auto& [name, pattern] : patterns) {
    Json value;
    if (!pattern.render(bindings, value) || (value.is_array() && value.empty())) continue;
    out.emplace_back(name, value_text(value));
  }
  return out;
}

std::string form_body(const Json& body) {
  core::FormFields fields;
  for (const auto& [name, value] : body.items()) fields.emplace_back(name, value_text(value));
  return core::form_encode(fields);
}

std::vector<std::pair<std::string, std::string>> render_headers(const NamedPatterns& patterns,
                                                                const Bindings& bindings) {
  auto out = render_fields(patterns, bindings);
  for (const auto& [name, value] : out) {
    const bool printable =
        std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c < 0x7f; });
    if (!printable) throw core::bad_request("The header \"" + name + "\" cannot carry this value.", name);
  }
  return out;
}

}  // namespace assistiv::mcp
