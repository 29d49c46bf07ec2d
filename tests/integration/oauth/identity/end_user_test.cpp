#include <gtest/gtest.h>

#include <future>
#include <set>
#include <string>
#include <vector>

#include "support/identity_fixture.h"

namespace assistiv::oauth {
namespace {

using EndUserTest = IdentityTest;

TEST_F(EndUserTest, is_created_once_and_gets_a_fresh_key_each_time) {
  const auto platform = make_platform().platform.id;
  const auto first = run(service_.provision_end_user(
      platform, {.external_id = "u-1", .display_name = "Jo", .metadata_json = R"({"plan":"pro"})"},
      context()));
  const auto second = run(service_.provision_end_user(
      platform, {.external_id = "u-1", .display_name = "Other", .metadata_json = "{}"}, context()));
  EXPECT_TRUE(first.created);
  EXPECT_FALSE(second.created);
  EXPECT_EQ(first.end_user.id, second.end_user.id);
  EXPECT_EQ(second.end_user.display_name, "Jo");
  EXPECT_NE(first.api_key.raw.reveal(), second.api_key.raw.reveal());
  for (const auto* provisioned : {&first, &second}) {
    const auto principal = authenticate(provisioned->api_key.raw);
    EXPECT_EQ(principal->kind, PrincipalKind::EndUser);
    EXPECT_EQ(principal->end_user_id, first.end_user.id);
    EXPECT_EQ(principal->platform_id, platform);
  }
}

TEST_F(EndUserTest, is_one_row_however_many_ask_at_once) {
  const auto platform = make_platform().platform.id;
  std::vector<std::future<ProvisionedEndUser>> calls;
  for (int i = 0; i < 24; ++i) {
    calls.push_back(io_.start(service_.provision_end_user(platform, {.external_id = "same"}, context())));
  }
  std::set<core::EndUserId> ids;
  int created = 0;
  for (auto& call : calls) {
    const auto result = call.get();
    ids.insert(result.end_user.id);
    created += result.created;
  }
  EXPECT_EQ(ids.size(), 1u);
  EXPECT_EQ(created, 1);
  EXPECT_EQ(run(service_.list_keys(platform, PrincipalKind::EndUser, *ids.begin(), {})).total, 24);
}

TEST_F(EndUserTest, may_have_the_external_id_of_another_platforms_user) {
  const auto one = make_platform("one").platform.id;
  const auto two = make_platform("two").platform.id;
  EXPECT_TRUE(make_end_user(one, "u").created);
  EXPECT_TRUE(make_end_user(two, "u").created);
}

TEST_F(EndUserTest, is_found_by_external_id_and_by_page) {
  const auto platform = make_platform().platform.id;
  for (int i = 0; i < 3; ++i) {
    make_end_user(platform, "u" + std::to_string(i));
    clock_.advance(std::chrono::milliseconds(1));
  }
  const auto one = run(service_.list_end_users(platform, "u1", {}));
  EXPECT_EQ(one.total, 1);
  ASSERT_EQ(one.items.size(), 1u);
  EXPECT_EQ(one.items[0].external_id, "u1");
  EXPECT_EQ(run(service_.list_end_users(platform, "u", {})).total, 0);
  const auto page = run(service_.list_end_users(platform, std::nullopt, {.page = 1, .limit = 2}));
  EXPECT_EQ(page.total, 3);
  ASSERT_EQ(page.items.size(), 2u);
  EXPECT_EQ(page.items[0].external_id, "u2");
}

TEST_F(EndUserTest, keeps_what_a_patch_leaves_out_and_drops_an_empty_name) {
  const auto platform = make_platform().platform.id;
  const auto id =
      run(service_.provision_end_user(
              platform, {.external_id = "u", .display_name = "Jo", .metadata_json = R"({"a":1,"b":2})"},
              context()))
          .end_user.id;
  const auto merged =
      run(service_.update_end_user(platform, id, {.metadata_json = R"({"b":null,"c":3})"}, context()));
  EXPECT_EQ(merged.metadata_json, R"({"a":1,"c":3})");
  EXPECT_EQ(merged.display_name, "Jo");
  EXPECT_EQ(run(service_.update_end_user(platform, id, {.display_name = ""}, context())).display_name,
            std::nullopt);
  EXPECT_EQ(run(service_.get_end_user(platform, id)).display_name, std::nullopt);
}

TEST_F(EndUserTest, refuses_faulty_values) {
  const auto platform = make_platform().platform.id;
  const auto field = [&](NewEndUser input) {
    return error_of([&] { run(service_.provision_end_user(platform, input, context())); }).field();
  };
  EXPECT_EQ(field({.external_id = ""}), "/external_id");
  EXPECT_EQ(field({.external_id = std::string(256, 'x')}), "/external_id");
  EXPECT_EQ(field({.external_id = std::string("a\0b", 3)}), "/external_id");
  EXPECT_EQ(field({.external_id = "u", .display_name = ""}), "/display_name");
  EXPECT_EQ(field({.external_id = "u", .metadata_json = R"({"a":"\u0000"})"}), "/metadata");
  EXPECT_EQ(run(service_.list_end_users(platform, std::nullopt, {})).total, 0);
}

TEST_F(EndUserTest, does_not_exist_for_another_tenant) {
  const auto mine = make_platform("mine").platform.id;
  const auto other = make_platform("other").platform.id;
  const auto made = make_end_user(mine);
  const auto id = made.end_user.id;
  const auto kind = [&](const std::function<void()>& call) { return error_of(call).kind(); };
  EXPECT_EQ(kind([&] { run(service_.get_end_user(other, id)); }), core::ErrorKind::NotFound);
  EXPECT_EQ(kind([&] { run(service_.update_end_user(other, id, {.is_active = false}, context())); }),
            core::ErrorKind::NotFound);
  EXPECT_EQ(kind([&] { run(service_.remove_end_user(other, id, context())); }), core::ErrorKind::NotFound);
  EXPECT_EQ(kind([&] { run(service_.issue_key({other, id}, {}, context())); }), core::ErrorKind::NotFound);
  EXPECT_EQ(kind([&] { run(service_.list_keys(other, PrincipalKind::EndUser, id, {})); }),
            core::ErrorKind::NotFound);
  EXPECT_EQ(kind([&] {
              run(service_.revoke_key({other, id}, made.api_key.key.id, context()));
            }),
            core::ErrorKind::NotFound);
  EXPECT_TRUE(authenticate(made.api_key.raw));
}

TEST_F(EndUserTest, is_out_while_inactive_and_back_afterwards) {
  const auto platform = make_platform().platform.id;
  const auto made = make_end_user(platform);
  authenticate(made.api_key.raw);
  run(service_.update_end_user(platform, made.end_user.id, {.is_active = false}, context()));
  EXPECT_EQ(error_of([&] { authenticate(made.api_key.raw); }).kind(), core::ErrorKind::Unauthenticated);
  run(service_.update_end_user(platform, made.end_user.id, {.is_active = true}, context()));
  EXPECT_TRUE(authenticate(made.api_key.raw));
}

TEST_F(EndUserTest, is_removed_after_the_hook_has_run) {
  const auto platform = make_platform().platform.id;
  const auto made = make_end_user(platform);
  const auto neighbour = make_end_user(platform, "user-2");
  std::optional<core::EndUserId> asked;
  before_remove_ = [&](core::PlatformId, std::optional<core::EndUserId> end_user) {
    asked = end_user;
    return nothing();
  };
  run(service_.remove_end_user(platform, made.end_user.id, context()));
  EXPECT_EQ(asked, made.end_user.id);
  EXPECT_EQ(error_of([&] { authenticate(made.api_key.raw); }).kind(), core::ErrorKind::Unauthenticated);
  EXPECT_TRUE(authenticate(neighbour.api_key.raw));
  EXPECT_TRUE(make_end_user(platform).created);
}

}  // namespace
}  // namespace assistiv::oauth
