#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "mcp/connectors/plan_parser.h"

namespace assistiv::mcp {

namespace {

constexpr int kShapeDepth = 6;

ShapeField::Type shape_type(const ManifestNode& node) {
  const auto name = node.choice(
      {"string", "integer", "number", "boolean", "strings", "object", "list", "one", "text"}, "string");
  if (name == "integer") return ShapeField::Type::Integer;
  if (name == "number") return ShapeField::Type::Number;
  if (name == "boolean") return ShapeField::Type::Boolean;
  if (name == "strings") return ShapeField::Type::Strings;
  if (name == "object") return ShapeField::Type::Object;
  if (name == "list") return ShapeField::Type::List;
  if (name == "one") return ShapeField::Type::One;
  return name == "text" ? ShapeField::Type::Text : ShapeField::Type::String;
}

void read_source(const ManifestNode& node, ShapeField& field) {
  const int sources = (node.has("from") ? 1 : 0) + (node.has("exists") ? 1 : 0) +
                      (node.has("argument") ? 1 : 0) + (node.has("value") ? 1 : 0);
  if (sources > 1) return node.fault("must have one of from, exists, argument and value");
  if (node.has("exists")) {
    field.source = ShapeField::Source::Exists;
    field.from = node["exists"].pointer_value();
    if (field.type != ShapeField::Type::Boolean) node["type"].fault("must be boolean with \"exists\"");
  } else if (node.has("argument")) {
    field.source = ShapeField::Source::Argument;
    field.argument = node["argument"].text(1, 64);
  } else if (node.has("value")) {
    field.source = ShapeField::Source::Value;
    field.value_json = core::dump_json(node["value"].json());
  } else if (node.has("from")) {
    field.from = node["from"].pointer_value();
  } else {
    field.from = Pointer::parse("/" + field.name).value_or(Pointer());
  }
}

}  // namespace

std::shared_ptr<const Shape> ShapeTable::shape(const ManifestNode& node, int depth) {
  if (depth > kShapeDepth) {
    node.fault("is nested too deep, or uses itself");
    return std::make_shared<Shape>();
  }
  if (!node.json().is_string()) return read(node, depth);
  const auto name = node.json().get<std::string>();
  if (const auto known = known_.find(name); known != known_.end()) return known->second;
  if (!shapes_.has(name)) {
    node.fault("is not one of \"shapes\"");
    return std::make_shared<Shape>();
  }
  auto out = read(shapes_[name], depth);
  known_.emplace(name, out);
  return out;
}

std::shared_ptr<const Shape> ShapeTable::read(const ManifestNode& node, int depth) {
  auto out = std::make_shared<Shape>();
  if (!node.json().is_object() || node.json().empty())
    node.fault("must be an object of fields, or the name of a shape");
  if (node.json().is_object()) {
    node.each_member([&](const std::string& name, const ManifestNode& value) {
      out->fields.push_back(field(name, value, depth));
    });
  }
  return out;
}

ShapeField ShapeTable::field(const std::string& name, const ManifestNode& node, int depth) {
  ShapeField field;
  field.name = name;
  if (node.json().is_string()) {
    field.type = shape_type(node);
    field.from = Pointer::parse("/" + name).value_or(Pointer());
    if (field.type == ShapeField::Type::List || field.type == ShapeField::Type::One)
      node.fault("needs a shape");
    return field;
  }
  node.only(
      {"type", "from", "exists", "argument", "value", "each", "shape", "when", "clip", "lines", "about"});
  field.type = shape_type(node["type"]);
  read_source(node, field);
  field.each = node["each"].pointer_value();
  field.when = node["when"].optional_text(64);
  field.clip = static_cast<std::size_t>(node["clip"].integer(1, 100'000, 0));
  field.about = node["about"].optional_text(200);
  const auto lines = node["lines"].texts(2, 64);
  if (!lines.empty() && (lines.size() != 2 || field.type != ShapeField::Type::Text)) {
    node["lines"].fault("must name the arguments with the first and the last line, for the type text");
  } else if (!lines.empty()) {
    field.start_line = lines[0];
    field.end_line = lines[1];
  }
  const bool nested = field.type == ShapeField::Type::List || field.type == ShapeField::Type::One;
  if (nested) field.shape = shape(node["shape"], depth + 1);
  if (!nested && node.has("shape")) node["shape"].fault("belongs to the types list and one");
  return field;
}

}  // namespace assistiv::mcp
