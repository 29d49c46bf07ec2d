#pragma once
// SQL of rate_limit (what was set) and rate_lease (what nodes hold of it).
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "billing/rate_limit.h"
#include "storage/database.h"

namespace assistiv::billing {

struct LimitsOf {
  PlatformRateLimits platform;
  std::optional<RateLimits> own;  // of the end user
};

class RateLimitStore {
 public:
  LimitsOf read(storage::Transaction& tx, core::PlatformId platform,
                const std::optional<core::EndUserId>& end_user) const;
  // Each also tells the nodes (topic "rate_limit").
  void put_override(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user,
                    const RateLimits& limits, core::Time now) const;
  void clear_override(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user) const;
  void put_platform(storage::Transaction& tx, core::PlatformId platform, const PlatformRateLimits& limits,
                    core::Time now) const;
};

// One window of one subject (an end user, or the platform itself).
struct WindowKey {
  core::Uuid subject;
  RateDimension dimension;
  std::int64_t start = 0;  // epoch milliseconds; 0 for concurrency
};

struct LeaseWish {
  WindowKey window;
  std::int64_t limit = 0;
  std::int64_t need = 0;
  std::int64_t want = 0;
  std::int64_t expires_ms = 0;
};

struct LeaseGrant {
  std::int64_t granted = 0;  // 0 when any of the wishes could not be met
  std::int64_t held = 0;     // by this node, after it; others hold limit - free - held
  std::int64_t free = 0;     // by nobody, after it
};

struct LeaseReturn {
  WindowKey window;
  std::int64_t amount = 0;
};

class RateLeaseStore {
 public:
  explicit RateLeaseStore(core::Uuid node) : node_(node) {}
  // One grant per wish, in their order (assistiv_rate_take of migration 0008).
  std::vector<LeaseGrant> take(storage::Transaction& tx, core::PlatformId platform,
                               const std::vector<LeaseWish>& wishes) const;
  void give_back(storage::Transaction& tx, core::PlatformId platform,
                 const std::vector<LeaseReturn>& returns) const;
  // Free of each window, by nobody.
  std::vector<std::int64_t> free_of(storage::Transaction& tx, core::PlatformId platform,
                                    const std::vector<LeaseWish>& windows) const;
  // Asks the other nodes to give back what they do not use of the platform's windows.
  void ask_back(storage::Transaction& tx, core::PlatformId platform) const;
  // Renews this node's places; gives the subjects (text) whose places still held.
  std::vector<std::string> renew_places(storage::Transaction& tx, core::PlatformId platform) const;
  // System scope: removes what no window needs any more.
  void remove_expired(storage::Transaction& tx) const;
  std::string node() const { return node_.str(); }

 private:
  core::Uuid node_;
};

}  // namespace assistiv::billing
