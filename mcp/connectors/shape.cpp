#include "mcp/connectors/shape.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/json_read.h"
#include "mcp/connectors/clean_text.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::size_t kObjectBytesMax = 4000;  // of a free-form object in a result
constexpr std::size_t kTextBytesMax = 24'000;  // of a file's text, when the shape says nothing

void clean_tree(Json& value) {
  if (value.is_string()) {
    value = clean_text(value.get_ref<const std::string&>());
  } else if (value.is_array()) {
    for (auto& item : value) clean_tree(item);
  } else if (value.is_object()) {
    Json out = Json::object();
    for (auto& [name, inner] : value.items()) {
      clean_tree(inner);
      out[clean_text(name)] = std::move(inner);
    }
    value = std::move(out);
  }
}

std::optional<Json> project_strings(const ShapeField& field, const Json& value) {
  if (!value.is_array()) return {};
  Json out = Json::array();
  for (const auto& item : value) {
    const Json* text = field.each.find_value(item);
    if (text != nullptr && text->is_string()) {
      out.push_back(clip_text(clean_text(text->get_ref<const std::string&>()), field.clip));
    }
  }
  return out;
}

std::optional<Json> project_list(const ShapeField& field, const Json& value, const Bindings& bindings) {
  if (!value.is_array()) return {};
  Json out = Json::array();
  for (const auto& item : value) out.push_back(apply_shape(*field.shape, item, bindings, {}));
  return out;
}

std::int64_t line_argument(const Bindings& bindings, const std::string& name, std::int64_t otherwise) {
  const auto it = name.empty() ? bindings.end() : bindings.find(name);
  return it != bindings.end() && it->is_number_integer() ? it->get<std::int64_t>() : otherwise;
}

// The chosen lines of a text, as many whole ones as fit.
Json text_lines(const std::string& text, std::int64_t first, std::int64_t last, std::size_t bytes_max) {
  const auto newlines = std::count(text.begin(), text.end(), '\n');
  const std::int64_t total = newlines + (text.empty() || text.back() == '\n' ? 0 : 1);
  std::string out;
  std::int64_t line = 0;
  std::int64_t end_line = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size() - 1) + 1;
    ++line;
    if (line > last) break;
    if (line >= first) {
      const bool fits = out.size() + (end - at) <= bytes_max;
      if (!fits && end_line != 0) break;
      out += fits ? text.substr(at, end - at) : clip_text(text.substr(at, bytes_max), bytes_max / 4);
      end_line = line;
      if (!fits) break;
    }
    at = end;
  }
  Json result = {{"text", clean_text(out)}, {"total_lines", total}};
  if (end_line != 0) {
    result["start_line"] = first;
    result["end_line"] = end_line;
  }
  return result;
}

std::optional<Json> project_text(const ShapeField& field, const Json& value, const Bindings& bindings) {
  if (!value.is_string()) return {};
  std::string base64 = value.get<std::string>();
  std::erase_if(base64, [](char c) { return c == '\n' || c == '\r'; });
  const auto bytes = core::base64_decode(base64);
  if (!bytes || bytes->empty()) return {};
  if (!core::is_valid_utf8(*bytes) || bytes->find('\0') != std::string::npos) return Json{{"binary", true}};
  const auto first = std::max<std::int64_t>(1, line_argument(bindings, field.start_line, 1));
  const auto last = line_argument(bindings, field.end_line, INT64_MAX);
  return text_lines(*bytes, first, last, field.clip == 0 ? kTextBytesMax : field.clip);
}

std::optional<Json> project_object(const Json& value) {
  if (!value.is_object()) return {};
  Json out = value;
  clean_tree(out);
  shrink_to(out, kObjectBytesMax);
  return out;
}

std::optional<Json> project_typed(const ShapeField& field, const Json& value, const Bindings& bindings) {
  const auto when = [&value](bool good) { return good ? std::optional<Json>(value) : std::nullopt; };
  switch (field.type) {
    case ShapeField::Type::String:
      if (value.is_string()) return clip_text(clean_text(value.get_ref<const std::string&>()), field.clip);
      return value.is_number() ? std::optional<Json>(value.dump()) : std::nullopt;
    case ShapeField::Type::Integer:
      return when(value.is_number_integer());
    case ShapeField::Type::Number:
      return when(value.is_number());
    case ShapeField::Type::Boolean:
      return when(value.is_boolean());
    case ShapeField::Type::Strings:
      return project_strings(field, value);
    case ShapeField::Type::Object:
      return project_object(value);
    case ShapeField::Type::List:
      return project_list(field, value, bindings);
    case ShapeField::Type::One:
      return value.is_object() ? std::optional<Json>(apply_shape(*field.shape, value, bindings, {}))
                               : std::nullopt;
    case ShapeField::Type::Text:
      return project_text(field, value, bindings);
  }
  return {};
}

std::optional<Json> project_field(const ShapeField& field, const Json& value, const Bindings& bindings) {
  if (!field.when.empty()) {
    const auto flag = bindings.find(field.when);
    if (flag == bindings.end() || *flag != true) return {};
  }
  if (field.source == ShapeField::Source::Exists) return Json(field.from.find_value(value) != nullptr);
  if (field.source == ShapeField::Source::Value) return Json::parse(field.value_json);
  if (field.source == ShapeField::Source::Argument) {
    const auto it = bindings.find(field.argument);
    return it == bindings.end() ? std::nullopt : project_typed(field, *it, bindings);
  }
  const Json* found = field.from.find_value(value);
  return found == nullptr ? std::nullopt : project_typed(field, *found, bindings);
}

// The part of a value that takes most room: a long string or a list.
Json* biggest_part(Json& value, std::size_t& size) {
  Json* found = nullptr;
  const auto consider = [&](Json& candidate, std::size_t bytes) {
    if (bytes <= size) return;
    size = bytes;
    found = &candidate;
  };
  if (value.is_string()) consider(value, value.get_ref<const std::string&>().size());
  if (value.is_array() && value.size() > 1) consider(value, core::dump_json(value).size() / 2);
  if (value.is_structured()) {
    for (auto& inner : value) {
      if (Json* part = biggest_part(inner, size)) found = part;
    }
  }
  return found;
}

}  // namespace

Json apply_shape(const Shape& shape, const Json& value, const Bindings& bindings, const FieldChoice& choice) {
  Json out = Json::object();
  for (const auto& field : shape.fields) {
    if (!choice.empty() && !choice.contains(field.name)) continue;
    if (auto projected = project_field(field, value, bindings)) out[field.name] = std::move(*projected);
  }
  return out;
}

bool shrink_to(Json& value, std::size_t bytes) {
  std::size_t now = core::dump_json(value).size();
  if (now <= bytes) return false;
  for (int round = 0; round < 64 && now > bytes; ++round) {
    std::size_t size = 0;
    Json* part = biggest_part(value, size);
    if (part == nullptr || size < 8) break;
    const std::size_t excess = now - bytes;
    if (part->is_string()) {
      const auto& text = part->get_ref<const std::string&>();
      const std::size_t keep = text.size() > excess + 100 ? text.size() - excess - 16 : text.size() / 2;
      std::string cut = text.substr(0, keep);
      *part = clean_text(cut) + "\u2026";
    } else {
      part->erase(part->begin() + static_cast<std::ptrdiff_t>(part->size() / 2), part->end());
    }
    now = core::dump_json(value).size();
  }
  return true;
}

}  // namespace assistiv::mcp
