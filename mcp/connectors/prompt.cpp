#include "mcp/connectors/prompt.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "mcp/connectors/catalog.h"
#include "mcp/connectors/manifest_node.h"
#include "mcp/tools/accounts.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kAppPromptsMax = 20;
constexpr std::size_t kPromptArgumentsMax = 8;
constexpr std::size_t kPromptLinesMax = 30;
constexpr std::size_t kPromptLineMax = 600;
constexpr std::size_t kPromptValuesMax = 50;
constexpr std::string_view kPlainName = "abcdefghijklmnopqrstuvwxyz0123456789_";

PromptArgument parse_prompt_argument(const ManifestNode& node) {
  node.only({"name", "description", "required", "values"});
  PromptArgument out;
  out.name = node["name"].text(1, 40);
  if (out.name.find_first_not_of(kPlainName) != std::string::npos)
    node["name"].fault("must be lowercase letters, digits and \"_\"");
  if (out.name == kAccountArgument) node["name"].fault("is added where the user has several accounts");
  out.description = node["description"].text(3, 200);
  out.required = node["required"].boolean(false);
  out.values = node["values"].texts(kPromptValuesMax, 100);
  return out;
}

void parse_prompt_lines(const ManifestNode& node, Prompt& prompt) {
  std::set<std::string> used;
  bool always = false;
  node.each_item([&](const ManifestNode& line) {
    const std::string text = line.text(1, kPromptLineMax);
    line.guard([&] {
      prompt.lines.push_back(TextPattern::parse(text));
      bool certain = true;
      for (const auto& name : prompt.lines.back().names()) {
        const PromptArgument* argument = prompt.find_argument(name);
        if (argument == nullptr) line.fault("{" + name + "} is no argument of this prompt");
        certain = certain && argument != nullptr && argument->required;
        used.insert(name);
      }
      always = always || certain;
    });
  });
  if (prompt.lines.size() > kPromptLinesMax) node.fault("must have at most 30 lines");
  if (!always) node.fault("needs a line that is always there");
  for (const auto& argument : prompt.arguments) {
    if (!used.contains(argument.name)) node.fault("does not use the argument \"" + argument.name + "\"");
  }
}

Prompt parse_prompt(const ManifestNode& node, const App& app) {
  node.only({"name", "title", "description", "tools", "arguments", "text"});
  Prompt out;
  out.name = node["name"].text(1, 48);
  if (!out.name.starts_with(app.id + "_") || out.name.find_first_not_of(kPlainName) != std::string::npos)
    node["name"].fault("must be \"" + app.id +
                       "_\" and lowercase letters, digits and \"_\", at most 48 in all");
  out.title = node["title"].text(1, 80);
  out.description = node["description"].text(10, 400);
  out.tools = node["tools"].texts();
  if (out.tools.empty()) node["tools"].fault("must name the tools that the prompt needs");
  for (const auto& tool : out.tools) {
    if (app.find_tool(tool) == nullptr) node["tools"].fault("\"" + tool + "\" is no tool of this app");
  }
  std::set<std::string> names;
  node["arguments"].each_item([&](const ManifestNode& argument) {
    out.arguments.push_back(parse_prompt_argument(argument));
    if (!names.insert(out.arguments.back().name).second) argument["name"].fault("is there twice");
  });
  if (out.arguments.size() > kPromptArgumentsMax) node["arguments"].fault("must have at most 8 items");
  parse_prompt_lines(node["text"], out);
  return out;
}

}  // namespace

const PromptArgument* Prompt::find_argument(const std::string& argument) const {
  const auto it = std::find_if(arguments.begin(), arguments.end(),
                               [&argument](const PromptArgument& a) { return a.name == argument; });
  return it == arguments.end() ? nullptr : &*it;
}

std::vector<Prompt> parse_prompts(const ManifestNode& node, const App& app) {
  std::vector<Prompt> out;
  std::set<std::string> names;
  node.each_item([&](const ManifestNode& one) {
    if (out.size() == kAppPromptsMax) return one.fault("is one too many: at most 20");
    out.push_back(parse_prompt(one, app));
    if (!names.insert(out.back().name).second) one["name"].fault("is there twice");
  });
  return out;
}

std::vector<Prompt> prompts_of(const App& app) {
  if (!app.document || !app.document->is_object()) return {};
  const auto found = app.document->find("prompts");
  if (found == app.document->end()) return {};
  std::vector<ManifestFault> faults;  // none: it was linted when the app was loaded
  return parse_prompts(ManifestNode(*app.document, app.manifest_file, faults)["prompts"], app);
}

}  // namespace assistiv::mcp
