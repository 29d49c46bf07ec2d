#pragma once
// Spares a provider that is down, per (app, client) and process. Closed: calls go out. After a number of
// failures in a row: open, for a while, then one call may try (half open). Thread-safe.
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "core/clock.h"

namespace assistiv::oauth {

class CircuitBreaker {
 public:
  CircuitBreaker(int failures, std::chrono::seconds open) : failures_max_(failures), open_(open) {}

  // Empty when a call may go out (it must be followed by succeeded() or failed()); else how long to wait.
  std::optional<std::chrono::seconds> blocked(const std::string& app, const std::string& client,
                                              core::Time now);
  void succeeded(const std::string& app, const std::string& client);
  void failed(const std::string& app, const std::string& client, core::Time now);

 private:
  struct State {
    int failures = 0;
    std::optional<core::Time> open_until;
  };
  int failures_max_;
  std::chrono::seconds open_;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, State> states_;  // an entry only after a failure
};

}  // namespace assistiv::oauth
