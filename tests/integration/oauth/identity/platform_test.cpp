#include <gtest/gtest.h>

#include <string>

#include "support/identity_fixture.h"

namespace assistiv::oauth {
namespace {

using PlatformTest = IdentityTest;

TEST_F(PlatformTest, is_created_with_a_key_that_works) {
  const auto made = run(service_.create_platform(
      {.name = "Acme Inc.", .slug = "acme", .settings_json = R"({"markup_percentage":15})"}, context()));
  EXPECT_EQ(made.platform.name, "Acme Inc.");
  EXPECT_EQ(made.platform.slug, "acme");
  EXPECT_TRUE(made.platform.is_active);
  EXPECT_EQ(made.platform.created_at, clock_.now());
  const auto principal = authenticate(made.api_key.raw);
  EXPECT_EQ(principal->kind, PrincipalKind::Platform);
  EXPECT_EQ(principal->platform_id, made.platform.id);
  EXPECT_EQ(principal->key_id, made.api_key.key.id);
  EXPECT_EQ(principal->end_user_id, std::nullopt);
  EXPECT_TRUE(principal->has_scope("management"));
  EXPECT_EQ(run(service_.get_platform(made.platform.id)).settings_json, R"({"markup_percentage": 15})");
}

TEST_F(PlatformTest, gets_a_slug_from_its_name_and_another_when_that_is_taken) {
  EXPECT_EQ(make_platform("Grüne Äpfel & Co").platform.slug, "gr-ne-pfel-co");
  const auto second = make_platform("Grüne Äpfel & Co").platform.slug;
  EXPECT_TRUE(second.starts_with("gr-ne-pfel-co-")) << second;
  EXPECT_EQ(make_platform("日本").platform.slug, "platform");
  EXPECT_EQ(make_platform(std::string(100, 'x')).platform.slug, std::string(48, 'x'));
}

TEST_F(PlatformTest, refuses_a_slug_that_another_platform_has) {
  const auto first = make_platform("First").platform;
  const auto second = make_platform("Second").platform;
  const auto created =
      error_of([&] { run(service_.create_platform({.name = "x", .slug = "first"}, context())); });
  EXPECT_EQ(created.kind(), core::ErrorKind::Conflict);
  EXPECT_EQ(created.field(), "/slug");
  const auto updated =
      error_of([&] { run(service_.update_platform(second.id, {.slug = "first"}, context())); });
  EXPECT_EQ(updated.kind(), core::ErrorKind::Conflict);
  EXPECT_EQ(updated.field(), "/slug");
  EXPECT_EQ(run(service_.update_platform(first.id, {.slug = "first"}, context())).slug, "first");
}

TEST_F(PlatformTest, refuses_faulty_values) {
  for (const auto* slug : {"", "-a", "a-", "A", "a b", "ä", "a.b"}) {
    EXPECT_EQ(
        error_of([&] { run(service_.create_platform({.name = "x", .slug = slug}, context())); }).field(),
        "/slug");
  }
  EXPECT_EQ(error_of([&] { run(service_.create_platform({.name = ""}, context())); }).field(), "/name");
  EXPECT_EQ(
      error_of([&] { run(service_.create_platform({.name = std::string(101, 'x')}, context())); }).field(),
      "/name");
  EXPECT_EQ(error_of([&] {
              run(service_.create_platform({.name = "x", .settings_json = "[]"}, context()));
            }).field(),
            "/settings");
}

TEST_F(PlatformTest, merges_settings_and_keeps_what_a_patch_leaves_out) {
  const auto platform = make_platform().platform;
  run(service_.update_platform(platform.id, {.settings_json = R"({"a":{"b":1},"c":2})"}, context()));
  clock_.advance(std::chrono::seconds(5));
  const auto updated = run(service_.update_platform(
      platform.id, {.name = "New", .settings_json = R"({"a":{"d":3},"c":null})"}, context()));
  EXPECT_EQ(updated.settings_json, R"({"a":{"b":1,"d":3}})");
  EXPECT_EQ(updated.name, "New");
  EXPECT_EQ(updated.slug, platform.slug);
  EXPECT_EQ(updated.created_at, platform.created_at);
  EXPECT_EQ(updated.updated_at, platform.created_at + std::chrono::seconds(5));
  EXPECT_EQ(run(service_.get_platform(platform.id)).updated_at, updated.updated_at);
}

TEST_F(PlatformTest, is_listed_newest_first_in_pages) {
  for (int i = 0; i < 5; ++i) {
    make_platform("p" + std::to_string(i));
    clock_.advance(std::chrono::milliseconds(1));
  }
  const auto page = run(service_.list_platforms({.page = 2, .limit = 2}));
  EXPECT_EQ(page.total, 5);
  EXPECT_EQ(page.page, 2);
  ASSERT_EQ(page.items.size(), 2u);
  EXPECT_EQ(page.items[0].name, "p2");
  EXPECT_EQ(page.items[1].name, "p1");
  EXPECT_TRUE(run(service_.list_platforms({.page = 4, .limit = 2})).items.empty());
  EXPECT_EQ(error_of([&] { run(service_.list_platforms({.limit = 101})); }).field(), "limit");
}

TEST_F(PlatformTest, takes_everything_with_it_after_the_hook_has_run) {
  const auto made = make_platform();
  const auto user = make_end_user(made.platform.id);
  authenticate(user.api_key.raw);
  bool asked = false;
  before_remove_ = [&](core::PlatformId platform, std::optional<core::EndUserId> end_user) {
    asked = platform == made.platform.id && !end_user;
    return nothing();
  };
  run(service_.remove_platform(made.platform.id, context()));
  EXPECT_TRUE(asked);
  EXPECT_EQ(error_of([&] { run(service_.get_platform(made.platform.id)); }).kind(),
            core::ErrorKind::NotFound);
  EXPECT_EQ(authenticator_.cached(user.api_key.raw.reveal()), nullptr);
  EXPECT_EQ(error_of([&] { authenticate(user.api_key.raw); }).kind(), core::ErrorKind::Unauthenticated);
  EXPECT_EQ(database_.exec("select count(*) n from api_key")[0].integer("n"), 0);
  EXPECT_EQ(error_of([&] { run(service_.remove_platform(made.platform.id, context())); }).kind(),
            core::ErrorKind::NotFound);
}

core::Task<> refuse_removal() {
  throw core::Error(core::ErrorKind::UpstreamFailed, "no answer");
  co_return;
}

TEST_F(PlatformTest, stays_when_the_hook_fails) {
  const auto made = make_platform();
  before_remove_ = [](core::PlatformId, std::optional<core::EndUserId>) { return refuse_removal(); };
  EXPECT_EQ(error_of([&] { run(service_.remove_platform(made.platform.id, context())); }).kind(),
            core::ErrorKind::UpstreamFailed);
  EXPECT_EQ(run(service_.get_platform(made.platform.id)).id, made.platform.id);
}

}  // namespace
}  // namespace assistiv::oauth
