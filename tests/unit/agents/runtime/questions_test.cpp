// Answers that make their task fail: what is asked then, and what a later run does with it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "agents/definition/definition.h"
#include "agents/runtime/run.h"
#include "support/agent_world.h"

namespace assistiv::agents {
namespace {

using core::Json;
using test::AgentWorld;

GraphPtr asking_graph(Json nodes, Json edges, Json more = Json::object()) {
  const Json texts = {{"type", "array"}, {"items", {{"type", "string"}}}, {"x-reducer", "append"}};
  const Json messages = {{"type", "array"}, {"items", {{"type", "object"}}}, {"x-reducer", "messages"}};
  Json document = {
      {"spec", "agentgraph/1"},
      {"name", "asking"},
      {"state",
       {{"type", "object"},
        {"properties",
         {{"log", texts}, {"n", {{"type", "integer"}, {"x-reducer", "sum"}}}, {"messages", messages}}}}},
      {"nodes", std::move(nodes)},
      {"edges", std::move(edges)}};
  document.update(more);
  auto read = read_definition(document, {});
  for (const auto& fault : read.faults) ADD_FAILURE() << fault.pointer << " " << fault.message;
  return read.graph;
}

Json asking_line(std::initializer_list<const char*> names) {
  Json out = Json::array();
  std::string from = "__start__";
  for (const char* name : names) {
    out.push_back({{"from", from}, {"to", name}});
    from = name;
  }
  return out;
}

// Takes text only.
Json asks(const char* write = "${[result.response + '!']}") {
  return {{"type", "approval"}, {"prompt", "well?"}, {"write", {{"log", write}}}};
}

std::string only_question(const RunOutcome& out) {
  if (out.view.interrupts.size() != 1U) return "";
  return out.view.interrupts.begin().value()[0]["id"].get<std::string>();
}

TEST(Questions, AreOpenAgainWhenTheirAnswerMadeTheNodeFail) {
  AgentWorld world;
  const auto graph = asking_graph({{"ask", asks()}}, asking_line({"ask"}));
  const auto id = only_question(world.run(world.input(graph, {{"log", Json::array()}})));
  ASSERT_FALSE(id.empty());
  const auto failed = world.run(world.resume(graph, 7));
  EXPECT_EQ(failed.view.status, RunStatus::Error);
  EXPECT_EQ(failed.view.error_code, "expression_failed");
  EXPECT_TRUE(failed.view.error_message.starts_with("/nodes/ask/write/log: ")) << failed.view.error_message;
  EXPECT_EQ(only_question(failed), id);
  EXPECT_EQ(failed.view.next, std::vector<std::string>{"ask"});
  // Who tries again without a new answer tries with the old one, and it stays open.
  const auto retried = world.run(world.spec(graph, "run-3"));
  EXPECT_EQ(retried.view.error_code, "expression_failed");
  EXPECT_EQ(only_question(retried), id);
  const auto done = world.run(world.resume(graph, {{id, "yes"}}, "run-4"));
  EXPECT_EQ(done.view.status, RunStatus::Success) << done.view.error_message;
  EXPECT_EQ(done.output["log"], (Json{"yes!"}));
  EXPECT_TRUE(done.view.interrupts.empty());
}

TEST(Questions, AreOpenAgainWhenTheStateDoesNotTakeTheAnswer) {
  AgentWorld world;
  auto node = asks();
  node["write"] = {{"n", "${result.response}"}};
  const auto graph = asking_graph({{"ask", node}}, asking_line({"ask"}));
  const auto id = only_question(world.run(world.input(graph, {{"n", 1}})));
  const auto failed = world.run(world.resume(graph, "no number"));
  EXPECT_EQ(failed.view.status, RunStatus::Error);
  EXPECT_EQ(only_question(failed), id);
  const auto done = world.run(world.resume(graph, 2, "run-3"));
  EXPECT_EQ(done.output["n"], 3) << done.view.error_message;
}

TEST(Questions, AreOpenAgainWhenTheStepCannotEndWithTheAnswer) {
  AgentWorld world;
  const auto graph =
      asking_graph({{"ask", asks()}}, asking_line({"ask"}), {{"limits", {{"max_state_bytes", 1024}}}});
  const auto id = only_question(world.run(world.input(graph, {{"log", Json::array()}})));
  const auto failed = world.run(world.resume(graph, std::string(2000, 'x')));
  EXPECT_EQ(failed.view.error_code, "STATE_TOO_LARGE");
  EXPECT_EQ(only_question(failed), id);
  const auto done = world.run(world.resume(graph, "yes", "run-3"));
  EXPECT_EQ(done.output["log"], (Json{"yes!"})) << done.view.error_message;
}

TEST(Questions, OfOthersKeepTheirAnswers) {
  AgentWorld world;
  const auto graph =
      asking_graph({{"left", asks()}, {"right", asks()}},
                   {{{"from", "__start__"}, {"to", "left"}}, {{"from", "__start__"}, {"to", "right"}}});
  const auto parked = world.run(world.input(graph, {{"log", Json::array()}}));
  ASSERT_EQ(parked.view.interrupts.size(), 2U);
  Json answers = Json::object();
  int n = 0;
  for (const auto& task : parked.view.interrupts)
    answers[task[0]["id"].get<std::string>()] = n++ == 0 ? Json("good") : Json(7);
  const auto failed = world.run(world.resume(graph, answers));
  const auto open = only_question(failed);
  EXPECT_EQ(answers[open], 7);
  const auto done = world.run(world.resume(graph, "too", "run-3"));
  ASSERT_EQ(done.view.status, RunStatus::Success) << done.view.error_message;
  EXPECT_EQ(done.output["log"].size(), 2U);
}

TEST(Questions, OfWhichOneIsAnsweredWrongAreAllOpenStill) {
  AgentWorld world;
  auto node = asks();
  node["response_schema"] = {{"type", "string"}};
  const auto graph =
      asking_graph({{"left", node}, {"right", node}},
                   {{{"from", "__start__"}, {"to", "left"}}, {{"from", "__start__"}, {"to", "right"}}});
  const auto parked = world.run(world.input(graph, {{"log", Json::array()}}));
  Json answers = Json::object();
  for (const auto& task : parked.view.interrupts)
    answers[task[0]["id"].get<std::string>()] = answers.empty() ? Json("good") : Json(7);
  const auto failed = world.run(world.resume(graph, answers));
  EXPECT_EQ(failed.view.error_code, "INVALID_ANSWER");
  EXPECT_EQ(failed.view.interrupts, parked.view.interrupts);
}

TEST(Questions, OfASubgraphAreOpenAgainOnItsThread) {
  const Json inner = {
      {"state",
       {{"type", "object"}, {"properties", {{"log", {{"type", "array"}, {"x-reducer", "append"}}}}}}},
      {"nodes", {{"first", asks()}, {"second", asks()}}},
      {"edges", asking_line({"first", "second"})}};
  const auto graph = asking_graph({{"sub", {{"type", "subgraph"}, {"graph", "inner"}}}}, asking_line({"sub"}),
                                  {{"subgraphs", {{"inner", inner}}}});
  AgentWorld world;
  const auto first = only_question(world.run(world.input(graph, {{"log", Json::array()}})));
  EXPECT_EQ(only_question(world.run(world.resume(graph, 7, "run-2"))), first);
  // The first has its answer then; only the second is open, also after it was answered wrong.
  const auto second = only_question(world.run(world.resume(graph, "a", "run-3")));
  EXPECT_NE(second, first);
  ASSERT_FALSE(second.empty());
  EXPECT_EQ(only_question(world.run(world.resume(graph, 7, "run-4"))), second);
  const auto done = world.run(world.resume(graph, "b", "run-5"));
  ASSERT_EQ(done.view.status, RunStatus::Success) << done.view.error_message;
  EXPECT_EQ(done.output["log"], (Json{"a!", "b!"}));
}

TEST(Questions, OfACrashedRetryAreAnsweredByWhatWasSaidLast) {
  for (const bool after : {false, true}) {
    for (int at = 0; at < 3; ++at) {
      AgentWorld world;
      const auto graph = asking_graph({{"ask", asks()}}, asking_line({"ask"}));
      world.run(world.input(graph, {{"log", Json::array()}}));
      world.run(world.resume(graph, 7));
      world.journal.dies_at = world.journal.writes + at;
      world.journal.after = after;
      const auto done = world.run_to_the_end(world.resume(graph, "yes", "run-3"));
      EXPECT_EQ(done.output["log"], (Json{"yes!"})) << done.view.error_message;
    }
  }
}

TEST(Questions, OfAToolThatHasActedAreOver) {
  AgentWorld world;
  const Json desk = {{"connector", "desk"}, {"allow", {"*"}}, {"approval", {{"*", "always"}}}};
  const Json agent = {{"type", "agent"}, {"model", "m"}, {"tools", {"desk"}}};
  const auto graph = asking_graph({{"agent", agent}}, asking_line({"agent"}),
                                  {{"models", {{"m", {{"model", "gpt"}}}}}, {"tools", {{"desk", desk}}}});
  world.effects.offers = {{"", "send", "", Json::object(), SideEffect::None}};
  world.effects.model = [](const ModelCall& call) -> ModelAnswer {
    if (call.messages.back()["type"] != "human")
      throw core::Error(core::ErrorKind::InvalidArgument, "the model is gone");
    const Json asked = {{"id", "c1"}, {"name", "send"}, {"args", Json::object()}, {"type", "tool_call"}};
    return {{{"type", "ai"}, {"content", ""}, {"tool_calls", Json::array({asked})}}, "gpt", 1, 1};
  };
  world.effects.tool = [](const ToolCall&) -> ToolAnswer {
    ToolAnswer out;
    out.text = "sent";
    return out;
  };
  ASSERT_FALSE(only_question(world.run(world.input(graph, {{"messages", "hi"}}))).empty());
  const auto failed = world.run(world.resume(graph, true));
  EXPECT_EQ(failed.view.status, RunStatus::Error);
  EXPECT_TRUE(failed.view.interrupts.empty());
  EXPECT_EQ(world.effects.tool_calls.size(), 1U);
}

}  // namespace
}  // namespace assistiv::agents
