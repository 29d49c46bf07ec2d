#include "agents/store/owner_count_store.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace assistiv::agents {

namespace {

using storage::Param;
using storage::Scope;
using storage::Transaction;

constexpr std::size_t kKnownMax = 50'000;  // owners in memory
constexpr std::int64_t kPlatformTimes = 10;
// What others make or delete is seen after so long.
constexpr auto kTrusted = std::chrono::seconds(60);
constexpr auto kFullFor = std::chrono::seconds(2);

core::Uuid id_of(const Reach& owner) {
  return owner.end_user ? owner.end_user->uuid : owner.platform.uuid;
}

std::string rows_of(const Reach& owner, Owned what) {
  const std::string mine = owner.end_user ? " and end_user_id = $2::uuid" : " and end_user_id is null";
  switch (what) {
    case Owned::Threads:
      return "agent_thread where platform_id = $1::uuid" + mine;
    case Owned::Items:
      return "agent_item where platform_id = $1::uuid and owner_id = $2::uuid";
    case Owned::WaitingRuns:
      return "agent_run where platform_id = $1::uuid and status = 'pending'" + mine;
    case Owned::WaitingRunsOfAll:
      break;
  }
  return "agent_run where platform_id = $1::uuid and status = 'pending'";
}

// Never further than `max`: what it costs is bounded, too.
std::int64_t count_in(Transaction& tx, const Reach& owner, Owned what, std::int64_t max) {
  return tx
      .exec("select count(*) as n from (select 1 from " + rows_of(owner, what) +
                " and $2::uuid is not null limit $3::bigint) found",
            {owner.platform.str(), id_of(owner).str(), std::to_string(max)})[0]
      .integer("n");
}

}  // namespace

core::Error too_many(Owned what) {
  switch (what) {
    case Owned::Threads:
      return core::conflict("There are as many threads as there may be: delete some, or give them a TTL.")
          .with_code("too_many_threads");
    case Owned::Items:
      return core::conflict("There are as many items as there may be: delete some, or give them a TTL.")
          .with_code("too_many_items");
    case Owned::WaitingRuns:
    case Owned::WaitingRunsOfAll:
      break;
  }
  return core::Error(core::ErrorKind::RateLimited,
                     "Too many runs wait already: try again when some have begun.")
      .with_code("too_many_waiting_runs")
      .with_retry_after(kFullFor);
}

std::int64_t OwnerCounts::max_of(const Reach& owner, Owned what) const {
  const auto times = owner.end_user ? 1 : kPlatformTimes;
  switch (what) {
    case Owned::Threads:
      return limits_.threads * times;
    case Owned::Items:
      return limits_.items * times;
    case Owned::WaitingRuns:
      return limits_.waiting_runs * times;
    case Owned::WaitingRunsOfAll:
      break;
  }
  return limits_.waiting_runs;
}

OwnerCounts::Answer OwnerCounts::take(const Reach& owner, Owned what) {
  if (max_of(owner, what) <= 0) return Answer::Yes;
  const auto now = clock_.now();
  const std::lock_guard lock(mutex_);
  if (known_.size() >= kKnownMax) forget_old(now);
  auto& known = known_[{id_of(owner), what}];
  if (known.looking) return Answer::Yes;
  if (known.until > now && known.room > 0) {
    --known.room;
    return Answer::Yes;
  }
  if (known.until > now && known.room < 0) return Answer::No;
  known.looking = true;
  return Answer::Look;
}

// A quarter of what is left may be made before the next look; near the limit a hundredth of the limit.
bool OwnerCounts::settle(const Reach& owner, Owned what, std::int64_t count) {
  const auto max = max_of(owner, what);
  const auto left = max - count;
  const std::lock_guard lock(mutex_);
  auto& known = known_[{id_of(owner), what}];
  known.looking = false;
  known.room = left > 0 ? std::min(left, std::max({left / 4, max / 100, std::int64_t{1}})) - 1 : -1;
  known.until = clock_.now() + (left > 0 ? kTrusted : kFullFor);
  return left > 0;
}

void OwnerCounts::give_up(const Reach& owner, Owned what) {
  const std::lock_guard lock(mutex_);
  known_.erase({id_of(owner), what});
}

void OwnerCounts::forget_old(core::Time now) {
  std::erase_if(known_, [&](const auto& one) { return !one.second.looking && one.second.until <= now; });
  if (known_.size() >= kKnownMax) std::erase_if(known_, [](const auto& one) { return !one.second.looking; });
}

core::Task<bool> OwnerCounts::has_room(Reach owner, Owned what) {
  const auto answer = take(owner, what);
  if (answer != Answer::Look) co_return answer == Answer::Yes;
  const auto max = max_of(owner, what);
  std::int64_t count = 0;
  try {
    count = co_await database_.run(Scope::tenant(owner.platform),
                                   [=](Transaction& tx) { return count_in(tx, owner, what, max); });
  } catch (...) {
    give_up(owner, what);
    throw;
  }
  co_return settle(owner, what, count);
}

bool OwnerCounts::has_room_in(Transaction& tx, const Reach& owner, Owned what) {
  const auto answer = take(owner, what);
  if (answer != Answer::Look) return answer == Answer::Yes;
  try {
    return settle(owner, what, count_in(tx, owner, what, max_of(owner, what)));
  } catch (...) {
    give_up(owner, what);
    throw;
  }
}

core::Task<Reach> OwnerCounts::owner_of(Reach reach, ThreadId thread) {
  if (reach.end_user) co_return reach;
  const auto rows = co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    return tx.exec(
        "select end_user_id from agent_thread where platform_id = $1::uuid and thread_id = $2::uuid",
        {reach.platform.str(), thread.str()});
  });
  if (!rows.empty()) reach.end_user = rows[0].optional_id<core::EndUserId>("end_user_id");
  co_return reach;
}

core::Task<> OwnerCounts::admit_run(Reach reach, std::optional<ThreadId> thread, bool may_make_thread) {
  if ((!thread || may_make_thread) && !co_await has_room(reach, Owned::Threads)) {
    const bool is_there =
        thread && co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
          return !tx.exec("select 1 from agent_thread where platform_id = $1::uuid and thread_id = $2::uuid",
                          {reach.platform.str(), thread->str()})
                      .empty();
        });
    if (!is_there) throw too_many(Owned::Threads);
  }
  // A platform's key may name an end user's thread. As long as few wait in the whole platform nobody has too
  // many, and whose it is need not be looked up.
  if (!reach.end_user && thread) {
    if (co_await has_room(reach, Owned::WaitingRunsOfAll)) co_return;
    reach = co_await owner_of(reach, *thread);
  }
  if (!co_await has_room(reach, Owned::WaitingRuns)) throw too_many(Owned::WaitingRuns);
}

void OwnerCounts::taken(const Reach& reach, const std::optional<ThreadId>& thread) {
  const auto what = !reach.end_user && thread ? Owned::WaitingRunsOfAll : Owned::WaitingRuns;
  const std::lock_guard lock(mutex_);
  const auto found = known_.find({id_of(reach), what});
  if (found != known_.end() && found->second.room >= 0) ++found->second.room;
}

}  // namespace assistiv::agents
