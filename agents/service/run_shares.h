#pragma once
// Places for runs that are carried out at once, in shares: who fills theirs leaves the rest to others, also
// when nobody else waits just now.
#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

#include "agents/store/reach.h"
#include "agents/store/run_store.h"
#include "core/ids.h"
#include "core/metrics.h"

namespace assistiv::agents {

struct RunShareLimits {
  std::size_t all = 256;
  std::size_t per_platform = 0;  // 0: three quarters of all
  std::size_t per_end_user = 0;  // 0: half of all
};

// Thread-safe.
class RunShares {
 public:
  // Gives the place back when its last copy goes.
  using Place = std::shared_ptr<const void>;

  // `gauge`, when it is there, says how many are taken.
  explicit RunShares(RunShareLimits limits, core::metrics::Gauge* gauge = nullptr)
      : state_(std::make_shared<State>()) {
    state_->gauge = gauge;
    state_->limits = {limits.all, share(limits.per_platform, limits.all * 3 / 4),
                      share(limits.per_end_user, limits.all / 2)};
  }

  // Null: there is none for them now.
  Place take(const Reach& who) {
    const std::lock_guard lock(state_->mutex);
    return state_->has_room(who) ? state_->place(state_, who) : nullptr;
  }
  // Of a run that this process has already: it counts, whatever is taken.
  Place occupy(const Reach& who) {
    const std::lock_guard lock(state_->mutex);
    return state_->place(state_, who);
  }

  // What may be claimed at once, whoever's it is, without going over a share.
  std::size_t room() const {
    const std::lock_guard lock(state_->mutex);
    const auto& limits = state_->limits;
    if (state_->taken >= limits.all) return 0;
    auto out = std::min({limits.all - state_->taken, limits.per_platform, limits.per_end_user});
    for (const auto& [platform, n] : state_->platforms)
      if (n < limits.per_platform) out = std::min(out, limits.per_platform - n);
    for (const auto& [user, n] : state_->end_users)
      if (n < limits.per_end_user) out = std::min(out, limits.per_end_user - n);
    return out;
  }
  // Those whose shares are full.
  ClaimExcept full() const {
    const std::lock_guard lock(state_->mutex);
    ClaimExcept out;
    for (const auto& [platform, n] : state_->platforms)
      if (n >= state_->limits.per_platform) out.platforms.push_back(platform);
    for (const auto& [user, n] : state_->end_users)
      if (n >= state_->limits.per_end_user) out.end_users.push_back(user);
    return out;
  }

 private:
  static std::size_t share(std::size_t given, std::size_t usual) {
    return std::max<std::size_t>(given > 0 ? given : usual, 1);
  }

  struct State {
    RunShareLimits limits;
    core::metrics::Gauge* gauge = nullptr;
    mutable std::mutex mutex;
    std::size_t taken = 0;
    std::map<core::PlatformId, std::size_t> platforms;
    std::map<core::EndUserId, std::size_t> end_users;

    template <class Map, class Key>
    static std::size_t count(const Map& map, const Key& key) {
      const auto found = map.find(key);
      return found == map.end() ? 0 : found->second;
    }
    template <class Map, class Key>
    static void drop(Map& map, const Key& key) {
      const auto found = map.find(key);
      if (found != map.end() && --found->second == 0) map.erase(found);
    }
    bool has_room(const Reach& who) const {
      return taken < limits.all && count(platforms, who.platform) < limits.per_platform &&
             (!who.end_user || count(end_users, *who.end_user) < limits.per_end_user);
    }
    Place place(const std::shared_ptr<State>& self, const Reach& who) {
      ++taken;
      if (gauge != nullptr) gauge->add(1);
      ++platforms[who.platform];
      if (who.end_user) ++end_users[*who.end_user];
      return {static_cast<const void*>(this), [self, who](const void*) { self->give_back(who); }};
    }
    void give_back(const Reach& who) {
      const std::lock_guard lock(mutex);
      --taken;
      if (gauge != nullptr) gauge->add(-1);
      drop(platforms, who.platform);
      if (who.end_user) drop(end_users, *who.end_user);
    }
  };
  std::shared_ptr<State> state_;
};

}  // namespace assistiv::agents
