#include "mcp/connectors/app_tools.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::mcp {

namespace {

using core::Json;

Json shape_schema(const Shape& shape);

Json field_schema(const ShapeField& field) {
  Json out;
  switch (field.type) {
    case ShapeField::Type::String:
      out = {{"type", "string"}};
      break;
    case ShapeField::Type::Integer:
      out = {{"type", "integer"}};
      break;
    case ShapeField::Type::Number:
      out = {{"type", "number"}};
      break;
    case ShapeField::Type::Boolean:
      out = {{"type", "boolean"}};
      break;
    case ShapeField::Type::Strings:
      out = {{"type", "array"}, {"items", {{"type", "string"}}}};
      break;
    case ShapeField::Type::Object:
      out = {{"type", "object"}};
      break;
    case ShapeField::Type::List:
      out = {{"type", "array"}, {"items", shape_schema(*field.shape)}};
      break;
    case ShapeField::Type::One:
      out = shape_schema(*field.shape);
      break;
    case ShapeField::Type::Text:
      out = Json::parse(
          R"({"type": "object", "properties": {"text": {"type": "string"}, "start_line": {"type": "integer"},
        "end_line": {"type": "integer"}, "total_lines": {"type": "integer"}, "binary": {"type": "boolean"}}})");
      break;
  }
  if (!field.about.empty()) out["description"] = field.about;
  return out;
}

Json shape_schema(const Shape& shape) {
  Json out = {{"type", "object"}, {"properties", Json::object()}};
  for (const auto& field : shape.fields) out["properties"][field.name] = field_schema(field);
  return out;
}

Json fields_argument(const Shape& shape) {
  Json names = Json::array();
  for (const auto& field : shape.fields) names.push_back(field.name);
  return {{"type", "array"},
          {"description", "Return only these fields."},
          {"items", {{"type", "string"}, {"enum", std::move(names)}}},
          {"maxItems", shape.fields.size()}};
}

}  // namespace

Json full_input_schema(const Json& declared, const ToolPlan& plan, const Hints& hints) {
  Json out = declared;
  Json& properties = out["properties"];
  if (plan.paginator) {
    properties[kLimitArgument] = {{"type", "integer"},
                                  {"description", "How many results at most."},
                                  {"minimum", 1},
                                  {"maximum", kLimitMax},
                                  {"default", kLimitDefault}};
    properties[kCursorArgument] = {
        {"type", "string"},
        {"description", "next_cursor of the previous result, with the same arguments."},
        {"minLength", 1},
        {"maxLength", kCursorBytesMax}};
  }
  if (hints.read_only && plan.result.shape->fields.size() > 1) {
    properties[kFieldsArgument] = fields_argument(*plan.result.shape);
  }
  return out;
}

Json portable_input_schema(Json full) {
  Json out = Json::object();
  for (const char* keyword : {"type", "properties", "required", "additionalProperties"}) {
    if (full.contains(keyword)) out[keyword] = std::move(full[keyword]);
  }
  return out;
}

Json output_schema(const ResultPlan& result) {
  Json properties = {
      {"truncated",
       {{"type", "boolean"}, {"description", "Something was left out to keep the result short."}}},
      {"rate", Json::parse(R"({"type": "object", "description": "Calls left, shown when few are.",
                       "properties": {"remaining": {"type": "integer"}, "reset_at": {"type": "string"}}})")}};
  if (result.kind == ResultPlan::Kind::Item) {
    properties["item"] = shape_schema(*result.shape);
    return {{"type", "object"}, {"properties", std::move(properties)}, {"required", {"item"}}};
  }
  properties["items"] = {{"type", "array"}, {"items", shape_schema(*result.shape)}};
  properties["next_cursor"] = {{"type", "string"}, {"description", "There is more: pass it as cursor."}};
  if (result.total) properties["total"] = {{"type", "integer"}};
  return {{"type", "object"}, {"properties", std::move(properties)}, {"required", {"items"}}};
}

std::string definition_json(const Tool& tool, const Json& input, const Json& output) {
  const Json annotations = {{"title", tool.title},
                            {"readOnlyHint", tool.hints.read_only},
                            {"destructiveHint", tool.hints.destructive},
                            {"idempotentHint", tool.hints.idempotent},
                            {"openWorldHint", tool.hints.open_world}};
  return core::dump_json({{"name", tool.name},
                          {"title", tool.title},
                          {"description", tool.description},
                          {"inputSchema", input},
                          {"outputSchema", output},
                          {"annotations", annotations}});
}

}  // namespace assistiv::mcp
