#include "agents/runtime/routing.h"

#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "agents/runtime/run_state.h"
#include "core/async.h"
#include "core/error.h"

namespace assistiv::agents {
namespace {

core::Error does_not_act() {
  return core::internal("a node that only routes has acted outside");
}

class NoEffects final : public Effects {
 public:
  core::Task<Quote> quote(ModelCall) override { throw does_not_act(); }
  core::Task<ModelAnswer> call_model(ModelCall) override { throw does_not_act(); }
  core::Task<std::vector<ToolOffer>> tools(Act, std::string, Toolset) override { throw does_not_act(); }
  core::Task<ToolAnswer> call_tool(ToolCall) override { throw does_not_act(); }
  core::Task<HttpAnswer> call_http(HttpCall) override { throw does_not_act(); }
  core::Task<bool> may_enter(std::string, std::stop_token) override { throw does_not_act(); }
};

class NoJournal final : public Journal {
 public:
  core::Task<void> commit(JournalWrite) override { throw does_not_act(); }
  core::Task<std::optional<StoredCheckpoint>> load(std::string, std::string) override {
    throw does_not_act();
  }
  void show(RunEvent) override {}
};

}  // namespace

core::Task<pregel::TaskResult> route_of(RouteQuestion question, const core::Clock* clock,
                                        core::Random* random) {
  pregel::TaskResult out;
  const auto* node = question.program->graph().node(question.node);
  if (node == nullptr) co_return out;
  if (std::holds_alternative<EndNode>(node->body)) out.edges = false;
  if (!std::holds_alternative<RouterNode>(node->body) && !std::holds_alternative<MapNode>(node->body))
    co_return out;
  NoEffects effects;
  NoJournal journal;
  core::TaskGroup nothing("agents.routing");
  RunSpec spec;
  spec.thread = question.thread;
  spec.graph = {question.program, &question.program->graph()};
  spec.limits = spec.graph->limits;
  spec.context = std::move(question.context);
  spec.user = std::move(question.user);
  auto run = std::make_shared<RunState>(std::move(spec), RunWorld{effects, journal, *clock, *random, nothing},
                                        std::make_shared<RunControl>());
  auto level = std::make_shared<Level>();
  level->program = question.program;
  level->head = std::move(question.state);
  level->now = level->head.at;
  pregel::PlannedTask task;
  task.node = question.node;
  auto outcome = co_await run_node(TaskRun{run, level, &task, node, {}});
  out = std::move(outcome.result);
  out.writes.clear();
  co_return out;
}

}  // namespace assistiv::agents
