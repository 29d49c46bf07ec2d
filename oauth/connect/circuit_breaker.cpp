#include "oauth/connect/circuit_breaker.h"

namespace assistiv::oauth {

std::optional<std::chrono::seconds> CircuitBreaker::blocked(const std::string& app, const std::string& client,
                                                            core::Time now) {
  std::lock_guard lock(mutex_);
  const auto it = states_.find({app, client});
  if (it == states_.end() || !it->second.open_until) return {};
  if (*it->second.open_until > now) {
    return std::chrono::ceil<std::chrono::seconds>(*it->second.open_until - now);
  }
  // Half open: this call tries, the others wait for its result.
  it->second.open_until = now + open_;
  return {};
}

void CircuitBreaker::succeeded(const std::string& app, const std::string& client) {
  std::lock_guard lock(mutex_);
  states_.erase({app, client});
}

void CircuitBreaker::failed(const std::string& app, const std::string& client, core::Time now) {
  constexpr std::size_t kStatesMax = 10000;
  std::lock_guard lock(mutex_);
  if (states_.size() >= kStatesMax) states_.clear();
  auto& state = states_[{app, client}];
  if (++state.failures >= failures_max_) state.open_until = now + open_;
}

}  // namespace assistiv::oauth
