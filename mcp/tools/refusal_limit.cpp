#include "mcp/tools/refusal_limit.h"

#include <algorithm>
#include <utility>

namespace assistiv::mcp {

void RefusalLimit::make_room(Time now) {
  if (keys_.size() < options_.keys_max) return;
  const auto full_again = options_.refill * options_.burst;
  std::erase_if(keys_, [&](const auto& entry) { return now - entry.second.since >= full_again; });
  // All are busy: forgetting one gives it a fresh allowance, which is still bounded by keys_max.
  if (keys_.size() >= options_.keys_max) keys_.erase(keys_.begin());
}

RefusalLimit::Allowance& RefusalLimit::find(core::KeyId key, Time now) {
  auto it = keys_.find(key);
  if (it == keys_.end()) {
    make_room(now);
    it = keys_.emplace(key, Allowance{options_.burst, now}).first;
  }
  auto& allowance = it->second;
  const auto earned = (now - allowance.since) / options_.refill;
  if (earned > 0) {
    allowance.left = std::min(options_.burst, allowance.left + static_cast<std::size_t>(earned));
    allowance.since += options_.refill * earned;
  }
  return allowance;
}

std::optional<std::size_t> RefusalLimit::take(core::KeyId key, Time now) {
  const std::lock_guard lock(mutex_);
  auto& allowance = find(key, now);
  if (allowance.left == 0) {
    ++allowance.turned_away;
    return std::nullopt;
  }
  --allowance.left;
  return std::exchange(allowance.turned_away, 0);
}

bool RefusalLimit::exhausted(core::KeyId key, Time now) {
  const std::lock_guard lock(mutex_);
  return find(key, now).left == 0;
}

std::chrono::seconds RefusalLimit::retry_after() const {
  return std::max(std::chrono::ceil<std::chrono::seconds>(options_.refill), std::chrono::seconds(1));
}

}  // namespace assistiv::mcp
