// Random graphs with random results: neither the order in which tasks finish, nor a crash after any part of
// them was recorded, nor the way through the journal changes what a run ends with.
#include <gtest/gtest.h>

#include <random>

#include "agents/pregel/codec.h"
#include "agents/pregel/step.h"
#include "agents/runtime/journal.h"
#include "support/graph_builder.h"
#include "support/manual_clock.h"
#include "support/scripted_random.h"

namespace assistiv::agents::pregel {
namespace {

using core::Json;

constexpr int kGraphs = 25;

std::shared_ptr<const Graph> random_graph(std::mt19937& dice) {
  test::GraphBuilder graph;
  graph.key("log", Reducer::Append, {}, 40).key("sum", Reducer::Sum).key("any", Reducer::Any);
  graph.key("map", Reducer::DeepMerge).key("messages", Reducer::Messages, {}, 12).key("set", Reducer::Union);
  graph.key("once", Reducer::Any, {}, 0, Channel::Ephemeral);
  const int nodes = 2 + static_cast<int>(dice() % 6);
  const auto name = [](int i) { return "n" + std::to_string(i); };
  for (int i = 0; i < nodes; ++i) graph.node(name(i), TransformNode{}, dice() % 5 == 0);
  graph.edge("__start__", {name(0), name(1)});
  for (int i = 0; i < nodes; ++i) {
    for (int j = 0; j < nodes; ++j) {
      if (dice() % 4 == 0) graph.edge(name(i), {name(j)});
    }
  }
  graph.join({name(0), name(nodes - 1)}, name(static_cast<int>(dice() % static_cast<unsigned>(nodes))));
  return graph.build();
}

// What a task does depends on nothing but the task, as a recorded effect would.
TaskResult result_of(const Program& program, const PlannedTask& task, int step) {
  test::ScriptedRandom random(std::hash<std::string>()(task.id));
  TaskResult out;
  const auto write = [&](const char* key, Json value) {
    out.writes.push_back(prepare_write(*program.graph().key(key), std::move(value), random));
  };
  write("log", Json::array({task.node + std::to_string(task.index), step}));
  write("sum", static_cast<int>(task.id.back()));
  write("any", task.id);
  write("map", {{"by", {{task.node, step}}}});
  write("messages", {{"role", "user"}, {"content", task.node}});
  write("set", Json::array({task.node}));
  write("once", step);
  if (task.kind == TaskKind::Pull && step % 3 == 1) {
    for (int i = 0; i < 3; ++i) out.sends.push_back({"n1", Value(Json{{"i", i}}), task.node});
  }
  return out;
}

struct World {
  test::ManualClock clock;
  test::ScriptedRandom random{7};
  CheckpointIds ids{clock, random};
};

Checkpoint started(const Program& program, World& world) {
  auto head = begin(program, blank(program, ""), Json::object(), {world.ids.next("", -1), world.clock.now()});
  const auto tasks = plan(program, head);
  return apply(program, head, tasks, {{tasks[0].id, start_result(program, Json::object(), world.random)}},
               {world.ids.next(head.id, 0), world.clock.now()});
}

Json without_ids(const Checkpoint& checkpoint) {
  return encode(checkpoint, {});
}

TEST(PregelProperties, TheOrderOfFinishingNeverMatters) {
  std::mt19937 dice(1);
  for (int n = 0; n < kGraphs; ++n) {
    const Program program(random_graph(dice));
    World world;
    auto head = started(program, world);
    for (int step = 1; step < 8; ++step) {
      auto tasks = plan(program, head);
      if (tasks.empty()) break;
      std::map<std::string, TaskResult, std::less<>> results;
      for (const auto& task : tasks) results[task.id] = result_of(program, task, step);
      const Identity id{world.ids.next(head.id, step), world.clock.now()};
      const auto next = apply(program, head, tasks, results, id);
      for (int shuffle = 0; shuffle < 4; ++shuffle) {
        std::shuffle(tasks.begin(), tasks.end(), dice);
        EXPECT_EQ(without_ids(apply(program, head, tasks, results, id)), without_ids(next));
      }
      head = next;
    }
  }
}

// Rows as a store would keep them.
struct Kept {
  std::vector<CheckpointRow> chain;
  std::vector<TaskRow> tasks;

  void put(const Checkpoint& base, const Checkpoint& next) {
    CheckpointRow row;
    row.id = next.id;
    row.whole = chain.empty();
    row.body = Json::parse((row.whole ? encode(next, {}) : encode_delta(base, next, {})).dump());
    row.metadata = Json::object();
    chain.push_back(std::move(row));
    tasks.clear();
  }
  void put(const std::string& task, const TaskResult& result) {
    tasks.push_back({chain.back().id, task, Fact::Result, "", Json::parse(encode(result).dump())});
  }
};

TEST(PregelProperties, GoingOnAfterAnyRecordedPartGivesTheSame) {
  std::mt19937 dice(2);
  for (int n = 0; n < kGraphs; ++n) {
    const Program program(random_graph(dice));
    World world;
    auto head = started(program, world);
    Kept kept;
    kept.put({}, head);
    for (int step = 1; step < 8; ++step) {
      const auto tasks = plan(program, head);
      if (tasks.empty()) break;
      std::map<std::string, TaskResult, std::less<>> results;
      for (const auto& task : tasks) {
        results[task.id] = result_of(program, task, step);
        if (dice() % 2 == 0) kept.put(task.id, results[task.id]);
      }
      const Identity id{world.ids.next(head.id, step), world.clock.now()};
      const auto next = apply(program, head, tasks, results, id);
      // The crash: everything is read again, and what was not recorded is done again.
      const auto stored = stored_checkpoint(kept.chain, kept.tasks);
      EXPECT_EQ(without_ids(stored.checkpoint), without_ids(head));
      std::map<std::string, TaskResult, std::less<>> again;
      for (const auto& task : plan(program, stored.checkpoint)) {
        const auto found = stored.pending.tasks.find(task.id);
        again[task.id] =
            found == stored.pending.tasks.end() ? result_of(program, task, step) : *found->second.result;
      }
      EXPECT_EQ(without_ids(apply(program, stored.checkpoint, tasks, again, id)), without_ids(next));
      kept.put(head, next);
      head = next;
    }
  }
}

TEST(PregelCodec, ADeltaHoldsOnlyWhatChanged) {
  test::GraphBuilder graph;
  graph.key("log", Reducer::Append).key("big").key("secret", Reducer::Any, {}, 0, Channel::Untracked);
  graph.node("a").edge("__start__", {"a"});
  const Program program(graph.build());
  auto base = blank(program, "");
  base.values["big"] = Value(std::string(10'000, 'x'));
  base.values["log"] = Value(Json{1, 2, 3});
  base.values["secret"] = Value("s");
  auto next = base;
  next.values["log"] = Value(Json{1, 2, 3, 4});
  const auto delta = encode_delta(base, next, program.untracked());
  EXPECT_LT(delta.dump().size(), 400U);
  EXPECT_EQ(delta["tails"]["log"]["add"], Json::array({4}));
  EXPECT_EQ(decode_delta(base, delta).values.at("log").json(), (Json{1, 2, 3, 4}));
  EXPECT_EQ(encode(next, program.untracked()).dump().find("\"s\""), std::string::npos);
}

}  // namespace
}  // namespace assistiv::agents::pregel
