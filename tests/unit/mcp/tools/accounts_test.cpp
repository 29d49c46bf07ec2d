#include "mcp/tools/accounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::mcp {
namespace {

using core::Json;
using ::testing::HasSubstr;
using ::testing::Not;

Account account(const std::string& last, std::string label, std::string account_id) {
  return {core::ConnectionId::of("018f0000-0000-7000-8000-0000000000" + last),
          ConnectionState::Active,
          {},
          std::move(label),
          std::move(account_id)};
}

class AccountsTest : public ::testing::Test {
 protected:
  AccountChoice take(const std::string& name) {
    arguments_ = {{"account", name}, {"x", 1}};
    return take_account(accounts_, arguments_, kAccountArgument);
  }
  std::vector<Account> accounts_ = {account("01", "Work", "101"), account("02", "home", "102"),
                                    account("03", "Same", "103"), account("04", "same", "104")};
  Json arguments_;
};

TEST_F(AccountsTest, takes_the_default_when_none_is_named) {
  arguments_ = {{"x", 1}};
  EXPECT_EQ(take_account(accounts_, arguments_, kAccountArgument).account, &accounts_[0]);
}

TEST_F(AccountsTest, finds_a_label_an_account_id_and_a_connection_and_takes_the_argument_out) {
  EXPECT_EQ(take("HOME").account, &accounts_[1]);
  EXPECT_EQ(arguments_, (Json{{"x", 1}}));
  EXPECT_EQ(take("104").account, &accounts_[3]);
  EXPECT_EQ(take(accounts_[2].id.str()).account, &accounts_[2]);
}

TEST_F(AccountsTest, an_id_goes_before_a_label_that_reads_the_same) {
  accounts_[0].label = "102";
  EXPECT_EQ(take("102").account, &accounts_[1]);
}

TEST_F(AccountsTest, names_the_choices_when_the_name_is_nobodys_or_two_peoples) {
  for (const char* name : {"nobody", "", "same"}) {
    const auto choice = take(name);
    EXPECT_EQ(choice.account, nullptr) << name;
    EXPECT_THAT(choice.fault, HasSubstr(R"("Work" (default), "home", "103", "104")")) << name;
  }
}

TEST_F(AccountsTest, puts_the_argument_into_a_definition_only_while_there_is_a_choice) {
  EXPECT_EQ(account_schema({}), "");
  EXPECT_EQ(account_schema({accounts_[0]}), "");
  const std::string definition = R"({"name":"t","inputSchema":{"type":"object","properties":{"x":{}}}})";
  const auto made = core::parse_json(with_account_argument(definition, account_schema(accounts_), "account"));
  EXPECT_TRUE(made["inputSchema"]["properties"].contains("x"));
  EXPECT_THAT(made["inputSchema"]["properties"]["account"]["description"].get<std::string>(),
              HasSubstr(R"("Work" (default))"));
}

TEST_F(AccountsTest, a_tool_that_has_an_account_argument_itself_keeps_it) {
  const Json schema = {{"properties", {{"account", {{"type", "string"}}}}}};
  const auto name = free_account_argument(schema);
  EXPECT_EQ(name, "connected_account");
  EXPECT_EQ(free_account_argument({{"properties", {{"x", Json::object()}}}}), "account");
  EXPECT_EQ(free_account_argument({{"allOf", {schema}}, {"required", {"connected_account"}}}),
            "connected_account_2");
  arguments_ = {{"account", "theirs"}, {name, "home"}};
  EXPECT_EQ(take_account(accounts_, arguments_, name).account, &accounts_[1]);
  EXPECT_EQ(arguments_, (Json{{"account", "theirs"}}));
  const std::string definition = R"({"inputSchema":{"properties":{"account":{"title":"theirs"}}}})";
  const auto made = core::parse_json(with_account_argument(definition, account_schema(accounts_), name));
  EXPECT_EQ(made["inputSchema"]["properties"]["account"]["title"], "theirs");
  EXPECT_TRUE(made["inputSchema"]["properties"].contains(name));
}

TEST_F(AccountsTest, shows_labels_without_what_nobody_can_see) {
  accounts_[0].label = "Wo\xE2\x80\xAErk\n";
  EXPECT_THAT(account_schema(accounts_), Not(HasSubstr("\xE2\x80\xAE")));
}

}  // namespace
}  // namespace assistiv::mcp
