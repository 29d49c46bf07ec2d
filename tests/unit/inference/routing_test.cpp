#include <gtest/gtest.h>

#include <map>

#include "inference/routing/retry.h"
#include "inference/routing/router.h"
#include "inference/translate/faults.h"
#include "support/engine_fakes.h"

namespace assistiv::inference::routing_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;
using Kind = Fault::Kind;

Fault fault(Kind kind) {
  Fault out;
  out.kind = kind;
  return out;
}

TEST(Retry, decides_by_the_kind_of_the_fault) {
  const std::map<Kind, Next> table{
      {Kind::InvalidRequest, Next::Stop},       {Kind::TooLarge, Next::Stop},
      {Kind::ProviderAuth, Next::OtherTarget},  {Kind::ProviderQuota, Next::OtherTarget},
      {Kind::ModelNotFound, Next::OtherTarget}, {Kind::RateLimited, Next::Again},
      {Kind::Overloaded, Next::Again},          {Kind::Upstream, Next::Again},
      {Kind::Transient, Next::Again},           {Kind::Timeout, Next::Again},
      {Kind::Truncated, Next::Again},           {Kind::Internal, Next::OtherTarget}};
  for (const auto& [kind, next] : table) EXPECT_EQ(next_after(fault(kind)), next) << static_cast<int>(kind);
  auto too_long = fault(Kind::InvalidRequest);
  too_long.context_length = true;
  EXPECT_EQ(next_after(too_long), Next::OtherModel);
}

TEST(Retry, reads_every_form_of_the_wait) {
  const auto now = *core::parse_time("2026-11-21T15:00:00.000Z");
  const auto wait = [&](std::string name, std::string value, std::string body = "") {
    core::HttpHeaders headers;
    if (!name.empty()) headers.add(std::move(name), std::move(value));
    return retry_after(headers, read_fault(429, std::string_view(body)), now);
  };
  EXPECT_EQ(wait("retry-after", "20"), seconds(20));
  EXPECT_EQ(wait("Retry-After", "0.5"), milliseconds(500));
  EXPECT_EQ(wait("retry-after-ms", "1250"), milliseconds(1250));
  EXPECT_EQ(wait("retry-after", "Sat, 21 Nov 2026 15:00:30 GMT"), seconds(30));
  EXPECT_EQ(wait("retry-after", "Sat, 21 Nov 2026 14:00:00 GMT"), seconds(0));
  EXPECT_EQ(wait("retry-after", "99999999999"), seconds(3600));
  EXPECT_EQ(wait("retry-after", "soon"), std::nullopt);
  EXPECT_EQ(wait("retry-after", "-5"), std::nullopt);
  const std::string google =
      R"({"error":{"code":429,"details":[{"@type":"x"},{"@type":"type.googleapis.com/google.rpc.RetryInfo",)"
      R"("retryDelay":"34.5s"}]}})";
  EXPECT_EQ(wait("", "", google), milliseconds(34'500));
  EXPECT_EQ(wait("", "", "[" + google + "]"), milliseconds(34'500));
  EXPECT_EQ(wait("", "", R"({"error":{"details":[{"retryDelay":7}]}})"), std::nullopt);
}

TEST(Retry, leaves_keys_alone_for_as_long_as_their_trouble_lasts) {
  EXPECT_GE(cooldown_after(fault(Kind::ProviderQuota), {}), seconds(600));
  EXPECT_GE(cooldown_after(fault(Kind::ProviderAuth), {}), seconds(60));
  EXPECT_EQ(cooldown_after(fault(Kind::RateLimited), seconds(20)), seconds(20));
  EXPECT_EQ(cooldown_after(fault(Kind::Upstream), seconds(20)), seconds(0));
}

TEST(Health, opens_the_breaker_after_failures_in_a_row_and_lets_one_probe_through) {
  Health health;
  const auto now = SteadyClock::now();
  for (int i = 0; i < 4; ++i) health.failed("k", now);
  EXPECT_EQ(health.state("k", now), Health::State::Fit);
  health.failed("k", now);
  EXPECT_EQ(health.state("k", now), Health::State::Broken);
  EXPECT_EQ(health.state("other", now), Health::State::Fit);
  const auto later = now + seconds(11);
  EXPECT_EQ(health.state("k", later), Health::State::Probe);
  EXPECT_TRUE(health.begin_probe("k", later));
  EXPECT_FALSE(health.begin_probe("k", later));
  health.failed("k", later);  // the probe: twice as long now
  EXPECT_EQ(health.state("k", later + seconds(19)), Health::State::Broken);
  EXPECT_TRUE(health.begin_probe("k", later + seconds(21)));
  health.succeeded("k");
  EXPECT_EQ(health.state("k", later + seconds(21)), Health::State::Fit);
}

TEST(Health, a_probe_that_found_nothing_makes_room_for_the_next) {
  Health health;
  const auto now = SteadyClock::now();
  for (int i = 0; i < 5; ++i) health.failed("k", now);
  const auto later = now + seconds(11);
  ASSERT_TRUE(health.begin_probe("k", later));
  health.end_probe("k");
  EXPECT_EQ(health.state("k", later), Health::State::Probe);
  EXPECT_TRUE(health.begin_probe("k", later));
}

TEST(Health, allows_one_retry_per_ten_calls_in_the_long_run) {
  Health health;
  int retries = 0;
  core::PlatformId one, other;
  other.uuid.bytes[0] = 1;
  health.count_call(other);
  for (int call = 0; call < 1000; ++call) {
    health.count_call(one);
    retries += health.take_retry(one) ? 1 : 0;
  }
  EXPECT_TRUE(health.take_retry(other)) << "one platform's outage took another's retries";
  EXPECT_LE(retries, 1000 / 10 + 20);
  EXPECT_GE(retries, 1000 / 10);
}

class Order : public testing::Test {
 protected:
  std::shared_ptr<Target> add(const std::string& name, int priority, int weight = 1) {
    auto target = test::test_target(name);
    target->priority = priority;
    target->weight = weight;
    model_.targets.push_back(target);
    return target;
  }
  std::vector<std::string> order(bool local_only = false) {
    TargetPlan plan;
    plan.settings = std::make_shared<InferenceSettings>(settings_);
    plan.models = {model_};
    std::vector<std::string> names;
    for (const auto& one : order_targets(plan, local_only, health_, random_, SteadyClock::now()))
      names.push_back(one.target->provider);
    return names;
  }
  static std::string key(const std::string& name) { return health_key(*test::test_target(name)); }
  using Names = std::vector<std::string>;
  InferenceSettings settings_;
  TargetPlan::Model model_{"m", {}};
  Health health_;
  core::SystemRandom random_;
};

TEST_F(Order, goes_by_rising_priority) {
  add("second", 5);
  add("first", 1);
  add("third", 9);
  EXPECT_EQ(order(), (Names{"first", "second", "third"}));
}

TEST_F(Order, draws_by_weight_within_a_priority) {
  add("heavy", 1, 9);
  add("light", 1, 1);
  add("reserve", 1, 0);
  int heavy = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto names = order();
    ASSERT_EQ(names.size(), 3U);
    EXPECT_EQ(names[2], "reserve");
    heavy += names[0] == "heavy" ? 1 : 0;
  }
  EXPECT_NEAR(heavy, 1800, 120);
}

TEST_F(Order, prefers_the_fastest_and_still_tries_others) {
  settings_.strategy = Strategy::LowestLatency;
  add("slow", 1);
  add("fast", 1);
  health_.took(key("slow"), "served-model", milliseconds(900));
  health_.took(key("fast"), "served-model", milliseconds(100));
  int fast = 0;
  for (int i = 0; i < 1000; ++i) fast += order()[0] == "fast" ? 1 : 0;
  EXPECT_GT(fast, 880);
  EXPECT_LT(fast, 1000);
  add("unknown", 1);
  int unknown = 0;
  for (int i = 0; i < 100; ++i) unknown += order()[0] == "unknown" ? 1 : 0;
  EXPECT_GT(unknown, 80);
}

TEST_F(Order, prefers_the_cheapest) {
  settings_.strategy = Strategy::LowestCost;
  auto cheap = std::make_shared<billing::Price>();
  cheap->base.input = 1;
  add("dear", 1);
  add("cheap", 1)->price = cheap;
  add("unpriced", 1)->price = nullptr;
  EXPECT_EQ(order(), (Names{"cheap", "dear", "unpriced"}));
}

TEST_F(Order, puts_cooling_keys_behind_fit_ones_and_broken_ones_last) {
  add("cooling", 1);
  add("fit", 2);
  add("broken", 0);
  health_.cool(key("cooling"), SteadyClock::now() + seconds(30));
  for (int i = 0; i < 5; ++i) health_.failed(key("broken"), SteadyClock::now());
  EXPECT_EQ(order(), (Names{"fit", "cooling", "broken"}));
}

TEST_F(Order, on_premise_leaves_only_local_targets) {
  add("cloud", 0);
  add("here", 1)->local = true;
  EXPECT_EQ(order(true), (Names{"here"}));
}

}  // namespace
}  // namespace assistiv::inference::routing_test
