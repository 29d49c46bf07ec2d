#include "billing/rate_limit.h"

#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/random.h"
#include "storage/notifier.h"
#include "support/edge_test.h"
#include "support/manual_clock.h"
#include "support/run_task.h"
#include "support/test_database.h"

namespace assistiv::billing {
namespace {

using Outcome = std::variant<RateTicket, RateRefusal>;

// One server process as far as rate limits are concerned.
struct RateNode {
  RateNode(test::TestDatabase& database, const core::Clock& clock, core::Random& random)
      : audit(database.db(), clock), limiter(database.db(), audit, clock, random), notifier(database.url()) {
    notifier.subscribe(
        [this](std::string_view topic, std::string_view payload) { limiter.on_notify(topic, payload); });
    notifier.start();
    limiter.start(io.executor());
  }
  ~RateNode() {
    notifier.stop();
    limiter.stop();
  }
  test::IoThread io;
  storage::AuditLog audit;
  RateLimiter limiter;
  storage::Notifier notifier;
};

struct RateLimitTest : testing::Test {
  RateLimitTest() {
    platform = core::PlatformId::make(clock, random);
    user = core::EndUserId::make(clock, random);
    other_user = core::EndUserId::make(clock, random);
    database.exec(
        "insert into platform (platform_id, name, slug, created_at, updated_at)"
        " values ($1::uuid, 'Acme', 'acme', now(), now())",
        {platform.str()});
    database.exec(
        "insert into audit_head (platform_id, seq, hash) values ($1::uuid, 0, decode(repeat('00', 32), "
        "'hex'))"
        " on conflict do nothing",
        {platform.str()});
    for (const auto& id : {user, other_user}) {
      database.exec(
          "insert into end_user (platform_id, end_user_id, external_id, created_at, updated_at)"
          " values ($1::uuid, $2::uuid, $2, now(), now())",
          {platform.str(), id.str()});
    }
    first = std::make_unique<RateNode>(database, clock, random);
    second = std::make_unique<RateNode>(database, clock, random);
  }

  static storage::AuditEvent event() {
    return {"rate_limits.updated", "operator", {}, {}, "limits", "{}", "r"};
  }

  void limit_user(RateLimits limits, std::optional<core::EndUserId> whom = {}) {
    first->io.run(first->limiter.set_override(platform, whom.value_or(user), limits, event()));
    settle_notices();
  }
  void limit_platform(PlatformRateLimits limits) {
    first->io.run(first->limiter.set_platform_limits(platform, limits, event()));
    settle_notices();
  }
  // Until the second node has read what the first one wrote.
  void settle_notices() {
    const auto wanted = first->io.run(first->limiter.view({platform, user}));
    ASSERT_TRUE(test::eventually([&] {
      const auto seen = second->io.run(second->limiter.view({platform, user}));
      return seen.limits == wanted.limits && seen.platform_limits == wanted.platform_limits &&
             seen.resolution == wanted.resolution;
    }));
  }

  Outcome enter(RateNode& node, std::int64_t tokens = 0, std::optional<core::EndUserId> whom = {}) {
    return node.io.run(node.limiter.enter({platform, whom.value_or(user)}, tokens));
  }
  static bool admitted(const Outcome& outcome) { return std::holds_alternative<RateTicket>(outcome); }
  bool enters(RateNode& node, std::int64_t tokens = 0, std::optional<core::EndUserId> whom = {}) {
    return admitted(enter(node, tokens, whom));
  }
  // Calls on both nodes at one time; how many came in.
  int burst(int calls_per_node, std::int64_t tokens = 0) {
    std::vector<std::future<Outcome>> pending;
    for (int i = 0; i < calls_per_node; ++i) {
      for (auto* node : {first.get(), second.get()}) {
        pending.push_back(node->io.start(node->limiter.enter({platform, user}, tokens)));
      }
    }
    int in = 0;
    for (auto& one : pending) in += admitted(one.get()) ? 1 : 0;
    return in;
  }

  test::TestDatabase database;
  test::ManualClock clock;
  core::SystemRandom random;
  core::PlatformId platform;
  core::EndUserId user, other_user;
  std::unique_ptr<RateNode> first, second;
};

TEST_F(RateLimitTest, lets_everything_in_without_limits) {
  EXPECT_EQ(burst(50), 100);
  const auto view = first->io.run(first->limiter.view({platform, user}));
  EXPECT_EQ(view.resolution, RateResolution::None);
  EXPECT_TRUE(view.uses.empty());
  auto outcome = enter(*first);
  EXPECT_TRUE(rate_headers(std::get<RateTicket>(outcome).uses()).empty());
}

TEST_F(RateLimitTest, a_burst_on_two_nodes_gets_exactly_the_limit) {
  limit_user({.rpm = 100});
  EXPECT_EQ(burst(150), 100);
  EXPECT_FALSE(enters(*first));
  EXPECT_FALSE(enters(*second));
}

TEST_F(RateLimitTest, one_node_gets_what_the_other_leased_and_does_not_use) {
  limit_user({.rpm = 1600});
  ASSERT_TRUE(enters(*second)) << "the second node now holds a share";
  int in = 1;
  while (enters(*first)) ++in;
  EXPECT_EQ(in, 1600);
}

TEST_F(RateLimitTest, does_not_ask_the_database_for_every_call) {
  limit_user({.rpm = 1'000'000});
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(enters(*first));
  const auto rows = database.exec("select count(*) leases, sum(amount) held from rate_lease");
  EXPECT_EQ(rows[0].integer("leases"), 1);
  EXPECT_EQ(rows[0].integer("held"), 62'500) << "a share was leased once, not a call at a time";
}

TEST_F(RateLimitTest, a_new_window_starts_full_and_an_old_one_is_over) {
  limit_user({.rpm = 2});
  EXPECT_TRUE(enters(*first));
  EXPECT_TRUE(enters(*second));
  const auto refused = enter(*first);
  ASSERT_FALSE(admitted(refused));
  const auto& refusal = std::get<RateRefusal>(refused);
  EXPECT_EQ(refusal.use.dimension, RateDimension::Requests);
  EXPECT_EQ(refusal.use.limit, 2);
  EXPECT_EQ(refusal.use.remaining, 0);
  EXPECT_FALSE(refusal.use.of_platform);
  clock.advance(refusal.use.reset - std::chrono::milliseconds(1));
  EXPECT_FALSE(enters(*second)) << "the last millisecond belongs to the old window";
  clock.advance(std::chrono::milliseconds(1));
  EXPECT_EQ(burst(5), 2);
}

TEST_F(RateLimitTest, requests_per_day_outlast_the_minute) {
  limit_user({.rpm = 5, .rpd = 3});
  EXPECT_EQ(burst(5), 3);
  clock.advance(std::chrono::minutes(1));
  const auto refused = enter(*first);
  ASSERT_FALSE(admitted(refused));
  EXPECT_EQ(std::get<RateRefusal>(refused).use.dimension, RateDimension::RequestsPerDay);
  EXPECT_GT(std::get<RateRefusal>(refused).retry_after, std::chrono::minutes(1));
  clock.advance(std::chrono::hours(24));
  EXPECT_TRUE(enters(*first));
}

TEST_F(RateLimitTest, tokens_are_taken_by_estimate_and_corrected) {
  limit_user({.tpm = 1000});
  auto outcome = enter(*first, 900);
  ASSERT_TRUE(admitted(outcome));
  EXPECT_FALSE(enters(*first, 200));
  auto& ticket = std::get<RateTicket>(outcome);
  ticket.settle(100);
  ticket.settle(0);
  EXPECT_TRUE(enters(*first, 900)) << "900 of 1,000 are left, and a second settlement counts for nothing";
  EXPECT_FALSE(enters(*first, 1));
  EXPECT_FALSE(enters(*second, 1));
}

TEST_F(RateLimitTest, more_tokens_than_estimated_are_owed) {
  limit_user({.tpm = 1000});
  auto outcome = enter(*first, 10);
  std::get<RateTicket>(outcome).settle(995);
  EXPECT_FALSE(enters(*first, 6));
  EXPECT_TRUE(enters(*first, 5));
  EXPECT_FALSE(enters(*second, 1));
}

TEST_F(RateLimitTest, a_call_larger_than_the_limit_never_fits) {
  limit_user({.tpm = 1000});
  EXPECT_FALSE(enters(*first, 1001));
  EXPECT_TRUE(enters(*first, 1000));
}

TEST_F(RateLimitTest, a_refused_call_takes_nothing_of_the_other_windows) {
  limit_user({.rpm = 3, .tpm = 100});
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(enters(*first, 101));
  EXPECT_EQ(burst(5, 1), 3);
}

TEST_F(RateLimitTest, places_are_given_up_on_every_way_out) {
  limit_user({.concurrency = 2});
  {
    const auto a = enter(*first);
    const auto b = enter(*second);
    ASSERT_TRUE(admitted(a) && admitted(b));
    const auto refused = enter(*first);
    ASSERT_FALSE(admitted(refused));
    EXPECT_EQ(std::get<RateRefusal>(refused).use.dimension, RateDimension::Concurrency);
    EXPECT_EQ(std::get<RateRefusal>(refused).retry_after.count(), 1);
  }
  EXPECT_TRUE(enters(*first)) << "destroyed";
  try {
    const auto ticket = enter(*first);
    throw std::runtime_error("the call failed");
  } catch (const std::runtime_error&) {
  }
  {
    auto ticket = enter(*first);
    const Outcome moved = std::move(ticket);
    auto settled = enter(*first);
    std::get<RateTicket>(settled).settle(5);
  }
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(enters(*first)) << i;
}

TEST_F(RateLimitTest, places_of_a_node_that_is_gone_come_back_with_its_end) {
  limit_user({.concurrency = 1});
  {
    const auto held = enter(*second);
    ASSERT_TRUE(admitted(held));
    EXPECT_FALSE(enters(*first));
  }
  second.reset();
  EXPECT_TRUE(test::eventually([&] { return enters(*first); }));
}

TEST_F(RateLimitTest, places_of_a_node_that_died_end_with_their_lease) {
  limit_user({.concurrency = 1});
  database.exec(
      "insert into rate_lease (platform_id, subject, dimension, window_start, node, amount, expires_at)"
      " values ($1::uuid, $2::uuid, 'concurrency', 0, gen_random_uuid(), 1, now() + interval '30 seconds')",
      {platform.str(), user.str()});
  EXPECT_FALSE(enters(*first));
  database.exec("update rate_lease set expires_at = now()");
  EXPECT_TRUE(test::eventually([&] { return enters(*first); }));
}

TEST_F(RateLimitTest, own_limits_stand_before_the_default_and_the_default_before_none) {
  limit_platform({{}, {.rpm = 2}, true});
  EXPECT_EQ(first->io.run(first->limiter.view({platform, user})).resolution, RateResolution::Default);
  EXPECT_EQ(burst(5), 2);
  limit_user({.rpm = 4});
  EXPECT_EQ(first->io.run(first->limiter.view({platform, user})).resolution, RateResolution::Explicit);
  EXPECT_EQ(burst(5), 2) << "two of the four were used before";
  EXPECT_TRUE(enters(*first, 0, other_user)) << "others keep the default";
  first->io.run(first->limiter.clear_override(platform, user, event()));
  EXPECT_FALSE(enters(*first));
  limit_platform({{}, {}, false});
  EXPECT_EQ(first->io.run(first->limiter.view({platform, user})).resolution, RateResolution::None);
  EXPECT_EQ(burst(10), 20);
}

TEST_F(RateLimitTest, a_lowered_limit_holds_at_once) {
  limit_user({.rpm = 1'000'000});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(enters(*first));
  limit_user({.rpm = 5});
  EXPECT_FALSE(enters(*first));
  limit_user({.rpm = 12});
  int in = 0;
  EXPECT_TRUE(test::eventually([&] {
    in += enters(*first) ? 1 : 0;
    return in == 2;
  }));
  EXPECT_FALSE(enters(*first));
}

TEST_F(RateLimitTest, the_platform_is_limited_as_a_whole) {
  limit_platform({{.rpm = 3}, {}, false});
  EXPECT_TRUE(enters(*first));
  EXPECT_TRUE(enters(*second, 0, other_user));
  EXPECT_TRUE(admitted(first->io.run(first->limiter.enter({platform, {}}, 0)))) << "a platform's own key";
  const auto refused = enter(*second);
  ASSERT_FALSE(admitted(refused));
  EXPECT_TRUE(std::get<RateRefusal>(refused).use.of_platform);
}

TEST_F(RateLimitTest, zero_lets_nothing_in) {
  limit_user({.rpm = 0});
  EXPECT_FALSE(enters(*first));
  limit_user({.tpm = 0});
  EXPECT_FALSE(enters(*first));
}

TEST_F(RateLimitTest, shows_what_is_left) {
  limit_user({.rpm = 10, .tpm = 1000});
  auto outcome = enter(*first, 300);
  const auto headers = rate_headers(std::get<RateTicket>(outcome).uses());
  const auto header = [&headers](const std::string& name) {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return std::string("absent");
  };
  EXPECT_EQ(header("x-ratelimit-limit-requests"), "10");
  EXPECT_EQ(header("x-ratelimit-remaining-requests"), "9");
  EXPECT_EQ(header("x-ratelimit-limit-tokens"), "1000");
  EXPECT_EQ(header("x-ratelimit-remaining-tokens"), "700");
  EXPECT_NE(header("x-ratelimit-reset-requests"), "absent");
  const auto view = second->io.run(second->limiter.view({platform, user}));
  ASSERT_EQ(view.uses.size(), 2u);
  EXPECT_EQ(view.uses[0].remaining, 9);
}

TEST_F(RateLimitTest, limits_are_for_end_users_that_exist) {
  try {
    first->io.run(
        first->limiter.set_override(platform, core::EndUserId::make(clock, random), {.rpm = 1}, event()));
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::NotFound);
  }
}

}  // namespace
}  // namespace assistiv::billing
