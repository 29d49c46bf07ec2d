#include "mcp/tools/refusal_limit.h"

#include <gtest/gtest.h>

#include "core/clock.h"
#include "core/random.h"

namespace assistiv::mcp {
namespace {

using namespace std::chrono_literals;

struct RefusalLimitTest : testing::Test {
  core::KeyId key() { return core::KeyId::make(clock_, random_); }
  core::SystemClock clock_;
  core::SystemRandom random_;
  RefusalLimit::Time now_{};
};

TEST_F(RefusalLimitTest, turns_away_past_the_burst_and_says_how_many) {
  RefusalLimit limit({.burst = 2, .refill = 1s});
  const auto mine = key();
  EXPECT_EQ(limit.take(mine, now_), 0u);
  EXPECT_FALSE(limit.exhausted(mine, now_));
  EXPECT_EQ(limit.take(mine, now_), 0u);
  EXPECT_TRUE(limit.exhausted(mine, now_));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limit.take(mine, now_).has_value());
  EXPECT_EQ(limit.take(key(), now_), 0u) << "each key has its own";
  EXPECT_EQ(limit.take(mine, now_ + 1s), 5u);
  EXPECT_FALSE(limit.take(mine, now_ + 1999ms).has_value());
  EXPECT_EQ(limit.take(mine, now_ + 2s), 1u);
}

TEST_F(RefusalLimitTest, never_earns_more_than_the_burst) {
  RefusalLimit limit({.burst = 2, .refill = 1s});
  const auto mine = key();
  limit.take(mine, now_);
  int taken = 0;
  while (limit.take(mine, now_ + 1h)) ++taken;
  EXPECT_EQ(taken, 2);
}

TEST_F(RefusalLimitTest, remembers_a_bounded_number_of_keys) {
  RefusalLimit limit({.burst = 1, .refill = 1h, .keys_max = 3});
  const auto first = key();
  for (int i = 0; i < 100; ++i) limit.take(key(), now_);
  limit.take(first, now_);
  EXPECT_TRUE(limit.exhausted(first, now_)) << "the newcomer is remembered";
}

}  // namespace
}  // namespace assistiv::mcp
