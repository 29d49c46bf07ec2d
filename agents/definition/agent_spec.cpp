#include "agents/definition/agent_spec.h"

#include <algorithm>
#include <set>
#include <utility>

#include "agents/definition/published_schema.h"
#include "core/json_pointer.h"

namespace assistiv::agents {

namespace {

using core::Json;

constexpr std::size_t kModelsNamedMax = 512;

using Names = std::optional<std::vector<std::string>>;

Json names_json(const Names& names) {
  return names ? Json(*names) : Json();
}

// `spec` as the tools of a document: a set for each app.
Json ready_tools(const AgentSpec& spec) {
  Json out = Json::object();
  for (const auto& app : spec.apps.value_or(std::vector<std::string>())) {
    out[app] = {{"connector", app}, {"allow", {"*"}}};
  }
  return out;
}

Json ready_graph(const AgentSpec& spec, const std::string& slug) {
  Json tools = ready_tools(spec), aliases = Json::array();
  for (const auto& [alias, tool] : tools.items()) aliases.push_back(alias);
  const Json messages = {
      {"type", "array"}, {"items", {{"type", "object"}}}, {"x-reducer", "messages"}, {"x-max-items", 1000}};
  return {
      {"spec", "agentgraph/1"},
      {"name", slug},
      {"state", {{"type", "object"}, {"properties", {{"messages", messages}}}}},
      {"tools", std::move(tools)},
      {"nodes", {{"agent", {{"type", "agent"}, {"messages", "messages"}, {"tools", std::move(aliases)}}}}},
      {"edges", {{{"from", kStart}, {"to", "agent"}}}}};
}

// Where in the agent a fault of its ready graph is.
std::string ready_pointer(const std::string& pointer) {
  if (pointer.starts_with("/nodes/agent/instructions")) return "/instructions";
  if (pointer.starts_with("/tools")) return "/apps";
  return pointer == "/nodes/agent" ? "/model" : "";
}

std::string own_pointer(const AgentSpec& spec, const std::string& pointer) {
  return spec.graph.is_null() ? ready_pointer(pointer) : "/graph" + pointer;
}

void check_models(const AgentSpec& spec, const DefinitionWorld& world, std::vector<DefinitionFault>& faults) {
  const auto check = [&](const std::string& model, const std::string& at) {
    if (model.empty() || !world.may_use_model || world.may_use_model(model)) return;
    faults.push_back(
        {at, "model_not_allowed",
         "\"" + model + "\" is no model that this platform can call: GET /v1/models lists them"});
  };
  check(spec.model, "/model");
  for (std::size_t i = 0; i < spec.fallbacks.size(); ++i)
    check(spec.fallbacks[i], "/fallbacks/" + std::to_string(i));
  if (spec.model.empty() && !spec.fallbacks.empty())
    faults.push_back({"/fallbacks", "unknown_model", "fall back from nothing: give \"model\", too"});
}

void check_tools(const AgentSpec& spec, const DefinitionWorld& world, std::vector<DefinitionFault>& faults) {
  const auto apps = spec.apps.value_or(std::vector<std::string>());
  for (std::size_t i = 0; world.knows_app && i < apps.size(); ++i) {
    if (world.knows_app(apps[i])) continue;
    faults.push_back({"/apps/" + std::to_string(i), "unknown_app",
                      "there is no app \"" + apps[i] + "\": GET /v1/mcp/catalog lists them"});
  }
  const auto tools = spec.tools.value_or(std::vector<std::string>());
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const auto app = std::find_if(apps.begin(), apps.end(),
                                  [&](const std::string& one) { return tools[i].starts_with(one + "_"); });
    const std::string at = "/tools/" + std::to_string(i);
    if (app == apps.end()) {
      if (spec.apps && tools[i] != "*")
        faults.push_back({at, "unknown_tool", "\"" + tools[i] + "\" is of none of the agent's \"apps\""});
    } else if (world.knows_tool && tools[i].find('*') == std::string::npos &&
               !world.knows_tool(*app, tools[i].substr(app->size() + 1))) {
      faults.push_back({at, "unknown_tool", "there is no tool \"" + tools[i] + "\""});
    }
  }
}

void check_limits(const AgentSpec& spec, std::vector<DefinitionFault>& faults) {
  for (const auto& fault : schema_faults(spec.limits, "limits"))
    faults.push_back({"/limits" + fault.pointer, fault.rule, fault.message});
}

template <class T>
void take(const Json& json, const char* member, T& into, const T& standard) {
  const auto found = json.find(member);
  if (found == json.end()) return;
  into = found->is_null() ? standard : found->get<T>();
}

void take_names(const Json& json, const char* member, Names& into) {
  const auto found = json.find(member);
  if (found == json.end()) return;
  into = found->is_null() ? Names() : Names(found->get<std::vector<std::string>>());
}

void add_models(const Json& alias, std::set<std::string>& into) {
  if (!alias.is_object()) return;
  const auto add = [&](const Json& name) {
    if (name.is_string() && into.size() < kModelsNamedMax) into.insert(name.get<std::string>());
  };
  if (alias.contains("model")) add(alias.at("model"));
  if (!alias.contains("fallbacks") || !alias.at("fallbacks").is_array()) return;
  for (const auto& name : alias.at("fallbacks")) add(name);
}

}  // namespace

Json to_json(const AgentSpec& spec) {
  Json out = {{"instructions", spec.instructions},
              {"model", spec.model.empty() ? Json() : Json(spec.model)},
              {"fallbacks", spec.fallbacks},
              {"apps", names_json(spec.apps)},
              {"tools", names_json(spec.tools)},
              {"hosts", names_json(spec.hosts)},
              {"limits", spec.limits}};
  if (!spec.graph.is_null()) out["graph"] = spec.graph;
  return out;
}

AgentSpec read_spec(const Json& json, AgentSpec base) {
  AgentSpec out = std::move(base);
  take(json, "instructions", out.instructions, std::string());
  take(json, "model", out.model, std::string());
  take(json, "fallbacks", out.fallbacks, std::vector<std::string>());
  take_names(json, "apps", out.apps);
  take_names(json, "tools", out.tools);
  take_names(json, "hosts", out.hosts);
  take(json, "limits", out.limits, Json(Json::object()));
  take(json, "graph", out.graph, Json());
  return out;
}

AgentDefinition read_agent(const AgentSpec& spec, const std::string& slug, DefinitionWorld world) {
  AgentDefinition out;
  check_models(spec, world, out.faults);
  check_tools(spec, world, out.faults);
  check_limits(spec, out.faults);
  world.apps = spec.apps;
  world.tools = spec.tools;
  world.hosts = spec.hosts;
  world.model = spec.model;
  world.fallbacks = spec.fallbacks;
  world.instructions = spec.instructions;
  if (out.faults.empty()) world.ceiling = read_limits(spec.limits, no_limits());
  out.document = spec.graph.is_null() ? ready_graph(spec, slug) : spec.graph;
  auto read = read_definition(out.document, world);
  for (auto& fault : read.faults) {
    fault.pointer = own_pointer(spec, fault.pointer);
    out.faults.push_back(std::move(fault));
  }
  if (out.faults.size() > kDefinitionFaultsMax) out.faults.resize(kDefinitionFaultsMax);
  if (out.faults.empty()) out.graph = std::move(read.graph);
  return out;
}

std::vector<std::string> models_named(const AgentSpec& spec) {
  std::set<std::string> out(spec.fallbacks.begin(), spec.fallbacks.end());
  if (!spec.model.empty()) out.insert(spec.model);
  if (spec.graph.is_object() && spec.graph.contains("models") && spec.graph.at("models").is_object()) {
    for (const auto& alias : spec.graph.at("models")) add_models(alias, out);
  }
  return {out.begin(), out.end()};
}

}  // namespace assistiv::agents
