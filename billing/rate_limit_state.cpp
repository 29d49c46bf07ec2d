#include "billing/rate_limit_state.h"

#include <algorithm>

namespace assistiv::billing {

namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kDayMs = 86'400'000;
// Shares are a sixteenth of a window at most: with few nodes little lies idle, and a window far from its
// limit costs sixteen statements.
constexpr std::int64_t kShare = 16;
// Shorter than the 30 seconds after which others may take the places.
constexpr std::chrono::seconds kPlacesHeld{25};

}  // namespace

std::int64_t window_length_ms(RateDimension dimension) {
  switch (dimension) {
    case RateDimension::Requests:
    case RateDimension::Tokens:
      return kMinuteMs;
    case RateDimension::RequestsPerDay:
      return kDayMs;
    case RateDimension::Concurrency:
      return 0;
  }
  return 0;
}

void roll(RateWindow& window, RateDimension dimension, std::int64_t now_ms, std::int64_t limit) {
  const std::int64_t length = window_length_ms(dimension);
  const std::int64_t start = length == 0 ? 0 : now_ms - now_ms % length;
  if (start <= window.start) return;
  window = RateWindow{};
  window.start = start;
  window.free = limit;
}

std::int64_t available(const RateSubject& subject, RateDimension dimension, SteadyTime now) {
  const auto& window = subject.windows[static_cast<std::size_t>(dimension)];
  const bool lost = dimension == RateDimension::Concurrency && now >= subject.places_until;
  return (lost ? 0 : window.leased) - window.used;
}

bool fits(const RateNeed& need, SteadyTime now) {
  return available(*need.subject, need.dimension, now) >= need.amount &&
         need.window().used + need.amount <= need.limit;
}

RateUse use_of(const RateNeed& need, std::int64_t now_ms, SteadyTime now) {
  const auto& window = need.window();
  RateUse out;
  out.of_platform = need.of_platform;
  out.dimension = need.dimension;
  out.limit = need.limit;
  const std::int64_t known = available(*need.subject, need.dimension, now) + window.free;
  out.remaining = std::clamp<std::int64_t>(window.asked ? known : need.limit - window.used, 0, need.limit);
  const std::int64_t length = window_length_ms(need.dimension);
  if (length != 0) {
    out.reset = std::chrono::milliseconds(std::max<std::int64_t>(0, window.start + length - now_ms));
  }
  return out;
}

bool closed(const RateNeed& need, SteadyTime now) {
  const auto& window = need.window();
  return now < window.closed_until && need.amount >= window.closed_for;
}

LeaseWish wish_for(const RateNeed& need, SteadyTime now) {
  const auto& window = need.window();
  const std::int64_t short_of = need.amount - available(*need.subject, need.dimension, now);
  LeaseWish out;
  out.window = {need.subject->id, need.dimension, window.start};
  out.limit = need.limit;
  out.need = std::max<std::int64_t>(1, short_of);
  out.want = std::max(out.need, need.limit / kShare);
  out.expires_ms = window.start + window_length_ms(need.dimension);
  return out;
}

void apply(const RateNeed& need, const LeaseWish& wish, const LeaseGrant& grant, SteadyTime asked) {
  auto& window = need.window();
  if (window.start != wish.window.start) return;  // the window ended meanwhile
  window.free = grant.free;
  window.asked = true;
  if (grant.granted == 0) return;
  window.closed_until = {};
  if (need.dimension == RateDimension::Concurrency) {
    window.leased = asked < need.subject->places_until ? window.leased + grant.granted : grant.held;
    need.subject->places_until = asked + kPlacesHeld;
  } else {
    window.leased += grant.granted;
  }
}

std::vector<LeaseReturn> take_unused(RateSubject& subject, SteadyTime now) {
  std::vector<LeaseReturn> out;
  for (std::size_t i = 0; i < subject.windows.size(); ++i) {
    const auto dimension = static_cast<RateDimension>(i);
    auto& window = subject.windows[i];
    const std::int64_t unused = available(subject, dimension, now);
    if (window.start < 0 || unused <= 0) continue;
    window.leased -= unused;
    out.push_back({{subject.id, dimension, window.start}, unused});
  }
  return out;
}

}  // namespace assistiv::billing
