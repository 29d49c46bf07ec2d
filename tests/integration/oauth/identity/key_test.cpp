#include <gtest/gtest.h>

#include <string>

#include "core/encoding.h"
#include "support/identity_fixture.h"

namespace assistiv::oauth {
namespace {

using KeyTest = IdentityTest;

TEST_F(KeyTest, is_stored_as_a_hash_with_a_readable_prefix) {
  const auto platform = make_platform().platform.id;
  const auto issued =
      run(service_.issue_key({platform, {}}, {.name = "ci", .scopes = {{"inference"}}}, context()));
  EXPECT_EQ(issued.key.key_prefix, issued.raw.reveal().substr(0, 16));
  EXPECT_EQ(issued.key.scopes, std::vector<std::string>{"inference"});
  const auto row = database_.exec(
      "select api_key::text whole, encode(key_hash, 'hex') hash from api_key where name = 'ci'");
  ASSERT_EQ(row.size(), 1u);
  EXPECT_EQ(row[0].text("hash"), core::sha256_hex(issued.raw.reveal()));
  EXPECT_EQ(row[0].text("whole").find(issued.raw.reveal().substr(20)), std::string::npos);
}

TEST_F(KeyTest, refuses_faulty_values) {
  const auto platform = make_platform().platform.id;
  const auto field = [&](NewKey input) {
    return error_of([&] { run(service_.issue_key({platform, {}}, input, context())); }).field();
  };
  EXPECT_EQ(field({.name = ""}), "/name");
  EXPECT_EQ(field({.name = std::string(101, 'x')}), "/name");
  EXPECT_EQ(field({.scopes = {{"mcp"}}}), "/scopes");
  EXPECT_EQ(field({.scopes = std::vector<std::string>()}), "/scopes");
  EXPECT_EQ(field({.expires_at = clock_.now()}), "/expires_at");
}

TEST_F(KeyTest, is_listed_by_kind_and_owner) {
  const auto platform = make_platform().platform.id;
  const auto one = make_end_user(platform, "one").end_user.id;
  make_end_user(platform, "two");
  clock_.advance(std::chrono::milliseconds(1));
  run(service_.issue_key({platform, one}, {.name = "newest"}, context()));
  EXPECT_EQ(run(service_.list_keys(platform, PrincipalKind::Platform, {}, {})).total, 1);
  EXPECT_EQ(run(service_.list_keys(platform, PrincipalKind::EndUser, {}, {})).total, 3);
  const auto mine = run(service_.list_keys(platform, PrincipalKind::EndUser, one, {}));
  EXPECT_EQ(mine.total, 2);
  ASSERT_EQ(mine.items.size(), 2u);
  EXPECT_EQ(mine.items[0].name, "newest");
  EXPECT_EQ(mine.items[0].end_user_id, one);
}

TEST_F(KeyTest, is_bounded_in_number_per_owner) {
  const auto platform = make_platform().platform.id;
  const auto user = make_end_user(platform);
  for (int i = 1; i < KeyStore::kMaxKeysPerOwner; ++i) {
    run(service_.issue_key({platform, user.end_user.id}, {}, context()));
  }
  EXPECT_EQ(error_of([&] {
              run(service_.issue_key({platform, user.end_user.id}, {}, context()));
            }).kind(),
            core::ErrorKind::Conflict);
  EXPECT_EQ(error_of([&] { make_end_user(platform); }).kind(), core::ErrorKind::Conflict);
  run(service_.issue_key({platform, {}}, {}, context()));
  run(service_.revoke_key({platform, {}}, user.api_key.key.id, context()));
  run(service_.issue_key({platform, user.end_user.id}, {}, context()));
}

TEST_F(KeyTest, does_not_work_once_revoked) {
  const auto platform = make_platform().platform.id;
  const auto issued = run(service_.issue_key({platform, {}}, {}, context()));
  authenticate(issued.raw);
  EXPECT_TRUE(authenticator_.cached(issued.raw.reveal()));
  run(service_.revoke_key({platform, {}}, issued.key.id, context()));
  EXPECT_EQ(authenticator_.cached(issued.raw.reveal()), nullptr);
  EXPECT_EQ(error_of([&] { authenticate(issued.raw); }).kind(), core::ErrorKind::Unauthenticated);
  EXPECT_EQ(error_of([&] {
              run(service_.revoke_key({platform, {}}, issued.key.id, context()));
            }).kind(),
            core::ErrorKind::NotFound);
  EXPECT_EQ(changes_.back(),
            (std::pair<std::string, std::string>("key", core::sha256_hex(issued.raw.reveal()))));
}

TEST_F(KeyTest, is_out_while_inactive_and_back_afterwards) {
  const auto platform = make_platform().platform.id;
  const auto issued = run(service_.issue_key({platform, {}}, {.name = "ci"}, context()));
  authenticate(issued.raw);
  const auto off = run(service_.update_key({platform, {}}, issued.key.id, {.is_active = false}, context()));
  EXPECT_FALSE(off.is_active);
  EXPECT_EQ(off.name, "ci");
  EXPECT_EQ(error_of([&] { authenticate(issued.raw); }).kind(), core::ErrorKind::Unauthenticated);
  const auto on =
      run(service_.update_key({platform, {}}, issued.key.id, {.name = "", .is_active = true}, context()));
  EXPECT_TRUE(on.is_active);
  EXPECT_EQ(on.name, std::nullopt);
  EXPECT_TRUE(authenticate(issued.raw));
  EXPECT_EQ(
      database_.exec("select 1 from api_key where key_id = $1::uuid and name is null", {on.id.str()}).size(),
      1u);
}

TEST_F(KeyTest, of_one_end_user_is_out_of_reach_of_another) {
  const auto platform = make_platform().platform.id;
  const auto one = make_end_user(platform, "one");
  const auto two = make_end_user(platform, "two");
  const KeyOwner wrong{platform, two.end_user.id};
  EXPECT_EQ(error_of([&] { run(service_.revoke_key(wrong, one.api_key.key.id, context())); }).kind(),
            core::ErrorKind::NotFound);
  EXPECT_EQ(error_of([&] { run(service_.update_key(wrong, one.api_key.key.id, {}, context())); }).kind(),
            core::ErrorKind::NotFound);
  EXPECT_TRUE(authenticate(one.api_key.raw));
}

TEST_F(KeyTest, is_seen_by_its_own_tenant_only) {
  const auto made = make_platform("mine");
  const auto other = make_platform("other").platform.id;
  int visible = -1;
  database_.db().execute(storage::Scope::tenant(other), [&](storage::Transaction& tx) {
    visible = static_cast<int>(
        tx.exec("select 1 from api_key where platform_id = $1::uuid", {made.platform.id.str()}).size());
  });
  EXPECT_EQ(visible, 0);
  EXPECT_EQ(error_of([&] {
              run(service_.revoke_key({other, {}}, made.api_key.key.id, context()));
            }).kind(),
            core::ErrorKind::NotFound);
}

}  // namespace
}  // namespace assistiv::oauth
