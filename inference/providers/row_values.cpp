#include "inference/providers/row_values.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::inference {

std::string text_of(const std::vector<std::string>& list) {
  return core::dump_json(core::Json(list));
}

std::vector<std::string> strings_of(std::string_view json_text) {
  std::vector<std::string> out;
  for (const auto& item : core::Json::parse(json_text)) out.push_back(item.get<std::string>());
  return out;
}

core::Json to_json(const Capabilities& capabilities) {
  core::Json out = {{"reasoning", capabilities.reasoning},
                    {"effort", capabilities.effort},
                    {"structured_output", capabilities.structured_output},
                    {"json_schema_fields", capabilities.json_schema_fields},
                    {"thinking", capabilities.thinking}};
  if (capabilities.dialect) out["dialect"] = to_string(*capabilities.dialect);
  return out;
}

Capabilities capabilities_of(const core::Json& json) {
  const core::JsonReader read(json);
  Capabilities out;
  out.reasoning = read.optional_bool("reasoning").value_or(out.reasoning);
  out.effort = read.optional_bool("effort").value_or(out.effort);
  out.structured_output = read.optional_bool("structured_output").value_or(out.structured_output);
  out.json_schema_fields = read.optional_bool("json_schema_fields").value_or(out.json_schema_fields);
  out.thinking = read.optional_string("thinking").value_or("");
  if (const auto name = read.optional_string("dialect")) out.dialect = dialect_of(*name);
  return out;
}

std::string ms_param(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

std::string bool_param(bool value) {
  return value ? "true" : "false";
}

storage::Param integer_param(const std::optional<std::int64_t>& value) {
  return value ? storage::Param(std::to_string(*value)) : std::nullopt;
}

}  // namespace assistiv::inference
