#include <array>
#include <nlohmann/json.hpp>

#include "inference/anthropic/messages.h"

namespace assistiv::inference::anthropic {

namespace {

// A parsed body is at most 64 deep (core::parse_json), and so is the recursion.
constexpr std::array kBounds = {"minItems", "maxItems",         "minLength",        "maxLength", "minimum",
                                "maximum",  "exclusiveMinimum", "exclusiveMaximum", "multipleOf"};

void rewrite(core::Json& schema);

void rewrite_each(core::Json& schema, const char* name) {
  const auto it = schema.find(name);
  if (it == schema.end()) return;
  if (it->is_object() || it->is_array()) {
    for (auto& inner : *it) rewrite(inner);
  }
}

void rewrite(core::Json& schema) {
  if (!schema.is_object()) return;
  std::string said;
  for (const char* name : kBounds) {
    const auto it = schema.find(name);
    if (it == schema.end() || it->is_object()) continue;
    said += (said.empty() ? "" : ", ") + std::string(name) + ": " + it->dump();
    schema.erase(it);
  }
  if (!said.empty()) {
    const auto it = schema.find("description");
    const bool has = it != schema.end() && it->is_string();
    schema["description"] = (has ? it->get<std::string>() + " " : std::string()) + "(" + said + ")";
  }
  if (schema.contains("properties") || (schema.contains("type") && schema["type"] == "object")) {
    schema["additionalProperties"] = false;
  }
  for (const char* name : {"properties", "$defs", "definitions", "anyOf", "allOf", "oneOf", "prefixItems"}) {
    rewrite_each(schema, name);
  }
  if (const auto it = schema.find("items"); it != schema.end()) {
    if (it->is_array()) {
      for (auto& inner : *it) rewrite(inner);
    } else {
      rewrite(*it);
    }
  }
}

}  // namespace

core::Json structured_schema(const core::Json& schema) {
  core::Json out = schema.is_object() ? schema : core::Json::object();
  if (out.empty()) out["type"] = "object";
  rewrite(out);
  return out;
}

}  // namespace assistiv::inference::anthropic
