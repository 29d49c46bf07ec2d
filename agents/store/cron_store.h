#pragma once
// Rows of agent_cron: schedules of runs in IANA time zones, which are PostgreSQL's. A slot fires once,
// whatever the number of nodes.
//
// Clocks that change: a schedule of fixed hours fires once at each of its times; a time that is skipped comes
// as long after the change as it lies behind it, one that is shown twice counts the first time. A schedule of
// every hour ("30 * * * *") follows real time: it fires in the repeated hour too, and not for the skipped
// one. A node that was away does not make up for every slot that it missed: one run stands for all of them.
#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agents/store/cron_schedule.h"
#include "agents/store/owner_count_store.h"
#include "agents/store/reach.h"
#include "agents/store/run_store.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/random.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::agents {

struct Cron {
  CronId id;
  core::PlatformId platform;
  std::optional<core::EndUserId> end_user;
  std::optional<ThreadId> thread;
  core::Uuid assistant;
  std::string schedule;
  std::string zone;    // IANA
  core::Json payload;  // the run's request
  core::Json metadata;
  bool is_enabled = true;
  bool keep_thread = false;
  std::optional<core::Time> end_time, next_run_at;
  std::optional<core::KeyId> key;  // what its maker came with: its runs act by it
  std::optional<std::string> last_error;
  core::Time created_at, updated_at;
};

struct NewCron {
  std::optional<ThreadId> thread;
  core::Uuid assistant;
  std::string schedule;
  std::string zone = "UTC";
  core::Json payload = core::Json::object();
  core::Json metadata = core::Json::object();
  bool is_enabled = true;
  bool keep_thread = false;
  std::optional<core::Time> end_time;
  std::optional<core::KeyId> key;
};

struct CronPatch {
  std::optional<std::string> schedule, zone;
  std::optional<core::Json> payload, metadata;
  std::optional<bool> is_enabled, keep_thread;
  std::optional<core::Time> end_time;
};

struct CronSearch {
  std::optional<core::Uuid> assistant;
  std::optional<ThreadId> thread;
  std::optional<bool> is_enabled;
  core::Json metadata = core::Json::object();
  int limit = 10;
  int offset = 0;
};

// Makes the run of a schedule that is due: which agent and which version the assistant is now. Nothing: there
// is no such assistant any more. In the transaction that fires.
using CronRun = std::function<std::optional<NewRun>(storage::Transaction&, const Cron&)>;

// Thread-safe. What the reach does not hold throws NotFound.
class CronStore {
 public:
  CronStore(storage::Database& database, const core::Clock& clock, core::Random& random, QueueOptions queue,
            CronRun make_run, RunEndHook hook = {}, OwnerCounts* counts = nullptr);

  core::Task<Cron> create(Reach reach, NewCron input);
  core::Task<Cron> get(Reach reach, CronId id);
  core::Task<Cron> update(Reach reach, CronId id, CronPatch patch);
  core::Task<> remove(Reach reach, CronId id);
  // Newest first. Fewer than the limit when more do not fit into a reply (reply_page_store.h).
  core::Task<std::vector<Cron>> search(Reach reach, CronSearch query);
  core::Task<std::int64_t> count(Reach reach, CronSearch query);

  // Makes the runs that are due, at most `max`; gives how many. For any node's background work.
  core::Task<std::size_t> fire_due(std::size_t max);

 private:
  enum class Fired { None, Run, Nothing };
  struct Due {
    core::PlatformId platform;
    CronId cron;
  };
  // `taken` is what it tries, also when it throws.
  Fired fire_one(storage::Transaction& tx, std::optional<Due>& taken) const;
  core::Task<> put_off(Due due, std::string why);
  static void delay(storage::Transaction& tx, const Due& due, const std::string& why);
  void check_room(storage::Transaction& tx, const Cron& cron) const;

  storage::Database& database_;
  const core::Clock& clock_;
  core::Random& random_;
  QueueOptions queue_;
  CronRun make_run_;
  RunEndHook hook_;
  OwnerCounts* counts_;
};

// The first firing after `after`, in epoch milliseconds' precision; nothing when there is none.
std::optional<core::Time> next_firing(storage::Transaction& tx, const CronSchedule& schedule,
                                      const std::string& zone, core::Time after);

}  // namespace assistiv::agents
