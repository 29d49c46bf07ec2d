#include "agents/store/run_queue.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "agents/store/event_store.h"
#include "core/error.h"
#include "core/log.h"

namespace assistiv::agents {

namespace {

using storage::Scope;
using storage::Transaction;
using Steady = std::chrono::steady_clock;

constexpr std::size_t kSweepMax = 200;
constexpr int kSweepsMax = 50;  // of one kind in one upkeep: lost runs are looked for in between

// What fails in one care, of one row that cannot be read, say, keeps no other from its turn.
core::Task<> guarded(core::Task<> care) {
  try {
    co_await std::move(care);
  } catch (const core::Error& e) {
    core::log::warn("agents.upkeep_failed", {{"error", e.message()}, {"detail", e.detail()}});
  } catch (const std::exception& e) {
    core::log::error("agents.upkeep_failed", {{"detail", e.what()}});
  }
}

}  // namespace

// The renewal has a thread to itself: an executor that is busy, or an I/O thread that is, must not look dead.
struct RunQueue::Keeper {
  struct Held {
    RunLease lease;
    LeaseWatch watch;
    Steady::time_point good_until;
    std::optional<std::string> told_cancel;  // the action that the watch has heard
  };

  Keeper(RunStore& store, RunQueueOptions limits) : runs(store), options(limits) {}

  std::vector<RunLease> leases() {
    const std::lock_guard lock(mutex);
    std::vector<RunLease> out;
    for (const auto& [id, one] : held) out.push_back(one.lease);
    return out;
  }

  void renew_all() {
    const auto asked = leases();
    if (asked.empty()) return;
    const auto began = Steady::now();
    try {
      const auto renewed = runs.renew(asked);
      settle(asked, renewed, began);
    } catch (const core::Error& e) {
      core::log::warn("agents.leases_not_renewed", {{"detail", e.detail()}});
    } catch (const std::exception& e) {
      core::log::error("agents.leases_not_renewed", {{"detail", e.what()}});
    }
    drop_outlived();
  }

  // Our time begins before the database's: it is over sooner, never later.
  void settle(const std::vector<RunLease>& asked, const std::vector<RenewedRun>& renewed,
              Steady::time_point began) {
    std::vector<std::pair<LeaseWatch, LeaseNews>> news;
    {
      const std::lock_guard lock(mutex);
      for (const auto& lease : asked) {
        const auto it = held.find(lease.run);
        if (it == held.end() || it->second.lease.epoch != lease.epoch) continue;
        const auto found = std::find_if(renewed.begin(), renewed.end(),
                                        [&](const RenewedRun& one) { return one.run == lease.run; });
        if (found == renewed.end()) {
          news.emplace_back(it->second.watch, LeaseNews{true, {}});
          held.erase(it);
          continue;
        }
        if (found->renewed) it->second.good_until = began + options.lease;
        if (found->cancel_action == it->second.told_cancel) continue;
        it->second.told_cancel = found->cancel_action;
        news.emplace_back(it->second.watch, LeaseNews{false, found->cancel_action});
      }
    }
    for (const auto& [watch, what] : news) watch(what);
  }

  void drop_outlived() {
    std::vector<LeaseWatch> lost;
    {
      const std::lock_guard lock(mutex);
      const auto now = Steady::now();
      std::erase_if(held, [&](const auto& entry) {
        if (entry.second.good_until > now) return false;
        lost.push_back(entry.second.watch);
        return true;
      });
    }
    for (const auto& watch : lost) watch({true, {}});
  }

  void serve() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      wake.wait_for(lock, options.renew_every, [this] { return stopping || hurry; });
      if (stopping) return;
      hurry = false;
      lock.unlock();
      renew_all();
      lock.lock();
    }
  }

  RunStore& runs;
  const RunQueueOptions options;
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::map<RunId, Held> held;
  bool hurry = false;
  bool stopping = false;
};

RunQueue::RunQueue(storage::Database& database, RunStore& runs, ThreadStore& threads, RunQueueOptions options,
                   RunQueueCare care)
    : database_(database),
      runs_(runs),
      threads_(threads),
      options_(options),
      care_(care),
      keeper_(std::make_shared<Keeper>(runs, options)) {}

RunQueue::~RunQueue() {
  stop();
}

void RunQueue::start(core::AnyExecutor executor) {
  thread_ = std::make_unique<core::BlockingPool>("agent leases", 1, 1);
  thread_->post([keeper = keeper_] { keeper->serve(); });
  group_.spawn(std::move(executor), "upkeep", [this](std::stop_token stop) { return keep_up(stop); });
}

void RunQueue::stop() {
  {
    const std::lock_guard lock(keeper_->mutex);
    keeper_->stopping = true;
  }
  keeper_->wake.notify_all();
  thread_.reset();
  group_.stop();
}

core::Task<bool> RunQueue::wait_for_work(std::stop_token stop) {
  co_await due_.wait_for(options_.poll, stop);
  co_return !stop.stop_requested();
}

void RunQueue::wake() {
  due_.set();
}

void RunQueue::hold(RunLease lease, LeaseWatch watch) {
  const std::lock_guard lock(keeper_->mutex);
  const auto run = lease.run;
  const auto good_until = lease.asked_at + options_.lease;
  keeper_->held.insert_or_assign(run, Keeper::Held{std::move(lease), std::move(watch), good_until, {}});
}

void RunQueue::release(const RunLease& lease) {
  const std::lock_guard lock(keeper_->mutex);
  const auto found = keeper_->held.find(lease.run);
  if (found != keeper_->held.end() && found->second.lease.epoch == lease.epoch) keeper_->held.erase(found);
}

std::size_t RunQueue::held() const {
  const std::lock_guard lock(keeper_->mutex);
  return keeper_->held.size();
}

void RunQueue::on_notify(std::string_view topic, std::string_view payload) {
  if (topic == "agent_runs" || topic == "resync") due_.set();
  if (topic != "agent_cancel" && topic != "resync") return;
  const auto run = RunId::parse(payload);
  {
    const std::lock_guard lock(keeper_->mutex);
    if (topic == "agent_cancel" && (!run || !keeper_->held.contains(*run))) return;
    keeper_->hurry = true;  // the renewal says what was asked for
  }
  keeper_->wake.notify_all();
}

core::Task<> RunQueue::keep_up(std::stop_token stop) {
  auto next_sweep = Steady::time_point::min();
  while (!stop.stop_requested()) {
    co_await guarded(take_back());
    if (Steady::now() >= next_sweep) {
      co_await sweep(stop);
      next_sweep = Steady::now() + options_.upkeep;
    }
    co_await core::sleep_for(std::min(options_.look, options_.upkeep), stop);
  }
}

core::Task<> RunQueue::sweep(std::stop_token stop) {
  co_await guarded(fire_schedules());
  co_await guarded(end_waits());
  co_await guarded(discard(stop));
}

core::Task<> RunQueue::take_back() {
  const auto reaped = co_await runs_.reap(kSweepMax);
  if (reaped.queued_again + reaped.exhausted + reaped.cancelled > 0) {
    core::log::warn("agents.runs_taken_back", {{"queued_again", reaped.queued_again},
                                               {"exhausted", reaped.exhausted},
                                               {"cancelled", reaped.cancelled}});
  }
}

core::Task<> RunQueue::fire_schedules() {
  if (care_.crons != nullptr && co_await care_.crons->fire_due(kSweepMax) > 0) wake();
}

core::Task<> RunQueue::end_waits() {
  if (care_.waits == nullptr) co_return;
  const auto expired = co_await care_.waits->fire_expired(kSweepMax);
  const auto settled = co_await care_.waits->check_noted(kSweepMax);
  if (expired + settled > 0) wake();
}

// What has outlived its time: as much as there is, for nobody deletes it otherwise.
core::Task<> RunQueue::discard(std::stop_token stop) {
  bool more = true;
  for (int i = 0; more && i < kSweepsMax && !stop.stop_requested(); ++i) {
    const auto items = care_.items != nullptr ? co_await care_.items->sweep(kSweepMax) : 0;
    const auto threads = co_await threads_.sweep(kSweepMax);
    const int days = options_.keep_events_days;
    // System scope: the events of every platform.
    const auto events = co_await database_.run(
        Scope::system(), [days](Transaction& tx) { return EventStore::discard_old(tx, days, kSweepMax); });
    more = std::max({items, threads, events}) >= kSweepMax;
  }
}

}  // namespace assistiv::agents
