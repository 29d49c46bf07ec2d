#include "mcp/tools/tool_selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/tools/tool_search.h"

namespace assistiv::mcp {
namespace {

using core::Json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

ToolView tool(std::string name, std::string app, std::string group, std::string title,
              std::string description, bool read_only) {
  ToolView out;
  out.definition_json = core::dump_json({{"name", name}, {"title", title}});
  out.name = std::move(name);
  out.app = std::move(app);
  out.group = std::move(group);
  out.title = std::move(title);
  out.description = std::move(description);
  out.read_only = read_only;
  out.destructive = false;
  out.idempotent = read_only;
  return out;
}

std::shared_ptr<const ToolList> some_tools() {
  auto out = std::make_shared<ToolList>();
  out->etag = "e1";
  out->tools = {
      tool("github_list_issues", "github", "issues", "List issues", "Lists the issues of a repository.",
           true),
      tool("github_create_issue", "github", "issues", "Create an issue", "Opens an issue in a repository.",
           false),
      tool("github_merge_pull_request", "github", "pull_requests", "Merge a pull request", "Merges it.",
           false),
      tool("slack_send_message", "slack", "messages", "Send a message", "Posts a message to a channel.",
           false),
      tool("slack_search_messages", "slack", "messages", "Search messages", "Finds messages by words.", true),
      tool("zendesk_list_tickets", "zendesk", "tickets", "List tickets", "Issues that customers reported.",
           true),
      tool("assistiv_connect_app", "", "", "Connect an app", "Gives a link.", false)};
  return out;
}

std::vector<std::string> listed(const SelectedToolsPtr& selected) {
  std::vector<std::string> out;
  for (const auto& tool : selected->listed->tools) out.push_back(tool.name);
  return out;
}

SelectedToolsPtr select(ToolSelection selection, SelectionCache& cache) {
  return cache.get(some_tools(), std::make_shared<const ToolSelection>(std::move(selection)));
}
SelectedToolsPtr select(ToolSelection selection) {
  SelectionCache cache;
  return select(std::move(selection), cache);
}

TEST(ToolSelection, keeps_the_named_tools_only) {
  const auto some = select({.tools = {"github_create_issue", "slack_send_message"}});
  EXPECT_THAT(listed(some), ElementsAre("github_create_issue", "slack_send_message"));
  EXPECT_EQ(some->find("github_list_issues"), nullptr);
}

TEST(ToolSelection, takes_an_app_a_group_of_an_app_or_a_group_of_every_app_as_a_toolset) {
  EXPECT_THAT(listed(select({.toolsets = {"slack"}})),
              ElementsAre("slack_send_message", "slack_search_messages", "assistiv_connect_app"));
  EXPECT_THAT(listed(select({.toolsets = {"github:issues"}})),
              ElementsAre("github_list_issues", "github_create_issue", "assistiv_connect_app"));
  EXPECT_THAT(listed(select({.toolsets = {"pull_requests", "tickets"}})),
              ElementsAre("github_merge_pull_request", "zendesk_list_tickets", "assistiv_connect_app"));
  EXPECT_THAT(listed(select({.toolsets = {"slack:issues"}})), ElementsAre("assistiv_connect_app"));
}

TEST(ToolSelection, read_only_leaves_out_what_changes_something_and_narrows_the_other_wishes) {
  EXPECT_THAT(listed(select({.toolsets = {"github", "slack"}, .read_only = true})),
              ElementsAre("github_list_issues", "slack_search_messages", "assistiv_connect_app"));
  EXPECT_THAT(listed(select({.tools = {"github_create_issue"}, .read_only = true})), IsEmpty());
}

TEST(ToolSelection, search_mode_lists_the_three_and_the_named_ones_and_admits_the_rest) {
  const auto some =
      select({.search = true, .tools = {"slack_send_message"}, .toolsets = {"github", "slack"}});
  EXPECT_THAT(listed(some),
              ElementsAre(kSearchTool, kGetTool, kCallTool, "slack_send_message", "assistiv_connect_app"));
  EXPECT_NE(some->find("github_create_issue"), nullptr);
  EXPECT_EQ(some->find("zendesk_list_tickets"), nullptr);
}

TEST(ToolSelection, the_list_is_whole_json_and_its_etag_follows_it) {
  const auto all = select({.search = true});
  const auto parsed = core::parse_json("[" + all->listed->joined_json + "]");
  ASSERT_EQ(parsed.size(), all->listed->tools.size());
  for (std::size_t i = 0; i < parsed.size(); ++i) EXPECT_EQ(parsed[i]["name"], all->listed->tools[i].name);
  EXPECT_EQ(all->listed->etag, select({.search = true})->listed->etag);
  EXPECT_NE(all->listed->etag, select({.search = true, .read_only = true})->listed->etag);
}

TEST(ToolSelection, call_tool_promises_what_holds_for_every_tool_behind_it) {
  const auto hints = [](const SelectedToolsPtr& some) {
    return core::parse_json(some->listed->tools[2].definition_json)["annotations"];
  };
  EXPECT_EQ(hints(select({.search = true}))["readOnlyHint"], false);
  const auto reading = hints(select({.search = true, .read_only = true}));
  EXPECT_EQ(reading["readOnlyHint"], true);
  EXPECT_EQ(reading["destructiveHint"], false);
}

TEST(ToolSelection, gives_the_same_object_for_the_same_wish) {
  SelectionCache cache;
  const auto whole = some_tools();
  const auto wish = [] {
    return std::make_shared<const ToolSelection>(ToolSelection{.toolsets = {"slack"}});
  };
  EXPECT_EQ(cache.get(whole, wish()), cache.get(whole, wish()));
  auto other = std::make_shared<ToolList>(*whole);
  other->etag = "e2";
  EXPECT_NE(cache.get(whole, wish()), cache.get(other, wish()));
}

TEST(ToolSelection, is_kept_once_whatever_the_budget_of_results_and_never_past_its_bytes) {
  SelectionCache cache;
  auto whole = std::make_shared<ToolList>(*some_tools());
  whole->tools.front().definition_json = std::string(10 << 20, ' ') + whole->tools.front().definition_json;
  whole->joined_json = whole->tools.front().definition_json;
  const auto get = [&](ToolSelection wish) {
    return std::weak_ptr(cache.get(whole, std::make_shared<const ToolSelection>(std::move(wish))));
  };
  const auto first = get({.toolsets = {"github"}, .result_tokens_max = 1000});
  EXPECT_EQ(first.lock(), get({.toolsets = {"github"}, .result_tokens_max = 2000}).lock());
  const auto second = get({.toolsets = {"github"}, .read_only = true});
  EXPECT_FALSE(first.expired());
  get({.toolsets = {"github", "slack"}});
  EXPECT_TRUE(first.expired());
  EXPECT_FALSE(second.expired());
}

TEST(ToolSelection, survives_being_stored) {
  const auto wish = std::make_shared<const ToolSelection>(ToolSelection{
      .search = true, .tools = {"a"}, .toolsets = {"b", "c:d"}, .read_only = true, .result_tokens_max = 900});
  EXPECT_EQ(*stored_selection(selection_text(wish)), *wish);
  EXPECT_EQ(selection_text(nullptr), "");
  EXPECT_EQ(stored_selection(""), nullptr);
  EXPECT_THROW(stored_selection("{}"), core::Error);
  EXPECT_THROW(stored_selection("nonsense"), core::Error);
}

Json answer(const ToolCallResult& result) {
  return core::parse_json(result.result_json);
}

std::vector<std::string> found(const std::string& query, const Json& more = Json::object()) {
  Json arguments = {{"query", query}};
  arguments.update(more);
  const auto result = answer(run_search_tool(*select({.search = true}), kSearchTool, arguments));
  std::vector<std::string> out;
  for (const auto& tool : result["structuredContent"]["tools"]) out.push_back(tool["name"]);
  return out;
}

TEST(ToolSearch, says_how_many_tools_there_are_to_find) {
  const auto tools = some_tools();
  const auto text = [&](std::size_t count) {
    std::vector<const ToolView*> admitted;
    for (std::size_t i = 0; i < count; ++i) admitted.push_back(&tools->tools[i]);
    return search_mode_tools(admitted).front().definition_json;
  };
  EXPECT_THAT(text(1), testing::HasSubstr("There is 1 tool that is not listed."));
  EXPECT_THAT(text(0), testing::HasSubstr("There are 0 tools that are not listed."));
  EXPECT_THAT(text(2), testing::HasSubstr("There are 2 tools that are not listed."));
}

TEST(ToolSearch, puts_the_tool_that_is_called_so_first) {
  EXPECT_EQ(found("create issue").front(), "github_create_issue");
  EXPECT_EQ(found("search messages").front(), "slack_search_messages");
  EXPECT_EQ(found("merge").front(), "github_merge_pull_request");
  EXPECT_EQ(found("zendesk").front(), "zendesk_list_tickets");
}

TEST(ToolSearch, does_not_mind_plurals_case_order_and_everyday_words) {
  EXPECT_EQ(found("ISSUES, list!").front(), "github_list_issues");
  EXPECT_EQ(found("please make a new issue for me").front(), "github_create_issue");
  EXPECT_EQ(found("post a message").front(), "slack_send_message");
  EXPECT_EQ(found("pr").front(), "github_merge_pull_request");
}

TEST(ToolSearch, ranks_a_word_of_the_name_over_one_of_the_description) {
  const auto names = found("issue");
  EXPECT_THAT(names, ElementsAre("github_list_issues", "github_create_issue", "zendesk_list_tickets"));
}

TEST(ToolSearch, finds_nothing_for_other_words_and_says_where_tools_are) {
  const auto result = answer(
      run_search_tool(*select({.search = true}), kSearchTool, {{"query", "weather"}}))["structuredContent"];
  EXPECT_EQ(result["total"], 0);
  EXPECT_EQ(result["tools"].size(), 0u);
  EXPECT_EQ(result["toolsets"][0], (Json{{"toolset", "github:issues"}, {"tools", 2}}));
}

TEST(ToolSearch, without_words_it_is_an_overview) {
  const auto result =
      answer(run_search_tool(*select({.search = true}), kSearchTool, Json::object()))["structuredContent"];
  EXPECT_EQ(result["total"], 7);
  EXPECT_EQ(result["tools"].size(), 0u);
  EXPECT_EQ(result["toolsets"].size(), 4u);
}

TEST(ToolSearch, keeps_to_a_toolset_and_a_limit) {
  EXPECT_THAT(found("list", {{"toolset", "zendesk"}}), ElementsAre("zendesk_list_tickets"));
  EXPECT_THAT(found("", {{"toolset", "slack:messages"}}),
              ElementsAre("slack_send_message", "slack_search_messages"));
  EXPECT_EQ(found("issue", {{"limit", 1}}).size(), 1u);
}

TEST(ToolSearch, says_what_is_wrong_with_its_arguments) {
  const auto wrong = answer(run_search_tool(*select({.search = true}), kSearchTool, {{"words", "x"}}));
  EXPECT_EQ(wrong["isError"], true);
  EXPECT_THAT(wrong["content"][0]["text"].get<std::string>(), ::testing::HasSubstr("words"));
  EXPECT_EQ(answer(run_search_tool(*select({.search = true}), kGetTool, Json::object()))["isError"], true);
}

TEST(ToolSearch, gives_definitions_only_of_selected_tools) {
  const auto some = select({.search = true, .toolsets = {"slack"}});
  const auto got = answer(run_search_tool(*some, kGetTool, {{"name", "slack_send_message"}}));
  EXPECT_EQ(got["structuredContent"]["tool"]["title"], "Send a message");
  EXPECT_EQ(answer(run_search_tool(*some, kGetTool, {{"name", "github_list_issues"}}))["isError"], true);
  EXPECT_EQ(answer(run_search_tool(*some, kSearchTool, {{"query", "issues"}}))["structuredContent"]["total"],
            0);
}

TEST(ToolSearch, reads_what_is_to_be_called) {
  const auto call = forwarded_call({{"name", "a"}, {"arguments", {{"x", 1}}}});
  EXPECT_EQ(call.name, "a");
  EXPECT_EQ(call.arguments, (Json{{"x", 1}}));
  EXPECT_EQ(forwarded_call({{"name", "a"}}).arguments, Json::object());
  EXPECT_NE(forwarded_call({{"arguments", Json::object()}}).fault, "");
  EXPECT_NE(forwarded_call({{"name", "a"}, {"arguments", "{}"}}).fault, "");
}

}  // namespace
}  // namespace assistiv::mcp
