#include "mcp/grants/grant_service.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "support/grants_fixture.h"

namespace assistiv::mcp {
namespace {

class GrantServiceTest : public test::GrantsFixture {
 protected:
  Policy put_policy(const std::string& body, const std::string& app = "notes") {
    return run(service_.put_policy(platform_, app, core::parse_json(body), by_platform()));
  }
  GrantView put_grants(const std::string& body) {
    return run(service_.put_grants(platform_, user_.id, core::parse_json(body), by_platform()));
  }
  // decision and rule of a tool in the effective view, "" when it is not there.
  static std::string effective(const GrantView& view, const std::string& tool) {
    for (const auto& app : view.effective) {
      for (const auto& one : app.tools) {
        if (one.name == tool) {
          return std::string(verdict_name(one.decision.verdict)) + " " +
                 std::string(decided_by_name(one.decision.rule));
        }
      }
    }
    return "";
  }

  std::vector<std::pair<std::string, std::string>> changes_;
  GrantService service_{
      {database_.db(), audit_, book_, end_users_, keys_,
       [this](std::string_view topic, std::string_view payload) { changes_.emplace_back(topic, payload); }}};
};

TEST_F(GrantServiceTest, policy_is_the_default_until_one_is_put) {
  EXPECT_EQ(run(service_.policy(platform_, "notes")), Policy{});
  const Policy put = put_policy(R"({"mode":"list","tools":["notes_get"]})");
  EXPECT_EQ(put.mode, PolicyMode::List);
  EXPECT_EQ(run(service_.policy(platform_, "notes")), put);
  put_policy(R"({"mode":"none"})");
  EXPECT_EQ(run(service_.policy(platform_, "notes")).mode, PolicyMode::None);
}

TEST_F(GrantServiceTest, policy_of_an_app_that_is_not_activated_is_not_found) {
  for (const char* app : {"mail", "nothing"}) {
    EXPECT_EQ(error_of([&] { run(service_.policy(platform_, app)); }).kind(), core::ErrorKind::NotFound);
    EXPECT_EQ(error_of([&] { put_policy(R"({"mode":"all"})", app); }).kind(), core::ErrorKind::NotFound);
  }
}

TEST_F(GrantServiceTest, faulty_policy_changes_nothing) {
  EXPECT_EQ(error_of([&] { put_policy(R"({"mode":"all","deny":["notes_gett"]})"); }).field(), "/deny/0");
  EXPECT_EQ(run(service_.policy(platform_, "notes")), Policy{});
  EXPECT_TRUE(audit("policy.updated").empty());
  EXPECT_TRUE(changes_.empty());
}

TEST_F(GrantServiceTest, put_policy_is_audited_and_announced) {
  put_policy(R"({"mode":"read_only"})");
  const auto entries = audit("policy.updated");
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0]["subject"], "notes");
  EXPECT_EQ(entries[0]["actor"], "platform");
  EXPECT_EQ(entries[0]["request"], "request-1");
  EXPECT_EQ(entries[0]["details"]["policy"]["mode"], "read_only");
  ASSERT_EQ(changes_.size(), 1u);
  EXPECT_EQ(changes_[0], std::pair(std::string("grant"), platform_.str() + "/*"));
}

TEST_F(GrantServiceTest, effective_view_follows_policy_and_rules) {
  EXPECT_EQ(effective(run(service_.grants(platform_, user_.id)), "notes_wipe"), "allow default");
  put_policy(R"({"mode":"all","require_approval":{"classes":["destructive"]}})");
  EXPECT_EQ(effective(run(service_.grants(platform_, user_.id)), "notes_wipe"), "approval platform_policy");
  const auto view = put_grants(R"({"grants":[{"app":"notes","mode":"read_only"}]})");
  EXPECT_EQ(effective(view, "notes_wipe"), "deny end_user_grant");
  EXPECT_EQ(effective(view, "notes_get"), "allow end_user_grant");
  EXPECT_EQ(effective(view, "mail_list"), "") << "not activated and not named by a rule";
}

TEST_F(GrantServiceTest, effective_view_shows_apps_of_rules_that_are_not_active) {
  const auto view = put_grants(R"({"grants":[{"app":"mail","mode":"all"}]})");
  EXPECT_EQ(effective(view, "mail_list"), "deny app_inactive");
  database_.exec("update mcp_app set is_active = false");
  EXPECT_EQ(effective(run(service_.grants(platform_, user_.id)), "notes_get"), "deny app_inactive");
}

TEST_F(GrantServiceTest, put_grants_replaces_all_rules_of_this_end_user_only) {
  const auto other = add_user(platform_, "bob");
  run(service_.put_grants(platform_, other.id,
                          core::parse_json(R"({"grants":[{"app":"notes","mode":"none"}]})"), by_platform()));
  put_grants(R"({"grants":[{"app":"notes","mode":"none"},{"app":"mail","mode":"none"}]})");
  const auto view = put_grants(R"({"grants":[{"app":"notes","mode":"all"}]})");
  ASSERT_EQ(view.grants.size(), 1u);
  EXPECT_EQ(view.grants[0].policy.mode, PolicyMode::All);
  EXPECT_EQ(run(service_.grants(platform_, other.id)).grants.size(), 1u);
  run(service_.clear_grants(platform_, user_.id, by_platform()));
  EXPECT_TRUE(run(service_.grants(platform_, user_.id)).grants.empty());
  EXPECT_EQ(audit("grant.updated").size(), 4u);
  EXPECT_EQ(changes_.back(), std::pair(std::string("grant"), platform_.str() + "/" + user_.id.str()));
}

TEST_F(GrantServiceTest, a_rule_takes_only_a_key_of_the_same_end_user) {
  const auto other = add_user(platform_, "bob");
  const auto body = [](core::KeyId key) {
    return R"({"grants":[{"app":"mail","mode":"all"},{"app":"notes","mode":"none","key_id":")" + key.str() +
           "\"}]}";
  };
  EXPECT_EQ(error_of([&] { put_grants(body(other.principal->key_id)); }).field(), "/grants/1/key_id");
  EXPECT_EQ(error_of([&] { put_grants(body(core::KeyId{})); }).field(), "/grants/1/key_id");
  EXPECT_TRUE(run(service_.grants(platform_, user_.id)).grants.empty());
  const auto view = put_grants(body(user_.principal->key_id));
  ASSERT_EQ(view.grants.size(), 2u);
  EXPECT_EQ(view.grants[1].key_id, user_.principal->key_id);
}

TEST_F(GrantServiceTest, a_key_rule_goes_with_its_key) {
  put_grants(R"({"grants":[{"app":"notes","mode":"none","key_id":")" + user_.principal->key_id.str() +
             "\"}]}");
  database_.db().execute(storage::Scope::tenant(platform_), [&](storage::Transaction& tx) {
    keys_.revoke(tx, {platform_, user_.id}, user_.principal->key_id);
  });
  EXPECT_TRUE(run(service_.grants(platform_, user_.id)).grants.empty());
}

TEST_F(GrantServiceTest, another_tenants_end_user_does_not_exist) {
  const auto stranger = add_platform("globex");
  EXPECT_EQ(error_of([&] { run(service_.grants(stranger, user_.id)); }).kind(), core::ErrorKind::NotFound);
  EXPECT_EQ(
      error_of([&] {
        run(service_.put_grants(stranger, user_.id, core::parse_json(R"({"grants":[]})"), by_platform()));
      }).kind(),
      core::ErrorKind::NotFound);
  EXPECT_EQ(error_of([&] { run(service_.clear_grants(stranger, user_.id, by_platform())); }).kind(),
            core::ErrorKind::NotFound);
}

TEST_F(GrantServiceTest, concurrent_replacements_leave_the_rules_of_one) {
  const std::string one = R"({"grants":[{"app":"notes","mode":"all"},{"app":"mail","mode":"all"}]})";
  const std::string two = R"({"grants":[{"app":"notes","mode":"none"},{"app":"mail","mode":"none"}]})";
  std::vector<std::future<GrantView>> results;
  for (int i = 0; i < 20; ++i) {
    results.push_back(io_.start(
        service_.put_grants(platform_, user_.id, core::parse_json(i % 2 == 0 ? one : two), by_platform())));
  }
  for (auto& result : results) result.get();
  const auto rules = run(service_.grants(platform_, user_.id)).grants;
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(rules[0].policy, rules[1].policy);
}

TEST_F(GrantServiceTest, view_has_the_shape_of_the_rest_api) {
  put_policy(R"({"mode":"read_only"})");
  const auto json = to_json(run(service_.grants(platform_, user_.id)));
  EXPECT_TRUE(json["grants"].is_array());
  EXPECT_EQ(json["effective"]["notes"][1],
            (core::Json{{"tool", "notes_add"}, {"decision", "deny"}, {"rule", "platform_policy"}}));
}

}  // namespace
}  // namespace assistiv::mcp
