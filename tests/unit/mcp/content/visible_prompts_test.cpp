#include "mcp/content/visible_prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "mcp/connectors/catalog.h"
#include "mcp/grants/grant_store.h"
#include "oauth/connect/connected_app_store.h"
#include "support/manifests.h"

namespace assistiv::mcp {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;
using testing::StartsWith;

json manifest_with_prompt() {
  json manifest = test::acme_manifest();
  const std::string tool = test::acme_tool(manifest, 0)["name"];
  manifest["prompts"] = {
      {{"name", "acme_tell"},
       {"title", "Tell"},
       {"description", "Tells of a thing."},
       {"tools", {tool}},
       {"arguments",
        {{{"name", "what"}, {"description", "The thing."}, {"required", true}},
         {{"name", "depth"}, {"description", "How much."}, {"values", {"little", "all"}}}}},
       {"text", {"Tell of {what}.", "Read {depth} of it."}}}};
  return manifest;
}

class VisiblePromptsTest : public ::testing::Test {
 protected:
  oauth::ConnectedApp::Link account(const char* id, const char* label) {
    return {core::ConnectionId::of(id), oauth::ConnectionStatus::Active, {}, label, label};
  }
  VisibleApps apps(bool connected = true, PolicyMode mode = PolicyMode::All, bool two = false) {
    oauth::ConnectedApp acme{"acme", true, {}};
    if (connected) acme.link = account("018f0000-0000-7000-8000-0000000000c1", "Work");
    if (two) acme.others.push_back(account("018f0000-0000-7000-8000-0000000000c2", "Home"));
    Policy policy;
    policy.mode = mode;
    return visible_apps(make_snapshot(catalog_, lists_, {acme}, GrantSet({{"acme", policy}}, {}),
                                      core::KeyId::of("018f0000-0000-7000-8000-000000000001")),
                        {});
  }
  CatalogPtr catalog_ = std::make_shared<const Catalog>(test::load_manifest(manifest_with_prompt()));
  ToolLists lists_;
};

TEST_F(VisiblePromptsTest, are_there_when_their_app_is_connected_and_their_tools_are_allowed) {
  const auto connected = apps();
  ASSERT_EQ(visible_prompts(connected).size(), 1u);
  const json definition = prompt_definition(visible_prompts(connected)[0]);
  EXPECT_EQ(definition["name"], "acme_tell");
  EXPECT_EQ(definition["arguments"].size(), 2u);
  EXPECT_EQ(definition["arguments"][0]["required"], true);
  const auto unconnected = apps(false);
  EXPECT_TRUE(visible_prompts(unconnected).empty());
  const auto denied = apps(true, PolicyMode::None);
  EXPECT_TRUE(visible_prompts(denied).empty());
}

TEST_F(VisiblePromptsTest, leave_out_the_lines_whose_arguments_are_absent) {
  const auto all = apps();
  const auto prompts = visible_prompts(all);
  EXPECT_EQ(render_prompt(prompts[0], {{"what", "7"}}).text, "Tell of 7.");
  EXPECT_EQ(render_prompt(prompts[0], {{"what", "7"}, {"depth", "all"}}).text, "Tell of 7.\nRead all of it.");
}

TEST_F(VisiblePromptsTest, refuse_arguments_that_are_wrong) {
  const auto all = apps();
  const auto prompts = visible_prompts(all);
  for (const json& wrong :
       {json(nullptr), json::object(), json{{"what", 7}}, json{{"what", ""}},
        json{{"what", "7"}, {"depth", "some"}}, json{{"what", "7"}, {"other", "x"}},
        json{{"what", std::string(kPromptTextMax + 1, 'x')}}, json{{"what", "7"}, {"account", "Work"}}}) {
    EXPECT_FALSE(render_prompt(prompts[0], wrong).fault.empty()) << wrong;
  }
}

TEST_F(VisiblePromptsTest, have_an_account_where_there_is_a_choice) {
  const auto two = apps(true, PolicyMode::All, true);
  const auto prompts = visible_prompts(two);
  EXPECT_EQ(prompt_definition(prompts[0])["arguments"].size(), 3u);
  EXPECT_EQ(prompt_choices(prompts[0], "account"), (std::vector<std::string>{"Work", "Home"}));
  EXPECT_EQ(prompt_choices(prompts[0], "depth"), (std::vector<std::string>{"little", "all"}));
  EXPECT_THAT(render_prompt(prompts[0], {{"what", "7"}, {"account", "home"}}).text,
              HasSubstr("the account Home"));
  EXPECT_THAT(render_prompt(prompts[0], {{"what", "7"}, {"account", "nobody"}}).fault, HasSubstr("Work"));
}

TEST(PromptsOfExtendedApps, come_along_under_the_new_names) {
  const auto catalog = Catalog::load(manifest_files(""));
  const auto prompts = prompts_of(*catalog.find_app("github_oauth"));
  ASSERT_EQ(prompts.size(), prompts_of(*catalog.find_app("github")).size());
  EXPECT_EQ(prompts[0].name, "github_oauth_summarize_issue");
  EXPECT_EQ(prompts[0].tools[0], "github_oauth_get_issue");
  EXPECT_TRUE(prompts_of(*catalog.find_app("zoho_desk")).empty());
}

struct BadPrompt {
  std::function<void(json&)> spoil;
  const char* fault;
};

TEST(PromptLint, reports_every_fault_with_its_place) {
  EXPECT_TRUE(test::manifest_faults(manifest_with_prompt()).empty());
  const BadPrompt kBad[] = {
      {[](json& p) { p["name"] = "other_tell"; }, "/prompts/0/name: must be \"acme_\""},
      {[](json& p) { p["tools"] = {"acme_nothing"}; }, "/prompts/0/tools: \"acme_nothing\" is no tool"},
      {[](json& p) { p["tools"] = json::array(); }, "/prompts/0/tools: must name"},
      {[](json& p) { p["text"][0] = "Tell of {who}."; }, "/prompts/0/text/0: {who} is no argument"},
      {[](json& p) { p["text"].erase(1); }, "/prompts/0/text: does not use the argument \"depth\""},
      {[](json& p) { p["text"] = {"{what} {depth}"}; }, "/prompts/0/text: needs a line that is always there"},
      {[](json& p) { p["arguments"][1]["name"] = "what"; }, "/prompts/0/arguments/1/name: is there twice"},
      {[](json& p) { p["arguments"][1]["name"] = "account"; }, "/prompts/0/arguments/1/name: is added"},
      {[](json& p) { p["extra"] = 1; }, "/prompts/0/extra: is not a known member"},
  };
  for (const auto& bad : kBad) {
    json manifest = manifest_with_prompt();
    bad.spoil(manifest["prompts"][0]);
    EXPECT_THAT(test::manifest_faults(manifest), Contains(StartsWith(bad.fault))) << bad.fault;
  }
  json twice = manifest_with_prompt();
  twice["prompts"].push_back(twice["prompts"][0]);
  EXPECT_THAT(test::manifest_faults(twice), Contains(StartsWith("/prompts/1/name: is there twice")));
}

}  // namespace
}  // namespace assistiv::mcp
