#pragma once
// Runs as an executor takes them: woken when one is due, leases kept alive off the executor's loop, the lost
// ones of others taken back.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "agents/store/cron_store.h"
#include "agents/store/event_log.h"
#include "agents/store/item_store.h"
#include "agents/store/run.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"
#include "agents/store/wait_store.h"
#include "core/async.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::agents {

// What became of a lease while its run was carried out.
struct LeaseNews {
  bool is_lost = false;                      // stop at once: another executor may have the run
  std::optional<std::string> cancel_action;  // "interrupt" or "rollback": stop, then finish_cancel()
};
// Called on the keeper's thread: quick, not throwing. Once for each piece of news.
using LeaseWatch = std::function<void(LeaseNews)>;

struct RunQueueOptions {
  std::chrono::milliseconds lease{15'000};
  std::chrono::milliseconds renew_every{5'000};
  std::chrono::milliseconds poll{1'000};    // when no notice comes
  std::chrono::milliseconds look{1'000};    // between two looks for lost runs
  std::chrono::milliseconds upkeep{5'000};  // between two looks for due schedules and what has had its time
  int keep_events_days = 30;                // of threads that are not busy
};

// What else is looked after at every upkeep; each may be null.
struct RunQueueCare {
  CronStore* crons = nullptr;  // fires what is due
  ItemStore* items = nullptr;  // deletes what has outlived its time
  WaitStore* waits = nullptr;  // goes on with what has waited long enough
};

// Thread-safe.
class RunQueue {
 public:
  RunQueue(storage::Database& database, RunStore& runs, ThreadStore& threads, RunQueueOptions options,
           RunQueueCare care = {});
  ~RunQueue();

  // Renews leases on a thread of its own and sweeps on `executor`.
  void start(core::AnyExecutor executor);
  void stop();

  // Waits until a run may be due, at most until the next poll. False when `stop` is requested.
  core::Task<bool> wait_for_work(std::stop_token stop);
  void wake();

  // From here on until release() the lease is renewed and `watch` hears what becomes of it. A lease that
  // could not be renewed in its time is lost, whatever the database will say. Its time is counted from when
  // the lease was asked for (RunLease::asked_at).
  void hold(RunLease lease, LeaseWatch watch);
  // Of this lease only: another flight of the same run may have begun.
  void release(const RunLease& lease);
  std::size_t held() const;

  // As storage::Notifier's callback.
  void on_notify(std::string_view topic, std::string_view payload);

 private:
  struct Keeper;
  core::Task<> keep_up(std::stop_token stop);
  core::Task<> sweep(std::stop_token stop);
  core::Task<> take_back();
  core::Task<> fire_schedules();
  core::Task<> end_waits();
  core::Task<> discard(std::stop_token stop);

  storage::Database& database_;
  RunStore& runs_;
  ThreadStore& threads_;
  const RunQueueOptions options_;
  const RunQueueCare care_;
  core::AsyncEvent due_;
  std::shared_ptr<Keeper> keeper_;
  std::unique_ptr<core::BlockingPool> thread_;
  core::TaskGroup group_{"agent queue"};
};

}  // namespace assistiv::agents
