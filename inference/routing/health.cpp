#include "inference/routing/health.h"

#include <algorithm>

namespace assistiv::inference {

namespace {

constexpr int kFailuresMax = 5;
constexpr std::chrono::seconds kOpenFirst{10};
constexpr std::chrono::seconds kOpenMax{120};
// A probe that never reports (its process is not this one's fault) does not block the key for ever.
constexpr std::chrono::seconds kProbeMax{60};
constexpr std::size_t kEntriesMax = 20'000;
constexpr double kRetryShare = 0.1;
constexpr double kRetriesMax = 20;

}  // namespace

Health::Key& Health::entry(const std::string& key) {
  // Keys of deleted configurations; what is lost by starting over is only memory of trouble.
  if (keys_.size() >= kEntriesMax) keys_.clear();
  return keys_[key];
}

Health::State Health::state(const std::string& key, SteadyTime now) const {
  std::lock_guard lock(mutex_);
  const auto found = keys_.find(key);
  if (found == keys_.end()) return State::Fit;
  const auto& one = found->second;
  if (one.broken) {
    if (now < one.open_until || now < one.probing_until) return State::Broken;
    return State::Probe;
  }
  return now < one.cool_until ? State::Cooling : State::Fit;
}

bool Health::begin_probe(const std::string& key, SteadyTime now) {
  std::lock_guard lock(mutex_);
  auto& one = entry(key);
  if (!one.broken) return true;
  if (now < one.open_until || now < one.probing_until) return false;
  one.probing_until = now + kProbeMax;
  return true;
}

void Health::end_probe(const std::string& key) {
  std::lock_guard lock(mutex_);
  if (const auto found = keys_.find(key); found != keys_.end()) found->second.probing_until = {};
}

Health::SteadyTime Health::ready_at(const std::string& key, SteadyTime now) const {
  std::lock_guard lock(mutex_);
  const auto found = keys_.find(key);
  if (found == keys_.end()) return now;
  const auto& one = found->second;
  return std::max({now, one.cool_until, one.broken ? std::max(one.open_until, one.probing_until) : now});
}

void Health::succeeded(const std::string& key) {
  std::lock_guard lock(mutex_);
  const auto found = keys_.find(key);
  if (found != keys_.end()) keys_.erase(found);
}

void Health::failed(const std::string& key, SteadyTime now) {
  std::lock_guard lock(mutex_);
  auto& one = entry(key);
  ++one.failures;
  if (!one.broken && one.failures < kFailuresMax) return;
  one.open_for = one.broken ? std::min(one.open_for * 2, kOpenMax) : kOpenFirst;
  one.broken = true;
  one.open_until = now + one.open_for;
  one.probing_until = {};
}

void Health::cool(const std::string& key, SteadyTime until) {
  std::lock_guard lock(mutex_);
  auto& one = entry(key);
  one.cool_until = std::max(one.cool_until, until);
}

void Health::took(const std::string& key, const std::string& model, std::chrono::microseconds first_token) {
  std::lock_guard lock(mutex_);
  if (latencies_.size() >= kEntriesMax) latencies_.clear();
  const auto [place, fresh] = latencies_.try_emplace(key + "\n" + model, first_token);
  if (!fresh) place->second = (place->second * 4 + first_token) / 5;
}

std::optional<std::chrono::microseconds> Health::latency(const std::string& key,
                                                         const std::string& model) const {
  std::lock_guard lock(mutex_);
  const auto found = latencies_.find(key + "\n" + model);
  return found == latencies_.end() ? std::nullopt : std::optional(found->second);
}

void Health::count_call(core::PlatformId platform) {
  std::lock_guard lock(mutex_);
  if (retries_.size() >= kEntriesMax) retries_.clear();
  const auto [left, fresh] = retries_.try_emplace(platform, kRetriesMax);
  if (!fresh) left->second = std::min(kRetriesMax, left->second + kRetryShare);
}

bool Health::take_retry(core::PlatformId platform) {
  std::lock_guard lock(mutex_);
  const auto left = retries_.find(platform);
  if (left == retries_.end() || left->second < 1) return false;
  left->second -= 1;
  return true;
}

}  // namespace assistiv::inference
