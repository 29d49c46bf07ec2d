#include "agents/pregel/step.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "support/graph_builder.h"
#include "support/manual_clock.h"
#include "support/scripted_random.h"

namespace assistiv::agents::pregel {
namespace {

using core::Json;
using test::GraphBuilder;
using Names = std::vector<std::string>;

// A run whose nodes write what the test says.
class Steps {
 public:
  explicit Steps(std::shared_ptr<const Graph> graph) : program(std::move(graph)), head(blank(program, "")) {}

  void input(Json value) {
    head = begin(program, head, value, id());
    EXPECT_EQ(planned(), Names{"__start__"});
    finish({{"__start__", start_result(program, value, random)}});
  }
  TaskResult writes(const Json& values) {
    TaskResult out;
    for (const auto& [key, value] : values.items()) {
      out.writes.push_back(prepare_write(*program.graph().key(key), value, random));
    }
    return out;
  }
  // Ends the step; results by node, the same for each task of a node.
  void finish(const std::map<std::string, TaskResult>& by_node) {
    const auto tasks = plan(program, head);
    std::map<std::string, TaskResult, std::less<>> results;
    for (const auto& task : tasks) {
      const auto found = by_node.find(task.node);
      results[task.id] = found == by_node.end() ? TaskResult{} : found->second;
    }
    head = apply(program, head, tasks, results, id());
  }
  Names planned() const {
    Names out;
    for (const auto& task : plan(program, head)) out.push_back(task.node);
    return out;
  }
  Json value(const std::string& key) const {
    return head.values.contains(key) ? head.values.at(key).json() : Json();
  }
  Identity id() { return {ids.next(head.id, head.step + 1), clock.now()}; }

  test::ManualClock clock;
  test::ScriptedRandom random;
  CheckpointIds ids{clock, random};
  Program program;
  Checkpoint head;
};

std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const core::Error& e) {
    return std::string(e.code());
  }
  return "";
}

GraphBuilder line() {
  GraphBuilder graph;
  graph.key("x").node("a").node("b").edge("__start__", {"a"}).edge("a", {"b"}).edge("b", {"__end__"});
  return graph;
}

TEST(Step, ALineRunsNodeAfterNode) {
  Steps run(line().build());
  run.input({{"x", 1}});
  EXPECT_EQ(run.head.step, 0);
  EXPECT_EQ(run.value("x"), 1);
  EXPECT_EQ(run.planned(), Names{"a"});
  EXPECT_EQ(plan(run.program, run.head)[0].triggers, Names{"branch:to:a"});
  run.finish({{"a", run.writes({{"x", 2}})}});
  EXPECT_EQ(run.head.updated, Names{"x"});
  EXPECT_EQ(run.planned(), Names{"b"});
  run.finish({});
  EXPECT_TRUE(run.planned().empty());
  EXPECT_EQ(run.value("x"), 2);
  EXPECT_EQ(run.head.step, 2);
}

TEST(Step, CheckpointIdsOrderAsTimeDoes) {
  Steps run(line().build());
  run.input({{"x", 1}});
  const auto first = run.head;
  run.finish({});
  EXPECT_LT(first.parent, first.id);
  EXPECT_LT(first.id, run.head.id);
  EXPECT_EQ(run.head.parent, first.id);
  EXPECT_EQ(run.head.id[14], '6');
  EXPECT_EQ(run.head.id.substr(19, 4), "8001");  // the step
  // Another machine whose clock is behind.
  test::ManualClock behind(core::from_epoch_ms(1));
  CheckpointIds other(behind, run.random);
  EXPECT_LT(run.head.id, other.next(run.head.id, 2));
}

TEST(Step, AJoinWaitsForAllAndPlainEdgesDoNot) {
  GraphBuilder graph;
  graph.key("x").node("a").node("b").node("b2").node("join").node("plain");
  graph.edge("__start__", {"a", "b"}).edge("a", {"plain"}).edge("b", {"b2"}).edge("b2", {"plain"});
  graph.join({"a", "b2"}, "join");
  Steps run(graph.build());
  run.input({{"x", 1}});
  EXPECT_EQ(run.planned(), (Names{"a", "b"}));
  run.finish({});
  EXPECT_EQ(run.planned(), (Names{"b2", "plain"}));
  run.finish({});
  EXPECT_EQ(run.planned(), (Names{"join", "plain"}));
  EXPECT_EQ(plan(run.program, run.head)[0].triggers, Names{"join:a+b2:join"});
  run.finish({});
  EXPECT_TRUE(run.planned().empty());
}

TEST(Step, ADeferredNodeRunsWhenNothingElseDoes) {
  GraphBuilder graph;
  graph.key("x").node("a").node("b").node("c").node("late", TransformNode{}, true);
  graph.edge("__start__", {"a", "b"}).edge("a", {"late"}).edge("b", {"c"}).edge("c", {"late"});
  Steps run(graph.build());
  run.input({{"x", 1}});
  run.finish({});
  EXPECT_EQ(run.planned(), Names{"c"});
  run.finish({});
  EXPECT_EQ(run.planned(), Names{"late"});
  run.finish({});
  EXPECT_TRUE(run.planned().empty());
}

GraphBuilder fan() {
  GraphBuilder graph;
  graph.key("hits", Reducer::Append).node("fan").node("work").node("done");
  graph.edge("__start__", {"fan"}).edge("work", {"done"});
  return graph;
}

TaskResult sends(const std::string& node, int count) {
  TaskResult out;
  for (int i = 0; i < count; ++i) out.sends.push_back({node, Value(Json{{"i", i}}), "fan"});
  return out;
}

TEST(Step, SendsRunInTheirOrderAndReduceTogether) {
  Steps run(fan().build());
  run.input({{"hits", Json::array()}});
  run.finish({{"fan", sends("work", 3)}});
  const auto tasks = plan(run.program, run.head);
  ASSERT_EQ(tasks.size(), 3U);
  std::map<std::string, TaskResult, std::less<>> results;
  std::set<std::string> ids;
  for (const auto& task : tasks) {
    EXPECT_EQ(task.kind, TaskKind::Push);
    ids.insert(task.id);
    results[task.id] = run.writes({{"hits", Json::array({task.input.json()["i"]})}});
  }
  EXPECT_EQ(ids.size(), 3U);
  run.head = apply(run.program, run.head, tasks, results, run.id());
  EXPECT_EQ(run.value("hits"), Json::array({0, 1, 2}));
  EXPECT_EQ(run.planned(), Names{"done"});
  EXPECT_EQ(run.head.ran, Names{"work"});
}

TEST(Step, PassedNodesEdgesAreTaken) {
  Steps run(fan().build());
  run.input({{"hits", Json::array()}});
  TaskResult none;
  none.passes = {"work"};
  run.finish({{"fan", none}});
  EXPECT_EQ(run.planned(), Names{"done"});
}

TEST(Step, FanOutAndStateAreBounded) {
  Steps wide(fan().build());
  wide.input({{"hits", Json::array()}});
  EXPECT_EQ(refusal([&] {
              wide.finish({{"fan", sends("work", static_cast<int>(kMaxTasks) + 1)}});
            }),
            "FANOUT_TOO_LARGE");
  auto graph = line();
  graph.raw().limits.max_state_bytes = 2000;
  Steps large(graph.build());
  large.input({{"x", "small"}});
  EXPECT_EQ(refusal([&] {
              large.finish({{"a", large.writes({{"x", std::string(3000, 'x')}})}});
            }),
            "STATE_TOO_LARGE");
  EXPECT_EQ(refusal([&] { large.input({{"x", std::string(3000, 'x')}}); }), "STATE_TOO_LARGE");
}

TEST(Step, UnknownKeysNodesAndInputsAreRefused) {
  Steps run(line().build());
  run.input({{"x", 1}});
  TaskResult to;
  to.to = {"nowhere"};
  EXPECT_EQ(refusal([&] { run.finish({{"a", to}}); }), "INVALID_GRAPH_UPDATE");
  TaskResult key;
  key.writes.push_back({"y", Value(1)});
  EXPECT_EQ(refusal([&] { run.finish({{"a", key}}); }), "INVALID_GRAPH_UPDATE");
  EXPECT_EQ(refusal([&] { start_result(run.program, {{"y", 1}}, run.random); }), "INVALID_INPUT");
  EXPECT_EQ(refusal([&] { start_result(run.program, "x", run.random); }), "INVALID_INPUT");
  EXPECT_TRUE(start_result(run.program, Json::object(), run.random).writes.empty());
}

TEST(Step, AnEphemeralKeyLivesForOneStep) {
  auto graph = line();
  graph.key("scratch", Reducer::Any, {}, 0, Channel::Ephemeral);
  Steps run(graph.build());
  run.input({{"x", 1}, {"scratch", "s"}});
  EXPECT_EQ(run.value("scratch"), "s");
  run.finish({});
  EXPECT_TRUE(run.value("scratch").is_null());
}

TEST(Step, NewInputDropsWhatWasLeftToDo) {
  Steps run(line().build());
  run.input({{"x", 1}});
  run.finish({});
  EXPECT_EQ(run.planned(), Names{"b"});
  run.input({{"x", 5}});
  EXPECT_EQ(run.planned(), Names{"a"});
  EXPECT_EQ(run.value("x"), 5);
  EXPECT_EQ(run.head.step, 3);
}

TEST(Interrupts, BreakpointsStopOnceAndAreNotRemembered) {
  Steps run(line().build());
  run.input({{"x", 1}});
  const auto tasks = plan(run.program, run.head);
  EXPECT_TRUE(stops(run.head, {"a"}, tasks));
  EXPECT_TRUE(stops(run.head, {"*"}, tasks));
  EXPECT_FALSE(stops(run.head, {"b"}, tasks));
  pass_breakpoints(run.head);
  EXPECT_FALSE(stops(run.head, {"a"}, tasks));
  run.finish({});
  EXPECT_TRUE(stops(run.head, {"b"}, plan(run.program, run.head)));
  EXPECT_TRUE(stops_after(run.head, {"a"}));
  EXPECT_FALSE(stops_after(run.head, {"b"}));
}

TEST(Interrupts, SeveralNeedAMapAndATaskWaitsForAllOfIts) {
  Steps run(line().build());
  run.input({{"x", 1}});
  const auto tasks = plan(run.program, run.head);
  Pending pending;
  const auto one = interrupt_id("", tasks[0].id, "call-1");
  const auto two = interrupt_id("", tasks[0].id, "call-2");
  EXPECT_TRUE(looks_like_interrupt_id(one));
  EXPECT_NE(one, two);
  pending.tasks[tasks[0].id].interrupts = {{one, "", Value("?")}, {two, "", Value("??")}};
  const auto open = open_interrupts(tasks, pending);
  ASSERT_EQ(open.size(), 2U);
  EXPECT_EQ(refusal([&] { answers_of("yes", open); }), "MULTIPLE_INTERRUPTS");
  EXPECT_EQ(refusal([&] { answers_of({{std::string(32, 'a'), 1}}, open); }), "NO_SUCH_INTERRUPT");
  pending.answers = answers_of({{one, "yes"}}, open);
  EXPECT_TRUE(parked(pending, tasks[0].id));
  const auto left = open_interrupts(tasks, pending);
  ASSERT_EQ(left.size(), 1U);
  pending.answers.merge(answers_of("no", left));  // one is left: a scalar answers it
  EXPECT_FALSE(parked(pending, tasks[0].id));
  EXPECT_EQ(pending.answers.at(two).json(), "no");
  EXPECT_TRUE(answers_of("anything", {}).empty());
}

TEST(Command, UpdatesAndGoesBesideTheTaskThatWaits) {
  auto graph = line();
  graph.node("c");
  Steps run(graph.build());
  run.input({{"x", 1}});
  const auto before = plan(run.program, run.head);
  const auto command =
      command_result(run.program, {{"x", 7}}, {"c", {{"node", "b"}, {"input", {{"q", 1}}}}}, run.random);
  const auto changed = with_command(run.program, run.head, command);
  EXPECT_EQ(changed.values.at("x").json(), 7);
  const auto after = plan(run.program, changed);
  ASSERT_EQ(after.size(), 3U);
  EXPECT_EQ(after[0].node, "b");
  EXPECT_EQ(after[0].input.json()["q"], 1);
  EXPECT_EQ(after[1].id, before[0].id);
  EXPECT_EQ(after[2].node, "c");
  EXPECT_EQ(refusal([&] {
              command_result(run.program, {{"zz", 1}}, nullptr, run.random);
            }),
            "INVALID_GRAPH_UPDATE");
  EXPECT_EQ(refusal([&] { command_result(run.program, nullptr, "zz", run.random); }), "INVALID_GRAPH_UPDATE");
  EXPECT_EQ(
      command_result(run.program, Json::array({Json::array({"x", 2})}), nullptr, run.random).writes.size(),
      1U);
}

TEST(Update, AsANodeDecidesWhatIsNext) {
  Steps run(line().build());
  run.input({{"x", 1}});
  run.finish({});
  run.finish({});
  EXPECT_TRUE(run.planned().empty());
  run.head = update(run.program, run.head, {}, "a", run.writes({{"x", 9}}), run.id());
  EXPECT_EQ(run.head.source, Source::Update);
  EXPECT_EQ(run.planned(), Names{"b"});
  EXPECT_EQ(run.value("x"), 9);
  run.head = update(run.program, run.head, {}, kEnd, {}, run.id());
  EXPECT_TRUE(run.planned().empty());
}

TEST(Update, CountsWhatFinishedSiblingsWrote) {
  GraphBuilder graph;
  graph.key("log", Reducer::Append).node("a").node("b").node("c");
  graph.edge("__start__", {"a", "b"}).edge("a", {"c"});
  Steps run(graph.build());
  run.input({{"log", Json::array()}});
  const auto tasks = plan(run.program, run.head);
  Pending pending;
  pending.tasks[tasks[0].id].result = run.writes({{"log", Json::array({"a"})}});
  EXPECT_EQ(next_of(tasks, pending), Names{"b"});
  run.head = update(run.program, run.head, pending, "b", run.writes({{"log", Json::array({"b"})}}), run.id());
  EXPECT_EQ(run.value("log"), (Json{"a", "b"}));
  EXPECT_EQ(run.planned(), Names{"c"});
}

TEST(Fork, GivesTasksNewIdsAndSubgraphsTheSameNamespace) {
  auto inner = line().build();
  SubgraphNode body;
  body.local = inner;
  SubgraphNode remembers = body;
  remembers.remembers = true;
  GraphBuilder graph;
  graph.key("x").node("sub", body).node("mem", remembers).edge("__start__", {"sub", "mem"});
  Steps run(graph.build());
  run.input({{"x", 1}});
  const auto tasks = plan(run.program, run.head);
  const auto forked = fork(run.head, run.id());
  EXPECT_EQ(forked.parent, run.head.id);
  EXPECT_EQ(forked.source, Source::Fork);
  const auto again = plan(run.program, forked);
  ASSERT_EQ(again.size(), 2U);
  EXPECT_NE(again[1].id, tasks[1].id);
  EXPECT_EQ(again[0].child_ns, "mem");
  EXPECT_EQ(tasks[1].child_ns, again[1].child_ns);
  EXPECT_EQ(tasks[1].child_ns.substr(0, 4), "sub:");
}

TEST(Update, WhoseItIsMustBeClear) {
  GraphBuilder graph;
  graph.key("x", Reducer::Any).node("a").node("b").edge("__start__", {"a", "b"});
  Steps run(graph.build());
  EXPECT_EQ(writer_of(run.program, run.head), "__start__");
  run.input({{"x", 1}});
  EXPECT_EQ(writer_of(run.program, run.head), "__start__");
  run.finish({});
  EXPECT_EQ(refusal([&] { writer_of(run.program, run.head); }), "INVALID_GRAPH_UPDATE");
}

}  // namespace
}  // namespace assistiv::agents::pregel
