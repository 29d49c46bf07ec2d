#include "agents/runtime/run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "agents/cel/types.h"
#include "agents/pregel/ids.h"
#include "support/agent_world.h"
#include "support/graph_builder.h"

namespace assistiv::agents {
namespace {

using core::Json;
using test::AgentWorld;
using test::GraphBuilder;

cel::Declarations names() {
  cel::Declarations out;
  for (const char* name : {"state", "input", "item", "index", "result", "context", "run", "user", "usage",
                           "budget", "error", "arguments"}) {
    out.add(name, cel::Type::dyn());
  }
  return out;
}
cel::Template form(const Json& value) {
  return cel::Template::compile(value, names());
}
cel::Expression expression(const std::string& text) {
  return cel::Expression::compile(text, names());
}

Node node(std::string id, NodeBody body, std::vector<std::pair<std::string, Json>> write = {}) {
  Node out;
  out.id = std::move(id);
  out.body = std::move(body);
  for (auto& [key, value] : write) out.write.emplace_back(key, form(value));
  return out;
}

Json message(const std::string& text, Json calls = Json::array()) {
  return {{"type", "ai"}, {"content", text}, {"tool_calls", std::move(calls)}};
}
Json call(const std::string& id, const std::string& name, Json args = Json::object()) {
  return {{"id", id}, {"name", name}, {"args", std::move(args)}, {"type", "tool_call"}};
}

GraphBuilder line() {
  GraphBuilder graph;
  graph.key("n", Reducer::Sum).key("log", Reducer::Append);
  for (const char* id : {"a", "b", "c"}) {
    graph.node(node(id, TransformNode{}, {{"n", "${1}"}, {"log", Json::array({id, "${state.n}"})}}));
  }
  graph.edge("__start__", {"a"}).edge("a", {"b"}).edge("b", {"c"});
  return graph;
}

std::vector<std::string> methods_of(const std::vector<RunEvent>& events) {
  std::vector<std::string> out;
  for (const auto& event : events) out.push_back(event.method);
  return out;
}

void expect_gapless(const std::vector<RunEvent>& events) {
  for (std::size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].seq, static_cast<std::int64_t>(i) + 1);
}

TEST(Run, ALineTakesOneWriteForEachStep) {
  AgentWorld world;
  const auto out = world.run(world.input(line().build(), {{"n", 10}}));
  EXPECT_EQ(out.view.status, RunStatus::Success);
  EXPECT_EQ(out.output["n"], 13);
  EXPECT_EQ(out.output["log"], (Json{"a", 10, "b", 11, "c", 12}));
  EXPECT_EQ(world.journal.writes, 3);
  EXPECT_EQ(world.journal.checkpoints.size(), 5U);  // input, start, a, b, c
  EXPECT_EQ(methods_of(world.journal.events),
            (std::vector<std::string>{"lifecycle", "values", "updates", "values", "updates", "values",
                                      "updates", "values", "lifecycle"}));
  expect_gapless(world.journal.events);
  EXPECT_EQ(world.journal.events[2].data, (Json{{"a", {{"n", 1}, {"log", {"a", 10}}}}}));
  EXPECT_EQ(world.journal.events[1].data, (Json{{"n", 10}, {"log", Json::array()}}));
}

TEST(Run, DurabilityDecidesWhenItIsWritten) {
  for (const auto durability : {Durability::Async, Durability::Exit}) {
    AgentWorld world;
    auto spec = world.input(line().build(), {{"n", 10}});
    spec.durability = durability;
    EXPECT_EQ(world.run(spec).output["n"], 13);
    EXPECT_EQ(world.journal.checkpoints.size(), 5U);
    EXPECT_LE(world.journal.writes, durability == Durability::Exit ? 1 : 3);
    EXPECT_EQ(world.journal.view->status, RunStatus::Success);
    EXPECT_EQ(world.journal.shown.size(), durability == Durability::Exit ? world.journal.events.size() : 0U);
  }
}

TEST(Run, ACrashAtAnyWriteChangesNothing) {
  Json expected;
  for (const bool after : {false, true}) {
    for (int at = -1; at < 4; ++at) {
      AgentWorld world;
      world.journal.dies_at = at;
      world.journal.after = after;
      const auto out = world.run_to_the_end(world.input(line().build(), {{"n", 10}}));
      EXPECT_EQ(out.view.status, RunStatus::Success);
      if (expected.is_null()) expected = out.output;
      EXPECT_EQ(out.output, expected) << at;
      expect_gapless(world.journal.events);
    }
  }
}

TEST(Run, ARouterTakesTheFirstBranchThatIsTrue) {
  RouterNode router;
  router.branches.push_back({expression("state.n > 5"), {"big"}, ""});
  router.branches.push_back({std::nullopt, {"small"}, ""});
  GraphBuilder graph;
  graph.key("n").key("went").node(node("route", router)).edge("__start__", {"route"});
  graph.node(node("big", TransformNode{}, {{"went", "big"}}))
      .node(node("small", EndNode{}, {{"went", "small"}}));
  AgentWorld world;
  EXPECT_EQ(world.run(world.input(graph.build(), {{"n", 7}})).output["went"], "big");
  EXPECT_EQ(world.run(world.input(graph.build(), {{"n", 1}}, "run-2")).output["went"], "small");
  const auto failed = world.run(world.input(graph.build(), {{"n", "x"}}, "run-3"));
  EXPECT_EQ(failed.view.status, RunStatus::Error);
  EXPECT_EQ(failed.view.error_code, "expression_failed");
  EXPECT_TRUE(failed.view.error_message.starts_with("/nodes/route/branches/0/when: "))
      << failed.view.error_message;
}

MapNode map_of(const std::string& over, const std::string& target) {
  MapNode map;
  map.over = expression(over);
  map.node = target;
  map.as = "item";
  return map;
}

TEST(Run, AMapRunsOnceForEachItemWithinItsBound) {
  GraphBuilder graph;
  graph.key("list").key("out", Reducer::Append).key("done");
  graph.node(node("fan", map_of("state.list", "work")));
  graph.node(node("work", TransformNode{}, {{"out", Json::array({"${input.item * 2}"})}}));
  graph.node(node("after", TransformNode{}, {{"done", "${size(state.out)}"}}));
  graph.edge("__start__", {"fan"}).edge("work", {"after"});
  graph.raw().limits.max_fanout = 4;
  AgentWorld world;
  const auto out = world.run(world.input(graph.build(), {{"list", {1, 2, 3}}}));
  EXPECT_EQ(out.output["out"], (Json{2, 4, 6}));
  EXPECT_EQ(out.output["done"], 3);
  const auto none = world.run(world.input(graph.build(), {{"list", Json::array()}}, "run-2"));
  EXPECT_EQ(none.output["done"], 3);
  const auto wide = world.run(world.input(graph.build(), {{"list", {1, 2, 3, 4, 5}}}, "run-3"));
  EXPECT_EQ(wide.view.error_code, "FANOUT_TOO_LARGE");
}

TEST(Run, AnApprovalParksTheRunAndItsAnswerGoesOn) {
  ApprovalNode approval;
  approval.prompt = form("Send ${state.n}?");
  GraphBuilder graph;
  graph.key("n").key("said").node(node("ask", approval, {{"said", "${result.response.ok}"}}));
  graph.edge("__start__", {"ask"});
  AgentWorld world;
  const auto parked = world.run(world.input(graph.build(), {{"n", 3}}));
  EXPECT_EQ(parked.view.status, RunStatus::Interrupted);
  EXPECT_EQ(parked.view.next, std::vector<std::string>{"ask"});
  ASSERT_EQ(parked.view.interrupts.size(), 1U);
  const auto open = parked.view.interrupts.begin().value()[0];
  EXPECT_EQ(open["value"]["prompt"], "Send 3?");
  EXPECT_TRUE(pregel::looks_like_interrupt_id(open["id"].get<std::string>()));
  const auto done = world.run(world.resume(graph.build(), {{open["id"].get<std::string>(), {{"ok", true}}}}));
  EXPECT_EQ(done.view.status, RunStatus::Success);
  EXPECT_EQ(done.output["said"], true);
  expect_gapless(world.journal.events);
}

TEST(Run, BreakpointsHoldForTheRunThatSetThem) {
  AgentWorld world;
  auto spec = world.input(line().build(), {{"n", 0}});
  spec.interrupt_before = {"b"};
  const auto stopped = world.run(spec);
  EXPECT_EQ(stopped.view.status, RunStatus::Interrupted);
  EXPECT_EQ(stopped.view.next, std::vector<std::string>{"b"});
  const auto done = world.run(world.spec(line().build(), "run-2"));
  EXPECT_EQ(done.view.status, RunStatus::Success);
  EXPECT_EQ(done.output["n"], 3);
}

TEST(Run, ALoopEndsAtItsLimit) {
  GraphBuilder graph;
  graph.key("n", Reducer::Sum).node(node("a", TransformNode{}, {{"n", "${1}"}}));
  graph.edge("__start__", {"a"}).edge("a", {"a"});
  graph.raw().limits.max_supersteps = 7;
  AgentWorld world;
  const auto out = world.run(world.input(graph.build(), {{"n", 0}}));
  EXPECT_EQ(out.view.error_code, "GRAPH_RECURSION_LIMIT");
  EXPECT_EQ(out.view.values["n"], 7);
}

TEST(Run, TimeTravelStartsABranchAndLeavesTheOtherAlone) {
  AgentWorld world;
  world.run(world.input(line().build(), {{"n", 10}}));
  const auto before = world.journal.checkpoints.size();
  auto spec = world.spec(line().build(), "run-2");
  spec.checkpoint = world.journal.checkpoints[2].id;  // after a
  const auto out = world.run(spec);
  EXPECT_EQ(out.output["n"], 13);
  EXPECT_EQ(world.journal.checkpoints.size(), before + 3);  // fork, b, c
  EXPECT_EQ(world.journal.checkpoints[before].source, "fork");
  EXPECT_EQ(world.journal.checkpoints[before].parent, spec.checkpoint);
}

// ---- models and tools ----

GraphBuilder agent_graph(SideEffect effect, bool asks = false) {
  AgentNode agent;
  agent.model = "m";
  agent.messages = std::string("messages");
  agent.tools = {"desk"};
  Toolset desk;
  desk.connector = "desk";
  desk.allow = {"*"};
  desk.deny = {"drop_*"};
  desk.side_effects = {{"*", effect}};
  if (asks) desk.approval.push_back({"send", true, std::nullopt});
  GraphBuilder graph;
  graph.key("messages", Reducer::Messages).node(node("agent", agent)).edge("__start__", {"agent"});
  graph.raw().models["m"] = {"gpt", {}, Json::object()};
  graph.raw().tools["desk"] = desk;
  return graph;
}

// Asks for two tools, then answers.
void script_agent(AgentWorld& world) {
  world.effects.offers = {{"", "send", "", Json::object(), SideEffect::Unsafe},
                          {"", "drop_all", "", Json::object(), SideEffect::None}};
  world.effects.model = [](const ModelCall& asked) -> ModelAnswer {
    const bool first = asked.messages.back()["type"] == "human";
    auto said = first ? message("", {call("c1", "send", {{"to", "a"}}), call("c2", "send", {{"to", "b"}})})
                      : message("sent");
    said["usage_metadata"] = {{"input_tokens", 40}, {"output_tokens", 10}, {"total_tokens", 50}};
    return {std::move(said), "gpt", 7, 50};
  };
  world.effects.tool = [](const ToolCall& call) -> ToolAnswer {
    ToolAnswer out;
    out.text = "ok " + call.arguments["to"].get<std::string>();
    return out;
  };
}

TEST(Agent, CallsToolsUntilItHasAnAnswer) {
  AgentWorld world;
  script_agent(world);
  const auto out = world.run(world.input(agent_graph(SideEffect::Keyed).build(), {{"messages", "hi"}}));
  EXPECT_EQ(out.view.status, RunStatus::Success);
  std::vector<std::string> types;
  for (const auto& one : out.output["messages"]) types.push_back(one["type"]);
  EXPECT_EQ(types, (std::vector<std::string>{"human", "ai", "tool", "tool", "ai"}));
  EXPECT_EQ(out.output["messages"][2]["content"], "ok a");
  EXPECT_EQ(out.output["messages"][3]["tool_call_id"], "c2");
  EXPECT_EQ(world.effects.model_calls[0].tools.size(), 1U);  // the denied one is not offered
  EXPECT_EQ(out.totals.llm_calls, 2);
  EXPECT_EQ(out.totals.tool_calls, 2);
  EXPECT_EQ(out.totals.cost_nano_usd, 14);
  EXPECT_EQ(out.totals.tokens, 100);
  EXPECT_EQ(out.totals.input_tokens, 80);
  EXPECT_EQ(out.totals.output_tokens, 20);
}

std::vector<Json> data_of(const AgentWorld& world, const std::string& method) {
  std::vector<Json> out;
  for (const auto& event : world.journal.events) {
    if (event.method == method) out.push_back(event.data);
  }
  return out;
}

TEST(Agent, TellsThoseWhoWatchOfItsTools) {
  AgentWorld world;
  script_agent(world);
  world.effects.tool = [](const ToolCall& call) -> ToolAnswer {
    ToolAnswer out;
    out.is_error = call.arguments["to"] == "b";
    out.text = out.is_error ? "nobody there" : "ok";
    return out;
  };
  auto spec = world.input(agent_graph(SideEffect::Keyed).build(), {{"messages", "hi"}});
  spec.modes = {"tools"};
  world.run(spec);
  std::map<std::string, std::vector<Json>> tools;
  for (auto& one : data_of(world, "tools")) tools[one["tool_call_id"].get<std::string>()].push_back(one);
  EXPECT_EQ(tools["c1"],
            (std::vector<Json>{{{"event", "tool-started"},
                                {"tool_call_id", "c1"},
                                {"tool_name", "send"},
                                {"input", {{"to", "a"}}}},
                               {{"event", "tool-finished"}, {"tool_call_id", "c1"}, {"output", "ok"}}}));
  ASSERT_EQ(tools["c2"].size(), 2U);
  EXPECT_EQ(tools["c2"][1],
            (Json{{"event", "tool-error"}, {"tool_call_id", "c2"}, {"message", "nobody there"}}));
}

TEST(Agent, TellsItsPageOfEachCallWhateverTheModes) {
  AgentWorld world;
  script_agent(world);
  auto spec = world.input(agent_graph(SideEffect::Keyed).build(), {{"messages", "hi"}});
  spec.modes = {};
  world.run(spec);
  std::map<std::string, Json> calls;
  for (auto& one : data_of(world, "calls")) calls[one["act"].get<std::string>()] = one;
  ASSERT_EQ(calls.size(), 4U);
  EXPECT_EQ(calls["model:0"]["kind"], "model");
  EXPECT_EQ(calls["model:0"]["cost_nano_usd"].get<int>() + calls["model:1"]["cost_nano_usd"].get<int>(), 14);
  const auto& tool = calls["tool:0:0"];
  EXPECT_EQ(tool["kind"], "tool");
  EXPECT_EQ(tool["arguments"], (Json{{"to", "a"}}));
  EXPECT_EQ(tool["result"], "ok a");
  EXPECT_EQ(tool["state"], "done");
  EXPECT_TRUE(tool.contains("task") && tool.contains("took_ms"));
  const auto begun = std::count_if(world.journal.shown.begin(), world.journal.shown.end(),
                                   [](const auto& event) { return event.method == "calls"; });
  EXPECT_EQ(begun, 4);
}

// Promises 3 and 4: what was recorded is not done again; of keyed acts the far side sees the same key; an
// unsafe call is never sent twice without somebody's word.
TEST(Agent, ACrashAtAnyWriteRepeatsOnlyWhatItMay) {
  for (const auto effect : {SideEffect::Keyed, SideEffect::Unsafe}) {
    for (const bool after : {false, true}) {
      for (int at = 0; at < 6; ++at) {
        AgentWorld world;
        script_agent(world);
        world.journal.dies_at = at;
        world.journal.after = after;
        const auto graph = agent_graph(effect).build();
        auto out = world.run_to_the_end(world.input(graph, {{"messages", "hi"}}));
        int answered = 0;
        while (out.view.status == RunStatus::Interrupted && answered < 4) {
          EXPECT_EQ(effect, SideEffect::Unsafe);
          auto answers = Json::object();
          for (const auto& [task, list] : out.view.interrupts.items()) {
            for (const auto& one : list) {
              EXPECT_EQ(one["value"]["type"], "uncertain_effect");
              answers[one["id"].get<std::string>()] = {{"action", "happened"}, {"result", "it did"}};
            }
          }
          out = world.run(world.resume(graph, answers, "resume-" + std::to_string(++answered)));
        }
        EXPECT_EQ(out.view.status, RunStatus::Success) << out.view.error_code;
        EXPECT_EQ(out.output["messages"].size(), 5U);
        std::map<std::string, int> sent;
        for (const auto& one : world.effects.tool_calls) ++sent[one.arguments.dump()];
        if (effect == SideEffect::Unsafe) {
          for (const auto& [arguments, times] : sent) EXPECT_LE(times, 1) << at << after;
        }
        expect_gapless(world.journal.events);
      }
    }
  }
}

TEST(Agent, AToolThatNeedsApprovalIsAskedForOncePerCall) {
  AgentWorld world;
  script_agent(world);
  const auto graph = agent_graph(SideEffect::Keyed, true).build();
  const auto parked = world.run(world.input(graph, {{"messages", "hi"}}));
  ASSERT_EQ(parked.view.status, RunStatus::Interrupted);
  EXPECT_TRUE(world.effects.tool_calls.empty());
  const auto open = parked.view.interrupts.begin().value();
  ASSERT_EQ(open.size(), 2U);
  EXPECT_NE(open[0]["id"], open[1]["id"]);
  // One value for two questions is refused; the questions stay.
  EXPECT_EQ(world.run(world.resume(graph, true, "bad")).view.error_code, "MULTIPLE_INTERRUPTS");
  Json answers;
  for (const auto& one : open) {
    const bool yes = one["value"]["arguments"]["to"] == "a";
    answers[one["id"].get<std::string>()] =
        yes ? Json{{"approved", true}, {"arguments", {{"to", "z"}}}} : Json(false);
  }
  const auto done = world.run(world.resume(graph, answers));
  EXPECT_EQ(done.view.status, RunStatus::Success);
  ASSERT_EQ(world.effects.tool_calls.size(), 1U);
  EXPECT_EQ(world.effects.tool_calls[0].arguments["to"], "z");
  EXPECT_EQ(done.output["messages"][3]["status"], "error");
  EXPECT_EQ(world.effects.model_calls.size(), 2U);  // the first turn was not asked again
}

TEST(Agent, AMissingConnectionIsAskedForAgainUntilItIsThere) {
  AgentWorld world;
  script_agent(world);
  int missing = 2;
  world.effects.model = [](const ModelCall& asked) -> ModelAnswer {
    const bool first = asked.messages.back()["type"] == "human";
    return {first ? message("", Json::array({call("c1", "send", {{"to", "a"}})})) : message("sent"), "gpt", 1,
            1};
  };
  world.effects.tool = [&](const ToolCall&) -> ToolAnswer {
    ToolAnswer out;
    out.text = "ok";
    if (missing-- > 0) {
      out.kind = ToolAnswer::Kind::Connect;
      out.ask = {{"url", "https://connect"}};
    }
    return out;
  };
  const auto graph = agent_graph(SideEffect::Unsafe).build();
  auto out = world.run(world.input(graph, {{"messages", "hi"}}));
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(out.view.status, RunStatus::Interrupted);
    EXPECT_EQ(out.view.interrupts.begin().value()[0]["value"]["type"], "connection_required");
    out = world.run(world.resume(graph, true, "run-" + std::to_string(i + 2)));
  }
  EXPECT_EQ(out.view.status, RunStatus::Success);
}

GraphBuilder llm_graph() {
  LlmNode llm;
  llm.model = "m";
  llm.messages = std::string("messages");
  GraphBuilder graph;
  graph.key("messages", Reducer::Messages).key("n", Reducer::Sum);
  graph.raw().models["m"] = {"gpt", {}, Json::object()};
  graph.node(node("one", llm)).node(node("two", llm)).edge("__start__", {"one", "two"});
  return graph;
}

TEST(Limits, AreReservedSoThatBranchesCannotOvershoot) {
  AgentWorld world;
  world.effects.price = {100, 10};
  world.effects.model = [](const ModelCall&) -> ModelAnswer { return {message("x"), "gpt", 100, 10}; };
  auto graph = llm_graph();
  graph.raw().limits.max_cost_nano_usd = 150;
  const auto out = world.run(world.input(graph.build(), {{"messages", "hi"}}));
  EXPECT_EQ(out.view.error_code, "limit_cost");
  EXPECT_EQ(world.effects.model_calls.size(), 1U);
  auto calls = llm_graph();
  calls.raw().limits.max_llm_calls = 1;
  AgentWorld second;
  second.effects.model = world.effects.model;
  EXPECT_EQ(second.run(second.input(calls.build(), {{"messages", "hi"}})).view.error_code, "limit_llm_calls");
  EXPECT_EQ(second.effects.model_calls.size(), 1U);
}

TEST(Limits, TheSameCallIsNotMadeForEver) {
  AgentWorld world;
  script_agent(world);
  world.effects.model = [](const ModelCall&) -> ModelAnswer {
    return {message("", Json::array({call("c", "send", {{"to", "a"}})})), "gpt", 1, 1};
  };
  const auto out = world.run(world.input(agent_graph(SideEffect::None).build(), {{"messages", "hi"}}));
  EXPECT_EQ(out.view.error_code, "limit_same_call");
  EXPECT_EQ(world.effects.tool_calls.size(), 3U);
}

// Whatever a call that was cut off says of itself.
void cancel_a_call(core::ErrorKind stopped_as) {
  AgentWorld world;
  core::AsyncEvent begun;
  world.effects.wait_for_stop = true;
  world.effects.stopped_as = stopped_as;
  world.effects.begun = &begun;
  const auto control = std::make_shared<RunControl>();
  auto future = world.thread.start(
      execute(world.input(llm_graph().build(), {{"messages", "hi"}}),
              {world.effects, world.journal, world.clock, world.random, world.tasks}, control));
  EXPECT_TRUE(world.thread.run(begun.wait_for(std::chrono::seconds(30))));
  control->cancel();
  const auto out = future.get();
  EXPECT_EQ(out.view.status, RunStatus::Interrupted);
  EXPECT_EQ(out.view.error_code, "cancelled");
  EXPECT_EQ(world.effects.model_calls.size(), 2U);
  // What the run was about was told before the call.
  EXPECT_EQ(methods_of(world.journal.events),
            (std::vector<std::string>{"lifecycle", "values", "calls", "calls", "error", "lifecycle"}));
  EXPECT_EQ(world.journal.writes, 2);
}

TEST(Cancel, ReachesTheModelCallAndIsFinal) {
  cancel_a_call(core::ErrorKind::Cancelled);
  cancel_a_call(core::ErrorKind::UpstreamFailed);
}

TEST(Cancel, AToolCallWithoutAnAnswerGetsOne) {
  AgentWorld world;
  LlmNode llm;
  llm.model = "m";
  llm.messages = std::string("messages");
  EndNode end;
  end.failure = true;
  GraphBuilder graph;
  graph.key("messages", Reducer::Messages);
  graph.raw().models["m"] = {"gpt", {}, Json::object()};
  graph.node(node("ask", llm)).node(node("fail", end)).edge("__start__", {"ask"}).edge("ask", {"fail"});
  world.effects.model = [](const ModelCall&) -> ModelAnswer {
    return {message("", Json::array({call("c9", "send")})), "gpt", 1, 1};
  };
  const auto out = world.run(world.input(graph.build(), {{"messages", "hi"}}));
  EXPECT_EQ(out.view.error_code, "ended_in_error");
  EXPECT_EQ(out.view.values["messages"].back()["tool_call_id"], "c9");
  EXPECT_EQ(out.view.values["messages"].back()["status"], "error");
}

TEST(Drain, StopsBetweenTwoStepsAndGoesOnElsewhere) {
  AgentWorld world;
  const auto control = std::make_shared<RunControl>();
  control->drain();
  auto spec = world.input(line().build(), {{"n", 10}});
  const auto out = world.run(spec, control);
  EXPECT_TRUE(out.drained);
  EXPECT_FALSE(world.journal.view.has_value());
  spec.attempt = 2;
  spec.next_seq = world.journal.events.back().seq + 1;
  EXPECT_EQ(world.run(spec).output["n"], 13);
}

// ---- policies ----

TEST(Policies, ANodeIsRetriedAndThenItsHandlerRuns) {
  AgentWorld world;
  int failures = 2;
  world.effects.model = [&](const ModelCall&) -> ModelAnswer {
    if (failures-- > 0) throw core::Error(core::ErrorKind::Unavailable, "down");
    return {message("up"), "gpt", 1, 1};
  };
  LlmNode llm;
  llm.model = "m";
  llm.messages = std::string("messages");
  auto ask = node("ask", llm);
  ask.policies.retry =
      RetryPolicy{3, std::chrono::milliseconds(1), 1, std::chrono::milliseconds(1), false, {}};
  ask.policies.on_error = "handle";
  GraphBuilder graph;
  graph.key("messages", Reducer::Messages).key("why");
  graph.raw().models["m"] = {"gpt", {}, Json::object()};
  graph.node(ask).node(node("handle", TransformNode{}, {{"why", "${error.node}: ${error.message}"}}));
  graph.edge("__start__", {"ask"});
  const auto up = world.run(world.input(graph.build(), {{"messages", "hi"}}));
  EXPECT_EQ(up.output["messages"].back()["content"], "up");
  failures = 99;
  const auto down = world.run(world.input(graph.build(), {{"messages", "hi"}}, "run-2"));
  EXPECT_EQ(down.view.status, RunStatus::Success);
  EXPECT_EQ(down.output["why"], "ask: down");
  EXPECT_EQ(world.effects.model_calls.size(), 6U);
}

TEST(Policies, AnAnswerThatCouldNotBeUsedIsNotAskedForAgain) {
  AgentWorld world;
  world.effects.model = [](const ModelCall&) -> ModelAnswer { return {message("no JSON"), "gpt", 1, 1}; };
  auto graph = llm_graph();
  for (auto& one : graph.raw().nodes) {
    std::get<LlmNode>(one.body).response_schema = {{"type", "object"}};
    one.policies.retry = RetryPolicy{3,     std::chrono::milliseconds(1), 1, std::chrono::milliseconds(1),
                                     false, {RetryOn::InvalidOutput}};
  }
  world.run(world.input(graph.build(), {{"messages", "hi"}}));
  std::set<std::string> keys;
  for (const auto& call : world.effects.model_calls) keys.insert(call.act.idempotency_key);
  EXPECT_GE(keys.size(), 3U);
  EXPECT_EQ(keys.size(), world.effects.model_calls.size());
}

TEST(Policies, AnAttemptEndsAtItsTimeout) {
  AgentWorld world;
  world.effects.wait_for_stop = true;
  auto graph = llm_graph();
  for (auto& one : graph.raw().nodes) one.policies.timeout = TimeoutPolicy{std::chrono::milliseconds(5), {}};
  const auto out = world.run(world.input(graph.build(), {{"messages", "hi"}}));
  EXPECT_EQ(out.view.error_code, "timeout");
}

TEST(Policies, WhatFinishedSiblingsDidIsKeptWhenOneFails) {
  AgentWorld world;
  bool broken = true;
  world.effects.model = [&](const ModelCall& asked) -> ModelAnswer {
    if (asked.act.node == "two" && broken) throw core::Error(core::ErrorKind::Unavailable, "down");
    return {message(asked.act.node), "gpt", 1, 1};
  };
  const auto graph = llm_graph().build();
  EXPECT_EQ(world.run(world.input(graph, {{"messages", "hi"}})).view.status, RunStatus::Error);
  broken = false;
  const auto out = world.run(world.spec(graph, "run-2"));
  EXPECT_EQ(out.view.status, RunStatus::Success);
  int ones = 0;
  for (const auto& one : world.effects.model_calls) ones += one.act.node == "one" ? 1 : 0;
  EXPECT_EQ(ones, 1);
}

// ---- subgraphs ----

GraphBuilder nested(bool remembers = false) {
  ApprovalNode approval;
  approval.prompt = form("go on?");
  GraphBuilder inner;
  inner.key("n", Reducer::Sum).key("log", Reducer::Append);
  inner.node(node("add", TransformNode{}, {{"n", "${1}"}, {"log", Json::array({"add"})}}));
  inner.node(node("ask", approval, {{"log", Json::array({"${result.response}"})}}));
  inner.edge("__start__", {"add"}).edge("add", {"ask"});
  SubgraphNode body;
  body.graph = "inner";
  body.local = inner.build();
  body.remembers = remembers;
  GraphBuilder graph;
  graph.key("n", Reducer::Sum).key("log", Reducer::Append);
  graph.node(node("sub", body)).node(node("end", TransformNode{}, {{"log", Json::array({"end"})}}));
  graph.edge("__start__", {"sub"}).edge("sub", {"end"});
  return graph;
}

TEST(Subgraphs, WaitInTheMiddleAndGoOnFromThere) {
  AgentWorld world;
  const auto graph = nested().build();
  const auto parked = world.run(world.input(graph, {{"n", 10}, {"log", Json::array({"in"})}}));
  ASSERT_EQ(parked.view.status, RunStatus::Interrupted);
  EXPECT_EQ(parked.view.next, std::vector<std::string>{"sub"});
  const auto done = world.run(world.resume(graph, "yes"));
  EXPECT_EQ(done.view.status, RunStatus::Success);
  EXPECT_EQ(done.output["n"], 11);
  EXPECT_EQ(done.output["log"], (Json{"in", "add", "yes", "end"}));
}

TEST(Subgraphs, TellWhenTheyBeginAndEnd) {
  AgentWorld world;
  const auto graph = nested().build();
  world.run(world.input(graph, {{"n", 10}}));
  world.run(world.resume(graph, "yes"));
  std::vector<std::string> told;
  for (const auto& event : world.journal.events) {
    if (event.method != "lifecycle") continue;
    told.push_back((event.ns.empty() ? "" : "sub ") + event.data["event"].get<std::string>());
    if (!event.ns.empty()) {
      EXPECT_TRUE(event.ns.starts_with("sub:"));
    }
  }
  EXPECT_EQ(told, (std::vector<std::string>{"running", "sub started", "sub interrupted", "interrupted",
                                            "running", "sub started", "sub completed", "completed"}));
}

TEST(Subgraphs, ACrashAtAnyWriteOfTheResumeChangesNothing) {
  for (const bool after : {false, true}) {
    for (int at = 0; at < 5; ++at) {
      AgentWorld world;
      const auto graph = nested().build();
      world.run(world.input(graph, {{"n", 10}, {"log", Json::array({"in"})}}));
      world.journal.dies_at = world.journal.writes + at;
      world.journal.after = after;
      const auto done = world.run_to_the_end(world.resume(graph, "yes"));
      EXPECT_EQ(done.view.status, RunStatus::Success) << done.view.error_message;
      EXPECT_EQ(done.output["log"], (Json{"in", "add", "yes", "end"}));
      EXPECT_EQ(done.output["n"], 11);
      expect_gapless(world.journal.events);
    }
  }
}

TEST(Subgraphs, AForkOfTheParentReplaysTheSubgraphFromItsBeginning) {
  AgentWorld world;
  const auto graph = nested().build();
  const auto parked = world.run(world.input(graph, {{"n", 10}, {"log", Json::array({"in"})}}));
  world.run(world.resume(graph, "yes"));
  auto again = world.spec(graph, "run-3");
  again.checkpoint = parked.view.checkpoint;
  const auto asked = world.run(again);
  ASSERT_EQ(asked.view.status, RunStatus::Interrupted);
  EXPECT_NE(asked.view.interrupts, parked.view.interrupts);
  const auto done = world.run(world.resume(graph, "no", "run-4"));
  EXPECT_EQ(done.output["log"], (Json{"in", "add", "no", "end"}));
}

TEST(Subgraphs, MayRememberAndAreBoundedInDepth) {
  AgentWorld world;
  const auto graph = nested(true).build();
  for (int round = 0; round < 2; ++round) {
    world.run(world.input(graph, {{"n", 1}}, "in-" + std::to_string(round)));
    EXPECT_EQ(world.run(world.resume(graph, "y", "out-" + std::to_string(round))).view.status,
              RunStatus::Success);
  }
  int of_inner = 0;
  for (const auto& row : world.journal.checkpoints) of_inner += row.ns == "sub" ? 1 : 0;
  EXPECT_EQ(of_inner, 8);  // input, start, add, ask: twice in one namespace
  auto flat = nested();
  flat.raw().limits.max_depth = 0;
  AgentWorld second;
  EXPECT_EQ(second.run(second.input(flat.build(), {{"n", 1}})).view.error_code, "limit_depth");
}

}  // namespace
}  // namespace assistiv::agents
