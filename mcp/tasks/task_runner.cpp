#include "mcp/tasks/task_runner.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "core/async.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "core/metrics.h"
#include "mcp/protocol/fault.h"
#include "mcp/protocol/missing_capability.h"
#include "mcp/tools/tool_selection.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kSweepBatch = 1000;
constexpr std::chrono::milliseconds kPauseAfterFault{1000};
constexpr std::string_view kOutcomeUnknown =
    "The server that ran this call stopped before it ended. Whether the tool acted is not known: look before "
    "you "
    "repeat the call.";

// One turn on this node.
struct Turn {
  ToolTask task;
  std::stop_source stop;
  std::stop_source ended;
  std::atomic<bool> lost{false};  // the lease is somebody else's, or the task is gone
};
using TurnPtr = std::shared_ptr<Turn>;

struct StopTurn {
  std::stop_source source;
  void operator()() const { std::stop_source(source).request_stop(); }
};

std::shared_ptr<const core::Json> parsed_object(const std::string& json) {
  auto value = core::try_parse_json(json);
  return value && value->is_object() ? std::make_shared<const core::Json>(std::move(*value)) : nullptr;
}

core::metrics::Counter& turns_counter(const char* end) {
  return core::metrics::counter("assistiv_mcp_task_turns_total", "Turns of MCP tasks by how they ended.",
                                {{"end", end}});
}

// What the door's answer makes of the task.
void settle(ToolTask& task, const ToolCallResult& result, core::Time now) {
  if (result.wait) return park(task, *result.wait, now);
  switch (result.outcome) {
    case ToolOutcome::Done:
    case ToolOutcome::ToolError:
    case ToolOutcome::NotConnected:
      return complete(task, result.result_json, now);
    case ToolOutcome::Unknown:
      return fail(task, kInvalidParams, result.message, now);
    case ToolOutcome::ProtocolError:
      return fail(task, result.error_code, result.message, now);
    case ToolOutcome::InputRequired:
      break;
    case ToolOutcome::TaskRequired:
      return fail(task, kInternalError, "The tool asked for a task inside of a task.", now);
  }
  const auto requests = parsed_object(result.input_requests_json);
  if (!requests || requests->empty()) return park(task, {.state = result.input_state}, now);
  if (const auto fault = missing_capability(task.call.client, *requests))
    return fail(task, fault->code, fault->message, now, fault->data_json);
  ask(task, *requests, result.input_state, now);
}

}  // namespace

struct TaskRunner::Impl : std::enable_shared_from_this<TaskRunner::Impl> {
  Impl(TaskRunnerWorld w, TaskRunnerOptions o)
      : world(std::move(w)), options(o), node(core::random_token(world.random, 16)) {}

  core::Task<> loop(std::stop_token stop);
  core::Task<std::chrono::milliseconds> take_due(std::stop_token stop);
  core::Task<> sweep_now_and_then();
  core::Task<> run_turn(TurnPtr turn, std::stop_token stop);
  core::Task<> keep_lease(TurnPtr turn, std::stop_token stop);
  core::Task<> end_turn(TurnPtr turn, std::function<void(ToolTask&)> edit);
  core::Task<> mark_acting(TurnPtr turn);
  core::Task<ToolCallResult> call_door(TurnPtr turn, oauth::PrincipalPtr caller);
  core::Task<> take_turn(TurnPtr turn, std::stop_token stop);
  std::optional<std::function<void(ToolTask&)>> stillborn(const ToolTask& task) const;
  std::function<void(ToolTask&)> after_fault(TurnPtr turn, const core::Error& error, bool stopping) const;

  void list(const TurnPtr& turn) {
    std::lock_guard lock(mutex);
    running[turn->task.id] = turn;
  }
  void unlist(const TurnPtr& turn) {
    {
      std::lock_guard lock(mutex);
      running.erase(turn->task.id);
    }
    turn->ended.request_stop();
    wake.set();
  }
  std::size_t room() {
    std::lock_guard lock(mutex);
    return options.running_max - std::min(options.running_max, running.size());
  }

  const TaskRunnerWorld world;
  const TaskRunnerOptions options;
  const std::string node;
  core::AsyncEvent wake;
  std::mutex mutex;
  std::unordered_map<std::string, TurnPtr> running;
  std::chrono::steady_clock::time_point swept{};
  core::TaskGroup group{"mcp tasks"};
};

// Changes the task if this node still has it; who lost it says nothing more.
core::Task<> TaskRunner::Impl::end_turn(TurnPtr turn, std::function<void(ToolTask&)> edit) {
  const std::string mine = node;
  co_await world.store.change(turn->task.owner, turn->task.id,
                              [edit = std::move(edit), mine](ToolTask& task) {
                                if (task.runner != mine || task.over()) return false;
                                edit(task);
                                return true;
                              });
}

// Before the tool does what must not be done twice. Throws when it may not.
core::Task<> TaskRunner::Impl::mark_acting(TurnPtr turn) {
  const auto after =
      co_await world.store.change(turn->task.owner, turn->task.id, [mine = node](ToolTask& task) {
        if (task.runner != mine || task.cancel_asked) return false;
        task.acting = true;
        return true;
      });
  if (!after || after->runner != node || !after->acting)
    throw core::Error(core::ErrorKind::Cancelled, "The task was cancelled.");
  turn->task.acting = true;
}

core::Task<> TaskRunner::Impl::keep_lease(TurnPtr turn, std::stop_token) {
  const auto ended = turn->ended.get_token();
  while (true) {
    co_await core::sleep_for(options.lease / 3, ended);
    if (ended.stop_requested()) co_return;
    try {
      const auto until = world.clock.now() + options.lease;
      const auto after =
          co_await world.store.change(turn->task.owner, turn->task.id, [mine = node, until](ToolTask& task) {
            if (task.runner != mine) return false;
            task.due_at = until;
            return true;
          });
      if (after && after->runner == node && !after->cancel_asked) continue;
      turn->lost = !after || after->runner != node;
      turn->stop.request_stop();
      if (turn->lost) co_return;
    } catch (const core::Error& e) {
      core::log::warn("mcp.task_lease_not_renewed", {{"error", e.what()}, {"detail", e.detail()}});
    }
  }
}

core::Task<ToolCallResult> TaskRunner::Impl::call_door(TurnPtr turn, oauth::PrincipalPtr caller) {
  const ToolTask& task = turn->task;
  CallContext context;
  context.principal = std::move(caller);
  if (!task.owner.endpoint.empty()) context.app = task.owner.endpoint;
  context.selection = stored_selection(task.call.selection);
  context.request_id = task.call.request_id;
  context.stop = turn->stop.get_token();
  context.client = task.call.client;
  context.keep_results = context.resource_links = true;  // only the modern protocol has tasks
  context.url_elicitation = task.call.client.elicitation_url;
  context.release_stream = [] { return core::sleep_for(std::chrono::milliseconds(0)); };
  context.input_responses = parsed_object(task.call.responses_json);
  context.input_state = task.call.state;
  context.in_task = true;
  context.resumed = task.orphaned;
  context.before_act = std::bind_front(&Impl::mark_acting, this, turn);
  auto arguments = core::try_parse_json(task.call.arguments_json);
  co_return co_await world.tools.call(std::move(context), task.call.tool,
                                      arguments ? std::move(*arguments) : core::Json());
}

// What ends a turn before it begins.
std::optional<std::function<void(ToolTask&)>> TaskRunner::Impl::stillborn(const ToolTask& task) const {
  const auto now = world.clock.now();
  if (task.orphaned && task.acting)
    return [now](ToolTask& t) { fail(t, kInternalError, std::string(kOutcomeUnknown), now); };
  if (task.cancel_asked) {
    return [now](ToolTask& t) {
      t.runner.clear();
      t.cancel_asked = false;
      cancel(t, now);
    };
  }
  if (task.turns > options.turns_max)
    return
        [now](ToolTask& t) { fail(t, kInternalError, "The call could not be ended in many attempts.", now); };
  return {};
}

std::function<void(ToolTask&)> TaskRunner::Impl::after_fault(TurnPtr turn, const core::Error& error,
                                                             bool stopping) const {
  const auto now = world.clock.now();
  const bool acted = turn->task.acting;
  const bool passing = error.kind() == core::ErrorKind::Unavailable;
  if (!acted && (stopping || passing)) {
    const auto wait = stopping ? std::chrono::milliseconds(0) : kPauseAfterFault;
    return [now, wait](ToolTask& task) { release(task, now + wait); };
  }
  if (acted && stopping)
    return [now](ToolTask& task) { fail(task, kInternalError, std::string(kOutcomeUnknown), now); };
  const bool ours = error.kind() == core::ErrorKind::Internal;
  const bool callers =
      error.kind() == core::ErrorKind::InvalidArgument || error.kind() == core::ErrorKind::NotFound;
  const int code = callers ? kInvalidParams : kInternalError;
  std::string message = ours
                            ? "Something went wrong on our side (request " + turn->task.call.request_id + ")."
                            : error.message();
  return [now, code, message](ToolTask& task) {
    if (task.cancel_asked) {
      task.runner.clear();
      task.cancel_asked = false;
      cancel(task, now);
    } else {
      fail(task, code, message, now);
    }
  };
}

core::Task<> TaskRunner::Impl::take_turn(TurnPtr turn, std::stop_token stop) {
  if (const auto edit = stillborn(turn->task)) {
    turns_counter("refused").add();
    co_return co_await end_turn(turn, *edit);
  }
  std::optional<core::Error> error;
  ToolCallResult result;
  try {
    oauth::PrincipalPtr caller;
    if (world.caller) {
      caller = co_await world.caller(turn->task.owner);
      if (!caller) throw core::forbidden("The key that made this call is not valid any more.");
    }
    result = co_await call_door(turn, std::move(caller));
  } catch (const core::Error& e) {
    error = e;
  } catch (const std::exception& e) {
    error = core::internal(e.what());
  }
  // A tool that was stopped says so in a result; the task was not cancelled when it is this node that stops.
  if (!error && stop.stop_requested() && result.outcome == ToolOutcome::ToolError)
    error = core::Error(core::ErrorKind::Cancelled, "The server is stopping.");
  if (error) {
    turns_counter("fault").add();
    core::log::warn("mcp.task_turn_failed", {{"task_tool", turn->task.call.tool},
                                             {"request_id", turn->task.call.request_id},
                                             {"error", error->message()},
                                             {"detail", error->detail()}});
    co_return co_await end_turn(turn, after_fault(turn, *error, stop.stop_requested()));
  }
  turns_counter("result").add();
  const auto now = world.clock.now();
  co_await end_turn(turn, [result = std::move(result), now](ToolTask& task) {
    const bool undone = task.cancel_asked && (result.wait || result.outcome != ToolOutcome::Done);
    if (!undone) return settle(task, result, now);
    task.runner.clear();
    task.cancel_asked = false;
    cancel(task, now);
  });
}

core::Task<> TaskRunner::Impl::run_turn(TurnPtr turn, std::stop_token stop) {
  const std::stop_callback on_stop(stop, StopTurn{turn->stop});
  try {
    co_await take_turn(turn, stop);
  } catch (const core::Error& e) {
    // The lease runs out, and some node takes the task up again.
    core::log::error("mcp.task_not_kept", {{"error", e.message()}, {"detail", e.detail()}});
  }
  unlist(turn);
}

core::Task<> TaskRunner::Impl::sweep_now_and_then() {
  const auto now = std::chrono::steady_clock::now();
  if (now - swept < options.sweep_every) co_return;
  swept = now;
  while (co_await world.store.sweep(kSweepBatch) == kSweepBatch) {
  }
}

// Begins what is due; says how long to wait for more.
core::Task<std::chrono::milliseconds> TaskRunner::Impl::take_due(std::stop_token stop) {
  const std::size_t free = room();
  if (free == 0) co_return options.look_every;
  const auto due = co_await world.store.claim(node, world.clock.now() + options.lease, free);
  const auto executor = co_await core::current_executor();
  for (const auto& task : due.tasks) {
    auto turn = std::make_shared<Turn>();
    turn->task = task;
    list(turn);
    group.spawn(executor, "mcp task", std::bind_front(&Impl::run_turn, shared_from_this(), turn));
    group.spawn(executor, "mcp task lease", std::bind_front(&Impl::keep_lease, shared_from_this(), turn));
  }
  if (stop.stop_requested() || !due.next) co_return options.look_every;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(*due.next - world.clock.now());
  co_return std::clamp(wait, std::chrono::milliseconds(1), options.look_every);
}

core::Task<> TaskRunner::Impl::loop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    auto wait = options.look_every;
    try {
      wait = co_await take_due(stop);
      co_await sweep_now_and_then();
    } catch (const core::Error& e) {
      core::log::warn("mcp.tasks_not_taken", {{"error", e.what()}, {"detail", e.detail()}});
      wait = kPauseAfterFault;
    }
    co_await wake.wait_for(wait, stop);
  }
}

TaskRunner::TaskRunner(TaskRunnerWorld world, TaskRunnerOptions options)
    : impl_(std::make_shared<Impl>(std::move(world), options)) {}

TaskRunner::~TaskRunner() {
  stop();
}

void TaskRunner::start(core::AnyExecutor executor) {
  impl_->group.spawn(std::move(executor), "mcp task runner", std::bind_front(&Impl::loop, impl_));
}

void TaskRunner::stop() {
  impl_->group.stop();
}

void TaskRunner::on_notify(std::string_view topic, std::string_view payload) {
  if (topic == "mcp_task_due" || topic == "resync") {
    impl_->wake.set();
  } else if (topic == "mcp_task_cancel") {
    std::lock_guard lock(impl_->mutex);
    const auto it = impl_->running.find(std::string(payload));
    if (it != impl_->running.end()) it->second->stop.request_stop();
  }
}

}  // namespace assistiv::mcp
