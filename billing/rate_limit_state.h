#pragma once
// What one node knows of the windows it takes part in. Plain values: the limiter (rate_limit.cpp) locks
// around them.
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "billing/rate_limit.h"
#include "billing/rate_limit_store.h"
#include "core/async.h"

namespace assistiv::billing {

using SteadyTime = std::chrono::steady_clock::time_point;

// One window: what this node leased of it and what of that it used.
struct RateWindow {
  std::int64_t start = -1;
  std::int64_t leased = 0;
  std::int64_t used = 0;  // may pass `leased`: calls that took more tokens than was thought
  std::int64_t free = 0;  // by nobody, when it was last asked
  bool asked = false;
  // Refused lately: wishes of this size and up are not asked for again until then.
  SteadyTime closed_until{};
  std::int64_t closed_for = 0;
};

// An end user, or the platform as a whole.
struct RateSubject {
  explicit RateSubject(core::Uuid subject) : id(subject) {}
  const core::Uuid id;
  std::array<RateWindow, 4> windows;  // by RateDimension
  SteadyTime places_until{};          // how long the places leased for concurrency are this node's
  SteadyTime used_at{};
  bool busy = false;  // somebody is leasing for it
  std::vector<std::shared_ptr<core::AsyncEvent>> waiting;
};

// What one call wants of one window.
struct RateNeed {
  std::shared_ptr<RateSubject> subject;
  RateDimension dimension;
  bool of_platform;
  std::int64_t limit;
  std::int64_t amount;
  RateWindow& window() const { return subject->windows[static_cast<std::size_t>(dimension)]; }
};

struct CachedLimits {
  std::optional<RateLimits> own;
  SteadyTime read_at;
};

struct RatePlatform {
  explicit RatePlatform(core::PlatformId platform) : id(platform) {}
  const core::PlatformId id;
  std::mutex mutex;  // over all below and what it points to
  std::map<core::Uuid, std::shared_ptr<RateSubject>> subjects;
  std::optional<PlatformRateLimits> limits;
  SteadyTime limits_read_at{};
  std::map<core::EndUserId, CachedLimits> own;
  std::uint64_t limits_version = 0;
};

// The window that `now` falls into. Minutes and days of UTC; never back to an earlier one.
void roll(RateWindow& window, RateDimension dimension, std::int64_t now_ms, std::int64_t limit);
std::int64_t window_length_ms(RateDimension dimension);  // 0 for concurrency
// What this node may still use without asking; negative in debt.
std::int64_t available(const RateSubject& subject, RateDimension dimension, SteadyTime now);
bool fits(const RateNeed& need, SteadyTime now);
RateUse use_of(const RateNeed& need, std::int64_t now_ms, SteadyTime now);
// Whether the wish was refused so lately that asking again is of no use.
bool closed(const RateNeed& need, SteadyTime now);
LeaseWish wish_for(const RateNeed& need, SteadyTime now);
void apply(const RateNeed& need, const LeaseWish& wish, const LeaseGrant& grant, SteadyTime asked);
// Takes out of the subject what it does not use.
std::vector<LeaseReturn> take_unused(RateSubject& subject, SteadyTime now);

}  // namespace assistiv::billing
