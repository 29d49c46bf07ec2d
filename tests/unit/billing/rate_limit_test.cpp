#include "billing/rate_limit.h"

#include <gtest/gtest.h>

#include "billing/rate_limit_state.h"
#include "core/error.h"

namespace assistiv::billing {
namespace {

using std::chrono::milliseconds;

RateUse use(RateDimension dimension, std::int64_t limit, std::int64_t remaining, milliseconds reset,
            bool of_platform = false) {
  return {of_platform, dimension, limit, remaining, reset};
}

std::string header(const std::vector<RateUse>& uses, const std::string& name) {
  for (const auto& [key, value] : rate_headers(uses)) {
    if (key == name) return value;
  }
  return "absent";
}

TEST(RateHeaders, show_the_tightest_window_of_each_kind) {
  const std::vector<RateUse> uses = {use(RateDimension::Requests, 60, 59, milliseconds(30'000), true),
                                     use(RateDimension::RequestsPerDay, 100, 5, milliseconds(3'600'000)),
                                     use(RateDimension::Tokens, 1000, 10, milliseconds(250)),
                                     use(RateDimension::Concurrency, 1, 0, milliseconds(0))};
  EXPECT_EQ(header(uses, "x-ratelimit-limit-requests"), "100");
  EXPECT_EQ(header(uses, "x-ratelimit-remaining-requests"), "5");
  EXPECT_EQ(header(uses, "x-ratelimit-reset-requests"), "1h0m0s");
  EXPECT_EQ(header(uses, "x-ratelimit-limit-tokens"), "1000");
  EXPECT_EQ(header(uses, "x-ratelimit-reset-tokens"), "250ms");
  EXPECT_TRUE(rate_headers({use(RateDimension::Concurrency, 1, 0, milliseconds(0))}).empty());
}

TEST(RateHeaders, write_durations_as_openai_does) {
  for (const auto& [ms, text] :
       {std::pair(0, "0ms"), std::pair(1000, "1s"), std::pair(1001, "2s"), std::pair(59'000, "59s"),
        std::pair(60'000, "1m0s"), std::pair(360'000, "6m0s"), std::pair(7'384'000, "2h3m4s")}) {
    EXPECT_EQ(header({use(RateDimension::Requests, 1, 1, milliseconds(ms))}, "x-ratelimit-reset-requests"),
              text);
  }
}

TEST(RateRefusal, is_a_429_that_says_when_to_come_again) {
  RateRefusal refusal;
  refusal.use = use(RateDimension::Requests, 60, 0, milliseconds(1500));
  refusal.retry_after = std::chrono::seconds(2);
  try {
    throw_refusal(refusal);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(core::http_status(error.kind()), 429);
    EXPECT_EQ(error.code(), "rate_limit_exceeded");
    EXPECT_EQ(error.retry_after(), std::chrono::seconds(2));
    EXPECT_NE(error.message().find("60 requests per minute"), std::string::npos);
  }
}

TEST(RateWindow, rolls_to_the_minute_and_never_back) {
  RateWindow window;
  roll(window, RateDimension::Requests, 60'000, 10);
  EXPECT_EQ(window.start, 60'000);
  window.used = window.leased = 5;
  roll(window, RateDimension::Requests, 119'999, 10);
  EXPECT_EQ(window.used, 5);
  roll(window, RateDimension::Requests, 59'999, 10);
  EXPECT_EQ(window.start, 60'000) << "a clock that was set back does not open an old window again";
  EXPECT_EQ(window.used, 5);
  roll(window, RateDimension::Requests, 120'000, 10);
  EXPECT_EQ(window.used, 0);
  RateWindow day;
  roll(day, RateDimension::RequestsPerDay, 86'400'000 * 3 + 5, 10);
  EXPECT_EQ(day.start, 86'400'000 * 3);
}

TEST(RateWindow, asks_for_a_share_when_it_needs_one_and_for_debts_too) {
  auto subject = std::make_shared<RateSubject>(core::Uuid{});
  const RateNeed need{subject, RateDimension::Tokens, false, 1600, 10};
  roll(need.window(), need.dimension, 60'000, 1600);
  const auto now = SteadyTime{} + std::chrono::hours(1);
  EXPECT_FALSE(fits(need, now));
  auto wish = wish_for(need, now);
  EXPECT_EQ(wish.need, 10);
  EXPECT_EQ(wish.want, 100);
  EXPECT_EQ(wish.expires_ms, 120'000);
  apply(need, wish, {100, 100, 1500}, now);
  EXPECT_TRUE(fits(need, now));
  need.window().used = 130;
  wish = wish_for(need, now);
  EXPECT_EQ(wish.need, 40) << "ten for the call, thirty that are owed";
}

TEST(RateWindow, a_grant_for_a_window_that_is_over_counts_for_nothing) {
  auto subject = std::make_shared<RateSubject>(core::Uuid{});
  const RateNeed need{subject, RateDimension::Requests, false, 10, 1};
  roll(need.window(), need.dimension, 60'000, 10);
  const auto now = SteadyTime{} + std::chrono::hours(1);
  const auto wish = wish_for(need, now);
  roll(need.window(), need.dimension, 120'000, 10);
  apply(need, wish, {5, 5, 5}, now);
  EXPECT_FALSE(fits(need, now));
}

TEST(RateWindow, places_end_with_their_lease) {
  auto subject = std::make_shared<RateSubject>(core::Uuid{});
  const RateNeed need{subject, RateDimension::Concurrency, false, 10, 1};
  roll(need.window(), need.dimension, 60'000, 10);
  const auto now = SteadyTime{} + std::chrono::hours(1);
  apply(need, wish_for(need, now), {3, 3, 7}, now);
  EXPECT_TRUE(fits(need, now));
  need.window().used = 2;
  const auto later = now + std::chrono::minutes(1);
  EXPECT_FALSE(fits(need, later));
  EXPECT_EQ(wish_for(need, later).need, 3) << "two calls under way and one more";
}

}  // namespace
}  // namespace assistiv::billing
