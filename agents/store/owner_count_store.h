#pragma once
// How much one owner has: threads, items, runs that wait. Counted in the database now and then, never
// further than the limit, and reckoned in memory in between: making something costs no statement. A limit is
// kept within about a hundredth of it on each node.
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "agents/store/reach.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::agents {

enum class Owned {
  Threads,
  Items,
  WaitingRuns,
  WaitingRunsOfAll,  // of a platform with its end users; nothing is refused for it
};

// Of one end user; a platform itself may have ten times as much. 0: no limit.
struct OwnerLimits {
  std::int64_t threads = 100'000;  // those of runs without a thread too, while they are there
  std::int64_t items = 100'000;
  std::int64_t waiting_runs = 1'000;
};

// Conflict ("too_many_threads", "too_many_items") or RateLimited ("too_many_waiting_runs").
core::Error too_many(Owned what);

// Thread-safe.
class OwnerCounts {
 public:
  OwnerCounts(storage::Database& database, const core::Clock& clock, OwnerLimits limits)
      : database_(database), clock_(clock), limits_(limits) {}

  // Whether the owner may have one more, which then counts.
  core::Task<bool> has_room(Reach owner, Owned what);
  bool has_room_in(storage::Transaction& tx, const Reach& owner, Owned what);

  // Throws too_many() when there is no room for a run, or for the thread that it makes.
  core::Task<> admit_run(Reach reach, std::optional<ThreadId> thread, bool may_make_thread);
  // The run that was admitted does not wait.
  void taken(const Reach& reach, const std::optional<ThreadId>& thread);
  // Whose the thread is that `reach` names; of none that is there the reach itself.
  core::Task<Reach> owner_of(Reach reach, ThreadId thread);

 private:
  // Until when so many more may be made without another look.
  struct Known {
    std::int64_t room = 0;
    core::Time until;
    bool looking = false;  // somebody counts: the others are let through
  };
  using Key = std::pair<core::Uuid, Owned>;
  enum class Answer { Yes, No, Look };

  std::int64_t max_of(const Reach& owner, Owned what) const;
  Answer take(const Reach& owner, Owned what);
  bool settle(const Reach& owner, Owned what, std::int64_t count);
  void give_up(const Reach& owner, Owned what);
  void forget_old(core::Time now);

  storage::Database& database_;
  const core::Clock& clock_;
  const OwnerLimits limits_;
  std::mutex mutex_;
  std::map<Key, Known> known_;
};

}  // namespace assistiv::agents
