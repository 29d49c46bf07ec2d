#pragma once
// How often a stranger's address may do what costs us a row or a request. Per node and in memory: it bounds
// growth; what holds across nodes is a cap in the database.
#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>

#include "core/clock.h"

namespace assistiv::oauth {

struct AttemptLimitOptions {
  int attempts = 60;
  std::chrono::seconds window{600};
  std::size_t addresses_max =
      10000;  // past it everything is forgotten: a flood of addresses is not held in memory
};

// Thread-safe.
class AttemptLimit {
 public:
  AttemptLimit(const core::Clock& clock, AttemptLimitOptions options) : clock_(clock), options_(options) {}
  // Counts one attempt. False when there were too many in the window.
  bool take(const std::string& address);
  std::chrono::seconds window() const { return options_.window; }

 private:
  struct Count {
    core::Time since;
    int attempts = 0;
  };
  const core::Clock& clock_;
  const AttemptLimitOptions options_;
  std::mutex mutex_;
  std::unordered_map<std::string, Count> counts_;
};

// One address, or the /64 that an IPv6 address is in.
std::string address_block(const std::string& address);
// One address, or the /48 that an IPv6 address is in: what one customer of a network can have.
std::string address_site(const std::string& address);

}  // namespace assistiv::oauth
