#pragma once
// What one version of an agent is: a model, instructions, tools, limits, and a graph, its own or the ready
// one: a single `agent` node. Pure.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agents/definition/definition.h"
#include "core/json.h"

namespace assistiv::agents {

struct AgentSpec {
  std::string instructions;  // template
  std::string model;         // "": none
  std::vector<std::string> fallbacks;
  std::optional<std::vector<std::string>> apps;   // none: any; for the ready graph none at all
  std::optional<std::vector<std::string>> tools;  // full names or patterns; none: any of the apps
  std::optional<std::vector<std::string>> hosts;  // for http nodes; none: any public one
  core::Json limits = core::Json::object();       // as in a document
  core::Json graph;                               // null: the ready one
};

// As in the management API; `graph` is left out when it is null.
core::Json to_json(const AgentSpec& spec);
// The shape of `json` has been checked, limits and graph apart. Members that it does not have are those of
// `base`; null takes a member away.
AgentSpec read_spec(const core::Json& json, AgentSpec base = {});

struct AgentDefinition {
  core::Json document;                  // agentgraph/1
  GraphPtr graph;                       // null when there are faults
  std::vector<DefinitionFault> faults;  // pointers into the agent: "/graph/nodes/a", "/instructions"
};

// `world`: the functions; what is the agent's own comes from the spec.
AgentDefinition read_agent(const AgentSpec& spec, const std::string& slug, DefinitionWorld world);

// Every model that a spec names, sorted, at most 512.
std::vector<std::string> models_named(const AgentSpec& spec);

}  // namespace assistiv::agents
