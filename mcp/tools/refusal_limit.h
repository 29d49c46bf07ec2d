#pragma once
// How many refused calls one caller may leave in the audit trail and the connect links: a client that loops,
// or a stolen key that tries doors, must not fill the database. Calls that run are never limited here. Per
// node and in memory: a bound for growth, not an exact count.
#include <chrono>
#include <compare>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>

#include "core/ids.h"

namespace assistiv::mcp {

struct RefusalLimitOptions {
  std::size_t burst = 120;
  std::chrono::milliseconds refill{1000};  // one more, every so often
  std::size_t callers_max = 10'000;        // remembered; past it those with a full allowance go first
};

// A key alone would not do: the tokens of a registered issuer all have its id.
struct RefusedCaller {
  core::KeyId key;
  core::EndUserId end_user;
  auto operator<=>(const RefusedCaller&) const = default;
};

// Thread-safe.
class RefusalLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit RefusalLimit(RefusalLimitOptions options = {}) : options_(options) {}

  // Takes one refusal. Gives how many were turned away since the last one that was taken; none when this one
  // is turned away.
  std::optional<std::size_t> take(const RefusedCaller& caller, Time now);
  // Whether take() would turn away; takes nothing.
  bool exhausted(const RefusedCaller& caller, Time now);
  std::chrono::seconds retry_after() const;

 private:
  struct Allowance {
    std::size_t left;
    Time since;  // the last refill
    std::size_t turned_away = 0;
  };
  Allowance& find(const RefusedCaller& caller, Time now);
  void make_room(Time now);

  const RefusalLimitOptions options_;
  std::mutex mutex_;
  std::map<RefusedCaller, Allowance> callers_;
};

}  // namespace assistiv::mcp
