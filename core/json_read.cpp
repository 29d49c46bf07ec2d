#include "core/json_read.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_parser.h"

namespace assistiv::core {

namespace {

std::string escape_pointer(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

Json parse_json(std::string_view text, int depth_max) {
  Json out;
  const std::string fault = parse_json_into(out, text, depth_max);
  if (!fault.empty()) throw bad_request("The JSON body cannot be read: " + fault + ".");
  return out;
}

std::optional<Json> try_parse_json(std::string_view text, int depth_max) {
  Json out;
  if (!parse_json_into(out, text, depth_max).empty()) return {};
  return out;
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

JsonReader::JsonReader(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object_.is_object()) {
    throw bad_request(path_.empty() ? "The body must be a JSON object." : "This must be an object.", path_);
  }
}

std::string JsonReader::pointer(std::string_view name) const {
  return path_ + "/" + escape_pointer(name);
}

void JsonReader::fail(std::string_view name, const std::string& message) const {
  throw bad_request("\"" + std::string(name) + "\" " + message + ".", pointer(name));
}

const Json* JsonReader::find(std::string_view name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

bool JsonReader::has(std::string_view name) const {
  return find(name) != nullptr;
}

std::optional<std::string> JsonReader::optional_string(std::string_view name, std::size_t min,
                                                       std::size_t max) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_string()) fail(name, "must be a string");
  auto text = value->get<std::string>();
  if (text.size() < min || text.size() > max) {
    fail(name, "must have " + std::to_string(min) + " to " + std::to_string(max) + " bytes");
  }
  if (text.find('\0') != std::string::npos) fail(name, "must not contain a NUL character");
  return text;
}

std::string JsonReader::string(std::string_view name, std::size_t min, std::size_t max) const {
  auto text = optional_string(name, min, max);
  if (!text) fail(name, "is required");
  return std::move(*text);
}

std::optional<std::int64_t> JsonReader::optional_integer(std::string_view name, std::int64_t min,
                                                         std::int64_t max) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_number_integer()) fail(name, "must be an integer");
  const bool huge = value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX;
  const auto number = value->get<std::int64_t>();
  if (huge || number < min || number > max) {
    fail(name, "must be from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return number;
}

std::optional<bool> JsonReader::optional_bool(std::string_view name) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_boolean()) fail(name, "must be true or false");
  return value->get<bool>();
}

std::string JsonReader::choice(std::string_view name, std::initializer_list<std::string_view> allowed) const {
  auto text = string(name);
  if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return text;
  std::string list;
  for (const auto option : allowed) list += (list.empty() ? "" : ", ") + std::string(option);
  fail(name, "must be one of: " + list);
}

std::vector<std::string> JsonReader::strings(std::string_view name, std::size_t items_max,
                                             std::size_t length_max) const {
  const Json* value = array(name);
  std::vector<std::string> out;
  if (value == nullptr) return out;
  if (value->size() > items_max) fail(name, "must have at most " + std::to_string(items_max) + " items");
  for (const auto& item : *value) {
    if (!item.is_string() || item.get_ref<const std::string&>().size() > length_max) {
      fail(name, "must hold strings of at most " + std::to_string(length_max) + " bytes");
    }
    out.push_back(item.get<std::string>());
    if (out.back().find('\0') != std::string::npos) fail(name, "must not contain a NUL character");
  }
  return out;
}

const Json* JsonReader::object(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr && !value->is_object()) fail(name, "must be an object");
  return value;
}

const Json* JsonReader::array(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr && !value->is_array()) fail(name, "must be an array");
  return value;
}

void JsonReader::only(std::initializer_list<std::string_view> allowed) const {
  for (const auto& [name, value] : object_.items()) {
    if (std::find(allowed.begin(), allowed.end(), name) == allowed.end())
      fail(name, "is not a field of this request");
  }
}

}  // namespace assistiv::core
