#include "agents/definition/state_reader.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "mcp/schema/json_schema.h"

namespace assistiv::agents {

namespace {

using core::Json;

struct ReducerRow {
  Reducer reducer;
  std::array<std::string_view, 2> types;  // that its values may have; none: any
};

constexpr std::array<ReducerRow, 12> kReducerRows = {{{Reducer::Last, {}},
                                                      {Reducer::Messages, {"array"}},
                                                      {Reducer::Append, {"array"}},
                                                      {Reducer::Merge, {"object"}},
                                                      {Reducer::DeepMerge, {"object"}},
                                                      {Reducer::Union, {"array"}},
                                                      {Reducer::Sum, {"number", "integer"}},
                                                      {Reducer::Min, {}},
                                                      {Reducer::Max, {}},
                                                      {Reducer::And, {"boolean"}},
                                                      {Reducer::Or, {"boolean"}},
                                                      {Reducer::Any, {}}}};
constexpr std::array kChannels = {Channel::Durable, Channel::Ephemeral, Channel::Untracked};
constexpr std::array<std::string_view, 4> kKeyMembers = {"x-reducer", "x-channel", "x-max-items", "x-redact"};

void check_type(const StateKey& key, const ReducerRow& row, const std::string& at, Faults& faults) {
  const std::string type =
      key.schema.contains("type") && key.schema.at("type").is_string() ? key.schema.at("type") : Json("");
  const bool fits =
      row.types[0].empty() || std::find(row.types.begin(), row.types.end(), type) != row.types.end();
  if (!fits) {
    faults.add(at + "/x-reducer", "reducer",
               "\"" + std::string(to_string(row.reducer)) + "\" needs \"type\": \"" +
                   std::string(row.types[0]) + "\"");
  }
  if ((row.reducer == Reducer::Min || row.reducer == Reducer::Max) && type != "number" && type != "integer" &&
      type != "string") {
    faults.add(at + "/x-reducer", "reducer",
               "\"" + std::string(to_string(row.reducer)) +
                   "\" needs \"type\": \"number\", \"integer\" or \"string\"");
  }
  if (key.max_items > 0 && type != "array") {
    faults.add(at + "/x-max-items", "reducer", "is for lists: \"type\": \"array\"");
  }
}

void check_default(const StateKey& key, const std::string& at, Faults& faults) {
  if (key.initial.is_null()) return;
  const auto compiled = mcp::JsonSchema::compile(key.schema);
  if (!compiled.schema) return;
  for (const auto& fault : compiled.schema->check(key.initial)) {
    faults.add(at + "/default" + fault.pointer, "schema", fault.message);
  }
}

StateKey read_key(const std::string& name, const Json& json, const std::string& at, Faults& faults) {
  StateKey out;
  out.name = name;
  out.schema = json;
  for (const auto& [member, value] : json.items()) {
    if (!member.starts_with("x-")) continue;
    out.schema.erase(member);
    if (std::find(kKeyMembers.begin(), kKeyMembers.end(), member) == kKeyMembers.end()) {
      faults.add(at + pointer_to(member), "schema",
                 "is unknown; known: x-reducer, x-channel, x-max-items, x-redact");
    }
  }
  const std::string reducer = json.value("x-reducer", "last"), channel = json.value("x-channel", "durable");
  for (const auto one : kChannels) {
    if (to_string(one) == channel) out.channel = one;
  }
  out.max_items = json.value("x-max-items", 0);
  out.redact = json.value("x-redact", false);
  if (json.contains("default")) out.initial = json.at("default");
  check_value_schema(out.schema, at, faults);
  for (const auto& row : kReducerRows) {
    if (to_string(row.reducer) != reducer) continue;
    out.reducer = row.reducer;
    check_type(out, row, at, faults);
  }
  check_default(out, at, faults);
  return out;
}

Json projected_schema(const Graph& graph, const std::vector<std::string>& keys, const Json& required) {
  Json properties = Json::object(), needed = Json::array();
  for (const auto& name : keys) {
    if (const StateKey* key = graph.key(name)) properties[name] = key->schema;
    if (std::find(required.begin(), required.end(), Json(name)) != required.end()) needed.push_back(name);
  }
  Json out = {{"type", "object"}, {"properties", std::move(properties)}};
  if (!needed.empty()) out["required"] = std::move(needed);
  return out;
}

void unknown_key(const std::string& name, const std::string& at, Faults& faults) {
  faults.add(at, "unknown_state_key", "\"" + name + "\" is no key of the state: add it to state/properties");
}

// Keys and schema of `input` or `output`.
std::pair<std::vector<std::string>, Json> read_projection(const Json& json, const char* member,
                                                          const GraphDraft& draft, const Json& required,
                                                          Faults& faults) {
  const Graph& graph = draft.graph;
  std::vector<std::string> keys;
  const std::string at = draft.at + "/" + member;
  const auto found = json.find(member);
  if (found == json.end()) {
    for (const auto& key : graph.state) keys.push_back(key.name);
    return {keys, projected_schema(graph, keys, required)};
  }
  if (found->is_array()) {
    for (std::size_t i = 0; i < found->size(); ++i) {
      keys.push_back((*found)[i]);
      if (graph.key(keys.back()) == nullptr) unknown_key(keys.back(), at + "/" + std::to_string(i), faults);
    }
    return {keys, projected_schema(graph, keys, required)};
  }
  check_value_schema(*found, at, faults);
  if (!found->contains("properties") || !found->at("properties").is_object()) return {keys, *found};
  for (const auto& [name, schema] : found->at("properties").items()) {
    keys.push_back(name);
    if (graph.key(name) == nullptr) unknown_key(name, at + "/properties" + pointer_to(name), faults);
  }
  return {keys, *found};
}

}  // namespace

void check_value_schema(const Json& schema, const std::string& at, Faults& faults) {
  (void)compiled_schema(schema, at, faults);
}

SchemaCheck compiled_schema(const Json& schema, const std::string& at, Faults& faults) {
  auto compiled = mcp::JsonSchema::compile(schema);
  for (const auto& fault : compiled.faults) faults.add(at + fault.pointer, "schema", fault.message);
  return std::move(compiled.schema);
}

void read_state(const Json& json, GraphDraft& draft, Faults& faults) {
  const Json& state = json.at("state");
  for (const auto& [name, key] : state.at("properties").items()) {
    draft.graph.state.push_back(
        read_key(name, key, draft.at + "/state/properties" + pointer_to(name), faults));
  }
  const Json required = state.value("required", Json::array());
  for (std::size_t i = 0; i < required.size(); ++i) {
    if (draft.graph.key(required[i].get_ref<const std::string&>()) == nullptr)
      unknown_key(required[i], draft.at + "/state/required/" + std::to_string(i), faults);
  }
  std::tie(draft.graph.input, draft.graph.input_schema) =
      read_projection(json, "input", draft, required, faults);
  draft.graph.input_check = mcp::JsonSchema::compile(draft.graph.input_schema).schema;
  std::tie(draft.graph.output, draft.graph.output_schema) =
      read_projection(json, "output", draft, Json::array(), faults);
  if (!json.contains("context")) return;
  draft.graph.context_schema = json.at("context");
  draft.graph.context_check = compiled_schema(draft.graph.context_schema, draft.at + "/context", faults);
}

}  // namespace assistiv::agents
