#pragma once
// Rate limits: requests and tokens per minute, requests per day, calls at one time; of an end user and of its
// platform as a whole. One check-and-increment over all of them, in memory while a node holds shares of the
// windows (table rate_lease), exact over all nodes. docs/decisions/0015-rate-limits.md says how.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "billing/ledger.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/random.h"
#include "core/task.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::billing {

// Nothing is no limit; 0 lets nothing through.
struct RateLimits {
  std::optional<std::int64_t> rpm, tpm, rpd, concurrency;
  bool operator==(const RateLimits&) const = default;
};

// Where an end user's limits come from: its own ones (all four, also those that are absent), else the
// platform's default, else nowhere.
enum class RateResolution { Explicit, Default, None };
std::string_view to_string(RateResolution resolution);

enum class RateDimension { Requests, Tokens, RequestsPerDay, Concurrency };
// "rpm", "tpm", "rpd", "concurrency".
std::string_view to_string(RateDimension dimension);

// One window at one moment.
struct RateUse {
  bool of_platform = false;  // of the platform as a whole, else of the end user
  RateDimension dimension = RateDimension::Requests;
  std::int64_t limit = 0;
  std::int64_t remaining = 0;
  std::chrono::milliseconds reset{0};  // until the window ends; 0 for concurrency
};

struct RateRefusal {
  RateUse use;                          // the window that had no room
  std::chrono::seconds retry_after{1};  // at least one
  std::vector<RateUse> uses;            // of all windows, for the headers
};

// 429 "rate_limit_exceeded" with Retry-After.
[[noreturn]] void throw_refusal(const RateRefusal& refusal);

using HeaderFields = std::vector<std::pair<std::string, std::string>>;
// x-ratelimit-{limit,remaining,reset}-{requests,tokens}, with OpenAI's names and forms ("1s", "6m0s",
// "250ms"): of the windows of each kind the one with the least left. Empty when nothing is limited.
HeaderFields rate_headers(const std::vector<RateUse>& uses);

// A call that was let in. Destroying it gives its place up (concurrency).
class RateTicket {
 public:
  RateTicket();
  ~RateTicket();
  RateTicket(RateTicket&& other) noexcept;
  RateTicket& operator=(RateTicket&& other) noexcept;

  // What the call really used: the difference to the estimate is booked in the minute of its entry, when that
  // lasts. Once; later calls do nothing.
  void settle(std::int64_t actual_tokens);
  const std::vector<RateUse>& uses() const { return uses_; }

 private:
  friend class RateLimiter;
  struct Taken;
  std::unique_ptr<Taken> taken_;
  std::vector<RateUse> uses_;
};

struct RateView {
  RateResolution resolution = RateResolution::None;
  RateLimits limits;           // of the end user
  RateLimits platform_limits;  // of the platform as a whole
  std::vector<RateUse> uses;
};

// What the platform set for all.
struct PlatformRateLimits {
  RateLimits platform;
  RateLimits end_user_default;
  bool has_default = false;
};

struct RateLimiterOptions {
  std::size_t end_users_max = 50'000;  // per platform in memory
  // Limits are read again after this time, should a notice get lost.
  std::chrono::milliseconds limits_ttl{60'000};
};

// Thread-safe.
class RateLimiter {
 public:
  RateLimiter(storage::Database& database, storage::AuditLog& audit, const core::Clock& clock,
              core::Random& random, RateLimiterOptions options = {});
  ~RateLimiter();
  RateLimiter(const RateLimiter&) = delete;
  RateLimiter& operator=(const RateLimiter&) = delete;

  // All windows or none. `token_estimate` counts against tokens per minute until settle(). Near a limit it
  // may wait some tenths of a second for what other nodes do not use. Throws Unavailable without the
  // database.
  core::Task<std::variant<RateTicket, RateRefusal>> enter(Payer payer, std::int64_t token_estimate);
  // For GET /v1/me/rate-limits. What other nodes hold counts as used.
  core::Task<RateView> view(Payer payer);

  // The settings. `event` goes into the audit trail with the change. They hold on this node when they return,
  // on the others within a second. NotFound for an end user that is not there.
  core::Task<> set_override(core::PlatformId platform, core::EndUserId end_user, RateLimits limits,
                            storage::AuditEvent event);
  core::Task<> clear_override(core::PlatformId platform, core::EndUserId end_user, storage::AuditEvent event);
  core::Task<PlatformRateLimits> platform_limits(core::PlatformId platform);
  // Replaces both; without a default when `limits.has_default` is false.
  core::Task<> set_platform_limits(core::PlatformId platform, PlatformRateLimits limits,
                                   storage::AuditEvent event);

  // Gives back what other nodes ask for, renews and ends leases, on `executor`. stop() gives everything back
  // and joins.
  void start(core::AnyExecutor executor);
  void stop();
  // Notifier callback: rate_limit, rate_return, platform, end_user, resync.
  void on_notify(std::string_view topic, std::string_view payload);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace assistiv::billing
