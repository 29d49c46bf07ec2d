#include "oauth/identity/principal_cache.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "core/encoding.h"
#include "core/random.h"
#include "support/manual_clock.h"

namespace assistiv::oauth {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class PrincipalCacheTest : public ::testing::Test {
 protected:
  static KeyHash hash(int i) { return hash_of_raw_key("key " + std::to_string(i)); }

  PrincipalPtr principal(std::optional<core::Time> expires_at = std::nullopt) {
    return std::make_shared<const Principal>(Principal{.kind = PrincipalKind::EndUser,
                                                       .key_id = core::KeyId::make(clock_, random_),
                                                       .platform_id = core::PlatformId::make(clock_, random_),
                                                       .end_user_id = core::EndUserId::make(clock_, random_),
                                                       .expires_at = expires_at});
  }

  void store(int i, PrincipalPtr p) {
    cache_.store(hash(i), std::move(p), cache_.version(hash(i)), clock_.now());
  }
  PrincipalCache::Answer find(int i) { return cache_.find(hash(i), clock_.now()); }

  test::ManualClock clock_;
  core::SystemRandom random_;
  PrincipalCache cache_{{.max_entries = 160, .ttl = seconds(60), .max_denied = 160, .deny_ttl = seconds(5)}};
};

TEST_F(PrincipalCacheTest, knows_a_principal_until_its_time_is_up) {
  const auto p = principal();
  EXPECT_FALSE(find(1).known);
  store(1, p);
  clock_.advance(seconds(60) - milliseconds(1));
  EXPECT_EQ(find(1).principal, p);
  clock_.advance(milliseconds(1));
  EXPECT_FALSE(find(1).known);
}

TEST_F(PrincipalCacheTest, remembers_refusals_for_a_shorter_time) {
  store(1, nullptr);
  EXPECT_TRUE(find(1).known);
  EXPECT_EQ(find(1).principal, nullptr);
  clock_.advance(seconds(5));
  EXPECT_FALSE(find(1).known);
}

TEST_F(PrincipalCacheTest, replaces_a_principal_by_a_refusal_and_back) {
  store(1, principal());
  store(1, nullptr);
  EXPECT_TRUE(find(1).known);
  EXPECT_EQ(find(1).principal, nullptr);
  store(1, principal());
  EXPECT_NE(find(1).principal, nullptr);
}

TEST_F(PrincipalCacheTest, does_not_store_what_was_read_before_a_change) {
  const auto version = cache_.version(hash(1));
  cache_.forget(hash(1));
  cache_.store(hash(1), principal(), version, clock_.now());
  EXPECT_FALSE(find(1).known);
  const auto later = cache_.version(hash(1));
  cache_.forget_if([](const Principal&) { return false; });
  cache_.store(hash(1), principal(), later, clock_.now());
  EXPECT_FALSE(find(1).known);
}

TEST_F(PrincipalCacheTest, forgets_one_key_and_leaves_the_others) {
  store(1, principal());
  store(2, principal());
  cache_.forget(hash(1));
  EXPECT_FALSE(find(1).known);
  EXPECT_TRUE(find(2).known);
}

TEST_F(PrincipalCacheTest, forgets_whom_a_change_concerns_and_every_refusal) {
  const auto gone = principal();
  store(1, gone);
  store(2, principal());
  store(3, nullptr);
  cache_.forget_if([&](const Principal& p) { return p.platform_id == gone->platform_id; });
  EXPECT_FALSE(find(1).known);
  EXPECT_TRUE(find(2).known);
  EXPECT_FALSE(find(3).known);
}

TEST_F(PrincipalCacheTest, stays_within_its_bounds) {
  for (int i = 0; i < 5000; ++i) {
    store(2 * i, principal());
    store(2 * i + 1, nullptr);
  }
  int principals = 0;
  int refusals = 0;
  for (int i = 0; i < 5000; ++i) {
    principals += find(2 * i).known;
    refusals += find(2 * i + 1).known;
  }
  EXPECT_LE(principals, 160);
  EXPECT_GE(principals, 80);
  EXPECT_LE(refusals, 160);
  EXPECT_GE(refusals, 1);
}

TEST_F(PrincipalCacheTest, keeps_a_key_in_use_when_others_push_in) {
  store(0, principal());
  for (int i = 1; i < 2000; ++i) {
    clock_.advance(milliseconds(1));
    ASSERT_TRUE(find(0).known) << "after " << i;
    store(i, principal());
  }
}

TEST_F(PrincipalCacheTest, reports_each_use_once) {
  const auto p = principal();
  store(1, p);
  clock_.advance(seconds(1));
  find(1);
  find(1);
  const auto uses = cache_.take_uses();
  ASSERT_EQ(uses.size(), 1u);
  EXPECT_EQ(uses[0].key_id, p->key_id);
  EXPECT_EQ(uses[0].platform_id, p->platform_id);
  EXPECT_EQ(uses[0].at, clock_.now());
  EXPECT_TRUE(cache_.take_uses().empty());
  clock_.advance(seconds(1));
  find(1);
  EXPECT_EQ(cache_.take_uses().size(), 1u);
}

TEST_F(PrincipalCacheTest, reports_the_last_use_of_what_it_forgot) {
  store(1, principal());
  cache_.forget(hash(1));
  EXPECT_EQ(cache_.take_uses().size(), 1u);
}

TEST_F(PrincipalCacheTest, does_not_count_the_use_of_an_expired_key) {
  store(1, principal(clock_.now() + seconds(10)));
  EXPECT_EQ(cache_.take_uses().size(), 1u);
  clock_.advance(seconds(10));
  const auto answer = find(1);
  EXPECT_TRUE(answer.known);
  EXPECT_FALSE(is_live(*answer.principal, clock_.now()));
  EXPECT_TRUE(cache_.take_uses().empty());
}

TEST_F(PrincipalCacheTest, does_not_trust_an_answer_from_the_future) {
  clock_.advance(seconds(1000));
  store(1, principal());
  clock_.advance(-seconds(900));
  EXPECT_FALSE(find(1).known);
}

TEST(KeyHash, reads_the_hex_of_a_digest_and_nothing_else) {
  const auto hash = hash_of_raw_key("abc");
  EXPECT_EQ(key_hash_of_hex(core::sha256_hex("abc")), hash);
  EXPECT_EQ(key_hash_of_hex(""), std::nullopt);
  EXPECT_EQ(key_hash_of_hex("zz"), std::nullopt);
  EXPECT_EQ(key_hash_of_hex(std::string(66, 'a')), std::nullopt);
}

}  // namespace
}  // namespace assistiv::oauth
