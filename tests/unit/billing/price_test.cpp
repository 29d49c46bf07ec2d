#include "billing/price.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace assistiv::billing {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

Price simple(std::int64_t input, std::int64_t output) {
  Price price;
  price.base.input = input;
  price.base.output = output;
  return price;
}

core::Usage tokens(std::int64_t input, std::int64_t output) {
  core::Usage usage;
  usage.input = input;
  usage.output = output;
  return usage;
}

TEST(CostOf, multiplies_tokens_by_rates_per_million) {
  // USD 2.50 and 10.00 per million: 1,000 in and 100 out are 0.0025 + 0.001.
  EXPECT_EQ(cost_of(simple(2'500'000'000, 10'000'000'000), tokens(1000, 100)).nanos, 3'500'000);
}

TEST(CostOf, rounds_up_once_and_not_per_part) {
  // 0.4 nano-USD for each of three tokens: 1.2 is 2, while parts rounded one by one would make 3.
  Price price = simple(400'000, 400'000);
  core::Usage usage = tokens(2, 1);
  usage.cache_read = 1;
  EXPECT_EQ(cost_of(price, usage).nanos, 2);
  EXPECT_EQ(cost_of(price, tokens(0, 0)).nanos, 0);
}

TEST(CostOf, takes_cache_tokens_out_of_the_input_that_holds_them) {
  Price price = simple(3'000'000'000, 15'000'000'000);
  price.base.cache_read = 300'000'000;
  price.base.cache_write_5m = 3'750'000'000;
  price.base.cache_write_1h = 6'000'000'000;
  core::Usage usage = tokens(1000, 0);
  usage.cache_read = 800;
  usage.cache_write_5m = 60;
  usage.cache_write_1h = 40;
  // 100 x 3 + 800 x 0.3 + 60 x 3.75 + 40 x 6 millionths of a dollar.
  EXPECT_EQ(cost_of(price, usage).nanos, 300'000 + 240'000 + 225'000 + 240'000);
}

TEST(CostOf, falls_back_as_the_header_says) {
  Price price = simple(2'000'000, 4'000'000);
  core::Usage usage = tokens(60, 40);
  usage.cache_read = usage.cache_write_5m = usage.cache_write_1h = usage.input_audio = usage.input_image = 10;
  usage.reasoning = usage.output_audio = usage.output_image = 10;
  EXPECT_EQ(cost_of(price, usage).nanos, 60 * 2 + 40 * 4);
  price.base.cache_write_5m = 3'000'000;
  EXPECT_EQ(cost_of(price, usage).nanos, 40 * 2 + 20 * 3 + 40 * 4) << "1h writes follow 5m writes";
}

TEST(CostOf, cuts_parts_to_their_whole) {
  Price price = simple(1'000'000, 1'000'000);
  price.base.cache_read = 5'000'000;
  price.base.reasoning = 7'000'000;
  core::Usage usage = tokens(10, 10);
  usage.cache_read = 1'000'000;
  usage.reasoning = kMax;
  EXPECT_EQ(cost_of(price, usage).nanos, 50 + 70);
}

TEST(CostOf, an_explicit_zero_and_a_missing_count_cost_nothing) {
  EXPECT_EQ(cost_of(simple(5, 5), {}).nanos, 0);
  EXPECT_EQ(cost_of(simple(kMax, kMax), tokens(0, 0)).nanos, 0);
  EXPECT_EQ(cost_of(simple(kMax, kMax), tokens(-5, -5)).nanos, 0) << "a negative count is no refund";
}

TEST(CostOf, a_tier_reprices_the_whole_request) {
  // gemini-2.5-pro: 1.25 to 200,000 input tokens, then 2.50; output 10 then 15.
  Price price = simple(1'250'000'000, 10'000'000'000);
  Tier tier;
  tier.input_over = 200'000;
  tier.rates.input = 2'500'000'000;
  tier.rates.output = 15'000'000'000;
  price.tiers = {tier};
  EXPECT_EQ(cost_of(price, tokens(200'000, 0)).nanos, 250'000'000);
  EXPECT_EQ(cost_of(price, tokens(200'001, 0)).nanos, 500'002'500);
  EXPECT_EQ(cost_of(price, tokens(200'001, 10)).nanos, 500'002'500 + 150'000);
}

TEST(CostOf, a_tier_leaves_what_it_does_not_name) {
  Price price = simple(1'000'000, 2'000'000);
  price.base.cache_read = 500'000;
  Tier tier;
  tier.input_over = 5;
  tier.rates.input = 4'000'000;
  price.tiers = {tier};
  core::Usage usage = tokens(10, 1);
  usage.cache_read = 2;
  EXPECT_EQ(cost_of(price, usage).nanos, 8 * 4 + 1 + 2);
}

TEST(CostOf, counts_the_request_itself) {
  Price price = simple(0, 0);
  price.base.request = 5'000'000;
  EXPECT_EQ(cost_of(price, {}).nanos, 5'000'000);
}

TEST(CostOf, ends_at_the_range_instead_of_wrapping) {
  Price price = simple(kMax, kMax);
  price.base.request = kMax;
  EXPECT_EQ(cost_of(price, tokens(kMax, kMax)).nanos, kMax);
  EXPECT_EQ(cost_bound(price, kMax, kMax).nanos, kMax);
}

class RandomPrices {
 public:
  explicit RandomPrices(unsigned seed) : engine_(seed) {}

  std::int64_t number(std::int64_t max) {
    return std::uniform_int_distribution<std::int64_t>(0, max)(engine_);
  }
  std::optional<std::int64_t> maybe(std::int64_t max) {
    return number(3) == 0 ? std::nullopt : std::optional(number(max));
  }
  Rates rates() {
    constexpr std::int64_t kDear = 200'000'000'000;
    return {maybe(kDear), maybe(kDear), maybe(kDear), maybe(kDear), maybe(kDear),    maybe(kDear),
            maybe(kDear), maybe(kDear), maybe(kDear), maybe(kDear), maybe(1'000'000)};
  }
  Price price() {
    Price out;
    out.base = rates();
    std::int64_t at = 0;
    for (std::int64_t i = number(3); i > 0; --i) {
      at += 1 + number(2000);
      out.tiers.push_back({at, rates()});
    }
    return out;
  }
  // Parts may exceed their whole: providers do report that.
  core::Usage usage(std::int64_t input_max, std::int64_t output_max) {
    core::Usage out;
    out.input = maybe(input_max);
    out.output = maybe(output_max);
    out.cache_read = maybe(input_max);
    out.cache_write_5m = maybe(input_max);
    out.cache_write_1h = maybe(input_max);
    out.input_audio = maybe(input_max);
    out.input_image = maybe(input_max);
    out.reasoning = maybe(output_max);
    out.output_audio = maybe(output_max);
    out.output_image = maybe(output_max);
    return out;
  }

 private:
  std::mt19937 engine_;
};

TEST(CostBound, is_never_below_the_cost_of_a_usage_within_it) {
  RandomPrices random(20261121);
  for (int i = 0; i < 20'000; ++i) {
    const Price price = random.price();
    const std::int64_t input_max = random.number(5000);
    const std::int64_t output_max = random.number(5000);
    const core::Usage usage = random.usage(input_max, output_max);
    ASSERT_GE(cost_bound(price, input_max, output_max).nanos, cost_of(price, usage).nanos) << "case " << i;
  }
}

TEST(CostBound, is_reached) {
  Price price = simple(2'000'000, 4'000'000);
  EXPECT_EQ(cost_bound(price, 10, 10).nanos, 60);
  price.base.cache_write_1h = 3'000'000;
  EXPECT_EQ(cost_bound(price, 10, 10).nanos, 70) << "the dearest kind of input counts";
}

TEST(CostBound, counts_only_tiers_that_can_be_reached) {
  Price price = simple(1'000'000, 1'000'000);
  Tier tier;
  tier.input_over = 100;
  tier.rates.input = 9'000'000;
  price.tiers = {tier};
  EXPECT_EQ(cost_bound(price, 100, 0).nanos, 100);
  EXPECT_EQ(cost_bound(price, 101, 0).nanos, 909);
  price.tiers[0].rates.input = 0;
  EXPECT_EQ(cost_bound(price, 101, 0).nanos, 101) << "a cheap tier above does not cheapen a call below it";
}

TEST(CostOf, grows_with_tokens_of_one_kind_within_a_tier) {
  RandomPrices random(7);
  for (int i = 0; i < 5000; ++i) {
    Price price = random.price();
    price.tiers.clear();
    core::Usage usage = random.usage(1000, 1000);
    const auto before = cost_of(price, usage);
    usage.output = usage.output.value_or(0) + 1;
    ASSERT_GE(cost_of(price, usage).nanos, before.nanos);
  }
}

}  // namespace
}  // namespace assistiv::billing
