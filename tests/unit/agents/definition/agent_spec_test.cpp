#include "agents/definition/agent_spec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/json_read.h"
#include "mcp/connectors/catalog.h"

namespace assistiv::agents {
namespace {

using core::Json;

// The apps that come with the server.
DefinitionWorld server_world() {
  static const mcp::Catalog catalog = mcp::Catalog::load(mcp::manifest_files(""));
  DefinitionWorld out;
  out.knows_app = [](std::string_view app) { return catalog.find_app(app) != nullptr; };
  out.knows_tool = [](std::string_view app, std::string_view tool) {
    return catalog.find_tool(std::string(app) + "_" + std::string(tool)) != nullptr;
  };
  out.may_use_model = [](std::string_view model) { return model == "demo"; };
  return out;
}

std::vector<std::string> places(const AgentDefinition& read) {
  std::vector<std::string> out;
  for (const auto& fault : read.faults) out.push_back(fault.pointer + " " + fault.rule);
  std::sort(out.begin(), out.end());
  return out;
}

AgentSpec helper() {
  AgentSpec out;
  out.instructions = "Help ${user.display_name}.";
  out.model = "demo";
  out.apps = {"github"};
  return out;
}

TEST(AgentSpec, TheReadyAgentsOfExamplesAreValid) {
  std::vector<std::string> names;
  const auto folder = std::filesystem::path(ASSISTIV_SOURCE_DIR) / "examples/agents";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    SCOPED_TRACE(entry.path().filename().string());
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const Json body = core::parse_json(text.str());
    const auto read = read_agent(read_spec(body), body.at("slug"), server_world());
    for (const auto& fault : read.faults) ADD_FAILURE() << fault.pointer << " " << fault.message;
    EXPECT_NE(read.graph, nullptr);
    names.push_back(body.at("slug"));
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"research", "supervisor", "tool-loop", "triage"}));
}

TEST(AgentSpec, WithoutAGraphItIsOneNodeWithAToolsetForEachApp) {
  auto spec = helper();
  spec.apps = {"github", "slack"};
  spec.tools = {"github_get_*", "slack_send_message"};
  const auto read = read_agent(spec, "helper", server_world());
  ASSERT_NE(read.graph, nullptr);
  EXPECT_EQ(read.graph->name, "helper");
  EXPECT_EQ(std::get<AgentNode>(read.graph->nodes.at(0).body).tools,
            (std::vector<std::string>{"github", "slack"}));
  EXPECT_EQ(read.graph->tools.at("github").only, std::vector<std::string>{"get_*"});
  EXPECT_EQ(read.graph->tools.at("slack").only, std::vector<std::string>{"send_message"});
  // The document is one that could have been given.
  spec.graph = read.document;
  EXPECT_TRUE(read_agent(spec, "helper", server_world()).faults.empty());
}

TEST(AgentSpec, FaultsOfTheReadyGraphAreThoseOfTheAgent) {
  auto spec = helper();
  spec.instructions = "Help ${user.shoe_size}.";
  spec.apps = {"github", "fax"};
  spec.tools = {"github_get_weather", "slack_send_message"};
  spec.fallbacks = {"demo", "huge"};
  spec.limits = {{"max_tokens", "many"}, {"max_money", 5}};
  EXPECT_EQ(places(read_agent(spec, "helper", server_world())),
            (std::vector<std::string>{"/apps unknown_app", "/apps/1 unknown_app",
                                      "/fallbacks/1 model_not_allowed", "/instructions template",
                                      "/limits/max_money schema", "/limits/max_tokens schema",
                                      "/tools/0 unknown_tool", "/tools/1 unknown_tool"}));
  auto silent = helper();
  silent.model.clear();
  EXPECT_EQ(places(read_agent(silent, "helper", server_world())),
            std::vector<std::string>{"/model unknown_model"});
}

TEST(AgentSpec, IsWrittenAndReadBack) {
  auto spec = helper();
  spec.tools = {"github_*"};
  spec.limits = {{"max_cost_usd", "0.25"}};
  spec.graph = {{"spec", "agentgraph/1"}};
  EXPECT_EQ(to_json(read_spec(to_json(spec))), to_json(spec));
  const auto changed = read_spec({{"tools", nullptr}, {"graph", nullptr}, {"model", "other"}}, spec);
  EXPECT_FALSE(changed.tools.has_value());
  EXPECT_TRUE(changed.graph.is_null());
  EXPECT_EQ(changed.model, "other");
  EXPECT_EQ(changed.apps, std::vector<std::string>{"github"});
}

TEST(AgentSpec, NamesEveryModelOnce) {
  auto spec = helper();
  spec.fallbacks = {"b"};
  spec.graph = {{"models", {{"x", {{"model", "c"}, {"fallbacks", {"b", "d"}}}}, {"y", 5}}}};
  EXPECT_EQ(models_named(spec), (std::vector<std::string>{"b", "c", "d", "demo"}));
}

}  // namespace
}  // namespace assistiv::agents
