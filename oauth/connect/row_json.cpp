#include "oauth/connect/row_json.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::oauth {

std::string to_json_text(const std::vector<std::string>& list) {
  return core::dump_json(core::Json(list));
}

std::string to_json_text(const Values& values) {
  core::Json object = core::Json::object();
  for (const auto& [name, value] : values) object[name] = value;
  return core::dump_json(object);
}

std::vector<std::string> strings_of_json(std::string_view text) {
  return core::parse_json(text).get<std::vector<std::string>>();
}

Values values_of_json(std::string_view text) {
  Values out;
  const core::Json object = core::parse_json(text);
  for (const auto& [name, value] : object.items()) out[name] = value.get<std::string>();
  return out;
}

}  // namespace assistiv::oauth
