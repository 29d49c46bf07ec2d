// The rules that make a manifest safe and good for agents (docs/connectors.md, "What the loader checks").
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "mcp/connectors/app_tools.h"
#include "mcp/connectors/plan_parser.h"
#include "mcp/tools/accounts.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::array<std::string_view, 27> kInputKeywords = {"type",
                                                             "properties",
                                                             "required",
                                                             "additionalProperties",
                                                             "description",
                                                             "title",
                                                             "enum",
                                                             "const",
                                                             "default",
                                                             "examples",
                                                             "minimum",
                                                             "maximum",
                                                             "multipleOf",
                                                             "exclusiveMinimum",
                                                             "exclusiveMaximum",
                                                             "minLength",
                                                             "maxLength",
                                                             "pattern",
                                                             "format",
                                                             "items",
                                                             "minItems",
                                                             "maxItems",
                                                             "uniqueItems",
                                                             "minProperties",
                                                             "maxProperties",
                                                             "anyOf",
                                                             "propertyNames"};
constexpr std::array<std::string_view, 6> kRootKeywords = {
    "anyOf", "allOf", "oneOf", "dependentRequired", "dependentSchemas", "not"};

bool in_list(const auto& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool has_type(const Json& schema, std::string_view name) {
  const auto type = schema.find("type");
  if (type == schema.end()) return false;
  return type->is_array()
             ? std::any_of(type->begin(), type->end(), [&](const Json& one) { return one == name; })
             : *type == name;
}

void lint_schema(const ManifestNode& node);

void lint_bounds(const ManifestNode& node) {
  const Json& schema = node.json();
  const bool listed = schema.contains("enum") || schema.contains("const");
  if (!schema.contains("type") && !schema.contains("anyOf") && !listed) node.fault("needs a type");
  if (has_type(schema, "string") && !listed && !schema.contains("maxLength")) node.fault("needs maxLength");
  if (has_type(schema, "array")) {
    if (!schema.contains("maxItems")) node.fault("needs maxItems");
    if (!schema.contains("items")) node.fault("needs items");
  }
  if (!has_type(schema, "object")) return;
  const Json& extra = node["additionalProperties"].json();
  const bool open = extra.is_object() && schema.contains("maxProperties");
  if (extra != Json(false) && !open) {
    node.fault("needs additionalProperties: false, or a schema there and maxProperties");
  }
}

void lint_schema(const ManifestNode& node) {
  if (!node.json().is_object()) return node.fault("must be a schema that is an object");
  node.each_member([&](const std::string& name, const ManifestNode& value) {
    if (!in_list(kInputKeywords, name)) value.fault("is a keyword that not every client understands here");
  });
  lint_bounds(node);
  node["properties"].each_member(
      [](const std::string&, const ManifestNode& property) { lint_schema(property); });
  if (node.has("items")) lint_schema(node["items"]);
  if (node["additionalProperties"].json().is_object()) lint_schema(node["additionalProperties"]);
  node["anyOf"].each_item([](const ManifestNode& form) { lint_schema(form); });
}

void lint_property(const std::string& name, const ManifestNode& property) {
  const bool plain = name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  if (!plain || name.empty() || name[0] < 'a' || name.size() > 64)
    property.fault("must have a snake_case name");
  if (in_list(
          std::array<std::string_view, 4>{kLimitArgument, kCursorArgument, kFieldsArgument, kAccountArgument},
          name)) {
    property.fault("is added by the engine");
  }
  property["description"].text(5, 400);
  lint_schema(property);
}

// Every name that a plan reads, with whether it must have a value.
class UsedNames {
 public:
  explicit UsedNames(const ToolPlan& plan) {
    for (const auto& derivation : plan.derive) {
      if (!derivation.from.empty()) add({derivation.from});
      for (const auto& word : derivation.words) add(word.names());
    }
    for (const auto& step : plan.steps) add_request(step);
    for (const auto& [argument, slot] : plan.slot_if) add({argument});
    if (!plan.result.match.empty()) add({plan.result.match});
    add_shape(*plan.result.shape);
  }
  const std::set<std::string>& all() const { return all_; }

 private:
  void add(const std::vector<std::string>& names) { all_.insert(names.begin(), names.end()); }
  void add_request(const Step& step) {
    add(step.request.path.names());
    for (const auto& [name, pattern] : step.request.query) add(pattern.names());
    for (const auto& [name, pattern] : step.request.headers) add(pattern.names());
    if (step.request.body) add(step.request.body->names());
    if (!step.unless.empty()) add({step.unless});
  }
  void add_shape(const Shape& shape) {
    for (const auto& field : shape.fields) {
      for (const auto& name : {field.argument, field.when, field.start_line, field.end_line}) {
        if (!name.empty()) add({name});
      }
      if (field.shape != nullptr) add_shape(*field.shape);
    }
  }
  std::set<std::string> all_;
};

std::set<std::string> connection_names(const oauth::ConnectorSpec& spec) {
  std::set<std::string> out;
  for (const auto& var : spec.vars) {
    out.insert(var.name);
    if (var.values.empty()) continue;
    for (const auto& [member, text] : var.values.begin()->second) out.insert(var.name + "." + member);
  }
  return out;
}

std::set<std::string> names_of(const Json& object) {
  std::set<std::string> out;
  if (!object.is_object()) return out;
  for (const auto& [name, value] : object.items()) out.insert(name);
  return out;
}

// Names that are bound whenever a step runs: required arguments, those with a default, variables, earlier
// results.
std::set<std::string> sure_names(const ManifestNode& node, const ToolPlan& plan,
                                 const std::set<std::string>& variables) {
  std::set<std::string> out = variables;
  for (const auto& required : node["input"]["required"].texts()) out.insert(required);
  for (const auto& [name, value] : plan.default_values) out.insert(name);
  return out;
}

void lint_paths(const ManifestNode& node, const ToolPlan& plan, std::set<std::string> sure) {
  for (const auto& step : plan.steps) {
    for (const auto& name : step.request.path.names()) {
      if (!sure.contains(name) && name != step.request.path.optional_rest()) {
        node.fault("{" + name +
                   "} is in a path and may be missing: require the argument or give it a default");
      }
    }
    for (const auto& [name, pointer] : step.take) sure.insert(name);
  }
}

}  // namespace

void lint_input(const ManifestNode& input) {
  if (!input.json().is_object()) return input.fault("is required: a JSON Schema of type object");
  if (input["type"].json() != "object") input["type"].fault("must be \"object\"");
  if (input["additionalProperties"].json() != Json(false))
    input["additionalProperties"].fault("must be false");
  if (!input["properties"].json().is_object()) input["properties"].fault("is required: an object");
  input.each_member([&](const std::string& name, const ManifestNode& value) {
    if (!in_list(kInputKeywords, name) && !in_list(kRootKeywords, name))
      value.fault("is not allowed at the root");
  });
  if (input["properties"].json().is_object()) input["properties"].each_member(lint_property);
  for (const auto& name : input["required"].texts()) {
    if (!input["properties"].has(name))
      input["required"].fault("\"" + name + "\" is not one of the properties");
  }
}

void lint_hints(const ManifestNode& node, const Tool& tool, const ToolPlan& plan) {
  const auto hints = node["hints"];
  const bool safe =
      std::all_of(plan.steps.begin(), plan.steps.end(), [](const Step& step) { return step.request.safe; });
  if (tool.hints.read_only != safe && !plan.steps.empty()) {
    hints["readOnly"].fault(
        safe ? "must be true: the request changes nothing (else state \"safe\": false there)"
             : "must be false: the request may change something (else state \"safe\": true there)");
  }
  if (tool.hints.read_only && tool.hints.destructive)
    hints["destructive"].fault("must be false for a tool that only reads");
  if (tool.hints.read_only && !tool.hints.idempotent)
    hints["idempotent"].fault("must be true for a tool that only reads");
  if ((tool.risk == Risk::Read) != tool.hints.read_only)
    node["risk"].fault("must be \"read\" exactly when readOnly is true");
  if (tool.risk == Risk::Destructive && !tool.hints.destructive) {
    hints["destructive"].fault("must be true for the risk \"destructive\"");
  }
  if (plan.paginator && plan.result.kind != ResultPlan::Kind::Items)
    node["paginate"].fault("needs result.items");
  if (plan.paginator && !plan.steps.empty() && !plan.steps.back().request.safe) {
    node["paginate"].fault("needs a request that changes nothing");
  }
}

void lint_names(const ManifestNode& node, const ToolPlan& plan, const ManifestParts& parts) {
  const auto arguments = names_of(node["input"]["properties"].json());
  const auto variables = connection_names(parts.api->spec);
  std::set<std::string> known = variables;
  known.insert("call_id");
  for (const auto& name : arguments) {
    if (!known.insert(name).second)
      node["input"]["properties"][name].fault("has the name of a connection's variable");
  }
  const auto add = [&](const std::string& name, const ManifestNode& where) {
    if (variables.contains(name)) where.fault("{" + name + "} is a connection's variable already");
    known.insert(name);
  };
  for (const auto& derivation : plan.derive) add(derivation.name, node["derive"]);
  for (const auto& step : plan.steps) {
    for (const auto& [name, pointer] : step.take) add(name, node["steps"]);
  }
  const UsedNames used(plan);
  for (const auto& name : used.all()) {
    if (!known.contains(name) && parts.spec_is_good) node.fault("{" + name + "} is not declared");
  }
  for (const auto& name : arguments) {
    if (!used.all().contains(name)) node["input"]["properties"][name].fault("is used nowhere");
  }
  if (parts.spec_is_good) {
    auto sure = sure_names(node, plan, variables);
    for (const auto& derivation : plan.derive) sure.insert(derivation.name);
    lint_paths(node, plan, std::move(sure));
  }
}

}  // namespace assistiv::mcp
