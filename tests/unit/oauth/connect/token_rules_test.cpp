#include "oauth/connect/token_rules.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "oauth/connect/circuit_breaker.h"
#include "oauth/connect/token_cache.h"
#include "support/connect_fixture.h"

namespace assistiv::oauth {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const core::Time kNow = core::from_epoch_ms(1'800'000'000'000);

ConnectorSpec rotating_spec() {
  return ConnectorSpec::parse(core::parse_json(test::demo_manifest()));
}
ConnectorSpec static_token_spec() {
  return ConnectorSpec::parse(core::parse_json(test::plain_manifest()));
}

// An eight-hour token obtained `age` ago.
CredentialState token_of_age(std::chrono::milliseconds age) {
  CredentialState state;
  state.client_id = "c";
  state.refresh_sealed = "sealed";
  state.obtained_at = kNow - age;
  state.expires_at = state.obtained_at + hours(8);
  state.version = 3;
  return state;
}

TokenStep step_of(const CredentialState& state, TokenDemand demand = {}, const char* client = "c") {
  return decide(state, rotating_spec(), client, demand, kNow).step;
}

}  // namespace

TEST(TokenRules, uses_a_token_until_shortly_before_its_end) {
  EXPECT_EQ(step_of(token_of_age(minutes(1))), TokenStep::Use);
  EXPECT_EQ(step_of(token_of_age(hours(8) - minutes(10))), TokenStep::Use);
  EXPECT_EQ(step_of(token_of_age(hours(8) - minutes(4))), TokenStep::Refresh);
  EXPECT_EQ(step_of(token_of_age(hours(9))), TokenStep::Refresh);
}

TEST(TokenRules, takes_a_fifth_of_a_short_life_as_skew) {
  auto state = token_of_age(seconds(0));
  state.expires_at = kNow + seconds(100);
  const auto fresh = fresh_until(state, rotating_spec());
  EXPECT_GE(*fresh, kNow + seconds(70));
  EXPECT_LE(*fresh, kNow + seconds(80));
}

TEST(TokenRules, never_calls_an_expired_token_usable) {
  EXPECT_TRUE(is_usable(token_of_age(hours(8) - seconds(10)), kNow));
  EXPECT_FALSE(is_usable(token_of_age(hours(8) - seconds(1)), kNow));
  EXPECT_FALSE(is_usable(token_of_age(hours(9)), kNow));
}

TEST(TokenRules, waits_after_a_failure_but_uses_what_lives) {
  auto state = token_of_age(hours(8) - minutes(1));
  state.retry_at = kNow + seconds(30);
  EXPECT_EQ(step_of(state), TokenStep::Use);
  state = token_of_age(hours(9));
  state.retry_at = kNow + seconds(30);
  EXPECT_EQ(step_of(state), TokenStep::Wait);
  EXPECT_EQ(decide(state, rotating_spec(), "c", {}, kNow).retry_at, kNow + seconds(30));
  state.retry_at = kNow;
  EXPECT_EQ(step_of(state), TokenStep::Refresh);
}

TEST(TokenRules, ends_a_grant_only_when_nothing_can_refresh_it) {
  auto state = token_of_age(hours(9));
  EXPECT_EQ(step_of(state, {}, "another"), TokenStep::EndGrant);
  EXPECT_EQ(decide(state, rotating_spec(), "another", {}, kNow).reason, "client_changed");
  state.refresh_sealed.reset();
  EXPECT_EQ(step_of(state), TokenStep::EndGrant);
  EXPECT_EQ(step_of(token_of_age(hours(1)), {}, "another"), TokenStep::Use);
  EXPECT_EQ(decide(token_of_age(hours(9)), static_token_spec(), "c", {}, kNow).step, TokenStep::EndGrant);
}

TEST(TokenRules, answers_a_rejected_token_with_a_newer_one_or_a_refresh) {
  const TokenDemand rejected{TokenDemand::Why::Rejected, 3};
  EXPECT_EQ(step_of(token_of_age(hours(1)), rejected), TokenStep::Refresh);
  EXPECT_EQ(step_of(token_of_age(hours(1)), {TokenDemand::Why::Rejected, 2}), TokenStep::Use);
  auto young = token_of_age(seconds(10));
  EXPECT_EQ(step_of(young, rejected), TokenStep::Refresh);
  young.written_by = core::Uuid{};
  EXPECT_EQ(step_of(young, rejected), TokenStep::Wait);
  EXPECT_EQ(decide(token_of_age(hours(1)), static_token_spec(), "c", rejected, kNow).step,
            TokenStep::EndGrant);
}

TEST(TokenRules, refreshes_an_idle_token_once) {
  EXPECT_EQ(step_of(token_of_age(hours(1)), {TokenDemand::Why::Idle, 3}), TokenStep::Refresh);
  EXPECT_EQ(step_of(token_of_age(hours(1)), {TokenDemand::Why::Idle, 2}), TokenStep::Use);
}

TEST(TokenRules, knows_connections_that_are_over) {
  EXPECT_EQ(decide({}, rotating_spec(), "c", {}, kNow).step, TokenStep::NotConnected);
  auto state = token_of_age(hours(1));
  state.status = ConnectionStatus::Revoked;
  EXPECT_EQ(step_of(state), TokenStep::NotConnected);
  state.status = ConnectionStatus::NeedsReauth;
  EXPECT_EQ(step_of(state), TokenStep::NeedsReauth);
}

TEST(TokenRules, backs_off_up_to_five_minutes_or_as_asked) {
  EXPECT_EQ(refresh_backoff(1, {}), seconds(2));
  EXPECT_EQ(refresh_backoff(4, {}), seconds(16));
  EXPECT_EQ(refresh_backoff(1000, {}), seconds(300));
  EXPECT_EQ(refresh_backoff(1, seconds(900)), seconds(900));
  EXPECT_EQ(refresh_backoff(1, seconds(0)), seconds(1));
}

TEST(CircuitBreaker, opens_after_failures_in_a_row_and_lets_one_try) {
  CircuitBreaker breaker(3, seconds(30));
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(breaker.blocked("a", "c", kNow).has_value());
    breaker.failed("a", "c", kNow);
  }
  EXPECT_EQ(breaker.blocked("a", "c", kNow), seconds(30));
  EXPECT_FALSE(breaker.blocked("a", "other", kNow).has_value());
  const auto later = kNow + seconds(30);
  EXPECT_FALSE(breaker.blocked("a", "c", later).has_value());
  EXPECT_TRUE(breaker.blocked("a", "c", later).has_value());
  breaker.succeeded("a", "c");
  EXPECT_FALSE(breaker.blocked("a", "c", later).has_value());
}

namespace {

struct CachedToken {
  core::PlatformId platform = core::PlatformId::of("00000000-0000-7000-8000-000000000001");
  core::EndUserId end_user = core::EndUserId::of("00000000-0000-7000-8000-000000000002");
  core::ConnectionId connection = core::ConnectionId::of("00000000-0000-7000-8000-000000000003");

  void put(TokenCache& cache, std::uint64_t epoch) const {
    TokenAnswer answer;
    answer.status = TokenStatus::Ready;
    answer.token = core::Secret("t");
    cache.put(connection, "main", {platform, end_user, "demo", answer, kNow + seconds(10)}, epoch);
  }
  bool is_in(const TokenCache& cache, core::Time now = kNow) const {
    return cache.get(platform, connection, "main", now).has_value();
  }
};

}  // namespace

TEST(TokenCache, gives_a_token_while_it_is_fresh_and_to_its_platform_only) {
  TokenCache cache(10);
  const CachedToken token;
  token.put(cache, cache.epoch());
  EXPECT_TRUE(token.is_in(cache));
  EXPECT_FALSE(token.is_in(cache, kNow + seconds(10)));
  const auto other = core::PlatformId::of("00000000-0000-7000-8000-000000000009");
  EXPECT_FALSE(cache.get(other, token.connection, "main", kNow).has_value());
}

TEST(TokenCache, drops_what_a_notice_is_about) {
  const CachedToken token;
  const auto platform = token.platform.str();
  const std::pair<std::string, std::string> dropping[] = {
      {"connection", platform + "/" + token.end_user.str()},
      {"end_user", platform + "/" + token.end_user.str()},
      {"app", platform + "/demo"},
      {"platform", platform},
      {"resync", ""}};
  for (const auto& [topic, payload] : dropping) {
    TokenCache cache(10);
    token.put(cache, cache.epoch());
    cache.on_notify(topic, payload);
    EXPECT_FALSE(token.is_in(cache)) << topic;
  }
  TokenCache cache(10);
  token.put(cache, cache.epoch());
  cache.on_notify("connection", platform + "/" + platform);
  cache.on_notify("app", platform + "/other");
  cache.on_notify("key", "x");
  EXPECT_TRUE(token.is_in(cache));
}

TEST(TokenCache, keeps_nothing_that_was_read_before_a_notice) {
  TokenCache cache(10);
  const CachedToken token;
  const auto epoch = cache.epoch();
  cache.on_notify("connection", token.platform.str() + "/" + token.end_user.str());
  token.put(cache, epoch);
  EXPECT_FALSE(token.is_in(cache));
}

TEST(TokenCache, stays_within_its_bound) {
  TokenCache cache(2);
  for (int i = 0; i < 5; ++i) {
    CachedToken token;
    token.connection.uuid.bytes[15] = static_cast<std::uint8_t>(i);
    token.put(cache, cache.epoch());
  }
  EXPECT_EQ(cache.size(), 2u);
}

}  // namespace assistiv::oauth
