#include "agents/service/state_view.h"

#include <gtest/gtest.h>

#include "agents/pregel/ids.h"
#include "agents/service/state_step.h"
#include "core/error.h"
#include "support/graph_builder.h"
#include "support/manual_clock.h"
#include "support/run_task.h"
#include "support/scripted_random.h"

namespace assistiv::agents {
namespace {

using core::Json;
using test::GraphBuilder;

struct Sight : testing::Test {
  // Two nodes side by side, one a subgraph, and what follows them.
  std::shared_ptr<const pregel::Program> program() {
    GraphBuilder inner;
    inner.key("log", Reducer::Append).node("deep").edge("__start__", {"deep"});
    SubgraphNode sub;
    sub.graph = "inner";
    sub.local = inner.build();
    GraphBuilder graph;
    graph.key("log", Reducer::Append).node("a").node("s", sub).node("z");
    graph.edge("__start__", {"a", "s"}).edge("a", {"z"}).edge("s", {"z"});
    return std::make_shared<const pregel::Program>(graph.build());
  }
  pregel::Checkpoint step(std::shared_ptr<const pregel::Program> of, pregel::Checkpoint base,
                          Superstep writes) {
    return io_.run(make_step({of, std::move(base), {}, "t"}, std::move(writes), {clock_, random_, ids_}));
  }
  static StateWrite write(Json values, std::string as_node) {
    StateWrite out;
    out.values = std::move(values);
    out.as_node = std::move(as_node);
    return out;
  }

  test::IoThread io_;
  test::ManualClock clock_;
  test::ScriptedRandom random_;
  pregel::CheckpointIds ids_{clock_, random_};
};

TEST_F(Sight, tells_what_waits_and_what_is_done) {
  const auto of = program();
  StoredCheckpoint stored;
  stored.checkpoint = step(of, pregel::blank(*of, ""), {write({{"log", Json::array({"in"})}}, "__start__")});
  stored.metadata = {{"source", "update"}, {"parents", Json::object()}};
  const auto tasks = pregel::plan(*of, stored.checkpoint);
  ASSERT_EQ(tasks.size(), 2U);
  auto& a = stored.pending.tasks[tasks[0].id];
  a.result.emplace();
  a.result->writes.push_back({"log", pregel::Value(Json::array({"a"}))});
  auto& s = stored.pending.tasks[tasks[1].id];
  const std::string interrupt(32, 'f');
  s.interrupts.push_back({interrupt, tasks[1].child_ns, pregel::Value(Json("may I?"))});
  s.child = "1f0c0000-0000-6000-8000-000000000001";

  const auto head = state_json({"t", stored, of, true});
  EXPECT_EQ(head["values"]["log"], (Json{"in", "a"})) << "what a finished sibling wrote counts";
  EXPECT_EQ(head["next"], (Json{"s"}));
  EXPECT_EQ(head["interrupts"], (Json{{{"id", interrupt}, {"value", "may I?"}}}));
  EXPECT_EQ(head["tasks"][0]["result"], (Json{{"log", {"a"}}}));
  EXPECT_EQ(head["tasks"][1]["interrupts"], head["interrupts"]);
  EXPECT_EQ(head["tasks"][1]["checkpoint"]["checkpoint_ns"], tasks[1].child_ns);
  EXPECT_EQ(head["parent_checkpoint"], nullptr);

  const auto past = state_json({"t", stored, of, false});
  EXPECT_EQ(past["values"]["log"], (Json{"in"}));
  EXPECT_EQ(past["next"], (Json{"a", "s"}));

  stored.pending.answers.emplace(interrupt, pregel::Value(Json("yes")));
  EXPECT_EQ(state_json({"t", stored, of, true})["interrupts"], Json::array()) << "it was answered";

  const auto without_graph = state_json({"t", stored, nullptr, true});
  EXPECT_EQ(without_graph["next"], (Json{"a", "s"}));
  EXPECT_EQ(without_graph["tasks"], Json::array());
}

TEST_F(Sight, several_nodes_are_one_step) {
  const auto of = program();
  auto base = step(of, pregel::blank(*of, ""), {write(nullptr, "__start__")});
  const auto both = step(of, base, {write({{"log", {"s"}}}, "s"), write({{"log", {"a"}}}, "a")});
  EXPECT_EQ(both.values.at("log").json(), (Json{"s", "a"}));
  EXPECT_EQ(both.ran, (std::vector<std::string>{"s", "a"}));
  EXPECT_EQ(both.ready.size(), 1U);
  EXPECT_TRUE(both.ready.contains("z"));
  EXPECT_THROW(step(of, both, {write({{"log", {"x"}}}, "")}), core::Error) << "whose is it?";
  EXPECT_THROW(step(of, both, {write({{"log", {"x"}}}, "__end__")}), core::Error);
  const auto copy = step(of, both, {write(nullptr, "__copy__")});
  EXPECT_EQ(copy.source, pregel::Source::Fork);
  EXPECT_EQ(copy.ready, both.ready);
}

TEST_F(Sight, finds_the_graph_of_a_namespace) {
  const auto of = program();
  const GraphPtr graph(of, &of->graph());
  EXPECT_EQ(graph_in(graph, ""), graph);
  ASSERT_NE(graph_in(graph, "s:1f0c"), nullptr);
  EXPECT_NE(graph_in(graph, "s:1f0c")->node("deep"), nullptr);
  for (const auto* wrong : {"a:1", "s:1|deep:2", "nobody", "|", "s:1|s:2"}) {
    EXPECT_EQ(graph_in(graph, wrong), nullptr) << wrong;
  }
  EXPECT_EQ(parent_namespace("s:1|t:2"), "s:1");
  EXPECT_EQ(parent_namespace("s:1"), "");
}

}  // namespace
}  // namespace assistiv::agents
