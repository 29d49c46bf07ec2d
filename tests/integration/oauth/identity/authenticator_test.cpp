#include "oauth/identity/authenticator.h"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "core/metrics.h"
#include "storage/notifier.h"
#include "support/identity_fixture.h"

namespace assistiv::oauth {
namespace {

class AuthenticatorTest : public IdentityTest {
 protected:
  // How often the database was asked so far.
  static std::uint64_t lookups() {
    return core::metrics::counter("assistiv_auth_lookups_total", "", {{"result", "database"}}).value();
  }
  core::Error refusal(const std::string& bearer) {
    return error_of([&] { run(authenticator_.authenticate(bearer)); });
  }
};

TEST_F(AuthenticatorTest, answers_from_memory_after_the_first_time) {
  const auto made = make_platform();
  EXPECT_EQ(authenticator_.cached(made.api_key.raw.reveal()), nullptr);
  const auto before = lookups();
  const auto principal = authenticate(made.api_key.raw);
  EXPECT_EQ(lookups(), before + 1);
  EXPECT_EQ(authenticate(made.api_key.raw), principal);
  EXPECT_EQ(authenticator_.cached(made.api_key.raw.reveal()), principal);
  EXPECT_EQ(lookups(), before + 1);
  clock_.advance(std::chrono::seconds(60));
  EXPECT_EQ(authenticator_.cached(made.api_key.raw.reveal()), nullptr);
  EXPECT_TRUE(authenticate(made.api_key.raw));
  EXPECT_EQ(lookups(), before + 2);
}

TEST_F(AuthenticatorTest, refuses_missing_and_malformed_keys_without_a_lookup) {
  const auto before = lookups();
  for (const auto& bearer :
       {std::string(), std::string("x"), std::string("sk-plat_short"), std::string(100000, 'a'),
        "sk-plat_" + std::string(64, 'A'), "Bearer sk-eu_" + std::string(64, 'a')}) {
    EXPECT_EQ(refusal(bearer).kind(), core::ErrorKind::Unauthenticated);
    EXPECT_EQ(authenticator_.cached(bearer), nullptr);
  }
  EXPECT_EQ(lookups(), before);
  EXPECT_NE(refusal("").message().find("Authorization: Bearer"), std::string::npos);
}

TEST_F(AuthenticatorTest, remembers_unknown_keys_for_a_while) {
  const auto bearer = "sk-eu_" + std::string(64, 'a');
  const auto before = lookups();
  EXPECT_EQ(refusal(bearer).kind(), core::ErrorKind::Unauthenticated);
  EXPECT_EQ(refusal(bearer).kind(), core::ErrorKind::Unauthenticated);
  EXPECT_EQ(lookups(), before + 1);
  clock_.advance(std::chrono::seconds(5));
  refusal(bearer);
  EXPECT_EQ(lookups(), before + 2);
}

TEST_F(AuthenticatorTest, says_the_same_of_unknown_expired_and_revoked_keys) {
  const auto platform = make_platform().platform.id;
  const auto expiring = run(
      service_.issue_key({platform, {}}, {.expires_at = clock_.now() + std::chrono::seconds(10)}, context()));
  const auto revoked = run(service_.issue_key({platform, {}}, {}, context()));
  run(service_.revoke_key({platform, {}}, revoked.key.id, context()));
  clock_.advance(std::chrono::seconds(10));
  const auto unknown = refusal("sk-plat_" + std::string(64, 'a')).message();
  EXPECT_EQ(refusal(expiring.raw.reveal()).message(), unknown);
  EXPECT_EQ(refusal(revoked.raw.reveal()).message(), unknown);
}

TEST_F(AuthenticatorTest, refuses_a_cached_key_at_the_moment_it_expires) {
  const auto platform = make_platform().platform.id;
  const auto issued = run(
      service_.issue_key({platform, {}}, {.expires_at = clock_.now() + std::chrono::seconds(10)}, context()));
  EXPECT_EQ(authenticate(issued.raw)->expires_at, issued.key.expires_at);
  clock_.advance(std::chrono::milliseconds(9999));
  EXPECT_TRUE(authenticator_.cached(issued.raw.reveal()));
  clock_.advance(std::chrono::milliseconds(1));
  EXPECT_EQ(authenticator_.cached(issued.raw.reveal()), nullptr);
  EXPECT_EQ(refusal(issued.raw.reveal()).kind(), core::ErrorKind::Unauthenticated);
}

TEST_F(AuthenticatorTest, does_not_take_a_key_of_one_kind_for_another) {
  const auto made = make_platform();
  const auto digits = made.api_key.raw.reveal().substr(8);
  EXPECT_EQ(refusal("sk-eu_" + digits).kind(), core::ErrorKind::Unauthenticated);
  EXPECT_EQ(refusal("sk-admin_" + digits).kind(), core::ErrorKind::Unauthenticated);
}

TEST_F(AuthenticatorTest, asks_once_when_many_wait_for_one_key) {
  const auto made = make_platform();
  const auto before = lookups();
  std::vector<std::future<PrincipalPtr>> calls;
  for (int i = 0; i < 64; ++i)
    calls.push_back(io_.start(authenticator_.authenticate(made.api_key.raw.reveal())));
  for (auto& call : calls) EXPECT_EQ(call.get()->platform_id, made.platform.id);
  EXPECT_EQ(lookups(), before + 1);
}

TEST_F(AuthenticatorTest, gives_the_same_answer_to_all_who_wait_on_several_threads) {
  const auto made = make_platform();
  test::IoThread other;
  for (int round = 0; round < 20; ++round) {
    authenticator_.on_notify("resync", "");
    std::vector<std::future<PrincipalPtr>> calls;
    for (int i = 0; i < 16; ++i) {
      calls.push_back(io_.start(authenticator_.authenticate(made.api_key.raw.reveal())));
      calls.push_back(other.start(authenticator_.authenticate(made.api_key.raw.reveal())));
    }
    for (auto& call : calls) EXPECT_EQ(call.get()->key_id, made.api_key.key.id);
  }
}

TEST_F(AuthenticatorTest, drops_what_a_notice_names_and_nothing_else) {
  const auto one = make_platform("one");
  const auto two = make_platform("two");
  const auto user = make_end_user(one.platform.id);
  const auto cached = [&](const core::Secret& raw) { return authenticator_.cached(raw.reveal()) != nullptr; };
  const auto warm = [&] {
    for (const auto* raw : {&one.api_key.raw, &two.api_key.raw, &user.api_key.raw}) authenticate(*raw);
  };
  warm();
  authenticator_.on_notify("end_user", one.platform.id.str() + "/" + user.end_user.id.str());
  EXPECT_TRUE(cached(one.api_key.raw) && cached(two.api_key.raw) && !cached(user.api_key.raw));
  warm();
  authenticator_.on_notify("platform", one.platform.id.str());
  EXPECT_TRUE(!cached(one.api_key.raw) && cached(two.api_key.raw) && !cached(user.api_key.raw));
  warm();
  for (const auto* payload : {"", "/", "x", "zz/", "00"}) {
    for (const auto* topic : {"key", "platform", "end_user", "grant", ""})
      authenticator_.on_notify(topic, payload);
  }
  EXPECT_TRUE(cached(one.api_key.raw) && cached(two.api_key.raw) && cached(user.api_key.raw));
  authenticator_.on_notify("resync", "");
  EXPECT_TRUE(!cached(one.api_key.raw) && !cached(two.api_key.raw) && !cached(user.api_key.raw));
}

// Another node: an authenticator of its own that hears of changes from the database only.
TEST_F(AuthenticatorTest, drops_a_revoked_key_on_every_node) {
  const auto made = make_platform();
  Authenticator elsewhere(database_.db(), keys_, clock_);
  std::promise<void> heard;
  storage::Notifier notifier(database_.url());
  notifier.subscribe([&](std::string_view topic, std::string_view payload) {
    elsewhere.on_notify(topic, payload);
    if (topic == "key") heard.set_value();
  });
  notifier.start();
  run(elsewhere.authenticate(made.api_key.raw.reveal()));
  ASSERT_TRUE(elsewhere.cached(made.api_key.raw.reveal()));
  run(service_.revoke_key({made.platform.id, {}}, made.api_key.key.id, context()));
  heard.get_future().get();
  EXPECT_EQ(elsewhere.cached(made.api_key.raw.reveal()), nullptr);
  notifier.stop();
}

TEST_F(AuthenticatorTest, refuses_the_keys_of_an_inactive_platform) {
  const auto made = make_platform();
  const auto user = make_end_user(made.platform.id);
  authenticate(user.api_key.raw);
  run(service_.update_platform(made.platform.id, {.is_active = false}, context()));
  EXPECT_EQ(refusal(made.api_key.raw.reveal()).kind(), core::ErrorKind::Unauthenticated);
  EXPECT_EQ(refusal(user.api_key.raw.reveal()).kind(), core::ErrorKind::Unauthenticated);
  run(service_.update_platform(made.platform.id, {.is_active = true}, context()));
  EXPECT_TRUE(authenticate(user.api_key.raw));
}

TEST_F(AuthenticatorTest, writes_the_last_use_when_told_and_never_moves_it_back) {
  const auto made = make_platform();
  const auto user = make_end_user(made.platform.id);
  const auto last_used = [&] {
    return run(service_.list_keys(made.platform.id, PrincipalKind::EndUser, {}, {})).items.at(0).last_used_at;
  };
  authenticate(user.api_key.raw);
  EXPECT_EQ(last_used(), std::nullopt);
  clock_.advance(std::chrono::seconds(3));
  authenticator_.cached(user.api_key.raw.reveal());
  run(authenticator_.write_uses());
  const auto used_at = clock_.now();
  EXPECT_EQ(last_used(), used_at);
  database_.db().execute(storage::Scope::system(), [&](storage::Transaction& tx) {
    keys_.record_uses(tx, {{made.platform.id, user.api_key.key.id, used_at - std::chrono::seconds(1)}});
  });
  EXPECT_EQ(last_used(), used_at);
}

TEST_F(AuthenticatorTest, writes_what_is_left_when_it_stops) {
  const auto made = make_platform();
  authenticator_.start(io_.executor());
  authenticate(made.api_key.raw);
  authenticator_.stop();
  EXPECT_EQ(
      run(service_.list_keys(made.platform.id, PrincipalKind::Platform, {}, {})).items.at(0).last_used_at,
      clock_.now());
}

}  // namespace
}  // namespace assistiv::oauth
