#include <gtest/gtest.h>

#include <memory>
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

cel::Declarations bound_names() {
  cel::Declarations out;
  for (const char* name : {"state", "item", "index"}) out.add(name, cel::Type::dyn());
  return out;
}

Node bounded_node(std::string id, NodeBody body,
                  const std::vector<std::pair<std::string, Json>>& write = {}) {
  Node out;
  out.id = std::move(id);
  out.body = std::move(body);
  for (const auto& [key, value] : write)
    out.write.emplace_back(key, cel::Template::compile(value, bound_names()));
  return out;
}

// Takes its time and does nothing outside.
const char* const kBusy = "${state.l.filter(z, state.l.exists(q, q == z + 1000)).size()}";
Json list_of(int size) {
  auto out = Json::array();
  for (int i = 0; i < size; ++i) out.push_back(i);
  return out;
}

struct Turns {
  bool running = false, over = false;
  int seen = 0;
};
core::Task<RunOutcome> noted(core::Task<RunOutcome> run, std::shared_ptr<Turns> turns) {
  turns->running = true;
  auto out = co_await std::move(run);
  turns->running = false;
  turns->over = true;
  co_return out;
}
core::Task<void> look_on(std::shared_ptr<Turns> turns) {
  while (!turns->over) {
    if (turns->running) ++turns->seen;
    co_await core::sleep_for(std::chrono::milliseconds(0));
  }
}

TEST(RunBounds, ALongGraphLetsTheOthersOfItsThreadHaveTheirTurn) {
  AgentWorld world;
  GraphBuilder graph;
  graph.key("l").key("n", Reducer::Sum).node(bounded_node("a", TransformNode{}, {{"n", kBusy}}));
  graph.edge("__start__", {"a"}).edge("a", {"a"});
  auto spec = world.input(graph.build(), {{"l", list_of(80)}});
  spec.durability = Durability::Exit;
  const auto turns = std::make_shared<Turns>();
  auto looking = world.thread.start(look_on(turns));
  const auto out = world.thread.run(
      noted(execute(std::move(spec), {world.effects, world.journal, world.clock, world.random, world.tasks},
                    std::make_shared<RunControl>()),
            turns));
  looking.get();
  EXPECT_EQ(out.view.error_code, "GRAPH_RECURSION_LIMIT");
  EXPECT_GT(turns->seen, 0);
}

TEST(RunBounds, TheExpressionsOfATaskShareWhatTheyMayUse) {
  const auto code = [](int expressions) {
    AgentWorld world;
    GraphBuilder graph;
    graph.key("l");
    std::vector<std::pair<std::string, Json>> write;
    for (int i = 0; i < expressions; ++i) {
      graph.key("n" + std::to_string(i));
      write.emplace_back("n" + std::to_string(i), kBusy);
    }
    graph.node(bounded_node("a", TransformNode{}, std::move(write))).edge("__start__", {"a"});
    return world.run(world.input(graph.build(), {{"l", list_of(80)}})).view.error_code;
  };
  EXPECT_EQ(code(1), "");
  EXPECT_EQ(code(30), "expression_failed");
}

TEST(RunBounds, WhatAMapMakesIsBoundedWhileItIsMade) {
  AgentWorld world;
  GraphBuilder graph;
  MapNode map;
  map.over = cel::Expression::compile("state.l", bound_names());
  map.node = "one";
  // The last item cannot be rendered: it is not come to.
  map.input = cel::Template::compile({{"big", "${state.big}"}, {"i", "${1 / (39 - index)}"}}, bound_names());
  graph.key("l").key("big").node(bounded_node("all", map)).node(bounded_node("one", TransformNode{}));
  graph.edge("__start__", {"all"});
  graph.raw().limits.max_state_bytes = 4000;
  const auto out =
      world.run(world.input(graph.build(), {{"l", list_of(40)}, {"big", std::string(500, 'x')}}));
  EXPECT_EQ(out.view.error_code, "STATE_TOO_LARGE");
}

TEST(RunBounds, WhatIsKeptUntilTheEndIsBounded) {
  AgentWorld world;
  GraphBuilder graph;
  graph.key("text").key("n", Reducer::Sum).node(bounded_node("a", TransformNode{}, {{"n", "${1}"}}));
  graph.edge("__start__", {"a"}).edge("a", {"a"});
  graph.raw().limits.max_state_bytes = 8 << 20;
  auto spec = world.input(graph.build(), {{"text", std::string(4 << 20, 'x')}});
  spec.durability = Durability::Exit;
  std::string code;
  try {
    world.run(spec);
  } catch (const core::Error& e) {
    code = e.code();
  }
  EXPECT_EQ(code, "STATE_TOO_LARGE");
  EXPECT_EQ(world.journal.writes, 0);
}

TEST(RunBounds, OfAnotherAgentBindBesideTheRunsOwn) {
  const auto code = [](int inner_calls, int run_calls) {
    LlmNode say;
    say.model = "m";
    say.messages = std::string("messages");
    GraphBuilder inner;
    inner.key("messages", Reducer::Messages).node(bounded_node("one", say)).node(bounded_node("two", say));
    inner.edge("__start__", {"one"}).edge("one", {"two"});
    inner.raw().models["m"] = {"gpt", {}, Json::object()};
    inner.raw().limits.max_llm_calls = inner_calls;
    inner.raw().name = "helper";
    SubgraphNode body;
    body.graph = "agent:helper@1";
    body.local = inner.build();
    GraphBuilder graph;
    graph.key("messages", Reducer::Messages);
    graph.node(bounded_node("sub", body))
        .edge("__start__", {"sub"})
        .edge("sub", {"again"})
        .node(bounded_node("again", body));
    graph.raw().limits.max_llm_calls = run_calls;
    AgentWorld world;
    world.effects.model = [](const ModelCall&) -> ModelAnswer {
      return {{{"type", "ai"}, {"content", "yes"}}, "gpt", 1, 1};
    };
    const auto out = world.run(world.input(graph.build(), {{"messages", "hi"}}));
    EXPECT_EQ(out.totals.llm_calls, static_cast<int>(world.effects.model_calls.size()));
    return std::pair(out.view.error_code, out.view.error_message);
  };
  EXPECT_EQ(code(2, 4).first, "");
  EXPECT_EQ(code(1, 4), std::pair(std::string("limit_llm_calls"),
                                  std::string("the agent helper has used up its model calls")));
  EXPECT_EQ(code(2, 3),
            std::pair(std::string("limit_llm_calls"), std::string("the run has used up its model calls")));
}

}  // namespace
}  // namespace assistiv::agents
