// What must hold when a process dies, a call fails or somebody ends a run in the middle.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agents/cel/types.h"
#include "agents/runtime/run.h"
#include "support/agent_world.h"
#include "support/graph_builder.h"

namespace assistiv::agents {
namespace {

using core::Json;
using test::AgentWorld;
using test::GraphBuilder;

cel::Declarations mishap_names() {
  cel::Declarations out;
  for (const char* name : {"state", "input", "result"}) out.add(name, cel::Type::dyn());
  return out;
}
cel::Template mishap_form(const Json& value) {
  return cel::Template::compile(value, mishap_names());
}
Node mishap_node(std::string id, NodeBody body, const std::vector<std::pair<std::string, Json>>& write = {}) {
  Node out;
  out.id = std::move(id);
  out.body = std::move(body);
  for (const auto& [key, value] : write) out.write.emplace_back(key, mishap_form(value));
  return out;
}

HttpNode post_to(const std::string& url) {
  HttpNode out;
  out.method = "POST";
  out.url = mishap_form(url);
  return out;
}
ToolNode call_of(const std::string& tool) {
  ToolNode out;
  out.toolset = "desk";
  out.tool = mishap_form(tool);
  out.arguments = mishap_form(Json::object());
  return out;
}
Toolset desk(SideEffect effect) {
  Toolset out;
  out.connector = "desk";
  out.allow = {"*"};
  out.side_effects = {{"*", effect}};
  return out;
}
LlmNode model_of_messages() {
  LlmNode out;
  out.model = "m";
  out.messages = std::string("messages");
  return out;
}
GraphBuilder with_model() {
  GraphBuilder graph;
  graph.key("messages", Reducer::Messages);
  graph.raw().models["m"] = {"gpt", {}, Json::object()};
  return graph;
}
Json ai(const std::string& text, Json calls = Json::array()) {
  return {{"type", "ai"}, {"content", text}, {"tool_calls", std::move(calls)}};
}
Json tool_call(const std::string& id, const std::string& name) {
  return {{"id", id}, {"name", name}, {"args", Json::object()}, {"type", "tool_call"}};
}

// The far side can only tell by the key that it has done it before.
std::set<std::string> keys_of_an_act(Durability durability, NodeBody act, int dies_at, bool after) {
  AgentWorld world;
  std::set<std::string> keys;
  world.effects.http = [&](const HttpCall& call) -> HttpAnswer {
    keys.insert(call.act.idempotency_key);
    return {200, Json::object(), "{}"};
  };
  world.effects.tool = [&](const ToolCall& call) -> ToolAnswer {
    keys.insert(call.act.idempotency_key);
    return {};
  };
  world.effects.offers = {{"", "send", "", Json::object(), SideEffect::Keyed}};
  world.journal.dies_at = dies_at;
  world.journal.after = after;
  GraphBuilder graph;
  graph.key("n", Reducer::Sum).node(mishap_node("before", TransformNode{}, {{"n", "${1}"}}));
  graph.node(mishap_node("act", std::move(act), {{"n", "${10}"}}));
  graph.edge("__start__", {"before"}).edge("before", {"act"});
  graph.raw().tools["desk"] = desk(SideEffect::Keyed);
  auto spec = world.input(graph.build(), {{"n", 0}});
  spec.durability = durability;
  const auto out = world.run_to_the_end(std::move(spec));
  EXPECT_EQ(out.output["n"], 11) << out.view.error_message;
  return keys;
}

TEST(Mishaps, AnActThatIsTriedAgainAfterACrashHasTheSameKey) {
  for (const auto durability : {Durability::Sync, Durability::Async}) {
    for (const bool after : {false, true}) {
      for (int at = -1; at < 5; ++at) {
        EXPECT_EQ(keys_of_an_act(durability, post_to("https://far.example/"), at, after).size(), 1U) << at;
        EXPECT_EQ(keys_of_an_act(durability, call_of("send"), at, after).size(), 1U) << at;
      }
    }
  }
}

TEST(Mishaps, ASubgraphThatRemembersIsEnteredAgainWithinOneRun) {
  GraphBuilder inner;
  inner.key("n", Reducer::Sum).node(mishap_node("add", TransformNode{}, {{"n", "${1}"}}));
  inner.edge("__start__", {"add"});
  SubgraphNode middle_body;
  middle_body.graph = "inner";
  middle_body.local = inner.build();
  middle_body.remembers = true;
  GraphBuilder middle;
  middle.key("n", Reducer::Sum).node(mishap_node("deep", middle_body)).edge("__start__", {"deep"});
  SubgraphNode body;
  body.graph = "middle";
  body.local = middle.build();
  body.remembers = true;
  RouterNode router;
  router.branches.push_back({cel::Expression::compile("state.n < 8", mishap_names()), {"sub"}, ""});
  router.branches.push_back({std::nullopt, {"__end__"}, ""});
  GraphBuilder graph;
  graph.key("n", Reducer::Sum).node(mishap_node("sub", body)).node(mishap_node("again", router));
  graph.edge("__start__", {"sub"}).edge("sub", {"again"});
  Json first;
  for (const auto durability : {Durability::Sync, Durability::Async, Durability::Exit}) {
    AgentWorld world;
    auto spec = world.input(graph.build(), {{"n", 1}});
    spec.durability = durability;
    const auto out = world.run(std::move(spec));
    ASSERT_EQ(out.view.status, RunStatus::Success) << out.view.error_code;
    EXPECT_GE(out.output["n"], 8);
    if (first.is_null()) first = out.output;
    EXPECT_EQ(out.output, first);
    // It stands where it stood also for the next run, which has only the journal.
    EXPECT_EQ(world.run(world.input(graph.build(), {{"n", 1}}, "run-2")).view.status, RunStatus::Success);
  }
}

TEST(Mishaps, ASubgraphIsTriedAgainFromWhereItFailed) {
  for (const auto durability : {Durability::Sync, Durability::Async, Durability::Exit}) {
    GraphBuilder inner;
    inner.key("n", Reducer::Sum)
        .node(mishap_node("once", post_to("https://far.example/once"), {{"n", "${1}"}}));
    inner.node(mishap_node("fails", post_to("https://far.example/fails"), {{"n", "${10}"}}));
    inner.edge("__start__", {"once"}).edge("once", {"fails"});
    SubgraphNode body;
    body.graph = "inner";
    body.local = inner.build();
    auto sub = mishap_node("sub", body);
    sub.policies.retry =
        RetryPolicy{2, std::chrono::milliseconds(1), 1, std::chrono::milliseconds(1), false, {}};
    GraphBuilder graph;
    graph.key("n", Reducer::Sum).node(sub).edge("__start__", {"sub"});
    AgentWorld world;
    std::vector<std::string> urls;
    world.effects.http = [&](const HttpCall& call) -> HttpAnswer {
      urls.push_back(call.url);
      if (urls.size() == 2) throw core::Error(core::ErrorKind::Unavailable, "down");
      return {200, Json::object(), "{}"};
    };
    auto spec = world.input(graph.build(), {{"n", 0}});
    spec.durability = durability;
    const auto out = world.run(std::move(spec));
    ASSERT_EQ(out.view.status, RunStatus::Success) << out.view.error_code << out.view.error_message;
    EXPECT_EQ(out.output["n"], 11);
    EXPECT_EQ(urls, (std::vector<std::string>{"https://far.example/once", "https://far.example/fails",
                                              "https://far.example/fails"}));
  }
}

TEST(Mishaps, ARunWhoseJournalCannotBeReadHasNotEnded) {
  GraphBuilder graph;
  graph.key("done", Reducer::Last).node(mishap_node("one", TransformNode{}, {{"done", "yes"}}));
  graph.edge("__start__", {"one"});
  const auto shared = graph.build();
  AgentWorld world;
  world.journal.is_away = true;
  try {
    world.run(world.input(shared, Json::object()));
    ADD_FAILURE() << "it ended";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::Unavailable);
  }
  EXPECT_FALSE(world.journal.view.has_value());
  world.journal.is_away = false;
  EXPECT_EQ(world.run(world.input(shared, Json::object())).output.value("done", Json()), "yes");
}

TEST(Mishaps, ARunThatWasCancelledWaitsForNobody) {
  AgentWorld world;
  ApprovalNode approval;
  auto graph = with_model();
  graph.key("said").node(mishap_node("ask", approval, {{"said", "${result.response}"}}));
  graph.node(mishap_node("talk", model_of_messages())).edge("__start__", {"ask", "talk"});
  core::AsyncEvent begun;
  world.effects.wait_for_stop = true;
  world.effects.begun = &begun;
  const auto control = std::make_shared<RunControl>();
  const auto made = graph.build();
  auto future = world.thread.start(
      execute(world.input(made, {{"messages", "hi"}}),
              {world.effects, world.journal, world.clock, world.random, world.tasks}, control));
  ASSERT_TRUE(world.thread.run(begun.wait_for(std::chrono::seconds(60))));
  control->cancel();
  const auto out = future.get();
  EXPECT_EQ(out.view.error_code, "cancelled");
  EXPECT_EQ(out.view.interrupts, Json::object());
  EXPECT_EQ(world.journal.view->interrupts, Json::object());
  // What was asked can still be answered by who asks for it to go on.
  world.effects.wait_for_stop = false;
  world.effects.model = [](const ModelCall&) -> ModelAnswer { return {ai("here"), "gpt", 1, 1}; };
  const auto done = world.run(world.resume(made, "yes"));
  EXPECT_EQ(done.view.status, RunStatus::Success) << done.view.error_code;
  EXPECT_EQ(done.output["said"], "yes");
}

TEST(Mishaps, AnEndUserDoesNotGoOnFromWhatAnotherAgentLeftWhereThePlatformIsAsked) {
  const auto paid_after = [](const std::string& by, Json input, const std::string& left_by) {
    AgentWorld world;
    int paid = 0;
    world.effects.http = [&](const HttpCall&) -> HttpAnswer {
      ++paid;
      return {200, Json::object(), "{}"};
    };
    GraphBuilder other;
    other.key("ok").node(mishap_node("pay", TransformNode{}, {{"ok", "${true}"}})).edge("__start__", {"pay"});
    auto first = world.input(other.build(), {{"ok", true}});
    first.interrupt_before = {"pay"};
    first.metadata = {{"graph_id", left_by}};
    EXPECT_EQ(world.run(first).view.status, RunStatus::Interrupted);
    ApprovalNode approval;
    approval.who = Approver::Platform;
    GraphBuilder graph;
    graph.key("ok").node(mishap_node("ask", approval, {{"ok", "${result.response}"}}));
    graph.node(mishap_node("pay", post_to("https://far.example/pay"), {{"ok", "${true}"}}));
    graph.edge("__start__", {"ask"}).edge("ask", {"pay"});
    auto spec = world.spec(graph.build(), "run-2");
    spec.metadata = {{"graph_id", "paying"}};
    spec.by = by;
    if (!input.is_null()) spec.input = std::move(input);
    const auto out = world.run(spec);
    return std::pair(out.view.error_code, paid);
  };
  using Seen = std::pair<std::string, int>;
  EXPECT_EQ(paid_after("end_user", nullptr, "other"), Seen("platform_only", 0));
  EXPECT_EQ(paid_after("", nullptr, "other"), Seen("platform_only", 0));
  EXPECT_EQ(paid_after("end_user", {{"ok", false}}, "other"), Seen("platform_only", 0));
  EXPECT_EQ(paid_after("end_user", nullptr, "paying"), Seen("", 1));
  EXPECT_EQ(paid_after("platform", nullptr, "other"), Seen("", 1));
}

TEST(Mishaps, AnErrorIsToldAlsoWhereOpenCallsFindNoRoomForAnswers) {
  AgentWorld world;
  EndNode end;
  end.failure = true;
  auto graph = with_model();
  graph.node(mishap_node("ask", model_of_messages())).node(mishap_node("fail", end));
  graph.edge("__start__", {"ask"}).edge("ask", {"fail"});
  auto calls = Json::array();
  for (int i = 0; i < 40; ++i) calls.push_back(tool_call("c" + std::to_string(i), "send"));
  world.effects.model = [&](const ModelCall&) -> ModelAnswer { return {ai("", calls), "gpt", 1, 1}; };
  graph.raw().limits.max_state_bytes = 6000;
  for (const auto durability : {Durability::Sync, Durability::Async, Durability::Exit}) {
    auto spec =
        world.input(graph.build(), {{"messages", "hi"}}, "run-" + std::to_string(world.journal.writes));
    spec.durability = durability;
    const auto out = world.run(std::move(spec));
    EXPECT_EQ(out.view.error_code, "ended_in_error");
    EXPECT_EQ(world.journal.events.back().method, "lifecycle");
    world.journal = {};
  }
}

// Takes all but the end.
class EndlessJournal final : public Journal {
 public:
  explicit EndlessJournal(Journal& inner) : inner_(inner) {}
  core::Task<void> commit(JournalWrite write) override {
    if (write.ends)
      throw core::Error(core::ErrorKind::Unprocessable, "too much").with_code("STATE_TOO_LARGE");
    return inner_.commit(std::move(write));
  }
  core::Task<std::optional<StoredCheckpoint>> load(std::string ns, std::string id) override {
    return inner_.load(std::move(ns), std::move(id));
  }
  void show(RunEvent event) override { inner_.show(std::move(event)); }

 private:
  Journal& inner_;
};

TEST(Mishaps, WhatARunHasUsedIsKnownThoughItsEndCannotBeWritten) {
  auto graph = with_model();
  graph.node(mishap_node("talk", model_of_messages())).node(mishap_node("more", model_of_messages()));
  graph.edge("__start__", {"talk"}).edge("talk", {"more"});
  for (const auto durability : {Durability::Sync, Durability::Async, Durability::Exit}) {
    AgentWorld world;
    world.effects.model = [](const ModelCall&) -> ModelAnswer { return {ai("x"), "gpt", 7, 50}; };
    EndlessJournal journal(world.journal);
    const auto control = std::make_shared<RunControl>();
    auto spec = world.input(graph.build(), {{"messages", "hi"}});
    spec.durability = durability;
    EXPECT_FALSE(control->used().has_value());
    EXPECT_THROW(
        world.thread.run(execute(std::move(spec),
                                 {world.effects, journal, world.clock, world.random, world.tasks}, control)),
        core::Error);
    ASSERT_TRUE(control->used().has_value());
    EXPECT_EQ(control->used()->llm_calls, 2);
    EXPECT_EQ(control->used()->cost_nano_usd, 14);
  }
}

// A grant is withdrawn while the run waits for somebody.
TEST(Mishaps, WhatAToolDidStaysDoneWhenItIsNotOfferedAnyMore) {
  AgentWorld world;
  AgentNode agent;
  agent.model = "m";
  agent.messages = std::string("messages");
  agent.tools = {"desk"};
  auto graph = with_model();
  graph.node(mishap_node("agent", agent)).edge("__start__", {"agent"});
  auto tools = desk(SideEffect::Keyed);
  tools.approval.push_back({"second", true, std::nullopt});
  graph.raw().tools["desk"] = tools;
  world.effects.offers = {{"", "first", "", Json::object(), SideEffect::Keyed},
                          {"", "second", "", Json::object(), SideEffect::Keyed}};
  world.effects.model = [](const ModelCall& asked) -> ModelAnswer {
    const auto& last = asked.messages.back();
    if (last["type"] == "human") return {ai("", Json::array({tool_call("c1", "first")})), "gpt", 1, 1};
    if (last["tool_call_id"] == "c1") return {ai("", Json::array({tool_call("c2", "second")})), "gpt", 1, 1};
    return {ai("done"), "gpt", 1, 1};
  };
  world.effects.tool = [](const ToolCall& call) -> ToolAnswer {
    ToolAnswer out;
    out.text = "did " + call.tool;
    return out;
  };
  const auto made = graph.build();
  ASSERT_EQ(world.run(world.input(made, {{"messages", "hi"}})).view.status, RunStatus::Interrupted);
  world.effects.offers.clear();
  const auto done = world.run(world.resume(made, true));
  ASSERT_EQ(done.view.status, RunStatus::Success) << done.view.error_code;
  const auto& messages = done.output["messages"];
  ASSERT_EQ(messages.size(), 6U);
  EXPECT_EQ(messages[2]["content"], "did first");
  EXPECT_EQ(messages[4]["content"], "There is no tool second.");
}

}  // namespace
}  // namespace assistiv::agents
