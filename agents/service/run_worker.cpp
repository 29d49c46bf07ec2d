#include "agents/service/run_worker.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "agents/service/run_metrics.h"
#include "agents/service/run_spec.h"
#include "agents/store/outage.h"
#include "agents/store/thread_store.h"
#include "core/error.h"
#include "core/log.h"

namespace assistiv::agents {

namespace {

constexpr std::chrono::milliseconds kPauseAfterFault{1000};
constexpr std::size_t kClaimMax = 64;  // runs in one transaction

// One run on this process.
struct Flight {
  RunLease lease;
  Run run;
  oauth::PrincipalPtr principal;  // of a run that was claimed at its creation; else looked up
  std::shared_ptr<RunControl> control = std::make_shared<RunControl>();
  std::shared_ptr<void> watch;  // over the principal
  RunShares::Place place;
  std::atomic<bool> closed{false};  // nothing more is written: lost, to be rolled back, or out of time
  std::atomic<bool> lost{false};
  std::atomic<bool> cancelled{false};

  RunActor actor() const {
    return {lease.platform, run.end_user, run.key, AgentId{run.agent}, graph_id_of(run.kwargs)};
  }
};
using FlightPtr = std::shared_ptr<Flight>;

// What a run must not write any more does not reach its journal.
class GuardedJournal final : public Journal {
 public:
  GuardedJournal(std::unique_ptr<Journal> inner, FlightPtr flight)
      : inner_(std::move(inner)), flight_(std::move(flight)) {}

  core::Task<void> commit(JournalWrite write) override {
    if (flight_->closed) throw core::conflict("This run is stopped.").with_code("fenced");
    return inner_->commit(std::move(write));
  }
  core::Task<std::optional<StoredCheckpoint>> load(std::string ns, std::string id) override {
    return inner_->load(std::move(ns), std::move(id));
  }
  void show(RunEvent event) override {
    if (!flight_->closed) inner_->show(std::move(event));
  }

 private:
  std::unique_ptr<Journal> inner_;
  FlightPtr flight_;
};

// A run that cannot be carried out at all.
JournalWrite failed_write(RunTotals used, const core::Error& error, core::Time now) {
  JournalWrite out;
  out.totals = std::move(used);
  RunEvent event;
  event.method = "error";
  event.at = now;
  event.data = {{"error", std::string(error.code())}, {"message", error.message()}};
  out.events.push_back(std::move(event));
  out.view.emplace();
  out.view->status = RunStatus::Error;
  out.view->error_code = error.code();
  out.view->error_message = error.message();
  out.ends = true;
  return out;
}

bool is_fenced(const core::Error& error) {
  return error.code() == "fenced";
}

}  // namespace

struct RunWorker::Impl : std::enable_shared_from_this<RunWorker::Impl> {
  Impl(RunWorkerWorld w, RunWorkerOptions o)
      : world(std::move(w)), options(std::move(o)), shares(options.running, &places_gauge(true)) {}

  core::Task<> loop(std::stop_token stop);
  void launch(FlightPtr flight);
  core::Task<> fly(FlightPtr flight);
  core::Task<> carry_out(FlightPtr flight);
  core::Task<RunSpec> prepare(FlightPtr flight);
  core::Task<std::optional<RunOutcome>> attempt(FlightPtr flight);
  core::Task<> settle(FlightPtr flight, std::optional<RunOutcome> outcome);
  core::Task<> refuse(FlightPtr flight, core::Error error);

  bool list(const FlightPtr& flight) {
    const std::lock_guard lock(mutex);
    if (draining) return false;
    flights[flight->lease.run] = flight;
    running_gauge().set(static_cast<std::int64_t>(flights.size()));
    return true;
  }
  void unlist(const FlightPtr& flight) {
    {
      const std::lock_guard lock(mutex);
      const auto found = flights.find(flight->lease.run);
      if (found != flights.end() && found->second == flight) flights.erase(found);
      running_gauge().set(static_cast<std::int64_t>(flights.size()));
    }
    flight->place.reset();
    landed.notify_all();
    if (wants_room.exchange(false)) world.queue.wake();
  }
  // How many runs to take from the queue, and whose not.
  std::pair<std::size_t, ClaimExcept> appetite() {
    {
      const std::lock_guard lock(mutex);
      if (draining) return {};
    }
    wants_room = true;  // before the look: who lands from here on wakes the loop
    auto out = std::pair(std::min<std::size_t>(shares.room(), kClaimMax), shares.full());
    if (out.first > 0 && out.second.platforms.empty() && out.second.end_users.empty()) wants_room = false;
    return out;
  }

  const RunWorkerWorld world;
  const RunWorkerOptions options;
  RunShares shares;
  mutable std::mutex mutex;
  std::condition_variable landed;
  std::map<RunId, FlightPtr> flights;
  bool started = false;
  bool draining = false;
  std::atomic<bool> wants_room{false};    // runs may wait in the queue until one here lands
  core::TaskGroup beside{"agent tasks"};  // what runs beside a run's own coroutine
  core::TaskGroup group{"agent runs"};
};

void RunWorker::Impl::launch(FlightPtr flight) {
  if (!list(flight)) {
    // The lease runs out, or another worker gets it handed over.
    group.spawn(world.executor(), "hand over", [self = shared_from_this(), flight](std::stop_token) {
      return self->settle(flight, RunOutcome{.drained = true});
    });
    return;
  }
  flight->watch = world.standing.watch(flight->actor(), flight->control);
  world.queue.hold(flight->lease, [flight](LeaseNews news) {
    if (news.is_lost) flight->lost = flight->closed = true;
    if (news.cancel_action) flight->cancelled = true;
    if (news.cancel_action == "rollback") flight->closed = true;
    flight->control->cancel();
  });
  group.spawn(world.executor(), "agent run",
              [self = shared_from_this(), flight](std::stop_token) { return self->fly(flight); });
}

core::Task<> RunWorker::Impl::fly(FlightPtr flight) {
  try {
    co_await carry_out(flight);
  } catch (const core::Error& error) {
    // The lease runs out, and some worker takes the run up again.
    core::log::error(
        "agents.run_not_kept",
        {{"run_id", flight->run.id.str()}, {"error", error.message()}, {"detail", error.detail()}});
    runs_counter("fault").add();
  } catch (const std::exception& error) {
    core::log::error("agents.run_not_kept", {{"run_id", flight->run.id.str()}, {"error", error.what()}});
    runs_counter("fault").add();
  }
  world.queue.release(flight->lease);
  unlist(flight);
}

// Throws what makes the run impossible.
core::Task<RunSpec> RunWorker::Impl::prepare(FlightPtr flight) {
  const auto& run = flight->run;
  const auto& platform = flight->lease.platform;
  if (!flight->principal) flight->principal = co_await world.standing.caller(flight->actor());
  GraphPtr graph;
  try {
    graph = co_await world.agents.graph(platform, AgentId{run.agent}, run.agent_version);
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::NotFound) throw;
    throw core::not_found("The version of the agent that this run began with is gone.")
        .with_code("version_gone");
  }
  auto spec = run_spec_of(run.kwargs, std::move(graph));
  spec.run = run.id.str();
  spec.thread = run.thread.str();
  spec.attempt = run.attempt;
  if (run.end_user) spec.user = co_await world.user(platform, *run.end_user);
  spec.metadata = run.metadata;
  spec.totals = totals_of(run.usage);
  spec.next_seq = run.base_seq + 1;
  // Somebody had it before, be it that they handed it over: that gives the attempt back.
  if (flight->lease.epoch > 1) {
    spec.next_seq =
        1 + co_await world.database.run(storage::Scope::tenant(platform),
                                        [platform, thread = run.thread](storage::Transaction& tx) {
                                          const auto found = lock_thread(tx, {platform, {}}, thread);
                                          return found ? found->last_seq : 0;
                                        });
  }
  co_return spec;
}

// Nothing: the run is not this process's any more, or was refused.
core::Task<std::optional<RunOutcome>> RunWorker::Impl::attempt(FlightPtr flight) {
  std::optional<RunSpec> spec;
  std::optional<core::Error> fault;
  try {
    // An outage is not the run's fault: it is not counted as a loss as long as the lease holds.
    spec = co_await through_outage<RunSpec>([this, flight] { return prepare(flight); }, kOutagePatience,
                                            flight->control->cancelled());
  } catch (const core::Error& error) {
    fault = error;
  } catch (const std::exception& error) {
    fault = core::internal(error.what());
  }
  if (fault) {
    if (fault->kind() == core::ErrorKind::Unavailable) throw *fault;
    co_await refuse(flight, *fault);
    co_return std::nullopt;
  }
  // Only the first claim can find a thread without a checkpoint: a later one may have written some.
  const bool is_blank = flight->lease.epoch == 1 && !flight->run.base_head;
  GuardedJournal journal(
      make_journal(world.database, world.journal, world.log, flight->lease, {spec->next_seq - 1, is_blank}),
      flight);
  const auto effects =
      world.effects({flight->principal, graph_id_of(flight->run.kwargs), flight->run.agent_version,
                     flight->run.kwargs.value("tag", std::string()), flight->run.traceparent,
                     AgentId{flight->run.agent}.str()});
  try {
    co_return co_await execute(std::move(*spec), {*effects, journal, world.clock, world.random, beside},
                               flight->control);
  } catch (const core::Error& error) {
    if (is_fenced(error)) co_return std::nullopt;
    if (error.kind() == core::ErrorKind::Unavailable) throw;
    fault = error;
  }
  if (fault->kind() == core::ErrorKind::Unprocessable) {
    co_await refuse(flight, *fault);
    co_return std::nullopt;
  }
  // What the database refuses once it refuses again.
  core::log::error(
      "agents.run_not_written",
      {{"run_id", flight->run.id.str()}, {"error", fault->message()}, {"detail", fault->detail()}});
  co_await refuse(flight, core::internal(fault->detail()));
  co_return std::nullopt;
}

core::Task<> RunWorker::Impl::refuse(FlightPtr flight, core::Error error) {
  const auto& used = flight->control->used();
  auto write = failed_write(used ? *used : totals_of(flight->run.usage), error, world.clock.now());
  RunOutcome outcome;
  outcome.view = *write.view;
  outcome.totals = write.totals;
  const auto receipt = co_await world.journal.append(flight->lease, std::move(write));
  if (!receipt.applied) co_return;
  runs_counter("refused").add();
  log_end(flight->lease.platform, flight->run, outcome);
  world.ended(flight->lease, flight->run, outcome);
}

core::Task<> RunWorker::Impl::settle(FlightPtr flight, std::optional<RunOutcome> outcome) {
  if (flight->lost) {
    runs_counter("lost").add();
    co_return;
  }
  const bool wrote_end = outcome && !outcome->drained;
  if (!wrote_end && flight->cancelled) {
    co_await world.runs.finish_cancel(flight->lease);
    runs_counter("cancelled").add();
  } else if (!wrote_end && (outcome || flight->closed)) {
    co_await world.runs.hand_over(flight->lease);
    runs_counter("handed_over").add();
  } else if (wrote_end) {
    runs_counter(std::string(to_string(outcome->view.status))).add();
    log_end(flight->lease.platform, flight->run, *outcome);
    world.ended(flight->lease, flight->run, *outcome);
  }
}

core::Task<> RunWorker::Impl::carry_out(FlightPtr flight) {
  auto outcome = co_await attempt(flight);
  co_await settle(flight, std::move(outcome));
}

core::Task<> RunWorker::Impl::loop(std::stop_token stop) {
  bool go_on = true;
  while (go_on && !stop.stop_requested()) {
    bool faulty = false;
    bool found = false;
    try {
      const auto [free, except] = appetite();
      if (free > 0) {
        auto claimed = co_await world.runs.claim(options.owner, free, except);
        for (auto& one : claimed) {
          auto flight = std::make_shared<Flight>();
          flight->lease = std::move(one.lease);
          flight->run = std::move(one.run);
          flight->place = shares.occupy({flight->lease.platform, flight->run.end_user});
          launch(std::move(flight));
        }
        found = !claimed.empty();
      }
    } catch (const core::Error& error) {
      core::log::warn("agents.runs_not_taken", {{"error", error.what()}, {"detail", error.detail()}});
      faulty = true;
    } catch (const std::exception& error) {
      core::log::error("agents.runs_not_taken", {{"error", error.what()}});
      faulty = true;
    }
    if (faulty) {
      co_await core::sleep_for(kPauseAfterFault, stop);
    } else if (!found) {
      go_on = co_await world.queue.wait_for_work(stop);
    }
  }
}

RunWorker::RunWorker(RunWorkerWorld world, RunWorkerOptions options)
    : impl_(std::make_shared<Impl>(std::move(world), std::move(options))) {}

RunWorker::~RunWorker() {
  stop();
}

void RunWorker::start(core::AnyExecutor executor) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->started = true;
  }
  impl_->group.spawn(std::move(executor), "agent worker",
                     [impl = impl_](std::stop_token stop) { return impl->loop(stop); });
}

void RunWorker::drain(std::chrono::milliseconds patience) {
  std::unique_lock lock(impl_->mutex);
  impl_->draining = true;
  for (const auto& [run, flight] : impl_->flights) flight->control->drain();
  const auto all_landed = [this] { return impl_->flights.empty(); };
  if (impl_->landed.wait_for(lock, patience, all_landed)) return;
  // Out of time: what they have recorded stays, the rest is done again by who takes them up.
  for (const auto& [run, flight] : impl_->flights) {
    flight->closed = true;
    flight->control->cancel();
  }
  impl_->landed.wait_for(lock, patience, all_landed);
}

void RunWorker::stop() {
  drain(std::chrono::seconds(1));
  impl_->group.stop();
  impl_->beside.stop();
}

std::optional<RunWorker::Claim> RunWorker::claim_as(const Reach& who) const {
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->started || impl_->draining) return std::nullopt;
  }
  auto place = impl_->shares.take(who);
  if (!place) return std::nullopt;
  return Claim{impl_->options.owner, std::move(place)};
}

void RunWorker::begin(RunLease lease, Run run, oauth::PrincipalPtr principal, RunShares::Place place) {
  auto flight = std::make_shared<Flight>();
  flight->lease = std::move(lease);
  flight->run = std::move(run);
  flight->principal = std::move(principal);
  flight->place = std::move(place);
  impl_->launch(std::move(flight));
}

bool RunWorker::is_running(RunId run) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->flights.contains(run);
}

std::optional<Run> RunWorker::running_run(const Reach& reach, RunId run) const {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->flights.find(run);
  if (found == impl_->flights.end() || found->second->lease.platform != reach.platform) return {};
  const auto& known = found->second->run;
  if (reach.end_user && known.end_user != reach.end_user) return {};
  return known;
}

std::size_t RunWorker::running() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->flights.size();
}

}  // namespace assistiv::agents
