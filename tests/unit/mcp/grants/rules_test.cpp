#include "mcp/grants/rules.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/grants/grant_store.h"
#include "support/tool_fixture.h"

namespace assistiv::mcp {
namespace {

constexpr char kKey[] = "018f0000-0000-7000-8000-000000000001";

class RulesTest : public ::testing::Test {
 protected:
  std::vector<Rule> parsed(const std::string& json) { return parse_rules(core::parse_json(json), catalog_); }

  std::string refused_at(const std::string& json) {
    try {
      parsed(json);
    } catch (const core::Error& e) {
      EXPECT_EQ(e.kind(), core::ErrorKind::InvalidArgument);
      return e.field();
    }
    return "accepted";
  }

  Catalog catalog_ = test::small_catalog();
};

TEST_F(RulesTest, are_read_with_and_without_a_key) {
  const auto rules = parsed(std::string(R"({"grants":[{"app":"notes","mode":"read_only"},
    {"app":"notes","key_id":")") +
                            kKey + R"(","mode":"list","tools":["notes_get"]}]})");
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_FALSE(rules[0].key_id);
  EXPECT_EQ(rules[1].key_id, core::KeyId::parse(kKey));
  EXPECT_EQ(rules[1].policy.tools, std::vector<std::string>{"notes_get"});
}

TEST_F(RulesTest, give_back_what_was_read) {
  const std::string body = std::string(R"({"grants":[{"app":"notes","key_id":")") + kKey +
                           R"(","mode":"list","tools":["notes_get"],"deny":["notes_wipe"],
       "require_approval":{"classes":["outbound"],"tools":["notes_add"]}}]})";
  EXPECT_EQ(to_json(parsed(body)[0]), core::parse_json(body)["grants"][0]);
}

TEST_F(RulesTest, may_be_none) {
  EXPECT_TRUE(parsed(R"({"grants":[]})").empty());
}

TEST_F(RulesTest, are_refused_with_the_place_of_the_fault) {
  EXPECT_EQ(refused_at(R"({})"), "/grants");
  EXPECT_EQ(refused_at(R"({"grants":{}})"), "/grants");
  EXPECT_EQ(refused_at(R"({"grants":[],"x":1})"), "/x");
  EXPECT_EQ(refused_at(R"({"grants":[1]})"), "/grants/0");
  EXPECT_EQ(refused_at(R"({"grants":[{"mode":"all"}]})"), "/grants/0/app");
  EXPECT_EQ(refused_at(R"({"grants":[{"app":"nothing","mode":"all"}]})"), "/grants/0/app");
  EXPECT_EQ(refused_at(R"({"grants":[{"app":"notes","mode":"all"},{"app":"notes"}]})"), "/grants/1/mode");
  EXPECT_EQ(refused_at(R"({"grants":[{"app":"notes","mode":"all","key_id":"x"}]})"), "/grants/0/key_id");
  EXPECT_EQ(refused_at(R"({"grants":[{"app":"notes","mode":"all","extra":1}]})"), "/grants/0/extra");
  EXPECT_EQ(refused_at(R"({"grants":[{"app":"notes","mode":"list","tools":["mail_list"]}]})"),
            "/grants/0/tools/0");
  EXPECT_EQ(refused_at(R"({"grants":[{"app":"notes","mode":"all"},{"app":"notes","mode":"none"}]})"),
            "/grants/1");
}

TEST_F(RulesTest, are_limited_in_number) {
  core::Json body = {{"grants", core::Json::array()}};
  for (std::size_t i = 0; i <= kRulesMax; ++i) body["grants"].push_back({{"app", "notes"}, {"mode", "all"}});
  EXPECT_EQ(refused_at(body.dump()), "/grants");
}

TEST(GrantSet, binds_the_rules_of_the_app_and_the_key_only) {
  const auto key = core::KeyId::of(kKey);
  Policy none;
  none.mode = PolicyMode::None;
  Policy read_only;
  read_only.mode = PolicyMode::ReadOnly;
  const GrantSet grants({{"mail", none}}, {{"notes", std::nullopt, read_only}, {"notes", key, none}});
  const BindingRules with_key = grants.binding("notes", true, key);
  ASSERT_NE(with_key.end_user, nullptr);
  ASSERT_NE(with_key.key, nullptr);
  EXPECT_EQ(with_key.platform, nullptr);
  EXPECT_EQ(with_key.end_user->mode, PolicyMode::ReadOnly);
  EXPECT_EQ(with_key.key->mode, PolicyMode::None);
  EXPECT_EQ(grants.binding("notes", true, std::nullopt).key, nullptr);
  EXPECT_EQ(grants.binding("notes", true, core::KeyId{}).key, nullptr);
  const BindingRules mail = grants.binding("mail", false, key);
  EXPECT_NE(mail.platform, nullptr);
  EXPECT_EQ(mail.end_user, nullptr);
  EXPECT_FALSE(mail.app_active);
}

}  // namespace
}  // namespace assistiv::mcp
