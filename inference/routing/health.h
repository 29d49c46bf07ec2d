#pragma once
// How the keys and models of this process have been doing: cooldowns, circuit breakers, latencies, and the
// budget of retries. In memory only: another process learns for itself.
#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/ids.h"

namespace assistiv::inference {

// Thread-safe. Keys are config ids.
class Health {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  enum class State {
    Fit,
    Cooling,  // asked to wait, or its credential was refused
    Broken,   // the breaker is open
    Probe,    // the breaker is half open: one call may try
  };
  State state(const std::string& key, SteadyTime now) const;
  // Takes the place of the probe; false when another call has it.
  bool begin_probe(const std::string& key, SteadyTime now);
  // The call that had the probe's place is over; what it found was told before.
  void end_probe(const std::string& key);
  // When the key may be asked again; `now` when it may at once.
  SteadyTime ready_at(const std::string& key, SteadyTime now) const;

  void succeeded(const std::string& key);
  // The provider failed: past kFailuresMax in a row the breaker opens.
  void failed(const std::string& key, SteadyTime now);
  void cool(const std::string& key, SteadyTime until);

  // Moving average of the time to the first token.
  void took(const std::string& key, const std::string& model, std::chrono::microseconds first_token);
  std::optional<std::chrono::microseconds> latency(const std::string& key, const std::string& model) const;

  // At most one retry per ten calls of a platform in the long run, with a small reserve: an outage is not
  // doubled, and one platform's is not another's.
  void count_call(core::PlatformId platform);
  bool take_retry(core::PlatformId platform);

 private:
  struct Key {
    SteadyTime cool_until{};
    int failures = 0;
    SteadyTime open_until{};
    std::chrono::seconds open_for{0};
    bool broken = false;
    SteadyTime probing_until{};
  };
  Key& entry(const std::string& key);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Key> keys_;
  std::unordered_map<std::string, std::chrono::microseconds> latencies_;
  std::map<core::PlatformId, double> retries_;
};

}  // namespace assistiv::inference
