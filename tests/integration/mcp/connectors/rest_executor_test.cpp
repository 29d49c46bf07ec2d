#include "mcp/connectors/rest_executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "support/connector_fixture.h"
#include "support/manifests.h"
#include "support/run_task.h"

namespace assistiv::mcp {
namespace {

using core::OutboundFailure;
using nlohmann::json;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const json kRepo = {{"owner", "octocat"}, {"repo", "hello-world"}};
const json kNewIssue = {{"owner", "octocat"}, {"repo", "hello-world"}, {"title", "x"}};

class RestExecutorTest : public testing::Test {
 protected:
  std::string sent_header(std::size_t request, const char* name) {
    return std::string(fixture.http.requests().at(request).headers.get(name).value_or(""));
  }
  test::ToolRun get_repository() { return fixture.call("github_get_repository", kRepo); }

  test::ConnectorFixture fixture{test::shipped_catalog()};
};

// ---- tokens ----

TEST_F(RestExecutorTest, uses_the_token_of_the_callers_connection_only) {
  fixture.http.reply(200, json::object());
  get_repository();
  ASSERT_THAT(fixture.tokens.asked, SizeIs(1));
  EXPECT_EQ(fixture.tokens.asked[0].platform_id, fixture.platform);
  EXPECT_EQ(fixture.tokens.asked[0].end_user_id, fixture.end_user);
  EXPECT_EQ(fixture.tokens.asked[0].connection_id, fixture.connection);
  EXPECT_EQ(fixture.tokens.asked[0].slot, "main");
  EXPECT_EQ(sent_header(0, "authorization"), "Bearer token-1");
  EXPECT_EQ(sent_header(0, "traceparent"), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
}

TEST_F(RestExecutorTest, refreshes_once_after_a_401_and_repeats_the_call) {
  fixture.http.reply(401, {{"message", "Bad credentials"}});
  fixture.http.reply(200, {{"full_name", "octocat/hello-world"}});
  const auto run = get_repository();
  EXPECT_EQ(run.execution.outcome, ExecutionOutcome::Done);
  EXPECT_THAT(fixture.tokens.refused_versions, ElementsAre(1));
  EXPECT_EQ(sent_header(1, "authorization"), "Bearer token-2");
}

TEST_F(RestExecutorTest, repeats_a_write_after_a_401_because_nothing_was_done) {
  fixture.http.reply(401, {{"message", "Bad credentials"}});
  fixture.http.reply(201, {{"number", 7}});
  EXPECT_EQ(fixture.call("github_create_issue", kNewIssue).structured["item"]["number"], 7);
}

TEST_F(RestExecutorTest, gives_up_after_a_second_401) {
  fixture.http.reply(401, {{"message", "Bad credentials"}});
  fixture.http.reply(401, {{"message", "Bad credentials"}});
  const auto run = get_repository();
  EXPECT_EQ(run.execution.outcome, ExecutionOutcome::NeedsReauth);
  EXPECT_EQ(run.error["code"], "reauth_required");
  EXPECT_EQ(run.execution.upstream_status, 401);
  EXPECT_THAT(fixture.tokens.refused_versions, SizeIs(1));
  EXPECT_THAT(fixture.tokens.rejected_versions, testing::ElementsAre(fixture.tokens.refreshed.version));
  EXPECT_THAT(fixture.http.requests(), SizeIs(2));
}

TEST_F(RestExecutorTest, ends_no_grant_for_a_token_that_was_too_young_to_be_renewed) {
  fixture.tokens.refreshed = fixture.tokens.current;
  fixture.http.reply(401, {{"message", "Bad credentials"}});
  fixture.http.reply(401, {{"message", "Bad credentials"}});
  EXPECT_EQ(get_repository().execution.outcome, ExecutionOutcome::NeedsReauth);
  EXPECT_THAT(fixture.tokens.rejected_versions, IsEmpty());
}

TEST_F(RestExecutorTest, sends_nothing_when_the_grant_is_gone) {
  fixture.tokens.current = {};
  const auto run = get_repository();
  EXPECT_EQ(run.execution.outcome, ExecutionOutcome::NeedsReauth);
  EXPECT_THAT(fixture.http.requests(), IsEmpty());
}

TEST_F(RestExecutorTest, asks_for_a_new_connection_when_the_refresh_is_refused) {
  fixture.tokens.refreshed = {};
  fixture.http.reply(401, {{"message", "Bad credentials"}});
  EXPECT_EQ(get_repository().execution.outcome, ExecutionOutcome::NeedsReauth);
  EXPECT_THAT(fixture.http.requests(), SizeIs(1));
}

TEST_F(RestExecutorTest, says_when_to_come_back_when_the_token_cannot_be_renewed_now) {
  fixture.tokens.current.outcome = TokenOutcome::RetryLater;
  fixture.tokens.current.retry_after = std::chrono::seconds(30);
  const auto run = get_repository();
  EXPECT_EQ(run.execution.outcome, ExecutionOutcome::ToolError);
  EXPECT_EQ(run.error["code"], "upstream");
  EXPECT_EQ(run.error["retry_after_s"], 30);
}

TEST_F(RestExecutorTest, never_shows_a_token) {
  fixture.tokens.current = test::ready_token("gho_verysecret", 1);
  fixture.http.reply(500, {{"message", "oops"}});
  EXPECT_THAT(fixture.call("github_create_issue", kNewIssue).execution.result_json,
              Not(HasSubstr("gho_verysecret")));
}

// ---- unknown outcomes ----

TEST_F(RestExecutorTest, never_repeats_a_write_whose_outcome_is_unknown) {
  for (const auto failure : {OutboundFailure::Timeout, OutboundFailure::Broken, OutboundFailure::TooLarge}) {
    test::ConnectorFixture one(test::shipped_catalog());
    one.http.fail(failure);
    const auto run = one.call("github_create_issue", kNewIssue);
    EXPECT_THAT(one.http.requests(), SizeIs(1));
    EXPECT_EQ(run.error["code"], "upstream");
    EXPECT_EQ(run.error["outcome_unknown"], true);
    EXPECT_THAT(run.error["message"].get<std::string>(), HasSubstr("may or may not have been made"));
  }
}

TEST_F(RestExecutorTest, never_repeats_a_write_after_a_server_error) {
  fixture.http.reply_text(502, "<html>Bad gateway</html>", {{"content-type", "text/html"}});
  const auto run = fixture.call("github_create_issue", kNewIssue);
  EXPECT_THAT(fixture.http.requests(), SizeIs(1));
  EXPECT_EQ(run.error["outcome_unknown"], true);
  EXPECT_THAT(run.error["message"].get<std::string>(), Not(HasSubstr("<html>")));
}

TEST_F(RestExecutorTest, repeats_a_write_that_never_left) {
  fixture.http.fail(OutboundFailure::ConnectFailed);
  fixture.http.reply(201, {{"number", 7}});
  EXPECT_EQ(fixture.call("github_create_issue", kNewIssue).structured["item"]["number"], 7);
}

TEST_F(RestExecutorTest, repeats_a_read_once_after_a_passing_fault) {
  fixture.http.fail(OutboundFailure::Broken);
  fixture.http.reply(200, {{"full_name", "a/b"}});
  EXPECT_EQ(get_repository().structured["item"]["full_name"], "a/b");
  fixture.http.reply(503, json::object());
  fixture.http.reply(503, json::object());
  EXPECT_EQ(get_repository().error["code"], "upstream");
  EXPECT_TRUE(fixture.http.all_used());
}

TEST_F(RestExecutorTest, does_not_repeat_what_was_refused_or_cancelled) {
  fixture.http.fail(OutboundFailure::Refused);
  EXPECT_EQ(get_repository().error["code"], "upstream");
  fixture.http.fail(OutboundFailure::Cancelled);
  EXPECT_EQ(get_repository().error["code"], "cancelled");
  EXPECT_THAT(fixture.http.requests(), SizeIs(2));
}

TEST_F(RestExecutorTest, changes_nothing_when_an_early_step_fails) {
  fixture.http.reply(404, {{"message", "Not Found"}});
  const auto run =
      fixture.call("github_create_branch",
                   {{"owner", "octocat"}, {"repo", "hello-world"}, {"branch", "b"}, {"from_branch", "gone"}});
  EXPECT_EQ(run.error["code"], "not_found");
  ASSERT_THAT(fixture.http.requests(), SizeIs(1));
  EXPECT_EQ(fixture.http.requests()[0].url,
            "https://api.github.com/repos/octocat/hello-world/git/ref/heads/gone");
}

TEST_F(RestExecutorTest, knows_that_a_failed_reading_step_changed_nothing) {
  fixture.http.reply(500, json::object());
  const auto run =
      fixture.call("github_create_branch",
                   {{"owner", "octocat"}, {"repo", "hello-world"}, {"branch", "b"}, {"from_branch", "main"}});
  EXPECT_EQ(run.error["code"], "upstream");
  EXPECT_FALSE(run.error.contains("outcome_unknown"));
}

TEST_F(RestExecutorTest, stops_when_a_step_lacks_what_the_next_one_needs) {
  fixture.http.reply(200, {{"object", json::object()}});
  const auto run =
      fixture.call("github_create_branch",
                   {{"owner", "octocat"}, {"repo", "hello-world"}, {"branch", "b"}, {"from_branch", "main"}});
  EXPECT_EQ(run.error["code"], "upstream");
  EXPECT_THAT(fixture.http.requests(), SizeIs(1));
}

// ---- rate limits ----

TEST_F(RestExecutorTest, waits_shortly_for_a_rate_limit_when_reading) {
  fixture.http.reply(429, {{"message", "slow down"}}, {{"retry-after", "2"}});
  fixture.http.reply(200, {{"full_name", "a/b"}});
  EXPECT_EQ(get_repository().structured["item"]["full_name"], "a/b");
  EXPECT_THAT(fixture.waits, ElementsAre(milliseconds(2000)));
}

TEST_F(RestExecutorTest, returns_when_the_waits_get_long) {
  fixture.http.reply(429, {{"message", "slow down"}}, {{"retry-after", "3"}});
  fixture.http.reply(429, {{"message", "slow down"}}, {{"retry-after", "3"}});
  const auto run = get_repository();
  EXPECT_EQ(run.error["code"], "rate_limited");
  EXPECT_EQ(run.error["retry_after_s"], 3);
  EXPECT_THAT(fixture.waits, ElementsAre(milliseconds(3000)));
}

TEST_F(RestExecutorTest, does_not_wait_before_a_write) {
  fixture.http.reply(403, {{"message", "You have exceeded a secondary rate limit"}}, {{"retry-after", "1"}});
  const auto run = fixture.call("github_create_issue", kNewIssue);
  EXPECT_EQ(run.error["code"], "rate_limited");
  EXPECT_EQ(run.error["retry_after_s"], 1);
  EXPECT_THAT(fixture.waits, IsEmpty());
}

TEST_F(RestExecutorTest, tells_the_time_until_the_reset) {
  const auto reset = core::to_epoch_seconds(fixture.clock.now()) + 600;
  fixture.http.reply(403, {{"message", "API rate limit exceeded"}},
                     {{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", std::to_string(reset)}});
  const auto run = get_repository();
  EXPECT_EQ(run.error["code"], "rate_limited");
  EXPECT_EQ(run.error["retry_after_s"], 600);
  fixture.http.reply(403, {{"message", "You have exceeded a secondary rate limit."}});
  EXPECT_EQ(get_repository().error["retry_after_s"], 60);
}

TEST_F(RestExecutorTest, tells_when_few_calls_are_left) {
  fixture.http.reply(200, json::object(),
                     {{"x-ratelimit-remaining", "12"}, {"x-ratelimit-reset", "1800000600"}});
  EXPECT_EQ(get_repository().structured["rate"],
            (json{{"remaining", 12}, {"reset_at", "2027-01-15T08:10:00.000Z"}}));
  fixture.http.reply(200, json::object(), {{"x-ratelimit-remaining", "4999"}});
  EXPECT_FALSE(get_repository().structured.contains("rate"));
}

// ---- errors ----

struct GithubFault {
  int status;
  json body;
  std::vector<std::pair<std::string, std::string>> headers;
  const char* code;
  const char* words;
};

TEST_F(RestExecutorTest, turns_githubs_errors_into_codes_and_advice) {
  const GithubFault faults[] = {
      {404, {{"message", "Not Found"}}, {}, "not_found", "does not exist, or this account cannot see it"},
      {410, {{"message", "Issues are disabled for this repo"}}, {}, "not_found", "Issues are disabled"},
      {403, {{"message", "Resource not accessible by integration"}}, {}, "scope_missing", "metadata:read"},
      {403,
       {{"message", "Must have admin rights to Repository."}},
       {},
       "forbidden",
       "Must have admin rights"},
      {403,
       {{"message", "Resource protected by organization SAML enforcement."}},
       {{"x-github-sso", "required; url=https://x"}},
       "forbidden",
       "single sign-on"},
      {409, {{"message", "Git Repository is empty."}}, {}, "conflict", "empty"},
      {422,
       {{"message", "Validation Failed"},
        {"errors", {{{"resource", "Issue"}, {"field", "title"}, {"code", "missing_field"}}}}},
       {},
       "validation",
       "missing_field"},
      {451, {{"message", "Repository access blocked"}}, {}, "forbidden", "blocked"},
      {500, json::object(), {}, "upstream", "status 500"},
  };
  for (const auto& fault : faults) {
    fixture.http.reply(fault.status, fault.body, fault.headers);
    const auto run = get_repository();
    EXPECT_EQ(run.execution.outcome, ExecutionOutcome::ToolError);
    EXPECT_EQ(run.execution.code, fault.code) << fault.body;
    EXPECT_EQ(run.error["code"], fault.code);
    EXPECT_THAT(run.error["message"].get<std::string>(), HasSubstr(fault.words));
    EXPECT_EQ(run.execution.upstream_status, fault.status);
    EXPECT_EQ(run.result["isError"], true);
    EXPECT_FALSE(run.result.contains("structuredContent"));
  }
}

TEST_F(RestExecutorTest, names_the_scope_that_the_token_lacks) {
  fixture.http.reply(403, {{"message", "Forbidden"}},
                     {{"x-oauth-scopes", "read:user"}, {"x-accepted-oauth-scopes", "public_repo, repo"}});
  const auto run = fixture.call("github_oauth_create_issue", kNewIssue);
  EXPECT_EQ(run.error["code"], "scope_missing");
  EXPECT_EQ(run.error["missing_scopes"], (json{"public_repo", "repo"}));
  EXPECT_THAT(run.error["message"].get<std::string>(), HasSubstr("connect GitHub again"));
  fixture.http.reply(403, {{"message", "Forbidden"}},
                     {{"x-oauth-scopes", "repo"}, {"x-accepted-oauth-scopes", "public_repo"}});
  EXPECT_EQ(fixture.call("github_oauth_create_issue", kNewIssue).error["code"], "forbidden");
}

TEST_F(RestExecutorTest, cleans_and_clips_what_an_error_quotes) {
  fixture.http.reply(422, {{"message", "No\u202e\x07 " + std::string(5000, 'x')}});
  const auto message = get_repository().error["message"].get<std::string>();
  EXPECT_LT(message.size(), 1000u);
  EXPECT_THAT(message, Not(HasSubstr("\u202e")));
  EXPECT_THAT(message, HasSubstr("No xxx"));
}

TEST_F(RestExecutorTest, calls_an_answer_that_is_no_json_an_upstream_fault) {
  fixture.http.reply_text(200, "<html>Sign in</html>", {{"content-type", "text/html"}});
  EXPECT_EQ(get_repository().error["code"], "upstream");
}

TEST_F(RestExecutorTest, takes_no_other_kind_of_json_for_an_answer) {
  for (const char* text : {"\"yes\"", "42", "true", "null", "{\"full_name\": \"octo"}) {
    fixture.http.reply_text(200, text, {{"content-type", "application/json"}});
    const auto run = get_repository();
    EXPECT_EQ(run.error["code"], "upstream") << text;
    EXPECT_THAT(run.error["message"].get<std::string>(), HasSubstr("no answer of its API")) << text;
  }
}

TEST_F(RestExecutorTest, refuses_arguments_that_cannot_stand_in_a_url) {
  const auto run = fixture.call("github_get_file_contents",
                                {{"owner", "octocat"}, {"repo", "hello-world"}, {"path", "../../user"}});
  EXPECT_EQ(run.error["code"], "validation");
  EXPECT_THAT(run.error["message"].get<std::string>(), HasSubstr("\"path\""));
  EXPECT_EQ(fixture.call("github_get_repository", {{"owner", ".."}, {"repo", "x"}}).error["code"],
            "validation");
  EXPECT_THAT(fixture.http.requests(), IsEmpty());
}

TEST_F(RestExecutorTest, follows_a_moved_repository_at_the_same_origin_only) {
  fixture.http.reply(301, {{"message", "Moved Permanently"}},
                     {{"location", "https://api.github.com/repositories/42"}});
  fixture.http.reply(200, {{"full_name", "octocat/renamed"}});
  EXPECT_EQ(get_repository().structured["item"]["full_name"], "octocat/renamed");
  EXPECT_EQ(fixture.http.requests()[1].url, "https://api.github.com/repositories/42");
  for (const char* location : {"https://evil.example/", "https://api.github.com.evil.example/",
                               "//evil.example/", "http://api.github.com/x"}) {
    fixture.http.reply(301, {{"message", "Moved"}}, {{"location", location}});
    EXPECT_EQ(get_repository().error["code"], "upstream") << location;
  }
  EXPECT_THAT(fixture.http.requests(), SizeIs(6));
}

TEST_F(RestExecutorTest, does_not_follow_a_redirect_of_a_write) {
  fixture.http.reply(307, {{"message", "Moved"}},
                     {{"location", "https://api.github.com/repositories/42/issues"}});
  EXPECT_TRUE(fixture.call("github_create_issue", kNewIssue).result["isError"]);
  EXPECT_THAT(fixture.http.requests(), SizeIs(1));
}

TEST_F(RestExecutorTest, throws_for_a_tool_that_is_not_in_the_catalogue) {
  ToolInvocation invocation;
  invocation.catalog = std::make_shared<const Catalog>(fixture.catalog);
  invocation.app = "github";
  invocation.tool = "github_oauth_get_me";
  invocation.arguments = std::make_shared<const core::Json>(core::Json::object());
  RestExecutor executor({fixture.http, fixture.tokens, fixture.clock}, core::Secret(std::string(32, 'k')));
  EXPECT_THROW(test::run(executor.execute(invocation)), core::Error);
  EXPECT_THROW(RestExecutor({fixture.http, fixture.tokens, fixture.clock}, core::Secret("short")),
               core::Error);
}

// ---- pages ----

json issues(int from, int count, std::size_t body = 0) {
  json out = json::array();
  for (int i = from; i < from + count; ++i) {
    out.push_back({{"number", i}, {"title", "issue " + std::to_string(i) + std::string(body, 'x')}});
  }
  return out;
}

std::vector<int> numbers(const json& structured) {
  std::vector<int> out;
  for (const auto& item : structured["items"]) out.push_back(item["number"]);
  return out;
}

const std::pair<std::string, std::string> kNextLink = {
    "link",
    "<https://api.github.com/repositories/1/issues?page=1>; rel=\"first\", "
    "<https://api.github.com/repositories/1/issues?evil=1&per_page=3&page=2>; rel=\"next\""};

json with(json arguments, const char* name, json value) {
  arguments[name] = std::move(value);
  return arguments;
}

TEST_F(RestExecutorTest, goes_on_at_the_next_page) {
  fixture.http.reply(200, issues(1, 3), {kNextLink});
  const auto first = fixture.call("github_list_issues", with(kRepo, "limit", 3));
  EXPECT_THAT(numbers(first.structured), ElementsAre(1, 2, 3));
  fixture.http.reply(200, issues(4, 1));
  const auto second =
      fixture.call("github_list_issues", with(kRepo, "cursor", first.structured["next_cursor"]));
  EXPECT_THAT(numbers(second.structured), ElementsAre(4));
  EXPECT_FALSE(second.structured.contains("next_cursor"));
  EXPECT_EQ(fixture.http.requests()[1].url,
            "https://api.github.com/repos/octocat/hello-world/issues?per_page=3&page=2");
}

TEST_F(RestExecutorTest, gives_the_rest_of_a_page_when_the_budget_cut_it) {
  RestExecutorOptions options;
  options.result_tokens_max = 1000;
  test::ConnectorFixture small(test::shipped_catalog(), options);
  small.http.reply(200, issues(1, 5, 600), {kNextLink});
  const auto first = small.call("github_list_issues", with(kRepo, "limit", 5));
  EXPECT_EQ(first.structured["truncated"], true);
  EXPECT_LE(first.structured.dump().size(), 4000u);
  const auto seen = numbers(first.structured);
  ASSERT_LT(seen.size(), 5u);
  small.http.reply(200, issues(1, 5, 600), {kNextLink});
  const auto second =
      small.call("github_list_issues", with(kRepo, "cursor", first.structured["next_cursor"]));
  EXPECT_EQ(small.http.requests()[1].url,
            "https://api.github.com/repos/octocat/hello-world/issues?per_page=5");
  EXPECT_EQ(numbers(second.structured).front(), seen.back() + 1);
}

TEST_F(RestExecutorTest, lets_the_limit_change_between_pages) {
  fixture.http.reply(200, issues(1, 3), {kNextLink});
  const auto first = fixture.call("github_list_issues", with(kRepo, "limit", 3));
  fixture.http.reply(200, issues(4, 3));
  auto next = with(with(kRepo, "cursor", first.structured["next_cursor"]), "limit", 2);
  const auto second = fixture.call("github_list_issues", next);
  EXPECT_THAT(numbers(second.structured), ElementsAre(4, 5));
  fixture.http.reply(200, issues(4, 3));
  const auto third =
      fixture.call("github_list_issues", with(kRepo, "cursor", second.structured["next_cursor"]));
  EXPECT_THAT(numbers(third.structured), ElementsAre(6));
}

TEST_F(RestExecutorTest, refuses_cursors_that_it_did_not_give_for_this_call) {
  fixture.http.reply(200, issues(1, 3), {kNextLink});
  const std::string cursor =
      fixture.call("github_list_issues", with(kRepo, "limit", 3)).structured["next_cursor"];
  std::string forged = cursor;
  forged[forged.size() / 2] = forged[forged.size() / 2] == 'A' ? 'B' : 'A';
  const json other_repo = {{"owner", "octocat"}, {"repo", "other"}, {"cursor", cursor}};
  EXPECT_EQ(fixture.call("github_list_issues", with(kRepo, "cursor", forged)).error["code"], "validation");
  EXPECT_EQ(fixture.call("github_list_issues", with(kRepo, "cursor", "xyz")).error["code"], "validation");
  EXPECT_EQ(fixture.call("github_list_issues", other_repo).error["code"], "validation");
  EXPECT_EQ(fixture.call("github_list_pull_requests", with(kRepo, "cursor", cursor)).error["code"],
            "validation");
  const auto foreign =
      fixture.call_on(fixture.other_connection, "github_list_issues", with(kRepo, "cursor", cursor));
  EXPECT_EQ(foreign.error["code"], "validation");
  fixture.clock.advance(std::chrono::hours(25));
  EXPECT_EQ(fixture.call("github_list_issues", with(kRepo, "cursor", cursor)).error["code"], "validation");
  EXPECT_THAT(fixture.http.requests(), SizeIs(1));
}

TEST_F(RestExecutorTest, gives_an_empty_list_for_no_content) {
  fixture.http.reply_text(204, "");
  EXPECT_EQ(fixture.call("github_list_notifications", json::object()).structured,
            (json{{"items", json::array()}}));
}

// ---- results ----

TEST_F(RestExecutorTest, gives_the_same_json_as_text_and_as_structure) {
  fixture.http.reply(200, {{"full_name", "a/b"}, {"node_id", "secret plumbing"}});
  const auto run = get_repository();
  EXPECT_EQ(json::parse(run.result["content"][0]["text"].get<std::string>()), run.structured);
  EXPECT_EQ(run.result["isError"], false);
  EXPECT_THAT(run.execution.result_json, Not(HasSubstr("plumbing")));
}

TEST_F(RestExecutorTest, cuts_a_single_result_that_is_too_big) {
  fixture.http.reply(
      200, {{"number", 1}, {"title", "t"}, {"body", std::string(19'000, 'x')}, {"labels", json::array()}});
  EXPECT_FALSE(
      fixture.call("github_get_issue", with(kRepo, "issue_number", 1)).structured.contains("truncated"));
  json files = json::array();
  for (int i = 0; i < 3000; ++i)
    files.push_back({{"filename", "src/file_" + std::to_string(i) + ".cpp"}, {"status", "modified"}});
  fixture.http.reply(200, {{"sha", "abc"}, {"files", files}});
  const auto run = fixture.call("github_get_commit", with(kRepo, "ref", "main"));
  EXPECT_EQ(run.structured["truncated"], true);
  EXPECT_EQ(run.structured["item"]["sha"], "abc");
  EXPECT_GT(run.structured["item"]["files"].size(), 100u);
  EXPECT_LE(run.structured.dump().size(), 32'000u);
}

TEST_F(RestExecutorTest, lists_a_folder_and_hides_binary_files) {
  fixture.http.reply(200, {{{"name", "src"}, {"type", "dir"}, {"size", 0}},
                           {{"name", "a.c"}, {"type", "file"}, {"size", 9}}});
  const auto folder = fixture.call("github_get_file_contents", kRepo);
  EXPECT_EQ(folder.structured["item"]["entries"].size(), 2u);
  EXPECT_EQ(fixture.http.requests()[0].url, "https://api.github.com/repos/octocat/hello-world/contents");
  fixture.http.reply(200, {{"type", "file"}, {"content", "AP8A/w=="}, {"encoding", "base64"}});
  const auto binary = fixture.call("github_get_file_contents", with(kRepo, "path", "logo.png"));
  EXPECT_EQ(binary.structured["item"]["content"], (json{{"binary", true}}));
  fixture.http.reply(200, {{"type", "file"}, {"content", ""}, {"encoding", "none"}, {"size", 2'000'000}});
  EXPECT_FALSE(fixture.call("github_get_file_contents", with(kRepo, "path", "big"))
                   .structured["item"]
                   .contains("content"));
}

TEST_F(RestExecutorTest, gives_only_the_fields_that_were_asked_for) {
  fixture.http.reply(200, {{"full_name", "a/b"}, {"default_branch", "main"}, {"private", true}});
  EXPECT_EQ(fixture.call("github_get_repository", with(kRepo, "fields", {"default_branch"})).structured,
            (json{{"item", {{"default_branch", "main"}}}}));
}

TEST_F(RestExecutorTest, leaves_out_values_of_another_type_than_promised) {
  fixture.http.reply(200, {{"full_name", {{"nested", 1}}},
                           {"private", "yes"},
                           {"stargazers_count", 1.5},
                           {"topics", {"a", 1, nullptr}}});
  const auto run = get_repository();
  EXPECT_EQ(run.structured["item"], (json{{"topics", {"a"}}}));
  EXPECT_TRUE(fixture.catalog.find_tool("github_get_repository")->output->check(run.structured).empty());
}

TEST_F(RestExecutorTest, calls_the_overridden_origin_and_allows_no_other_host) {
  test::ConnectorFixture local(Catalog::load(manifest_files(""), {{"github", "http://127.0.0.1:4901"}}));
  local.http.reply(200, json::object());
  local.call("github_get_me", json::object());
  EXPECT_EQ(local.http.requests()[0].url, "http://127.0.0.1:4901/user");
  EXPECT_THAT(local.http.requests()[0].allowed_hosts, ElementsAre("127.0.0.1:4901"));
  local.http.reply(200, json::object());
  local.call("github_oauth_get_me", json::object());
  EXPECT_EQ(local.http.requests()[1].url, "https://api.github.com/user");
}

}  // namespace
}  // namespace assistiv::mcp
