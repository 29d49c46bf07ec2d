#pragma once
// Reading a document of agentgraph/1: its shape against the published JSON Schema, then what the schema
// cannot say (docs/agents.md, "Checks"). Pure but for what the world's functions do. A document is written by
// a stranger: everything is bounded, and reading it costs no more than its size says.
#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/definition/graph.h"
#include "core/json.h"

namespace assistiv::agents {

inline constexpr std::size_t kDefinitionBytesMax = 1 << 20;
inline constexpr std::size_t kDefinitionFaultsMax = 50;
inline constexpr std::size_t kDefinitionNodesMax = 512;   // subgraphs included
inline constexpr std::size_t kDefinitionEdgesMax = 4096;  // pairs of nodes, subgraphs included
inline constexpr int kMapDepthMax = 2;                    // maps inside maps
inline constexpr std::string_view kDefaultModel = "default";

// What is wrong, where (a JSON pointer into the document), and what to do about it.
struct DefinitionFault {
  std::string pointer;
  std::string rule;  // "schema", "unknown_target", ...: the table of docs/agents.md
  std::string message;
};

// What a document is checked against. A function or list that is absent checks nothing.
struct DefinitionWorld {
  std::function<bool(std::string_view app)> knows_app;
  std::function<bool(std::string_view app, std::string_view tool)> knows_tool;  // without the app's prefix
  std::function<bool(std::string_view model)> may_use_model;
  // The graph of another agent's version; null when there is none.
  std::function<GraphPtr(const std::string& slug, int version)> agent_graph;
  // The agent's own.
  std::optional<std::vector<std::string>> apps;
  std::optional<std::vector<std::string>> tools;  // full names or patterns: "github_*"
  std::optional<std::vector<std::string>> hosts;  // that http nodes may call: "api.acme.com", "*.acme.com"
  std::string model;                              // "": none
  std::vector<std::string> fallbacks;
  std::string instructions;  // template; of nodes without any
  std::optional<Limits> ceiling;
  bool loopback_http = false;  // for tests and development: http nodes may call 127.0.0.1 without TLS
};

struct Definition {
  GraphPtr graph;  // null when there are faults
  std::vector<DefinitionFault> faults;
};

// Never throws for what the document says.
Definition read_definition(const core::Json& document, const DefinitionWorld& world);

// `limits` of a document, whose shape has been checked; members that it does not have are those of `base`.
Limits read_limits(const core::Json& object, Limits base = {});
Limits no_limits();  // the widest that the schema allows
// The lower of each.
Limits tighter(const Limits& a, const Limits& b);

// The "agent:<slug>@<version>" of a document that may be anything.
struct AgentReference {
  std::string slug;
  int version = 0;
  auto operator<=>(const AgentReference&) const = default;
};
std::optional<AgentReference> parse_agent_reference(std::string_view text);
std::vector<AgentReference> agent_references(const core::Json& document);  // sorted, at most 64

}  // namespace assistiv::agents
