#include "agents/runtime/policies.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "agents/pregel/codec.h"
#include "agents/runtime/bindings.h"
#include "agents/runtime/node_cache.h"

namespace assistiv::agents {
namespace {

using std::chrono::milliseconds;

// Watches one attempt: requests its stop when its time is over.
struct Watch {
  std::stop_source attempt;
  std::stop_source over;  // the attempt has ended
  bool fired = false;
};

using SteadyClock = std::chrono::steady_clock;

// The soonest end: of the whole attempt, or of the time without progress.
SteadyClock::time_point due(const TimeoutPolicy& policy, SteadyClock::time_point began,
                            SteadyClock::time_point moved) {
  auto out = SteadyClock::time_point::max();
  if (policy.run.count() > 0) out = began + policy.run;
  if (policy.idle.count() > 0) out = std::min(out, moved + policy.idle);
  return out;
}

core::Task<void> watch_time(std::shared_ptr<Watch> watch, TimeoutPolicy policy,
                            std::shared_ptr<SteadyClock::time_point> moved) {
  const auto began = SteadyClock::now();
  while (!watch->over.stop_requested()) {
    const auto left = due(policy, began, *moved) - SteadyClock::now();
    if (left.count() <= 0) {
      watch->fired = true;
      watch->attempt.request_stop();
      co_return;
    }
    co_await core::sleep_for(left, watch->over.get_token());
  }
}

core::Task<NodeOutcome> one_attempt(TaskRun task) {
  const auto& timeout = task.node->policies.timeout;
  if (!timeout || (timeout->run.count() == 0 && timeout->idle.count() == 0))
    co_return co_await run_node(task);
  auto watch = std::make_shared<Watch>();
  const std::stop_callback forward(task.stop, [source = watch->attempt]() mutable { source.request_stop(); });
  task.progress = std::make_shared<SteadyClock::time_point>(SteadyClock::now());
  const auto outer = std::exchange(task.stop, watch->attempt.get_token());
  task.run->world.tasks.spawn(co_await core::current_executor(), "agents.timeout",
                              [watch, policy = *timeout, moved = task.progress](std::stop_token) {
                                return watch_time(watch, policy, moved);
                              });
  std::optional<NodeOutcome> out;
  std::exception_ptr failure;
  try {
    out = co_await run_node(task);
  } catch (...) {
    failure = std::current_exception();
  }
  watch->over.request_stop();
  if (out) co_return std::move(*out);
  if (watch->fired && !outer.stop_requested()) {
    throw core::Error(core::ErrorKind::DeadlineExceeded, "the node " + task.node->id + " took too long")
        .with_code("timeout");
  }
  std::rethrow_exception(failure);
}

// An earlier result of the node, or one that is kept for later ones.
core::Task<NodeOutcome> cached_attempt(TaskRun task) {
  const auto key = cache_key(task);
  if (!key) co_return co_await one_attempt(task);
  if (auto known = recalled(task, *key)) co_return std::move(*known);
  auto out = co_await one_attempt(task);
  if (out.interrupts.empty())
    task.run->world.effects.remember(*key, pregel::encode(out.result), task.node->policies.cache->ttl);
  co_return out;
}

bool is_final(const core::Error& error) {
  return error.kind() == core::ErrorKind::Cancelled || error.code().starts_with("limit_") ||
         error.code() == "drained" || error.code() == "aborted" || error.code() == "ended_in_error" ||
         error.code() == "GRAPH_RECURSION_LIMIT";
}

bool is_kind(RetryOn on, const core::Error& error) {
  switch (on) {
    case RetryOn::Timeout:
      return error.kind() == core::ErrorKind::DeadlineExceeded;
    case RetryOn::RateLimit:
      return error.kind() == core::ErrorKind::RateLimited;
    case RetryOn::ServerError:
      return error.kind() == core::ErrorKind::UpstreamFailed && error.code() != "invalid_output" &&
             error.code() != "tool_error";
    case RetryOn::Network:
      return error.kind() == core::ErrorKind::Unavailable;
    case RetryOn::ToolError:
      return error.code() == "tool_error";
    case RetryOn::InvalidOutput:
      return error.code() == "invalid_output";
  }
  return false;
}

bool is_retried(const RetryPolicy& policy, const core::Error& error) {
  static const std::vector<RetryOn> kUsual = {RetryOn::Timeout, RetryOn::RateLimit, RetryOn::ServerError,
                                              RetryOn::Network};
  const auto& on = policy.retry_on.empty() ? kUsual : policy.retry_on;
  return std::any_of(on.begin(), on.end(), [&](RetryOn one) { return is_kind(one, error); });
}

milliseconds pause_before(const RetryPolicy& policy, int attempt, core::Random& random) {
  auto ms =
      static_cast<double>(policy.initial_interval.count()) * std::pow(policy.backoff_factor, attempt - 1);
  ms = std::min(ms, static_cast<double>(policy.max_interval.count()));
  if (policy.jitter) {
    std::uint8_t byte = 0;
    random.fill({&byte, 1});
    ms *= 0.75 + 0.5 * byte / 255.0;
  }
  return milliseconds(static_cast<std::int64_t>(ms));
}

core::Json told(const TaskRun& task, const core::Error& error) {
  return {{"code", std::string(error.code())}, {"message", error.message()}, {"node", task.node->id}};
}

// Where the graph wants the failure to go; nullopt: nowhere, the run fails.
std::optional<NodeOutcome> handled(const TaskRun& task, const core::Error& error) {
  if (is_final(error) || task.stop.stop_requested()) return std::nullopt;
  NodeOutcome out;
  const auto& handler = task.node->policies.on_error;
  if (!handler.empty()) {
    out.result.edges = false;
    if (handler != kEnd) {
      core::Json input = {{"error", told(task, error)}, {"input", task.task->input.json()}};
      out.result.sends.push_back({handler, pregel::Value(std::move(input)), ""});
    }
    return out;
  }
  const auto* origin = task.level->program->graph().node(task.task->origin);
  const auto* map = origin == nullptr ? nullptr : std::get_if<MapNode>(&origin->body);
  if (map == nullptr || map->on_item_error == ItemError::Fail) return std::nullopt;
  if (map->on_item_error == ItemError::Collect) {
    Bindings names(task);
    names.set(
        "result",
        {{"is_error", true}, {"error", told(task, error)}, {"text", error.message()}, {"json", nullptr}});
    add_writes(task, names, out.result);
  }
  return out;
}

}  // namespace

core::Error cancelled_error() {
  return core::Error(core::ErrorKind::Cancelled, "the run was cancelled").with_code("cancelled");
}

core::Task<NodeOutcome> run_with_policies(TaskRun task) {
  for (int attempt = 1;; ++attempt) {
    std::optional<core::Error> error;
    try {
      co_return co_await cached_attempt(task);
    } catch (const core::Error& e) {
      error = e;
    } catch (const std::exception& e) {
      if (task.run->recorder.failed()) throw;
      error = core::internal(e.what());
    }
    if (task.run->recorder.failed()) throw *error;
    const auto& retry = task.node->policies.retry;
    const bool again = retry && attempt < retry->max_attempts && !is_final(*error) &&
                       !task.stop.stop_requested() && is_retried(*retry, *error);
    if (!again) {
      if (auto out = handled(task, *error)) co_return std::move(*out);
      throw *error;
    }
    // What an attempt recorded and could not use is not kept for the next one.
    const bool unusable = error->code() == "invalid_output" || error->code() == "tool_error";
    if (unusable && !std::holds_alternative<AgentNode>(task.node->body)) task.record().steps.clear();
    if (unusable) ++task.record().thrown_away;
    co_await core::sleep_for(pause_before(*retry, attempt, task.run->world.random), task.stop);
  }
}

core::Task<void> run_all(std::shared_ptr<RunState> run, std::vector<std::function<core::Task<void>()>> jobs) {
  if (jobs.empty()) co_return;
  if (jobs.size() == 1) {
    co_await jobs[0]();
    co_return;
  }
  struct Crowd {
    std::size_t left;
    core::AsyncEvent gone;
    static core::Task<void> one(std::shared_ptr<Crowd> crowd, std::function<core::Task<void>()> job) {
      co_await job();
      if (--crowd->left == 0) crowd->gone.set();
    }
  };
  auto crowd = std::make_shared<Crowd>();
  crowd->left = jobs.size();
  const auto executor = co_await core::current_executor();
  for (auto& job : jobs) {
    run->world.tasks.spawn(executor, "agents.task",
                           [crowd, job](std::stop_token) { return Crowd::one(crowd, job); });
  }
  while (crowd->left > 0) co_await crowd->gone.wait_for(std::chrono::seconds(1));
}

}  // namespace assistiv::agents
