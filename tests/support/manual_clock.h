#pragma once
// A clock that stands still until the test moves it. Thread-safe.
#include <atomic>
#include <chrono>

#include "core/clock.h"

namespace assistiv::test {

class ManualClock final : public core::Clock {
 public:
  explicit ManualClock(core::Time start = core::from_epoch_ms(1'800'000'000'000))
      : now_ms_(core::to_epoch_ms(start)) {}
  core::Time now() const override { return core::from_epoch_ms(now_ms_.load()); }
  void advance(std::chrono::milliseconds time) { now_ms_ += time.count(); }

 private:
  std::atomic<std::int64_t> now_ms_;
};

}  // namespace assistiv::test
