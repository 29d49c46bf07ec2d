#pragma once
// What the coroutines of one run share. Internal to runtime/; one thread, so nothing is locked.
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "agents/cel/expression.h"
#include "agents/pregel/step.h"
#include "agents/runtime/meter.h"
#include "agents/runtime/recorder.h"
#include "agents/runtime/run.h"
#include "core/error.h"

namespace assistiv::agents {

struct RunState {
  RunState(RunSpec the_spec, RunWorld the_world, std::shared_ptr<RunControl> the_control)
      : spec(std::move(the_spec)),
        world(the_world),
        control(std::move(the_control)),
        recorder(spec, world),
        meter(spec.limits, spec.totals, world.clock),
        ids(world.clock, world.random),
        slots(spec.limits.max_parallel) {}

  RunSpec spec;
  RunWorld world;
  std::shared_ptr<RunControl> control;
  Recorder recorder;
  Meter meter;
  pregel::CheckpointIds ids;
  std::map<std::string, pregel::Value, std::less<>> answers;  // to interrupts of this run, wherever they are
  int slots;                                                  // acts that may begin now
  std::chrono::steady_clock::time_point turn_began = std::chrono::steady_clock::now();  // of the thread
  core::AsyncEvent slot_free;
};

// One graph that runs: the root, or a subgraph within a task.
struct Level {
  std::shared_ptr<const pregel::Program> program;
  int depth = 0;
  std::string agent;                          // "agent:<slug>@<version>" when the graph is another agent's
  std::shared_ptr<Meter> meter;               // in another agent than the run's: its own
  pregel::Checkpoint stored;                  // as the journal has it
  pregel::Checkpoint head;                    // with what a Command brought
  pregel::Pending pending;                    // of `head`
  core::Json parents = core::Json::object();  // {ns: checkpoint id} above it
  core::Time now;                             // of this step: `run.now`
  core::Json state;                           // of this step, for expressions; null: not built yet
  std::size_t sends = 0;                      // that the maps of this step have made
  std::size_t send_bytes = 0;                 // of the inputs that the maps of this step have made
  std::stop_token stop;                       // the run was cancelled, or a sibling of the task above failed
  // Subgraphs that were left in this process, by the id of their head: of tasks of this step, and of those
  // that remember. What is entered again may not be in the journal yet.
  std::map<std::string, std::shared_ptr<const Level>, std::less<>> left;
  // In a task that runs: where its head is noted.
  std::shared_ptr<Level> above;
  std::string above_task;
};

// What all expressions of one task may use together, over its attempts.
inline constexpr cel::Budget kTaskBudget{.steps = 250'000, .bytes = 64 << 20};

// One task while it runs.
struct TaskRun {
  std::shared_ptr<RunState> run;
  std::shared_ptr<Level> level;
  const pregel::PlannedTask* task = nullptr;  // of the step, which outlives it
  const Node* node = nullptr;
  std::stop_token stop;
  std::shared_ptr<std::chrono::steady_clock::time_point> progress = {};  // of a task with an idle timeout
  std::shared_ptr<cel::Budget> budget = std::make_shared<cel::Budget>(kTaskBudget);

  void moved() const {
    if (progress) *progress = std::chrono::steady_clock::now();
  }
  Meter& meter() const { return level->meter ? *level->meter : run->meter; }
  pregel::TaskRecord& record() const { return level->pending.tasks[task->id]; }
};

struct NodeOutcome {
  pregel::TaskResult result;
  std::vector<pregel::Interrupt> interrupts;  // open ones: the task waits
};

// Ends a run that was cancelled.
core::Error cancelled_error();

// Lets the others of the thread have their turn when the run has kept it for long: a graph that does nothing
// outside suspends nowhere else.
core::Task<void> give_way(std::shared_ptr<RunState> run);

// Runs one attempt of a node. Throws core::Error.
core::Task<NodeOutcome> run_node(TaskRun task);
core::Task<NodeOutcome> run_agent(TaskRun task);

// Runs a graph from its head until it ends, waits, or stops. Throws core::Error.
enum class LevelEnd { Done, Parked, Breakpoint, Drained };
core::Task<LevelEnd> run_level(std::shared_ptr<RunState> run, std::shared_ptr<Level> level);

// Runs all of `jobs` beside each other and waits for them; they do not throw.
core::Task<void> run_all(std::shared_ptr<RunState> run, std::vector<std::function<core::Task<void>()>> jobs);

// The row of `next`, which becomes what is stored.
void record_checkpoint(RunState& run, Level& level, pregel::Checkpoint next);
// Its event, when the run's modes ask for it.
void tell_checkpoint(RunState& run, const Level& level);
void record_fact(const TaskRun& task, Fact fact, std::string key, core::Json value);

}  // namespace assistiv::agents
