#include "agents/definition/definition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "agents/definition/published_schema.h"
#include "agents/definition/toolset.h"
#include "core/json_read.h"

namespace assistiv::agents {
namespace {

using core::Json;

const std::filesystem::path kFolder =
    std::filesystem::path(ASSISTIV_SOURCE_DIR) / "tests/unit/agents/definition";

Json file(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return core::parse_json(text.str());
}

Json base() {
  return file(kFolder / "base.json");
}

// An agent that may use GitHub alone; three tools and one model are known.
DefinitionWorld some_world() {
  DefinitionWorld out;
  out.knows_app = [](std::string_view app) { return app == "github" || app == "slack"; };
  out.knows_tool = [](std::string_view app, std::string_view tool) {
    return app == "slack" || tool == "get_issue" || tool == "create_issue" || tool == "merge_pull_request";
  };
  out.may_use_model = [](std::string_view model) { return model == "gpt-small"; };
  out.agent_graph = [](const std::string&, int) { return GraphPtr(); };
  out.apps = {"github"};
  out.hosts = {"api.acme.com", "*.acme.org"};
  return out;
}

std::string told(const std::vector<DefinitionFault>& faults) {
  std::string out;
  for (const auto& fault : faults) out += "\n  " + fault.pointer + " [" + fault.rule + "] " + fault.message;
  return out;
}

Definition read(const Json& document) {
  return read_definition(document, some_world());
}

// `base` with the patch, which must be valid.
GraphPtr good(const Json& patch) {
  Json document = base();
  document.merge_patch(patch);
  auto read_back = read(document);
  EXPECT_TRUE(read_back.faults.empty()) << told(read_back.faults);
  return read_back.graph;
}

TEST(Definition, TheBaseOfTheBadExamplesIsGood) {
  const auto graph = good(Json::object());
  ASSERT_NE(graph, nullptr);
  EXPECT_EQ(graph->name, "base");
  EXPECT_EQ(graph->nodes.size(), 4U);
  EXPECT_EQ(graph->node("work")->type(), "agent");
  EXPECT_EQ(graph->key("found")->reducer, Reducer::Append);
  EXPECT_EQ(graph->key("kind")->initial, "other");
  EXPECT_EQ(graph->models.at("small").model, "gpt-small");
  const auto& router = std::get<RouterNode>(graph->node("route")->body);
  ASSERT_EQ(router.branches.size(), 2U);
  EXPECT_EQ(router.branches[0].to, std::vector<std::string>{"work"});
  EXPECT_FALSE(router.branches[1].when.has_value());
  EXPECT_EQ(written_keys(*graph, *graph->node("work")), std::vector<std::string>{"messages"});
  EXPECT_EQ(written_keys(*graph, *graph->node("sort")), std::vector<std::string>{"kind"});
}

// Each file of bad/ is a change of base.json with the faults that it must be told.
TEST(Definition, TellsEachFaultWithItsPlace) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder / "bad")) {
    SCOPED_TRACE(entry.path().filename().string());
    const Json example = file(entry.path());
    Json document = base();
    document.merge_patch(example.at("patch"));
    const auto faults = read(document).faults;
    for (const auto& expected : example.at("faults")) {
      const std::string pointer = expected.at("pointer"), rule = expected.at("rule");
      const std::string says = expected.at("says");
      const auto found = std::find_if(faults.begin(), faults.end(), [&](const DefinitionFault& fault) {
        return fault.pointer == pointer && fault.rule == rule &&
               fault.message.find(says) != std::string::npos;
      });
      EXPECT_NE(found, faults.end()) << expected.dump() << "\nis not among" << told(faults);
    }
    EXPECT_EQ(faults.size(), example.at("faults").size()) << told(faults);
    ++count;
  }
  EXPECT_GE(count, 80U);
}

TEST(Definition, ReadsLimitsAndKeepsTheTighter) {
  auto world = some_world();
  Limits ceiling = no_limits();
  ceiling.max_supersteps = 20;
  ceiling.max_cost_nano_usd = 100'000'000;
  world.ceiling = ceiling;
  Json document = base();
  document["limits"] = {{"max_supersteps", 30}, {"max_cost_usd", "0.25"}, {"max_active_s", 1.5}};
  const auto graph = read_definition(document, world).graph;
  ASSERT_NE(graph, nullptr);
  EXPECT_EQ(graph->limits.max_supersteps, 20);
  EXPECT_EQ(graph->limits.max_cost_nano_usd, 100'000'000);
  EXPECT_EQ(graph->limits.max_active, std::chrono::milliseconds(1500));
  EXPECT_EQ(graph->limits.max_fanout, 64);
}

TEST(Definition, TheAgentsModelIsTheAliasDefault) {
  auto world = some_world();
  world.model = "gpt-small";
  world.fallbacks = {"gpt-other"};
  world.instructions = "Help ${user.display_name}.";
  Json document = base();
  document["nodes"]["work"].erase("model");
  const auto read_back = read_definition(document, world);
  ASSERT_NE(read_back.graph, nullptr) << told(read_back.faults);
  EXPECT_EQ(read_back.graph->models.at("default").fallbacks, std::vector<std::string>{"gpt-other"});
  EXPECT_TRUE(std::get<AgentNode>(read_back.graph->node("work")->body).instructions.has_value());
}

TEST(Definition, ARouterNeedsNoElseWhereNothingIsLeftOver) {
  good({{"nodes",
         {{"route",
           {{"branches",
             {{{"when", "state.kind == 'bug'"}, {"to", "work"}},
              {{"when", "!(state.kind == 'bug')"}, {"to", "done"}}}}}}}}});
  good({{"nodes",
         {{"route",
           {{"branches",
             {{{"when", "state.kind == 'bug'"}, {"to", "work"}},
              {{"when", "state.kind == \"other\""}, {"to", "done"}}}}}}}}});
}

TEST(Definition, CyclesThatARouterLeavesAreFine) {
  good({{"edges",
         {{{"from", "__start__"}, {"to", "sort"}},
          {{"from", "sort"}, {"to", "route"}},
          {{"from", "work"}, {"to", "sort"}}}}});
}

TEST(Definition, WritersThatNeverShareAStepAreFine) {
  const auto write = [](const char* text) {
    return Json{{"type", "transform"}, {"write", {{"reply", text}}}};
  };
  // One after the other on one branch, beside a branch that does not write.
  good({{"nodes",
         {{"a", write("a")}, {"b", write("b")}, {"c", {{"type", "transform"}, {"write", {{"total", 1}}}}}}},
        {"edges",
         {{{"from", "__start__"}, {"to", {"a", "c"}}},
          {{"from", "a"}, {"to", "b"}},
          {{"join", {"b", "c"}}, {"to", "sort"}},
          {{"from", "sort"}, {"to", "route"}},
          {{"from", "work"}, {"to", "done"}}}}});
  // After the join that waits for the other writer.
  good({{"nodes",
         {{"a", write("a")}, {"b", write("b")}, {"c", {{"type", "transform"}, {"write", {{"total", 1}}}}}}},
        {"edges",
         {{{"from", "__start__"}, {"to", {"a", "c"}}},
          {{"join", {"a", "c"}}, {"to", "b"}},
          {{"from", "b"}, {"to", "sort"}},
          {{"from", "sort"}, {"to", "route"}},
          {{"from", "work"}, {"to", "done"}}}}});
  // Only one branch of a router is taken.
  good({{"nodes",
         {{"a", write("a")},
          {"b", write("b")},
          {"route", {{"branches", {{{"when", "state.kind == 'bug'"}, {"to", "a"}}, {{"else", "b"}}}}}},
          {"work", nullptr}}},
        {"edges",
         {{{"from", "__start__"}, {"to", "sort"}},
          {{"from", "sort"}, {"to", "route"}},
          {{"from", "a"}, {"to", "done"}},
          {{"from", "b"}, {"to", "done"}}}}});
}

TEST(Definition, ADeferredNodeRunsAlone) {
  const auto write = [](const char* text) {
    return Json{{"type", "transform"}, {"write", {{"reply", text}}}};
  };
  Json last = write("b");
  last["defer"] = true;
  good({{"nodes", {{"a", write("a")}, {"b", last}}},
        {"edges",
         {{{"from", "__start__"}, {"to", {"a", "b"}}},
          {{"from", "a"}, {"to", "sort"}},
          {{"from", "sort"}, {"to", "route"}},
          {{"from", "work"}, {"to", "done"}}}}});
}

TEST(Definition, AMapSeesItsItemAndItsTasksTheirInput) {
  const auto graph = good({{"nodes",
                            {{"fan",
                              {{"type", "map"},
                               {"over", "state.items"},
                               {"node", "one"},
                               {"input", {{"q", "${item}"}, {"n", "${index}"}}}}},
                             {"one", {{"type", "transform"}, {"write", {{"found", "${[input.q]}"}}}}}}},
                           {"edges",
                            {{{"from", "__start__"}, {"to", "sort"}},
                             {{"from", "sort"}, {"to", {"route", "fan"}}},
                             {{"from", "work"}, {"to", "done"}}}}});
  ASSERT_NE(graph, nullptr);
  EXPECT_TRUE(std::get<MapNode>(graph->node("fan")->body).on_empty.empty());
}

TEST(Definition, ASubgraphHasTheDocumentsModelsAndItsOwnState) {
  const Json inner = {
      {"state",
       {{"type", "object"},
        {"properties", {{"reply", {{"type", "string"}}}, {"own", {{"type", "integer"}}}}}}},
      {"output", {"reply"}},
      {"nodes",
       {{"x", {{"type", "llm"}, {"model", "small"}, {"instructions", "x"}, {"write", {{"own", 1}}}}}}},
      {"edges", {{{"from", "__start__"}, {"to", "x"}}}}};
  const auto graph = good(
      {{"subgraphs", {{"inner", inner}}},
       {"nodes",
        {{"work", {{"type", "subgraph"}, {"graph", "inner"}, {"model", nullptr}, {"tools", nullptr}}}}}});
  ASSERT_NE(graph, nullptr);
  const auto& node = std::get<SubgraphNode>(graph->node("work")->body);
  ASSERT_NE(node.local, nullptr);
  EXPECT_EQ(node.local, graph->subgraphs.at("inner"));
  EXPECT_TRUE(node.local->models.contains("small"));
  EXPECT_EQ(written_keys(*graph, *graph->node("work")), std::vector<std::string>{"reply"});
}

TEST(Definition, HandlersSeeTheErrorAndHandleNoHandlers) {
  const auto graph =
      good({{"defaults", {{"on_error", "sorry"}}},
            {"nodes", {{"sorry", {{"type", "transform"}, {"write", {{"reply", "${error.message}"}}}}}}}});
  ASSERT_NE(graph, nullptr);
  EXPECT_EQ(graph->node("work")->policies.on_error, "sorry");
  EXPECT_EQ(graph->node("sorry")->policies.on_error, "");
}

TEST(Definition, AnotherAgentsVersionIsItsGraph) {
  auto world = some_world();
  const auto helper = good(Json::object());
  world.agent_graph = [&helper](const std::string& slug, int version) {
    return slug == "helper" && version == 3 ? helper : nullptr;
  };
  Json document = base();
  document["nodes"]["work"] = {{"type", "subgraph"}, {"graph", "agent:helper@3"}};
  EXPECT_EQ(agent_references(document), (std::vector<AgentReference>{{"helper", 3}}));
  const auto read_back = read_definition(document, world);
  ASSERT_NE(read_back.graph, nullptr) << told(read_back.faults);
  EXPECT_EQ(std::get<SubgraphNode>(read_back.graph->node("work")->body).local, helper);
}

// ---- hostile ones ----

TEST(Definition, BoundsWhatItReads) {
  Json large = base();
  large["metadata"]["x"] = std::string(kDefinitionBytesMax, 'x');
  EXPECT_EQ(read(large).faults.at(0).rule, "size");

  Json many = base();
  for (int i = 0; i < 300; ++i) many["nodes"]["n" + std::to_string(i)] = {{"type", "end"}};
  EXPECT_EQ(read(many).faults.at(0).pointer, "/nodes");

  Json wrong = base();
  for (int i = 0; i < 200; ++i) wrong["nodes"]["n" + std::to_string(i)] = {{"type", "end"}};
  EXPECT_EQ(read(wrong).faults.size(), kDefinitionFaultsMax);

  for (const char* text : {"null", "[]", "5", "\"x\"", "{}"}) {
    EXPECT_FALSE(read(core::parse_json(text)).faults.empty()) << text;
  }
}

// Every node to every other: nodes that share a step are all pairs.
TEST(Definition, ADenseGraphCostsNoMoreThanItsSizeSays) {
  Json document = base();
  Json all = Json::array();
  for (int i = 0; i < 60; ++i) {
    const std::string id = "n" + std::to_string(i);
    all.push_back(id);
    document["nodes"][id] = {{"type", "transform"}, {"write", {{"reply", "x"}}}};
  }
  for (int i = 0; i < 60; ++i) document["edges"].push_back({{"from", "n" + std::to_string(i)}, {"to", all}});
  document["edges"].push_back({{"from", "__start__"}, {"to", all}});
  EXPECT_EQ(read(document).faults.size(), kDefinitionFaultsMax);

  for (int i = 60; i < 200; ++i) {
    const std::string id = "n" + std::to_string(i);
    document["nodes"][id] = {{"type", "transform"}, {"write", {{"reply", "x"}}}};
    document["edges"].push_back({{"from", id}, {"to", all}});
  }
  const auto faults = read(document).faults;
  EXPECT_TRUE(std::any_of(faults.begin(), faults.end(), [](const auto& fault) {
    return fault.rule == "size";
  })) << told(faults);
}

// 2^30 ways through graphs inside graphs.
TEST(Definition, SharedSubgraphsAreReadOnce) {
  Json document = base();
  document["limits"] = {{"max_depth", 16}};
  const auto graph = [](const std::string& next) {
    Json nodes = {{"a", {{"type", "subgraph"}, {"graph", next}}},
                  {"b", {{"type", "subgraph"}, {"graph", next}}}};
    if (next.empty()) nodes = {{"a", {{"type", "transform"}, {"write", {{"n", 1}}}}}};
    return Json{
        {"state", {{"type", "object"}, {"properties", {{"n", {{"type", "integer"}, {"x-reducer", "sum"}}}}}}},
        {"nodes", nodes},
        {"edges", {{{"from", "__start__"}, {"to", next.empty() ? Json("a") : Json({"a", "b"})}}}}};
  };
  for (int i = 0; i < 30; ++i)
    document["subgraphs"]["g" + std::to_string(i)] = graph(i == 29 ? "" : "g" + std::to_string(i + 1));
  document["nodes"]["work"] = {{"type", "subgraph"}, {"graph", "g0"}};
  const auto faults = read(document).faults;
  ASSERT_EQ(faults.size(), 1U) << told(faults);
  EXPECT_EQ(faults[0].rule, "subgraph_depth");
}

TEST(Toolset, TheLongestPatternDecides) {
  Toolset set;
  set.allow = {"get_*", "create_issue"};
  set.deny = {"get_secret*"};
  EXPECT_TRUE(toolset_allows(set, "get_issue"));
  EXPECT_FALSE(toolset_allows(set, "get_secrets"));
  EXPECT_FALSE(toolset_allows(set, "merge"));
  set.only = {"get_issue"};
  EXPECT_TRUE(toolset_allows(set, "get_issue"));
  EXPECT_FALSE(toolset_allows(set, "get_repository"));
  EXPECT_FALSE(toolset_allows(set, "create_issue"));
}

TEST(Toolset, PatternsAreLinear) {
  EXPECT_TRUE(fits_pattern("*", ""));
  EXPECT_TRUE(fits_pattern("a*b*c", "axxbyyc"));
  EXPECT_FALSE(fits_pattern("a*b*c", "axxbyy"));
  EXPECT_FALSE(fits_pattern("", "a"));
  EXPECT_FALSE(fits_pattern("*a*a*a*a*a*b", std::string(5000, 'a')));
}

}  // namespace
}  // namespace assistiv::agents
