#pragma once
// The prompts of a manifest (docs/connectors.md, "Prompts"): what to ask an agent to do with the app's tools,
// as data.
#include <string>
#include <vector>

#include "mcp/connectors/template.h"

namespace assistiv::mcp {

class ManifestNode;
struct App;

struct PromptArgument {
  std::string name, description;
  bool required = false;
  std::vector<std::string> values;  // what it can be; empty: any text
};

struct Prompt {
  std::string name;  // unique over all apps: it begins with the app's id
  std::string title, description;
  std::vector<std::string> tools;  // of the app: without one of them the prompt is of no use
  std::vector<PromptArgument> arguments;
  std::vector<TextPattern> lines;  // one of which a name is absent is left out

  const PromptArgument* find_argument(const std::string& argument) const;
};

inline constexpr std::size_t kPromptTextMax = 4000;  // characters of an argument

// `node` is the manifest's member "prompts", `app` what else it says; faults go to the node.
std::vector<Prompt> parse_prompts(const ManifestNode& node, const App& app);
// Those of an app in service. Few, and read anew: its manifest is the one place that has them.
std::vector<Prompt> prompts_of(const App& app);

}  // namespace assistiv::mcp
