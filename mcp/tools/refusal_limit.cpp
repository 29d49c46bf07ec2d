#include "mcp/tools/refusal_limit.h"

#include <algorithm>
#include <utility>

namespace assistiv::mcp {

void RefusalLimit::make_room(Time now) {
  if (callers_.size() < options_.callers_max) return;
  const auto full_again = options_.refill * options_.burst;
  std::erase_if(callers_, [&](const auto& entry) { return now - entry.second.since >= full_again; });
  // All are busy: forgetting one gives it a fresh allowance, which is still bounded by callers_max.
  if (callers_.size() >= options_.callers_max) callers_.erase(callers_.begin());
}

RefusalLimit::Allowance& RefusalLimit::find(const RefusedCaller& caller, Time now) {
  auto it = callers_.find(caller);
  if (it == callers_.end()) {
    make_room(now);
    it = callers_.emplace(caller, Allowance{options_.burst, now}).first;
  }
  auto& allowance = it->second;
  const auto earned = (now - allowance.since) / options_.refill;
  if (earned > 0) {
    allowance.left = std::min(options_.burst, allowance.left + static_cast<std::size_t>(earned));
    allowance.since += options_.refill * earned;
  }
  return allowance;
}

std::optional<std::size_t> RefusalLimit::take(const RefusedCaller& caller, Time now) {
  const std::lock_guard lock(mutex_);
  auto& allowance = find(caller, now);
  if (allowance.left == 0) {
    ++allowance.turned_away;
    return std::nullopt;
  }
  --allowance.left;
  return std::exchange(allowance.turned_away, 0);
}

bool RefusalLimit::exhausted(const RefusedCaller& caller, Time now) {
  const std::lock_guard lock(mutex_);
  return find(caller, now).left == 0;
}

std::chrono::seconds RefusalLimit::retry_after() const {
  return std::max(std::chrono::ceil<std::chrono::seconds>(options_.refill), std::chrono::seconds(1));
}

}  // namespace assistiv::mcp
