// What a document of agentgraph/1 says, as a run does it.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "agents/definition/definition.h"
#include "agents/runtime/given.h"
#include "agents/runtime/run.h"
#include "support/agent_world.h"

namespace assistiv::agents {
namespace {

using core::Json;
using test::AgentWorld;

Json edges_of(const std::vector<std::string>& line) {
  Json out = Json::array();
  for (std::size_t i = 0; i + 1 < line.size(); ++i) out.push_back({{"from", line[i]}, {"to", line[i + 1]}});
  return out;
}

// With the model "m", the toolset "desk", and the keys messages, list, log, n and text.
Json document_of(Json nodes, const std::vector<std::string>& line, Json more = Json::object()) {
  const Json text = {{"type", "string"}};
  const Json texts = {{"type", "array"}, {"items", text}, {"x-reducer", "append"}};
  const Json list = {{"type", "array"}, {"default", Json::array()}};
  const Json messages = {{"type", "array"}, {"items", {{"type", "object"}}}, {"x-reducer", "messages"}};
  Json out = {
      {"spec", "agentgraph/1"},
      {"name", "made"},
      {"state",
       {{"type", "object"},
        {"properties",
         {{"messages", messages},
          {"list", list},
          {"log", texts},
          {"n", {{"type", "integer"}, {"x-reducer", "sum"}}},
          {"text", text}}}}},
      {"models", {{"m", {{"model", "gpt"}}}}},
      {"tools", {{"desk", {{"connector", "desk"}, {"allow", {"*"}}, {"side_effects", {{"*", "none"}}}}}}},
      {"nodes", std::move(nodes)},
      {"edges", edges_of(line)}};
  out.update(more);
  return out;
}

GraphPtr graph_of_document(const Json& document) {
  auto read = read_definition(document, {});
  for (const auto& fault : read.faults) ADD_FAILURE() << fault.pointer << " " << fault.message;
  return read.graph;
}

Json says(const std::string& text, Json calls = Json::array()) {
  return {{"type", "ai"}, {"content", text}, {"tool_calls", std::move(calls)}};
}

// Asks the model with this template, and adds what it says to the log.
Json asks_model(const char* content) {
  return {{"type", "llm"},
          {"model", "m"},
          {"messages", Json::array({{{"role", "user"}, {"content", content}}})},
          {"write", {{"log", "${[result.text]}"}}}};
}

std::vector<Json> told_as(const AgentWorld& world, const std::string& method) {
  std::vector<Json> out;
  for (const auto& event : world.journal.events)
    if (event.method == method) out.push_back(event.data);
  return out;
}

TEST(Document, AMapsTasksRunAsManyAtATimeAsItSays) {
  const auto graph = graph_of_document(
      document_of({{"fan", {{"type", "map"}, {"over", "state.list"}, {"node", "work"}, {"max_parallel", 2}}},
                   {"work", asks_model("${to_json(input)}")}},
                  {"__start__", "fan"}));
  AgentWorld world;
  world.effects.takes = std::chrono::milliseconds(2);
  world.effects.model = [](const ModelCall& call) -> ModelAnswer {
    return {says(call.messages[0]["content"].get<std::string>()), "gpt", 1, 1};
  };
  const auto out = world.run(world.input(graph, {{"list", {1, 2, 3, 4, 5, 6, 7}}}));
  Json expected = Json::array();
  for (int i = 1; i <= 7; ++i) expected.push_back("{\"item\":" + std::to_string(i) + "}");
  EXPECT_EQ(out.output["log"], expected) << out.view.error_message;
  EXPECT_EQ(world.effects.model_calls.size(), 7U);
  EXPECT_LE(world.effects.most, 2);
}

TEST(Document, AMapThatFailsBeginsNoMoreTasks) {
  const auto graph = graph_of_document(
      document_of({{"fan", {{"type", "map"}, {"over", "state.list"}, {"node", "work"}, {"max_parallel", 1}}},
                   {"work", asks_model("${to_json(input)}")}},
                  {"__start__", "fan"}));
  AgentWorld world;
  world.effects.model = [](const ModelCall&) -> ModelAnswer {
    throw core::Error(core::ErrorKind::InvalidArgument, "no");
  };
  EXPECT_EQ(world.run(world.input(graph, {{"list", {1, 2, 3}}})).view.status, RunStatus::Error);
  EXPECT_EQ(world.effects.model_calls.size(), 1U);
}

TEST(Document, AMapOverNothingGoesWhereItSays) {
  const auto write = [](const char* text) {
    return Json{{"type", "transform"}, {"write", {{"log", Json::array({text})}}}};
  };
  Json fan = {{"type", "map"}, {"over", "state.list"}, {"node", "work"}};
  Json nodes = {{"fan", fan}, {"work", write("work")}, {"after", write("after")}, {"none", write("none")}};
  nodes["fan"]["on_empty"] = "none";
  const std::vector<std::string> line = {"work", "after"};
  auto document = document_of(nodes, line);
  document["edges"].push_back({{"from", "__start__"}, {"to", "fan"}});
  AgentWorld world;
  EXPECT_EQ(world.run(world.input(graph_of_document(document), {{"list", Json::array()}})).output["log"],
            Json({"none"}));
  document["nodes"].erase("none");
  document["nodes"]["fan"].erase("on_empty");
  AgentWorld second;
  EXPECT_EQ(second.run(second.input(graph_of_document(document), {{"list", Json::array()}})).output["log"],
            Json({"after"}));
}

TEST(Document, ATimeThatIsOverEndsTheCallUnderWay) {
  auto graph = graph_of_document(document_of({{"work", asks_model("hi")}}, {"__start__", "work"},
                                             {{"limits", {{"max_active_s", 0.02}}}}));
  AgentWorld world;
  world.effects.wait_for_stop = true;  // for an hour
  const auto out = world.run(world.input(graph, {{"n", 1}}));
  EXPECT_EQ(out.view.error_code, "limit_active");
  EXPECT_EQ(out.view.status, RunStatus::Timeout);
}

TEST(Document, ANodeTellsThoseWhoWatch) {
  Json nodes = {{"work",
                 {{"type", "transform"},
                  {"write", {{"n", 2}}},
                  {"emit", {{"name", "progress"}, {"n", "${state.n}"}}}}}};
  const auto graph = graph_of_document(document_of(nodes, {"__start__", "work"}));
  AgentWorld world;
  auto spec = world.input(graph, {{"n", 1}});
  spec.modes = {"custom"};
  world.run(spec);
  EXPECT_EQ(told_as(world, "custom"), (std::vector<Json>{{{"name", "progress"}, {"n", 1}}}));
  AgentWorld silent;
  silent.run(silent.input(graph, {{"n", 1}}));
  EXPECT_TRUE(told_as(silent, "custom").empty());
}

// ---- cache ----

Json cached_model(Json cache) {
  return {{"type", "llm"}, {"model", "m"}, {"messages", "messages"}, {"cache", std::move(cache)}};
}

TEST(Cache, AResultIsUsedAgainForTheSameKey) {
  const auto graph =
      graph_of_document(document_of({{"ask", cached_model({{"key", "state.text"}})}}, {"__start__", "ask"}));
  AgentWorld world;
  int answers = 0;
  world.effects.model = [&](const ModelCall&) -> ModelAnswer {
    return {says("answer " + std::to_string(++answers)), "gpt", 1, 1};
  };
  const Json hi = {{"text", "a"}, {"messages", "hi"}};
  const auto first = world.run(world.input(graph, hi, "run-1"));
  const auto second = world.run(world.input(graph, hi, "run-2"));
  EXPECT_EQ(world.effects.model_calls.size(), 1U);
  // Two questions and two answers: a message that is used again is another message.
  ASSERT_EQ(second.output["messages"].size(), 4U);
  EXPECT_EQ(second.output["messages"][3]["content"], "answer 1");
  EXPECT_NE(second.output["messages"][3]["id"], second.output["messages"][1]["id"]);
  EXPECT_EQ(told_as(world, "messages").size(), 2U);
  EXPECT_EQ(second.totals.llm_calls, 1);
  const auto other = world.run(world.input(graph, {{"text", "b"}, {"messages", "hi"}}, "run-3"));
  EXPECT_EQ(other.output["messages"].back()["content"], "answer 2");
}

TEST(Cache, WithoutAKeyItIsAllThatTheNodeReads) {
  Json nodes = {{"ask", asks_model("hi")}};
  nodes["ask"]["cache"] = Json::object();
  const auto graph = graph_of_document(document_of(nodes, {"__start__", "ask"}));
  const auto calls_after = [&](Json context) {
    AgentWorld world;
    world.effects.model = [](const ModelCall&) -> ModelAnswer { return {says("x"), "gpt", 1, 1}; };
    world.run(world.input(graph, {{"text", "a"}}));
    AgentWorld second;
    second.effects.kept = world.effects.kept;
    second.effects.model = world.effects.model;
    auto spec = second.input(graph, {{"text", "a"}});
    spec.context = std::move(context);
    second.run(spec);
    return second.effects.model_calls.size();
  };
  EXPECT_EQ(calls_after(nullptr), 0U);
  EXPECT_EQ(calls_after({{"tone", "dry"}}), 1U);
}

TEST(Cache, WhatActsOutsideMustSayItItself) {
  const Json call = {{"type", "tool"}, {"toolset", "desk"}, {"tool", "send"}};
  const auto calls = [&](bool own) {
    Json nodes = {{"act", call}};
    if (own) nodes["act"]["cache"] = {{"key", "1"}};
    const auto graph = graph_of_document(
        document_of(nodes, {"__start__", "act"}, {{"defaults", {{"cache", {{"key", "1"}}}}}}));
    AgentWorld world;
    world.effects.offers = {{"", "send", "", Json::object(), SideEffect::None}};
    world.effects.tool = [](const ToolCall&) { return ToolAnswer{}; };
    world.run(world.input(graph, {{"n", 1}}, "run-1"));
    world.run(world.input(graph, {{"n", 1}}, "run-2"));
    return world.effects.tool_calls.size();
  };
  EXPECT_EQ(calls(false), 2U);
  EXPECT_EQ(calls(true), 1U);
}

// ---- failures ----

TEST(Document, AnAnswerThatDoesNotFitItsSchemaIsAFailureThatCanBeRepeated) {
  Json ask = {{"type", "llm"},
              {"model", "m"},
              {"messages", "messages"},
              {"response_schema", {{"type", "object"}, {"required", {"ok"}}}},
              {"write", {{"text", "${to_json(result.json)}"}}}};
  const auto run = [&](const Json& node) {
    AgentWorld world;
    int calls = 0;
    world.effects.model = [&](const ModelCall&) -> ModelAnswer {
      return {says(++calls == 1 ? R"({"good": true})" : R"({"ok": true})"), "gpt", 1, 1};
    };
    return world.run(world.input(graph_of_document(document_of({{"ask", node}}, {"__start__", "ask"})),
                                 {{"messages", "hi"}}));
  };
  const auto refused = run(ask);
  EXPECT_EQ(refused.view.error_code, "invalid_output");
  EXPECT_NE(refused.view.error_message.find("/ok is required"), std::string::npos)
      << refused.view.error_message;
  ask["retry"] = {{"initial_interval_s", 0.001}, {"retry_on", {"invalid_output"}}};
  EXPECT_EQ(run(ask).output["text"], R"({"ok":true})");
}

// What its tools did is not done again.
TEST(Document, AnAgentRepeatsOnlyItsLastAnswer) {
  const Json agent = {{"type", "agent"},
                      {"model", "m"},
                      {"messages", "messages"},
                      {"tools", {"desk"}},
                      {"response_schema", {{"type", "object"}}},
                      {"retry", {{"initial_interval_s", 0.001}, {"retry_on", {"invalid_output"}}}}};
  AgentWorld world;
  world.effects.offers = {{"", "send", "", Json::object(), SideEffect::None}};
  world.effects.tool = [](const ToolCall&) { return ToolAnswer{}; };
  int calls = 0;
  world.effects.model = [&](const ModelCall&) -> ModelAnswer {
    ++calls;
    if (calls == 1) {
      return {says("", Json::array({{{"id", "c"}, {"name", "send"}, {"args", Json::object()}}})), "gpt", 1,
              1};
    }
    return {says(calls == 2 ? "that is done" : "{}"), "gpt", 1, 1};
  };
  const auto out = world.run(world.input(
      graph_of_document(document_of({{"agent", agent}}, {"__start__", "agent"})), {{"messages", "hi"}}));
  EXPECT_EQ(out.view.status, RunStatus::Success) << out.view.error_message;
  EXPECT_EQ(world.effects.tool_calls.size(), 1U);
  EXPECT_EQ(calls, 3);
}

TEST(Document, AToolsErrorIsRepeatedWhereTheGraphSaysSo) {
  const Json call = {
      {"type", "tool"},
      {"toolset", "desk"},
      {"tool", "send"},
      {"retry", {{"initial_interval_s", 0.001}, {"max_attempts", 2}, {"retry_on", {"tool_error"}}}},
      {"write", {{"text", "${result.text}"}}}};
  AgentWorld world;
  world.effects.offers = {{"", "send", "", Json::object(), SideEffect::None}};
  int failures = 1;
  world.effects.tool = [&](const ToolCall&) {
    ToolAnswer out;
    out.is_error = failures-- > 0;
    out.text = out.is_error ? "no" : "yes";
    return out;
  };
  const auto graph = graph_of_document(document_of({{"act", call}}, {"__start__", "act"}));
  EXPECT_EQ(world.run(world.input(graph, {{"n", 1}})).output["text"], "yes");
  failures = 9;
  AgentWorld second;
  second.effects.offers = world.effects.offers;
  second.effects.tool = world.effects.tool;
  EXPECT_EQ(second.run(second.input(graph, {{"n", 1}})).view.error_code, "tool_error");
}

TEST(Document, AnEndInErrorIsNotHandled) {
  const Json nodes = {{"stop", {{"type", "end"}, {"status", "error"}, {"error", "no way on"}}},
                      {"first", {{"type", "transform"}, {"write", Json::object()}}},
                      {"handle", {{"type", "transform"}, {"write", {{"log", {"handled"}}}}}}};
  const auto graph = graph_of_document(
      document_of(nodes, {"__start__", "first", "stop"}, {{"defaults", {{"on_error", "handle"}}}}));
  AgentWorld world;
  EXPECT_EQ(world.run(world.input(graph, {{"n", 1}})).view.error_message, "no way on");
}

// ---- what a run is given ----

TEST(Given, AnInputIsCheckedAgainstTheGraphsSchema) {
  auto document =
      document_of({{"work", {{"type", "transform"}, {"write", Json::object()}}}}, {"__start__", "work"});
  document["state"]["required"] = {"text"};
  const auto graph = graph_of_document(document);
  const auto places = [&](const Json& input, const Json& values = nullptr) {
    std::vector<std::string> out;
    for (const auto& fault : input_faults(*graph, input, values)) out.push_back(fault.pointer);
    return out;
  };
  using Places = std::vector<std::string>;
  EXPECT_EQ(places({{"text", "a"}, {"n", 1}, {"unknown", 1}}), Places{});
  EXPECT_EQ(places({{"text", 5}, {"n", "x"}}), (Places{"/n", "/text"}));
  EXPECT_EQ(places({{"n", 1}}), Places{"/text"});
  EXPECT_EQ(places({{"n", 1}}, {{"text", "from before"}}), Places{});
  EXPECT_EQ(places(Json::array()), Places{""});
  // In the forms that clients send.
  for (const Json& messages :
       {Json("hi"), Json({{"role", "user"}, {"content", "hi"}}), Json::array({Json({"human", "hi"})})})
    EXPECT_EQ(places({{"text", "a"}, {"messages", messages}}), Places{}) << messages;
  EXPECT_EQ(places({{"text", "a"}, {"messages", 5}}), Places{"/messages"});
  EXPECT_EQ(places({{"text", "a"}, {"log", "one"}}), Places{});
  EXPECT_EQ(places({{"text", "a"}, {"log", {{"__overwrite__", {"x"}}}}}), Places{});
  EXPECT_EQ(places({{"text", "a"}, {"log", {1}}}), Places{"/log/0"});
}

TEST(Given, ARunWithSuchAnInputFails) {
  const auto graph = graph_of_document(
      document_of({{"work", {{"type", "transform"}, {"write", Json::object()}}}}, {"__start__", "work"}));
  AgentWorld world;
  const auto out = world.run(world.input(graph, {{"n", "many"}}));
  EXPECT_EQ(out.view.error_code, "INVALID_INPUT");
  EXPECT_NE(out.view.error_message.find("/n"), std::string::npos);
}

TEST(Given, AnAnswerMustFitAndComeFromWhoIsAsked) {
  const Json ask = {{"type", "approval"},
                    {"who", "platform"},
                    {"response_schema", {{"type", "object"}, {"required", {"ok"}}}},
                    {"write", {{"text", "${result.by}"}}}};
  const auto graph = graph_of_document(document_of({{"ask", ask}}, {"__start__", "ask"}));
  AgentWorld world;
  ASSERT_EQ(world.run(world.input(graph, {{"n", 1}})).view.status, RunStatus::Interrupted);
  const auto answer = [&](const Json& what, const std::string& by, const std::string& run) {
    auto spec = world.resume(graph, what, run);
    spec.by = by;
    return world.run(spec);
  };
  const Json yes = {{"ok", true}};
  EXPECT_EQ(answer(yes, "end_user", "run-2").view.error_code, "INVALID_ANSWER");
  EXPECT_EQ(answer("yes", "platform", "run-3").view.error_code, "INVALID_ANSWER");
  // The question stays open.
  const auto done = answer(yes, "platform", "run-4");
  EXPECT_EQ(done.view.status, RunStatus::Success) << done.view.error_message;
  EXPECT_EQ(done.output["text"], "platform");
}

// ---- hostile documents and inputs ----

RunOutcome outcome_of(const Json& document, Json input) {
  AgentWorld world;
  return world.run(world.input(graph_of_document(document), std::move(input)));
}

TEST(Hostile, AMillionTasksAreRefusedBeforeTheyAreMade) {
  const Json nodes = {{"fan", {{"type", "map"}, {"over", "state.list"}, {"node", "fan2"}}},
                      {"fan2", {{"type", "map"}, {"over", "state.list"}, {"node", "work"}}},
                      {"work", {{"type", "transform"}, {"write", {{"n", 1}}}}}};
  auto document = document_of(nodes, {"__start__", "fan"}, {{"limits", {{"max_fanout", 1000}}}});
  Json thousand = Json::array();
  for (int i = 0; i < 1000; ++i) thousand.push_back(i);
  EXPECT_EQ(outcome_of(document, {{"list", thousand}}).view.error_code, "FANOUT_TOO_LARGE");
  document.erase("limits");
  const auto one = outcome_of(document, {{"list", thousand}});
  EXPECT_EQ(one.view.error_code, "FANOUT_TOO_LARGE");
  EXPECT_NE(one.view.error_message.find("max_fanout (64)"), std::string::npos) << one.view.error_message;
}

TEST(Hostile, StateIsBoundedInInputsAndAsItGrows) {
  const Json work = {{"type", "transform"}, {"write", {{"n", 1}}}};
  const auto large = outcome_of(document_of({{"work", work}}, {"__start__", "work"}),
                                {{"text", std::string(100'000'000, 'x')}});
  EXPECT_EQ(large.view.error_code, "STATE_TOO_LARGE");
  // A list that doubles with each step.
  auto growing = document_of(
      {{"grow", {{"type", "transform"}, {"write", {{"log", "${state.log}"}}}}},
       {"again",
        {{"type", "router"},
         {"branches", {{{"when", "size(state.log) > 0"}, {"to", "grow"}}, {{"else", "__end__"}}}}}}},
      {"__start__", "grow", "again"});
  const auto grown = outcome_of(growing, {{"log", {std::string(64, 'x'), std::string(64, 'x')}}});
  EXPECT_EQ(grown.view.error_code, "STATE_TOO_LARGE") << grown.view.error_message;
}

TEST(Hostile, ExpressionsAndNestingAreBounded) {
  const Json endless = {
      {"type", "transform"},
      {"write",
       {{"text", "${string(size(state.list.map(a, state.list.map(b, state.list.filter(c, a == b)))))}"}}}};
  auto document = document_of({{"work", endless}}, {"__start__", "work"});
  const auto nested = read_definition(document, {});
  ASSERT_FALSE(nested.faults.empty());  // three comprehensions
  EXPECT_EQ(nested.faults[0].pointer, "/nodes/work/write/text");
  document["nodes"]["work"]["write"]["text"] =
      "${string(size(state.list.map(a, state.list.filter(b, a == b))))}";
  Json many = Json::array();
  for (int i = 0; i < 1000; ++i) many.push_back(i);
  const auto costly = outcome_of(document, {{"list", many}});
  EXPECT_EQ(costly.view.error_code, "expression_failed") << costly.view.error_message;
  Json deep = 1;
  for (int i = 0; i < 500; ++i) deep = Json::array({deep});
  const auto refused = outcome_of(document, {{"list", deep}});
  EXPECT_EQ(refused.view.status, RunStatus::Error);
  EXPECT_NE(refused.view.error_message.find("deep"), std::string::npos) << refused.view.error_message;
}

}  // namespace
}  // namespace assistiv::agents
