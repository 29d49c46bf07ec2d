// Super-steps of one graph: plan, run the tasks, record, apply.
#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "agents/pregel/codec.h"
#include "agents/runtime/policies.h"
#include "agents/runtime/questions.h"
#include "agents/runtime/run_state.h"

namespace assistiv::agents {
namespace {

using pregel::PlannedTask;

struct Step {
  std::vector<PlannedTask> tasks;
  std::stop_source stop;
  std::exception_ptr failure;  // the first
  bool drained = false;        // a subgraph stopped between two of its steps
  int running = 0;
};

core::Json writes_of(const pregel::TaskResult& result) {
  auto out = core::Json::object();
  for (const auto& write : result.writes) out[write.key] = write.value.json();
  return out;
}

core::Json shown(const std::vector<pregel::Interrupt>& interrupts) {
  auto out = core::Json::array();
  for (const auto& one : interrupts) out.push_back({{"id", one.id}, {"value", one.value.json()}});
  return out;
}

void tell_start(RunState& run, const Level& level, const PlannedTask& task) {
  if (!run.recorder.wants("tasks")) return;
  run.recorder.event("tasks", level.head.ns, task.node,
                     {{"id", task.id},
                      {"name", task.node},
                      {"input", task.input ? task.input.json() : pregel::to_json(level.head.values)},
                      {"triggers", task.triggers},
                      {"interrupts", core::Json::array()},
                      {"step", level.head.step + 1}});
}

void tell_end(RunState& run, const Level& level, const PlannedTask& task, core::Json more) {
  if (!run.recorder.wants("tasks")) return;
  core::Json data = {{"id", task.id},
                     {"name", task.node},
                     {"interrupts", core::Json::array()},
                     {"step", level.head.step + 1}};
  data.update(more);
  run.recorder.event("tasks", level.head.ns, task.node, std::move(data));
}

void keep_result(const TaskRun& task, pregel::TaskResult result) {
  tell_end(*task.run, *task.level, *task.task, {{"result", writes_of(result)}});
  record_fact(task, Fact::Result, "", pregel::encode(result));
  task.record().result = std::move(result);
}

void keep_interrupts(const TaskRun& task, const std::vector<pregel::Interrupt>& interrupts) {
  auto& known = task.record().interrupts;
  for (const auto& one : interrupts) {
    const bool is_known =
        std::any_of(known.begin(), known.end(), [&](const auto& other) { return other.id == one.id; });
    if (is_known) continue;
    known.push_back(one);
    record_fact(task, Fact::Interrupt, one.id, interrupt_row(one));
  }
  tell_end(*task.run, *task.level, *task.task, {{"interrupts", shown(interrupts)}});
}

void note_failure(const std::shared_ptr<Step>& step, std::exception_ptr failure) {
  if (!step->failure) step->failure = std::move(failure);
  step->stop.request_stop();
}

bool acts_outside(const Node& node) {
  const auto type = node.type();
  return type == "llm" || type == "tool" || type == "agent" || type == "http" || type == "subgraph";
}

bool act_outside(const Level& level, const std::vector<PlannedTask>& tasks) {
  return std::any_of(tasks.begin(), tasks.end(), [&](const auto& task) {
    const auto* node = level.program->graph().node(task.node);
    return node != nullptr && acts_outside(*node);
  });
}

// The thread stands where another graph, or another version of this one, has left it.
core::Error no_such_node(const std::string& node) {
  return core::Error(core::ErrorKind::Unprocessable,
                     "the thread goes on at \"" + node + "\", which this graph does not have: give an input")
      .with_code("no_such_node");
}

core::Task<void> carry_out(TaskRun task, std::shared_ptr<Step> step) {
  try {
    tell_start(*task.run, *task.level, *task.task);
    auto outcome = co_await run_with_policies(task);
    if (outcome.interrupts.empty()) {
      keep_result(task, std::move(outcome.result));
    } else {
      keep_interrupts(task, outcome.interrupts);
    }
    // While siblings go on, what this one did must not be lost; the last one's is written with the step.
    if (--step->running > 0 && acts_outside(*task.node)) co_await task.run->recorder.flush(false);
    co_return;
  } catch (const core::Error& error) {
    --step->running;
    if (error.code() == "drained") {
      step->drained = true;
      co_return;
    }
    tell_end(*task.run, *task.level, *task.task, {{"error", error.message()}});
    if (error.kind() != core::ErrorKind::Cancelled) reopen_questions(task);
    note_failure(step, std::current_exception());
  } catch (...) {
    --step->running;
    note_failure(step, std::current_exception());
  }
}

// The tasks of a map that has a bound of its own: each lane takes the next one when it has ended one.
struct Lanes {
  std::vector<TaskRun> tasks;
  std::size_t next = 0;
};

core::Task<void> work_lane(std::shared_ptr<Lanes> lanes, std::shared_ptr<Step> step) {
  while (lanes->next < lanes->tasks.size()) {
    // What begins after a sibling failed would only be stopped again.
    if (step->stop.stop_requested()) co_return;
    const auto index = lanes->next++;
    co_await carry_out(lanes->tasks[index], step);
  }
}

// 0: no bound of its own.
int lanes_of(const Level& level, const PlannedTask& task) {
  const auto* origin = task.origin.empty() ? nullptr : level.program->graph().node(task.origin);
  const auto* map = origin == nullptr ? nullptr : std::get_if<MapNode>(&origin->body);
  return map == nullptr ? 0 : map->max_parallel;
}

// All tasks of the step that have no result and wait for nobody.
core::Task<void> run_tasks(std::shared_ptr<RunState> run, std::shared_ptr<Level> level,
                           std::shared_ptr<Step> step) {
  const std::stop_callback forward(level->stop, [source = step->stop]() mutable { source.request_stop(); });
  std::vector<std::function<core::Task<void>()>> beside;
  std::vector<TaskRun> inner;
  std::map<std::string, std::shared_ptr<Lanes>> bounded;  // by map
  for (const auto& planned : step->tasks) {
    const auto found = level->pending.tasks.find(planned.id);
    if (found != level->pending.tasks.end() &&
        (found->second.result || pregel::parked(level->pending, planned.id)))
      continue;
    const auto* node = level->program->graph().node(planned.node);
    if (node == nullptr) throw no_such_node(planned.node);
    TaskRun task{run, level, &planned, node, step->stop.get_token()};
    ++step->running;
    if (const int lanes = lanes_of(*level, planned); lanes > 0 && acts_outside(*task.node)) {
      auto& group = bounded[planned.origin];
      if (!group) group = std::make_shared<Lanes>();
      group->tasks.push_back(std::move(task));
      if (group->tasks.size() <= static_cast<std::size_t>(lanes))
        beside.emplace_back([group, step] { return work_lane(group, step); });
    } else if (acts_outside(*task.node)) {
      beside.emplace_back([task, step] { return carry_out(task, step); });
    } else {
      inner.push_back(std::move(task));
    }
  }
  for (auto& task : inner) {
    co_await carry_out(std::move(task), step);
    co_await give_way(run);
  }
  if (step->failure) co_return;
  co_await run_all(run, std::move(beside));
}

void tell_step(RunState& run, const Level& level, const std::vector<PlannedTask>& tasks,
               const std::map<std::string, pregel::TaskResult, std::less<>>& results) {
  const auto& ns = level.head.ns;
  if (run.recorder.wants("updates")) {
    for (const auto& task : tasks) {
      if (task.node == kStart) continue;
      run.recorder.event("updates", ns, task.node, {{task.node, writes_of(results.at(task.id))}});
    }
  }
  // Before its values: clients know by it which checkpoint they are of.
  tell_checkpoint(run, level);
  if (run.recorder.wants("values")) run.recorder.event("values", ns, "", pregel::to_json(level.head.values));
}

// Only what remembers is entered again from a later step.
void forget_left(Level& level) {
  std::set<std::string_view> remembered;
  for (const auto& [ns, head] : level.head.children) remembered.insert(head);
  std::erase_if(level.left, [&](const auto& one) { return !remembered.contains(one.first); });
}

// Ends the step: a new head, with its row and its events.
void end_step(RunState& run, Level& level, const std::vector<PlannedTask>& tasks,
              const std::map<std::string, pregel::TaskResult, std::less<>>& results) {
  auto next = pregel::apply(*level.program, level.head, tasks, results,
                            {run.ids.next(level.head.id, level.head.step + 1), run.world.clock.now()});
  // What was not written yet of the step's tasks is in the checkpoint now.
  std::erase_if(run.recorder.buffer().tasks, [&](const TaskRow& row) {
    return row.checkpoint == level.head.id && row.fact != Fact::Child;
  });
  level.pending = {};
  level.state = nullptr;
  record_checkpoint(run, level, std::move(next));
  forget_left(level);
  tell_step(run, level, tasks, results);
}

void write_start(RunState& run, Level& level, const std::vector<PlannedTask>& tasks) {
  std::map<std::string, pregel::TaskResult, std::less<>> results;
  results[tasks[0].id] = pregel::start_result(*level.program, level.head.input.json(), run.world.random);
  end_step(run, level, tasks, results);
}

// What answers have led to does not fit together, or not into the state.
void reopen_all(const std::shared_ptr<RunState>& run, const std::shared_ptr<Level>& level,
                const std::vector<PlannedTask>& tasks) {
  for (const auto& planned : tasks) {
    const auto* node = level->program->graph().node(planned.node);
    if (node != nullptr) reopen_questions({run, level, &planned, node, {}});
  }
}

std::vector<std::string> both(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  auto out = a;
  out.insert(out.end(), b.begin(), b.end());
  return out;
}

// nullopt: the step is over and the next may begin.
core::Task<std::optional<LevelEnd>> take_step(std::shared_ptr<RunState> run, std::shared_ptr<Level> level,
                                              std::vector<PlannedTask> tasks) {
  if (tasks.size() == 1 && tasks[0].node == kStart) {
    write_start(*run, *level, tasks);
    co_return std::nullopt;
  }
  (level->meter ? *level->meter : run->meter).begin_step();
  level->now = level->head.at;
  level->sends = 0;
  level->send_bytes = 0;
  auto step = std::make_shared<Step>();
  step->tasks = std::move(tasks);
  co_await run_tasks(run, level, step);
  // What a call that was cancelled says of itself is no failure of the run.
  if (level->stop.stop_requested() && !run->recorder.failed()) throw cancelled_error();
  if (step->failure) std::rethrow_exception(step->failure);
  if (step->drained) co_return LevelEnd::Drained;
  std::map<std::string, pregel::TaskResult, std::less<>> results;
  for (const auto& task : step->tasks) {
    const auto& record = level->pending.tasks[task.id];
    if (!record.result) co_return LevelEnd::Parked;
    results.emplace(task.id, *record.result);
  }
  try {
    end_step(*run, *level, step->tasks, results);
  } catch (const core::Error&) {
    reopen_all(run, level, step->tasks);
    throw;
  }
  co_return std::nullopt;
}

// Another agent may be switched off, or taken from the end user, while it is a part of this run.
core::Task<void> check_agents(std::shared_ptr<RunState> run, std::shared_ptr<Level> level) {
  for (auto at = level; at; at = at->above) {
    if (at->agent.empty()) continue;
    bool may = false;
    try {
      may = co_await run->world.effects.may_enter(at->agent, level->stop);
    } catch (const core::Error&) {
      if (level->stop.stop_requested()) throw cancelled_error();
      throw;
    }
    if (!may)
      throw core::forbidden("\"" + at->agent + "\" is switched off, or not for this end user.")
          .with_code("agent_gone");
  }
}

// Of a checkpoint.
core::Json metadata_of(const RunState& run, const Level& level, const pregel::Checkpoint& checkpoint) {
  auto out = run.spec.metadata.is_object() ? run.spec.metadata : core::Json::object();
  out.update({{"run_id", run.spec.run},
              {"source", pregel::to_string(checkpoint.source)},
              {"step", checkpoint.step},
              {"parents", level.parents}});
  if (level.meter) out["usage"] = to_json(level.meter->totals());
  return out;
}

}  // namespace

void tell_checkpoint(RunState& run, const Level& level) {
  if (!run.recorder.wants("checkpoints")) return;
  const auto& head = level.head;
  const auto planned = pregel::plan(*level.program, head);
  auto tasks = core::Json::array();
  for (const auto& task : planned)
    tasks.push_back({{"id", task.id}, {"name", task.node}, {"interrupts", core::Json::array()}});
  run.recorder.event("checkpoints", head.ns, "",
                     {{"id", head.id},
                      {"parent_id", head.parent},
                      {"step", head.step},
                      {"source", pregel::to_string(head.source)},
                      {"values", pregel::to_json(head.values)},
                      {"next", pregel::next_of(planned, {})},
                      {"metadata", metadata_of(run, level, head)},
                      {"tasks", std::move(tasks)}});
}

void record_fact(const TaskRun& task, Fact fact, std::string key, core::Json value) {
  task.run->recorder.buffer().totals = task.run->meter.totals();
  task.run->recorder.buffer().tasks.push_back(
      {task.level->head.id, task.task->id, fact, std::move(key), std::move(value)});
}

void record_checkpoint(RunState& run, Level& level, pregel::Checkpoint next) {
  auto row = checkpoint_row(level.stored, next, level.program->untracked(), metadata_of(run, level, next));
  run.recorder.checkpoint(std::move(row));
  run.recorder.buffer().totals = run.meter.totals();
  if (level.above) {
    level.above->pending.tasks[level.above_task].child = next.id;
    run.recorder.buffer().tasks.push_back({level.above->head.id, level.above_task, Fact::Child, "", next.id});
  }
  level.stored = level.head = std::move(next);
}

core::Task<void> give_way(std::shared_ptr<RunState> run) {
  constexpr std::chrono::milliseconds kTurn{5};
  if (std::chrono::steady_clock::now() - run->turn_began < kTurn) co_return;
  co_await core::sleep_for(std::chrono::milliseconds(0));
  run->turn_began = std::chrono::steady_clock::now();
}

core::Task<LevelEnd> run_level(std::shared_ptr<RunState> run, std::shared_ptr<Level> level) {
  const bool root = !level->above;
  const auto& graph = level->program->graph();
  const auto before =
      root ? both(run->spec.interrupt_before, graph.interrupt_before) : graph.interrupt_before;
  const auto after = root ? both(run->spec.interrupt_after, graph.interrupt_after) : graph.interrupt_after;
  bool began = false;
  for (;;) {
    if (level->stop.stop_requested()) throw cancelled_error();
    auto tasks = pregel::plan(*level->program, level->head);
    if (tasks.empty()) co_return LevelEnd::Done;
    const bool starts = tasks[0].node == kStart;
    if (began) {
      if (root && pregel::stops_after(level->head, after)) co_return LevelEnd::Breakpoint;
      if (run->control->kind() == StopKind::Drain && !starts) co_return LevelEnd::Drained;
    }
    if (root && pregel::stops(level->head, before, tasks)) co_return LevelEnd::Breakpoint;
    if (!root) co_await check_agents(run, level);
    // The beginning needs no write of its own while nothing happens outside. What does takes its time, and
    // those who watch are to see meanwhile what it is about.
    if ((began && level->head.source == pregel::Source::Loop && level->head.step > 0) ||
        act_outside(*level, tasks))
      co_await run->recorder.flush(false);
    if (const auto end = co_await take_step(run, level, std::move(tasks))) co_return *end;
    began = true;
    co_await give_way(run);
  }
}

}  // namespace assistiv::agents
