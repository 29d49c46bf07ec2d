#pragma once
// How many refused calls one key may leave in the audit trail and the connect links: a client that loops, or
// a stolen key that tries doors, must not fill the database. Calls that run are never limited here. Per node
// and in memory: a bound for growth, not an exact count.
#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>

#include "core/ids.h"

namespace assistiv::mcp {

struct RefusalLimitOptions {
  std::size_t burst = 120;
  std::chrono::milliseconds refill{1000};  // one more, every so often
  std::size_t keys_max = 10'000;           // remembered; past it the keys with a full allowance go first
};

// Thread-safe.
class RefusalLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit RefusalLimit(RefusalLimitOptions options = {}) : options_(options) {}

  // Takes one refusal. Gives how many were turned away since the last one that was taken; none when this one
  // is turned away.
  std::optional<std::size_t> take(core::KeyId key, Time now);
  // Whether take() would turn away; takes nothing.
  bool exhausted(core::KeyId key, Time now);
  std::chrono::seconds retry_after() const;

 private:
  struct Allowance {
    std::size_t left;
    Time since;  // the last refill
    std::size_t turned_away = 0;
  };
  Allowance& find(core::KeyId key, Time now);
  void make_room(Time now);

  const RefusalLimitOptions options_;
  std::mutex mutex_;
  std::map<core::KeyId, Allowance> keys_;
};

}  // namespace assistiv::mcp
