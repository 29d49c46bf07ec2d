#include "mcp/tools/refusal_limit.h"

#include <gtest/gtest.h>

#include "core/clock.h"
#include "core/random.h"

namespace assistiv::mcp {
namespace {

using namespace std::chrono_literals;

struct RefusalLimitTest : testing::Test {
  RefusedCaller caller() {
    return {core::KeyId::make(clock_, random_), core::EndUserId::make(clock_, random_)};
  }
  core::SystemClock clock_;
  core::SystemRandom random_;
  RefusalLimit::Time now_{};
};

TEST_F(RefusalLimitTest, turns_away_past_the_burst_and_says_how_many) {
  RefusalLimit limit({.burst = 2, .refill = 1s});
  const auto mine = caller();
  EXPECT_EQ(limit.take(mine, now_), 0u);
  EXPECT_FALSE(limit.exhausted(mine, now_));
  EXPECT_EQ(limit.take(mine, now_), 0u);
  EXPECT_TRUE(limit.exhausted(mine, now_));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limit.take(mine, now_).has_value());
  EXPECT_EQ(limit.take(caller(), now_), 0u) << "each caller has its own";
  const RefusedCaller sibling{mine.key, caller().end_user};
  EXPECT_EQ(limit.take(sibling, now_), 0u) << "also with the id of the same issuer";
  EXPECT_EQ(limit.take(mine, now_ + 1s), 5u);
  EXPECT_FALSE(limit.take(mine, now_ + 1999ms).has_value());
  EXPECT_EQ(limit.take(mine, now_ + 2s), 1u);
}

TEST_F(RefusalLimitTest, never_earns_more_than_the_burst) {
  RefusalLimit limit({.burst = 2, .refill = 1s});
  const auto mine = caller();
  limit.take(mine, now_);
  int taken = 0;
  while (limit.take(mine, now_ + 1h)) ++taken;
  EXPECT_EQ(taken, 2);
}

TEST_F(RefusalLimitTest, remembers_a_bounded_number_of_callers) {
  RefusalLimit limit({.burst = 1, .refill = 1h, .callers_max = 3});
  const auto first = caller();
  for (int i = 0; i < 100; ++i) limit.take(caller(), now_);
  limit.take(first, now_);
  EXPECT_TRUE(limit.exhausted(first, now_)) << "the newcomer is remembered";
}

}  // namespace
}  // namespace assistiv::mcp
