#include "mcp/tools/access_snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "core/json_read.h"
#include "mcp/grants/grant_store.h"
#include "mcp/tools/connect_tool.h"
#include "oauth/connect/connected_app_store.h"
#include "support/tool_fixture.h"

namespace assistiv::mcp {
namespace {

const core::KeyId kKey = core::KeyId::of("018f0000-0000-7000-8000-000000000001");

oauth::ConnectedApp app(std::string name, std::optional<oauth::ConnectionStatus> status, bool active = true) {
  oauth::ConnectedApp out{std::move(name), active, {}};
  if (status) out.link = {core::ConnectionId::of("018f0000-0000-7000-8000-0000000000c1"), *status, {"notes"}};
  return out;
}

constexpr auto kActive = oauth::ConnectionStatus::Active;

class AccessSnapshotTest : public ::testing::Test {
 protected:
  std::shared_ptr<const AccessSnapshot> snapshot(const std::vector<oauth::ConnectedApp>& apps,
                                                 const GrantSet& grants = GrantSet({}, {})) {
    return make_snapshot(catalog_, lists_, apps, grants, kKey);
  }

  static std::vector<std::string> names(const ToolList& list) {
    std::vector<std::string> out;
    for (const auto& tool : list.tools) out.push_back(tool.name);
    return out;
  }

  CatalogPtr catalog_ = std::make_shared<const Catalog>(test::small_catalog());
  ToolLists lists_;
};

TEST_F(AccessSnapshotTest, lists_connected_apps_in_stable_order) {
  const auto access = snapshot({app("mail", kActive), app("notes", kActive)});
  EXPECT_EQ(names(*access->all),
            (std::vector<std::string>{"mail_list", "notes_get", "notes_add", "notes_post", "notes_wipe"}));
}

TEST_F(AccessSnapshotTest, offers_the_connect_tool_while_an_app_can_be_connected) {
  EXPECT_EQ(names(*snapshot({app("mail", kActive), app("notes", std::nullopt)})->all),
            (std::vector<std::string>{"mail_list", kConnectTool}));
  EXPECT_EQ(names(*snapshot({app("notes", std::nullopt)})->all), (std::vector<std::string>{kConnectTool}));
}

TEST_F(AccessSnapshotTest, does_not_offer_to_connect_an_app_whose_tools_are_all_denied) {
  Policy none;
  none.mode = PolicyMode::None;
  EXPECT_TRUE(snapshot({app("notes", std::nullopt)}, GrantSet({{"notes", none}}, {}))->all->tools.empty());
}

TEST_F(AccessSnapshotTest, keeps_listing_an_app_that_must_be_connected_again) {
  EXPECT_EQ(names(*snapshot({app("mail", oauth::ConnectionStatus::NeedsReauth)})->all),
            (std::vector<std::string>{"mail_list"}));
}

TEST_F(AccessSnapshotTest, lists_an_apps_own_tools_also_when_it_is_not_connected) {
  const auto access = snapshot({app("notes", std::nullopt)});
  ASSERT_NE(access->find("notes"), nullptr);
  EXPECT_EQ(access->find("notes")->tools->tools.size(), 4u);
}

TEST_F(AccessSnapshotTest, leaves_out_apps_that_are_switched_off_or_unknown) {
  const auto access = snapshot({app("mail", kActive, false), app("gone", kActive)});
  EXPECT_TRUE(access->apps.empty());
  EXPECT_EQ(access->find("mail"), nullptr);
  EXPECT_TRUE(access->all->tools.empty());
}

TEST_F(AccessSnapshotTest, shares_one_list_between_callers_who_see_the_same) {
  const auto first = snapshot({app("mail", kActive)});
  const auto second = snapshot({app("mail", kActive), app("notes", kActive, false)});
  EXPECT_EQ(first->all.get(), second->all.get());
}

TEST_F(AccessSnapshotTest, etag_changes_exactly_when_the_list_does) {
  const auto mail = snapshot({app("mail", kActive)})->all->etag;
  EXPECT_EQ(snapshot({app("mail", kActive)})->all->etag, mail);
  EXPECT_NE(snapshot({app("mail", kActive), app("notes", kActive)})->all->etag, mail);
  EXPECT_NE(snapshot({app("mail", kActive), app("notes", std::nullopt)})->all->etag, mail);
}

TEST_F(AccessSnapshotTest, joined_text_is_the_definitions_in_order) {
  const auto list = snapshot({app("mail", kActive), app("notes", kActive)})->all;
  const auto parsed = core::parse_json("[" + list->joined_json + "]");
  ASSERT_EQ(parsed.size(), list->tools.size());
  for (std::size_t i = 0; i < parsed.size(); ++i) {
    EXPECT_EQ(parsed[i], core::parse_json(list->tools[i].definition_json));
    EXPECT_EQ(parsed[i]["name"], list->tools[i].name);
  }
}

Policy random_policy_of(std::mt19937& rng, const App& app) {
  const auto subset = [&] {
    std::vector<std::string> out;
    for (const auto& tool : app.tools) {
      if (rng() % 3 == 0) out.push_back(tool.name);
    }
    std::sort(out.begin(), out.end());
    return out;
  };
  Policy policy;
  policy.mode = static_cast<PolicyMode>(rng() % 4);
  if (policy.mode == PolicyMode::List) policy.tools = subset();
  policy.deny = subset();
  policy.approval_tools = subset();
  for (const Risk risk : kRisks) {
    if (rng() % 4 == 0) policy.approval_classes.add(risk);
  }
  return policy;
}

// A tool is listed exactly when a call of it would not be denied, for random rules at every level.
TEST_F(AccessSnapshotTest, list_and_call_agree_for_every_tool) {
  std::mt19937 rng(20261121);
  for (int round = 0; round < 2000; ++round) {
    PoliciesByApp policies;
    std::vector<Rule> rules;
    for (const auto& app : catalog_->apps()) {
      if (rng() % 2 == 0) policies[app->id] = random_policy_of(rng, *app);
      if (rng() % 2 == 0) rules.push_back({app->id, std::nullopt, random_policy_of(rng, *app)});
      if (rng() % 2 == 0) rules.push_back({app->id, kKey, random_policy_of(rng, *app)});
    }
    const GrantSet grants(policies, rules);
    const auto access = snapshot({app("mail", kActive), app("notes", kActive)}, grants);
    const auto listed = names(*access->all);
    for (const auto& app : catalog_->apps()) {
      for (const auto& tool : app->tools) {
        const Decision decision =
            evaluate(grants.binding(app->id, true, kKey), {tool.name, tool.risk, tool.hints.read_only});
        const bool shown = std::count(listed.begin(), listed.end(), tool.name) == 1;
        ASSERT_EQ(shown, decision.verdict != Verdict::Deny) << tool.name;
        const auto& stored = *access->find(app->id);
        ASSERT_EQ(stored.decisions[static_cast<std::size_t>(&tool - app->tools.data())], decision)
            << tool.name;
      }
    }
  }
}

TEST_F(AccessSnapshotTest, connect_tool_picks_the_only_app_and_leaves_a_choice_to_the_user) {
  const auto one = snapshot({app("mail", kActive), app("notes", std::nullopt)});
  EXPECT_EQ(choose_app(*one, core::Json::object()).app, one->find("notes"));
  const auto two = snapshot({app("mail", std::nullopt), app("notes", oauth::ConnectionStatus::NeedsReauth)});
  EXPECT_EQ(choose_app(*two, core::Json::object()).app, nullptr);
  EXPECT_FALSE(choose_app(*two, core::Json::object()).fault);
  EXPECT_EQ(choose_app(*two, {{"app", "notes"}}).app, two->find("notes"));
  const auto fault = choose_app(*two, {{"app", "calendar"}}).fault;
  ASSERT_TRUE(fault);
  EXPECT_NE(fault->find("mail, notes"), std::string::npos) << *fault;
}

TEST_F(AccessSnapshotTest, connect_tool_answers_conform_to_its_output_schema) {
  const auto definition = core::parse_json(connect_tool_definition());
  const auto schema = JsonSchema::compile(definition["outputSchema"]).schema;
  ASSERT_TRUE(schema);
  const auto access = snapshot({app("mail", kActive), app("notes", std::nullopt)});
  const ConnectLink link{"https://x.example/connect/t", core::from_epoch_ms(0)};
  for (const auto& text :
       {connect_result(*access, nullptr, {}), connect_result(*access, access->find("mail"), {}),
        connect_result(*access, access->find("notes"), link)}) {
    const auto result = core::parse_json(text);
    EXPECT_EQ(describe(schema->check(result["structuredContent"])), "") << text;
    EXPECT_EQ(result["isError"], false);
  }
  const auto linked = core::parse_json(connect_result(*access, access->find("notes"), link));
  EXPECT_EQ(linked["structuredContent"]["connect_url"], link.url);
  EXPECT_NE(linked["content"][0]["text"].get<std::string>().find(link.url), std::string::npos);
}

TEST_F(AccessSnapshotTest, connect_tool_has_all_four_hints) {
  const auto hints = core::parse_json(connect_tool_definition())["annotations"];
  EXPECT_EQ(hints["readOnlyHint"], false);
  EXPECT_EQ(hints["destructiveHint"], false);
  EXPECT_EQ(hints["idempotentHint"], true);
  EXPECT_EQ(hints["openWorldHint"], false);
}

}  // namespace
}  // namespace assistiv::mcp
