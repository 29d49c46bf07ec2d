#include "agents/service/agent_run_service.h"

#include <utility>

#include "agents/service/ephemeral_journal.h"
#include "agents/service/run_metrics.h"
#include "agents/service/run_spec.h"
#include "agents/store/outage.h"
#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kIdempotencyKeyMax = 300;  // 255 of a client's, and what a door adds

// Between two looks at a run that another process has, when no notice comes.
constexpr std::chrono::milliseconds kLookEvery{1000};

std::string assistant_name(const core::Json& body) {
  if (!body.is_object()) throw core::bad_request("The request is an object.");
  const core::JsonReader reader(body);
  return reader.string("assistant_id", 1, 128);
}

void add_identity(core::Json& metadata, const Assistant& assistant) {
  metadata["assistant_id"] = assistant.id.str();
  metadata["graph_id"] = assistant.graph_id;
}

RunResult result_from(const Run& before, const RunOutcome& outcome) {
  RunResult out;
  out.run = before;
  out.run.status = std::string(to_string(outcome.view.status));
  out.run.usage = to_json(outcome.totals);
  if (!outcome.view.error_code.empty() || !outcome.view.error_message.empty())
    out.run.error = {{"error", outcome.view.error_code}, {"message", outcome.view.error_message}};
  out.values = outcome.view.values;
  out.interrupts = outcome.view.interrupts.is_object() ? outcome.view.interrupts : core::Json::object();
  if (outcome.view.status == RunStatus::Success) out.output = outcome.output;
  return out;
}

struct Forget {
  RunWaiters& waiters;
  ThreadKey key;
  std::shared_ptr<RunWaiters::Waiter> waiter;
  ~Forget() { waiters.forget(key, waiter); }
};

NewRun run_of_order(const ResolvedAssistant& of, RunOrder order, int version) {
  NewRun out;
  out.create_thread = order.create_thread;
  add_identity(out.thread_metadata, of.assistant);
  out.agent = of.agent.id.uuid;
  out.agent_version = version;
  out.assistant = of.assistant.id;
  out.metadata = std::move(order.metadata);
  add_identity(out.metadata, of.assistant);
  out.kwargs = std::move(order.kwargs);
  out.multitask_strategy = std::move(order.multitask_strategy);
  out.keep_thread = order.keep_thread;
  out.after = order.after;
  out.webhook = std::move(order.webhook);
  return out;
}

// What the executor refuses an end user in a graph that asks its platform.
void check_steering(const core::Json& kwargs, const std::optional<CheckpointId>& head) {
  const auto& command = kwargs.at("command");
  if (command.is_object() && (command.contains("update") || command.contains("goto")))
    throw platform_only("In a graph that asks its platform, an end user's key sends no update and no goto.");
  const auto from = kwargs.at("checkpoint_id").get<std::string>();
  if (!from.empty() && !(head && head->str() == from))
    throw platform_only(
        "In a graph that asks its platform, an end user's key goes on from where the thread stands.");
}

core::Error stopping_error() {
  return core::Error(core::ErrorKind::Unavailable, "The server is stopping; the run goes on elsewhere.")
      .with_retry_after(std::chrono::seconds(1));
}

}  // namespace

NewRun scheduled_run(const ResolvedAssistant& of, const core::Json& payload, bool of_end_user) {
  auto order = read_run_order(payload, of.assistant);
  order.kwargs["by"] = of_end_user ? "end_user" : "platform";
  return run_of_order(of, std::move(order), of.agent.active_version);
}

AgentRunService::~AgentRunService() {
  beside_.stop();
}

// A thread that waits goes on with the version that it waits in.
core::Task<int> AgentRunService::version_for(const RunCaller& caller, const RunRequest& request,
                                             const ResolvedAssistant& of, bool resumes) {
  if (!resumes || !request.thread) co_return of.agent.active_version;
  const auto last = co_await world_.runs.list(caller.reach, {.thread = request.thread, .limit = 1});
  if (last.empty() || last[0].agent != of.agent.id.uuid) co_return of.agent.active_version;
  co_return last[0].agent_version;
}

// The request against the state of its thread. What changes in the meantime the executor sees.
core::Task<> AgentRunService::check_given(std::optional<ThreadId> id, Reach reach, const RunOrder* order,
                                          GraphPtr graph) {
  auto faults = given_faults(order->kwargs, *graph, nullptr);
  if (faults.empty() && !order->resumes) co_return;
  const auto thread = id ? co_await world_.threads.find(reach, *id) : std::nullopt;
  if (!faults.empty() && thread) faults = given_faults(order->kwargs, *graph, thread->values);
  if (!faults.empty()) throw core::bad_request(mcp::describe(faults), faults.front().pointer);
  // A busy thread may ask something else by then.
  if (order->resumes)
    check_resume(order->kwargs, thread && thread->status != "busy" ? thread->interrupts : core::Json());
}

core::Task<CreatedRun> AgentRunService::create(RunCaller caller, RunRequest request) {
  if (request.idempotency_key &&
      (request.idempotency_key->empty() || request.idempotency_key->size() > kIdempotencyKeyMax))
    throw core::bad_request("An Idempotency-Key has 1 to 255 characters.", "Idempotency-Key");
  const auto of = co_await world_.assistants.resolve(caller.reach, assistant_name(request.body));
  auto order = read_run_order(request.body, of.assistant);
  if (!caller.tag.empty()) order.kwargs["tag"] = caller.tag;
  const int version = co_await version_for(caller, request, of, order.resumes);
  const auto graph = co_await world_.agents.graph(caller.reach.platform, of.agent.id, version);
  check_run_order(order.kwargs, *graph);
  order.kwargs["by"] = caller.reach.end_user ? "end_user" : "platform";
  if (caller.is_end_user() && asks_platform(*graph)) {
    const auto thread =
        request.thread ? co_await world_.threads.find(caller.reach, *request.thread) : std::nullopt;
    check_steering(order.kwargs, thread ? thread->head : std::nullopt);
  }
  co_await check_given(request.thread, caller.reach, &order, graph);
  if (order.webhook) co_await world_.check_webhook(caller.reach.platform, *order.webhook);
  const auto max_wait = run_spec_of(order.kwargs, graph).limits.max_wait;
  auto input = run_of_order(of, std::move(order), version);
  input.thread = request.thread;
  input.max_wait = max_wait;
  input.key = caller.principal->key_id;
  input.traceparent = caller.traceparent;
  input.idempotency_key = request.idempotency_key;
  if (input.idempotency_key) input.fingerprint = core::sha256_hex(core::dump_json(request.body));
  auto claim = world_.worker.claim_as(caller.reach);
  if (claim) input.claim_as = claim->owner;
  auto out = co_await world_.runs.create(caller.reach, std::move(input));
  // A platform's key on an end user's thread acts for them: as whom, and whether it may, is looked up.
  auto acting = out.run.end_user && !caller.principal->end_user_id ? nullptr : caller.principal;
  if (out.lease) world_.worker.begin(*out.lease, out.run, std::move(acting), std::move(claim->place));
  co_return out;
}

core::Task<RunResult> AgentRunService::result_of(Reach reach, Run run) {
  const auto thread = co_await world_.threads.get(reach, run.thread);
  RunResult out;
  out.values = thread.values;
  out.interrupts = thread.interrupts;
  if (run.status == "success") {
    const auto graph = co_await world_.agents.graph(reach.platform, AgentId{run.agent}, run.agent_version);
    out.output = output_of(*graph, thread.values);
  }
  out.run = std::move(run);
  co_return out;
}

core::Task<std::optional<RunResult>> AgentRunService::result_if_over(Reach reach, RunId id) {
  auto run = co_await world_.runs.get(reach, id);
  if (!run.is_over()) co_return std::nullopt;
  co_return co_await result_of(reach, std::move(run));
}

core::Task<std::optional<RunResult>> AgentRunService::wait(Reach reach, RunId id, Steady::time_point deadline,
                                                           std::stop_token stop) {
  const auto here = world_.worker.running_run(reach, id);
  auto run = here ? *here : co_await world_.runs.await_row(reach, id, stop);
  if (run.is_over()) co_return co_await result_of(reach, std::move(run));
  const ThreadKey key{reach.platform, run.thread};
  const auto waiter = world_.waiters.expect(key, id);
  const Forget forget{world_.waiters, key, waiter};
  std::optional<Steady::time_point> away;  // since then the database is
  while (true) {
    {
      const std::lock_guard lock(waiter->mutex);
      if (waiter->result) co_return waiter->result;
      if (waiter->stopping) throw stopping_error();
    }
    // Of a run that is carried out here the end is told, not looked for. Another may have ended between the
    // look and now.
    if (!world_.worker.is_running(id)) {
      try {
        if (auto result = co_await result_if_over(reach, id)) co_return result;
        away.reset();
      } catch (const core::Error& error) {
        if (error.kind() != core::ErrorKind::Unavailable) throw;
        if (!away) away = Steady::now();
        if (Steady::now() - *away >= kOutagePatience) throw;
      }
    }
    // Who asks again after the deadline must hear of an outage that lasts.
    const auto now = Steady::now();
    if (stop.stop_requested() || (now >= deadline && !away)) co_return std::nullopt;
    const auto pause = away ? kLookEvery : std::min<Steady::duration>(deadline - now, kLookEvery);
    co_await waiter->news.wait_for(pause, stop);
  }
}

core::Task<RunResult> AgentRunService::run_here(RunCaller caller, RunRequest request,
                                                std::function<void(const RunEvent&)> watch,
                                                std::stop_token stop) {
  const auto of = co_await world_.assistants.resolve(caller.reach, assistant_name(request.body));
  auto order = read_run_order(request.body, of.assistant);
  if (order.resumes) throw core::bad_request("A run without a thread has nothing to resume.", "/command");
  const auto graph =
      co_await world_.agents.graph(caller.reach.platform, of.agent.id, of.agent.active_version);
  check_run_order(order.kwargs, *graph);
  order.kwargs["by"] = caller.reach.end_user ? "end_user" : "platform";
  if (caller.is_end_user() && asks_platform(*graph)) check_steering(order.kwargs, std::nullopt);
  co_await check_given(std::nullopt, caller.reach, &order, graph);
  const auto place = world_.here.take(caller.reach);
  if (!place)
    throw core::Error(core::ErrorKind::RateLimited, "Too many runs are carried out here at once.")
        .with_code("too_many_runs")
        .with_retry_after(std::chrono::seconds(1));
  Run run;
  run.id = request.id.value_or(RunId::make(world_.clock, world_.random));
  run.thread = ThreadId{run.id.uuid};
  run.thread_is_temporary = true;
  run.end_user = caller.reach.end_user;
  run.agent = of.agent.id.uuid;
  run.agent_version = of.agent.active_version;
  run.assistant = of.assistant.id;
  run.metadata = std::move(order.metadata);
  add_identity(run.metadata, of.assistant);
  run.multitask_strategy = order.multitask_strategy;
  run.attempt = 1;
  run.created_at = run.updated_at = world_.clock.now();
  auto spec = run_spec_of(order.kwargs, graph);
  run.kwargs = std::move(order.kwargs);
  spec.run = run.id.str();
  spec.thread = run.thread.str();
  spec.metadata = run.metadata;
  spec.durability = Durability::Async;
  if (run.end_user) spec.user = co_await world_.user(caller.reach.platform, *run.end_user);
  EphemeralJournal journal(std::move(watch));
  const auto effects = world_.effects({caller.principal, of.agent.slug, run.agent_version, caller.tag,
                                       caller.traceparent, of.agent.id.str()});
  auto control = std::make_shared<RunControl>();
  const auto watch_caller = world_.standing.watch(
      {caller.reach.platform, run.end_user, caller.principal->key_id, of.agent.id, of.agent.slug}, control);
  const std::stop_callback on_stop(stop, [control] { control->cancel(); });
  const auto outcome =
      co_await execute(std::move(spec), {*effects, journal, world_.clock, world_.random, beside_}, control);
  run.ended_at = world_.clock.now();
  runs_counter(std::string(to_string(outcome.view.status))).add();
  // There may be thousands a second: those that end well say nothing.
  if (!outcome.view.error_code.empty()) log_end(caller.reach.platform, run, outcome);
  co_return result_from(run, outcome);
}

core::Task<std::optional<Run>> AgentRunService::cancel(Reach reach, RunId id, CancelAction action,
                                                       bool should_wait, std::stop_token stop) {
  auto after = co_await world_.runs.cancel(reach, id, action);
  if (!should_wait || !after || after->is_over()) co_return after;
  const ThreadKey key{reach.platform, after->thread};
  const auto waiter = world_.waiters.expect(key, id);
  const Forget forget{world_.waiters, key, waiter};
  while (true) {
    try {
      auto now = co_await world_.runs.await_row(reach, id, stop);
      if (now.is_over()) co_return now;
      after = std::move(now);
    } catch (const core::Error& error) {
      if (error.kind() != core::ErrorKind::NotFound) throw;
      co_return std::nullopt;  // rolled back
    }
    if (stop.stop_requested()) co_return after;
    co_await waiter->news.wait_for(kLookEvery, stop);
  }
}

void AgentRunService::tell_waiters(RunWaiters& waiters, const RunLease& lease, const Run& run,
                                   const RunOutcome& outcome) {
  const ThreadKey key{lease.platform, lease.thread};
  if (waiters.has(key)) waiters.deliver(key, run.id, result_from(run, outcome));
}

}  // namespace assistiv::agents
