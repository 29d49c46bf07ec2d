#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/connectors/app_tools.h"
#include "mcp/connectors/plan_parser.h"
#include "oauth/connect/connector_lint.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::size_t kDescriptionMax = 1024;
constexpr std::size_t kStepsMax = 3;

RequestPlan parse_request(const ManifestNode& node, Encoding otherwise) {
  RequestPlan out;
  out.method = node["method"].choice({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"});
  node["path"].guard([&] { out.path = PathPattern::parse(node["path"].text(1, 500)); });
  out.query = parse_patterns(node["query"]);
  out.headers = parse_patterns(node["headers"]);
  node["headers"].each_member([](const std::string& name, const ManifestNode& value) {
    if (!oauth::is_manifest_header(name))
      value.fault("is not a header's plain name, or is one of HTTP's own");
  });
  if (const auto body = node["body"]) {
    body.guard([&] { out.body = JsonPattern::parse(body.json(), ""); });
  }
  const auto encoding =
      node["encoding"].choice({"json", "form"}, otherwise == Encoding::Form ? "form" : "json");
  out.encoding = encoding == "form" ? Encoding::Form : Encoding::Json;
  const bool reads = out.method == "GET" || out.method == "HEAD";
  out.safe = node["safe"].boolean(reads);
  if (reads && out.body) node["body"].fault("does not go with " + out.method);
  return out;
}

Step parse_step(const ManifestNode& node, Encoding encoding) {
  node.only({"method", "path", "query", "headers", "body", "encoding", "safe", "unless", "take"});
  Step step;
  step.request = parse_request(node, encoding);
  step.unless = node["unless"].optional_text(64);
  node["take"].each_member([&](const std::string& name, const ManifestNode& pointer) {
    step.take.emplace_back(name, pointer.pointer_value());
  });
  return step;
}

std::vector<Step> parse_steps(const ManifestNode& node, Encoding encoding) {
  std::vector<Step> out;
  if (node.has("steps") == node.has("request")) {
    node.fault("must have either \"request\" or \"steps\"");
    return out;
  }
  if (node.has("request")) {
    out.push_back(parse_step(node["request"], encoding));
  } else {
    node["steps"].each_item([&](const ManifestNode& step) { out.push_back(parse_step(step, encoding)); });
  }
  if (out.empty() || out.size() > kStepsMax) {
    node["steps"].fault("must have 1 to " + std::to_string(kStepsMax) + " steps");
    out.resize(std::min(out.size(), kStepsMax));
  }
  for (std::size_t i = 0; i + 1 < out.size(); ++i) {
    if (!out[i].request.safe) node["steps"].fault("only the last step may change anything");
  }
  return out;
}

Derivation parse_derivation(const std::string& name, const ManifestNode& value) {
  value.only({"base64", "words", "replace", "in", "given", "value", "objects", "member", "joined"});
  Derivation out;
  out.name = name;
  int kinds = 0;
  for (const char* kind : {"base64", "words", "replace", "given", "objects", "joined"}) {
    kinds += value.has(kind) ? 1 : 0;
  }
  if (kinds != 1) {
    value.fault("must have one of \"base64\", \"words\", \"replace\", \"given\", \"objects\" and \"joined\"");
  } else if (value.has("base64")) {
    out.from = value["base64"].text(1, 64);
  } else if (value.has("words")) {
    out.kind = Derivation::Kind::Words;
    value["words"].each_item([&](const ManifestNode& word) {
      word.guard([&] { out.words.push_back(TextPattern::parse(word.text(1, 200))); });
    });
  } else if (value.has("replace")) {
    out.kind = Derivation::Kind::Replace;
    out.from = value["in"].text(1, 64);
    value["replace"].each_member([&](const std::string& part, const ManifestNode& by) {
      if (part.empty()) by.fault("must replace something");
      out.replacements.emplace_back(part, by.optional_text(100));
    });
  } else if (value.has("objects")) {
    out.kind = Derivation::Kind::Objects;
    out.from = value["objects"].text(1, 64);
    out.member = value["member"].text(1, 64);
  } else if (value.has("joined")) {
    out.kind = Derivation::Kind::Joined;
    out.from = value["joined"].text(1, 64);
  } else {
    out.kind = Derivation::Kind::Given;
    out.from = value["given"].text(1, 64);
    out.value_json = core::dump_json(value["value"].json());
    if (!value.has("value")) value["value"].fault("is required");
  }
  return out;
}

// `slot` and `slot_if`: which credential.
void parse_slots(const ManifestNode& node, const ManifestParts& parts, ToolPlan& plan) {
  const auto check = [&parts](const ManifestNode& where, const std::string& slot) {
    if (parts.spec_is_good && !parts.api->spec.oauth.slots.contains(slot))
      where.fault("is not one of oauth.slots");
  };
  plan.slot = node["slot"].optional_text(40, "main");
  check(node["slot"], plan.slot);
  node["slot_if"].each_member([&](const std::string& argument, const ManifestNode& slot) {
    plan.slot_if.emplace_back(argument, slot.text(1, 40));
    check(slot, plan.slot_if.back().second);
    if (node["input"]["properties"][argument]["type"].json() != "boolean")
      slot.fault("\"" + argument + "\" is no boolean argument");
  });
}

std::vector<Derivation> parse_derivations(const ManifestNode& node) {
  std::vector<Derivation> out;
  node.each_member([&](const std::string& name, const ManifestNode& value) {
    out.push_back(parse_derivation(name, value));
  });
  return out;
}

ResultPlan parse_result(const ManifestNode& node, ShapeTable& shapes) {
  node.only({"item", "items", "shape", "total", "leave_out", "matching"});
  ResultPlan out;
  if (node.has("item") == node.has("items"))
    node.fault("must have either \"item\" or \"items\": where it is in the response");
  out.kind = node.has("items") ? ResultPlan::Kind::Items : ResultPlan::Kind::Item;
  out.at = node[out.kind == ResultPlan::Kind::Items ? "items" : "item"].pointer_value();
  out.total = node["total"].optional_pointer();
  out.leave_out = node["leave_out"].optional_pointer();
  if (const auto matching = node["matching"]) {
    matching.only({"argument", "at"});
    out.match = matching["argument"].text(1, 64);
    out.match_at = matching["at"].pointer_value();
    if (out.kind != ResultPlan::Kind::Items) matching.fault("goes with \"items\"");
  }
  out.shape = shapes.shape(node["shape"]);
  return out;
}

std::vector<std::vector<std::string>> parse_scopes(const ManifestNode& node, const ManifestParts& parts) {
  std::vector<std::vector<std::string>> out;
  if (!node) return out;
  node.only({"any"});
  node["any"].each_item([&](const ManifestNode& set) {
    out.push_back(set.texts());
    for (const auto& scope : out.back()) {
      const bool known = !parts.spec_is_good || parts.api->spec.oauth.scope.titles.contains(scope);
      if (!known) set.fault("\"" + scope + "\" is not one of oauth.scope.titles");
    }
  });
  return out;
}

Hints parse_hints(const ManifestNode& node) {
  node.only({"readOnly", "destructive", "idempotent", "openWorld"});
  return {node["readOnly"].boolean(), node["destructive"].boolean(), node["idempotent"].boolean(),
          node["openWorld"].boolean()};
}

std::string parse_tool_name(const ManifestNode& node, const std::string& app) {
  const auto name = node.text(1, 48);
  const bool plain = name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  if (!name.empty() && (!plain || !name.starts_with(app + "_"))) {
    node.fault("must be \"" + app + "_\" and lowercase letters, digits and \"_\", at most 48 in all");
  }
  return name;
}

void parse_defaults(const ManifestNode& input, ToolPlan& plan) {
  const Json& properties = input["properties"].json();
  if (!properties.is_object()) return;
  for (const auto& [name, schema] : properties.items()) {
    if (!schema.is_object() || !schema.contains("default")) continue;
    plan.default_values.emplace(name, core::dump_json(schema["default"]));
    const auto compiled = JsonSchema::compile(schema);
    if (compiled.schema == nullptr) continue;  // reported with the whole input
    const auto faults = compiled.schema->check(schema["default"]);
    if (!faults.empty()) input["properties"][name]["default"].fault(describe(faults));
  }
}

std::optional<Paginator> parse_tool_paginator(const ManifestNode& node, const ManifestParts& parts) {
  if (!node) return {};
  const auto name = node.text(1, 64);
  const auto it = parts.paginators.find(name);
  if (it != parts.paginators.end()) return it->second;
  if (!name.empty()) node.fault("is not one of \"paginators\"");
  return {};
}

// Compiles both schemas and finishes the definition.
void publish_tool(const ManifestNode& node, Tool& tool, const ToolPlan& plan) {
  const auto input = node["input"];
  if (!input.json().is_object() || !input["properties"].json().is_object()) return;  // reported by lint_input
  const Json full = full_input_schema(input.json(), plan, tool.hints);
  auto compiled = JsonSchema::compile(full, Formats::Assert);
  for (const auto& fault : compiled.faults) input.fault_at(fault.pointer, fault.message);
  tool.input = std::move(compiled.schema);
  const Json output = output_schema(plan.result);
  tool.output = JsonSchema::compile(output).schema;
  tool.definition_json = definition_json(tool, portable_input_schema(full), output);
}

}  // namespace

Tool parse_tool(const ManifestNode& node, ManifestParts& parts) {
  node.only({"name", "title", "description", "group", "risk", "hints", "scopes", "slot", "slot_if", "input",
             "derive", "request", "steps", "paginate", "result", "ok", "success_codes"});
  Tool tool;
  tool.app = parts.app;
  tool.name = parse_tool_name(node["name"], parts.app);
  tool.title = node["title"].text(1, 80);
  tool.description = node["description"].text(20, kDescriptionMax);
  tool.group = node["group"].text(1, 40);
  tool.risk = parse_risk(node["risk"].choice({"read", "write", "outbound", "destructive"}))
                  .value_or(Risk::Destructive);
  tool.hints = parse_hints(node["hints"]);
  tool.scopes_any = parse_scopes(node["scopes"], parts);
  auto plan = std::make_shared<ToolPlan>();
  plan->api = parts.api;
  parse_slots(node, parts, *plan);
  plan->derive = parse_derivations(node["derive"]);
  plan->steps = parse_steps(node, parts.api->encoding);
  plan->paginator = parse_tool_paginator(node["paginate"], parts);
  plan->result = parse_result(node["result"], parts.shapes);
  if (node.has("ok")) plan->ok = parse_ok(node["ok"]);
  plan->success_codes = node["success_codes"].texts();
  parse_defaults(node["input"], *plan);
  lint_input(node["input"]);
  lint_hints(node, tool, *plan);
  lint_names(node, *plan, parts);
  publish_tool(node, tool, *plan);
  tool.plan = std::move(plan);
  return tool;
}

}  // namespace assistiv::mcp
