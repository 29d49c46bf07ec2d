// What other vendors need is data in a manifest: Slack's form posts, 200 with ok:false and body cursors,
// Zendesk's cursor parameters, Zoho's header, 204 for nothing, offsets and success inside the body.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "support/connector_fixture.h"
#include "support/manifests.h"

namespace assistiv::mcp {
namespace {

using nlohmann::json;
using testing::ElementsAre;

// acme_manifest() with the parts that a vendor does differently.
json vendor_manifest(const std::function<void(json&)>& change) {
  json manifest = test::acme_manifest();
  change(manifest);
  return manifest;
}

class Vendor {
 public:
  explicit Vendor(const std::function<void(json&)>& change)
      : fixture(test::load_manifest(vendor_manifest(change))) {
    fixture.tokens.current.vars = {{"team", "blue"}};
    fixture.tokens.refreshed.vars = {{"team", "blue"}};
  }
  std::string header(std::size_t request, const char* name) {
    return std::string(fixture.http.requests().at(request).headers.get(name).value_or(""));
  }
  test::ConnectorFixture fixture;
};

void like_slack(json& m) {
  m["api"]["encoding"] = "form";
  m["api"]["ok"] = {{"equals", {{"/ok", true}}}};
  m["api"]["error"] = {{"code", "/error"}};
  m["api"]["failures"] = {{{"as", "reauth_required"}, {"codes", {"token_expired", "invalid_auth"}}},
                          {{"as", "rate_limited"}, {"codes", {"ratelimited"}}},
                          {{"as", "not_found"}, {"codes", {"channel_not_found"}}}};
  m["oauth"]["slots"]["user"] = {{"access", "/authed_user/access_token"}};
  m["paginators"]["pages"] = {{"type", "body_cursor"},
                              {"in", "body"},
                              {"send", {{"cursor", "{cursor}"}, {"limit", "{limit}"}}},
                              {"next", "/response_metadata/next_cursor"},
                              {"page_size_max", 15}};
  auto& list = m["tools"][0];
  list["slot"] = "user";
  list["request"] = {{"method", "POST"},
                     {"path", "/conversations.history"},
                     {"body", {{"channel", "{folder}"}, {"types", {"im", "mpim"}}}},
                     {"safe", true}};
  m["tools"][1]["request"] = {{"method", "POST"},
                              {"path", "/reactions.add"},
                              {"body", {{"channel", "{folder}"}, {"text", "{text}"}}}};
  m["tools"][1]["success_codes"] = {"already_reacted"};
}

TEST(SlackLikeApp, posts_forms_with_the_users_token_and_pages_by_body_cursor) {
  Vendor slack(like_slack);
  slack.fixture.http.reply(
      200, {{"ok", true}, {"notes", {{{"id", "1"}}}}, {"response_metadata", {{"next_cursor", "dXNlcjpV="}}}});
  const auto first = slack.fixture.call("acme_list_notes", {{"folder", "C 1"}, {"limit", 50}});
  EXPECT_EQ(slack.fixture.tokens.asked[0].slot, "user");
  EXPECT_EQ(slack.fixture.http.requests()[0].url, "https://blue.acme.example/v1/conversations.history");
  EXPECT_EQ(slack.fixture.http.requests()[0].body, "channel=C%201&limit=15&types=im%2Cmpim");
  EXPECT_EQ(slack.header(0, "content-type"), "application/x-www-form-urlencoded");
  slack.fixture.http.reply(
      200, {{"ok", true}, {"notes", json::array()}, {"response_metadata", {{"next_cursor", ""}}}});
  const auto second =
      slack.fixture.call("acme_list_notes", {{"folder", "C 1"}, {"cursor", first.structured["next_cursor"]}});
  EXPECT_EQ(slack.fixture.http.requests()[1].body,
            "channel=C%201&cursor=dXNlcjpV%3D&limit=15&types=im%2Cmpim");
  EXPECT_FALSE(second.structured.contains("next_cursor"));
}

TEST(SlackLikeApp, reads_failures_out_of_a_200) {
  Vendor slack(like_slack);
  slack.fixture.http.reply(200, {{"ok", false}, {"error", "token_expired"}});
  slack.fixture.http.reply(200, {{"ok", true}, {"notes", json::array()}});
  EXPECT_EQ(slack.fixture.call("acme_list_notes", {{"folder", "C1"}}).execution.outcome,
            ExecutionOutcome::Done);
  EXPECT_THAT(slack.fixture.tokens.refused_versions, ElementsAre(1));
  slack.fixture.http.reply(200, {{"ok", false}, {"error", "channel_not_found"}});
  EXPECT_EQ(slack.fixture.call("acme_list_notes", {{"folder", "C1"}}).error["code"], "not_found");
  slack.fixture.http.reply(200, {{"ok", false}, {"error", "fatal_error"}});
  EXPECT_EQ(slack.fixture.call("acme_list_notes", {{"folder", "C1"}}).error["code"], "upstream");
}

TEST(SlackLikeApp, tells_an_unlisted_code_from_an_answer_without_one) {
  Vendor slack([](json& m) {
    like_slack(m);
    m["api"]["failures"].push_back({{"as", "validation"}, {"codes", {"*"}}});
  });
  slack.fixture.http.reply(200, {{"ok", false}, {"error", "msg_too_long"}});
  EXPECT_EQ(slack.fixture.call("acme_list_notes", {{"folder", "C1"}}).error["code"], "validation");
  slack.fixture.http.reply_text(200, "<html>maintenance</html>");
  EXPECT_EQ(slack.fixture.call("acme_list_notes", {{"folder", "C1"}}).error["code"], "upstream");
}

TEST(SlackLikeApp, takes_what_was_done_already_for_success) {
  Vendor slack(like_slack);
  slack.fixture.http.reply(200, {{"ok", false}, {"error", "already_reacted"}});
  const auto run = slack.fixture.call("acme_add_note", {{"folder", "C1"}, {"text", "+1"}});
  EXPECT_EQ(run.execution.outcome, ExecutionOutcome::Done);
}

TEST(SlackLikeApp, names_the_scope_that_the_body_says_is_missing) {
  Vendor slack([](json& m) {
    like_slack(m);
    m["api"]["failures"].push_back(
        {{"as", "scope_missing"}, {"codes", {"missing_scope"}}, {"needed", "/needed"}});
  });
  slack.fixture.http.reply(200, {{"ok", false},
                                 {"error", "missing_scope"},
                                 {"needed", "chat:write,im:write"},
                                 {"provided", "users:read"}});
  const auto run = slack.fixture.call("acme_add_note", {{"folder", "C1"}, {"text", "t"}});
  EXPECT_EQ(run.error["code"], "scope_missing");
  EXPECT_EQ(run.error["missing_scopes"], (json{"chat:write", "im:write"}));
}

void with_bot(json& m) {
  like_slack(m);
  m["oauth"]["slots"]["bot"] = {{"access", "/access_token"}, {"required", false}};
  m["tools"][1]["slot"] = "user";
  m["tools"][1]["slot_if"] = {{"as_bot", "bot"}};
  m["tools"][1]["input"]["properties"]["as_bot"] = {{"type", "boolean"}, {"description", "As the bot."}};
}

TEST(SlackLikeApp, uses_the_second_credential_where_an_argument_asks_for_it) {
  Vendor slack(with_bot);
  for (const auto& as_bot : {json(), json(false), json(true)}) {
    slack.fixture.http.reply(200, {{"ok", true}});
    json arguments = {{"folder", "C1"}, {"text", "t"}};
    if (!as_bot.is_null()) arguments["as_bot"] = as_bot;
    slack.fixture.call("acme_add_note", arguments);
    EXPECT_EQ(slack.fixture.tokens.asked.back().slot, as_bot == json(true) ? "bot" : "user");
  }
}

TEST(SlackLikeApp, says_that_a_connection_has_no_second_credential) {
  Vendor slack(with_bot);
  slack.fixture.tokens.current = AccessToken{};
  slack.fixture.tokens.current.outcome = TokenOutcome::Absent;
  EXPECT_EQ(
      slack.fixture.call("acme_add_note", {{"folder", "C1"}, {"text", "t"}, {"as_bot", true}}).error["code"],
      "scope_missing");
  EXPECT_EQ(slack.fixture.call("acme_add_note", {{"folder", "C1"}, {"text", "t"}}).error["code"],
            "reauth_required");
}

TEST(SlackLikeApp, replaces_parts_of_a_text_once_from_left_to_right) {
  Vendor slack([](json& m) {
    like_slack(m);
    m["tools"][1]["derive"] = {
        {"safe_text", {{"replace", {{"<!", "&lt;!"}, {"&lt;", "no"}}}, {"in", "text"}}}};
    m["tools"][1]["request"]["body"]["text"] = "{safe_text}";
  });
  slack.fixture.http.reply(200, {{"ok", true}});
  slack.fixture.call("acme_add_note", {{"folder", "C1"}, {"text", "<!here> <<!"}});
  EXPECT_EQ(slack.fixture.http.requests()[0].body, "channel=C1&text=%26lt%3B%21here%3E%20%3C%26lt%3B%21");
}

TEST(SlackLikeApp, keeps_only_the_results_that_contain_an_argument) {
  Vendor slack([](json& m) {
    like_slack(m);
    m["tools"][0]["result"]["matching"] = {{"argument", "named"}, {"at", "/text"}};
    m["tools"][0]["input"]["properties"]["named"] = {
        {"type", "string"}, {"description", "Part of the name."}, {"maxLength", 20}};
  });
  const json page = {
      {"ok", true},
      {"notes", {{{"id", "1"}, {"text", "General"}}, {{"id", "2"}, {"text", "random"}}, {{"id", "3"}}}},
      {"response_metadata", {{"next_cursor", "more"}}}};
  slack.fixture.http.reply(200, page);
  const auto run = slack.fixture.call("acme_list_notes", {{"folder", "x"}, {"named", "GENER"}});
  EXPECT_EQ(run.structured["items"], (json::array({{{"id", "1"}, {"text", "General"}}})));
  EXPECT_TRUE(run.structured.contains("next_cursor")) << "the next page may have more of them";
  slack.fixture.http.reply(200, page);
  EXPECT_EQ(slack.fixture.call("acme_list_notes", {{"folder", "x"}}).structured["items"].size(), 3u);
}

void like_zendesk(json& m) {
  m["api"]["error"] = {{"code", {"/error/title", "/error", "/errors/0/code"}},
                       {"message", {"/description", "/error/message", "/errors/0/title"}}};
  auto& add = m["tools"][1];
  add["derive"] = {{"q", {{"words", {"{text}", "tag:{tags}", "in:{folder}"}}}},
                   {"safe", {{"given", "stamp"}, {"value", true}}}};
  add["input"]["properties"]["tags"] = {{"type", "array"},
                                        {"description", "Some tags."},
                                        {"maxItems", 5},
                                        {"items", {{"type", "string"}, {"maxLength", 9}}}};
  add["input"]["properties"]["stamp"] = {{"type", "string"}, {"description", "The time."}, {"maxLength", 20}};
  add["request"]["body"] = {{"q", "{q}"}, {"safe_update", "{safe}"}, {"stamp", "{stamp}"}};
}

TEST(ZendeskLikeApp, makes_a_word_of_each_item_and_a_constant_of_an_argument_that_is_given) {
  Vendor zendesk(like_zendesk);
  zendesk.fixture.http.reply(200, {{"note", {{"id", "1"}}}});
  zendesk.fixture.call("acme_add_note",
                       {{"folder", "f"}, {"text", "t"}, {"tags", {"a", "b"}}, {"stamp", "now"}});
  EXPECT_EQ(zendesk.fixture.http.requests()[0].body,
            R"({"q":"t tag:a tag:b in:f","safe_update":true,"stamp":"now"})");
  zendesk.fixture.http.reply(200, {{"note", {{"id", "1"}}}});
  zendesk.fixture.call("acme_add_note", {{"folder", "f"}, {"text", "t"}, {"tags", json::array()}});
  EXPECT_EQ(zendesk.fixture.http.requests()[1].body, R"({"q":"t in:f"})");
}

TEST(ZendeskLikeApp, reads_every_shape_of_an_error) {
  Vendor zendesk(like_zendesk);
  const std::pair<json, const char*> errors[] = {
      {{{"error", "RecordInvalid"}, {"description", "Record validation errors"}}, "Record validation errors"},
      {{{"error", {{"title", "Forbidden"}, {"message", "You do not have access"}}}},
       "You do not have access"},
      {{{"errors", {{{"code", "TooLong"}, {"title", "The subject is too long"}}}}},
       "The subject is too long"},
      {{{"error", "invalid"}}, "says: invalid"},
  };
  for (const auto& [body, words] : errors) {
    zendesk.fixture.http.reply(422, body);
    const auto run = zendesk.fixture.call("acme_add_note", {{"folder", "f"}, {"text", "t"}});
    EXPECT_EQ(run.error["code"], "validation");
    EXPECT_THAT(run.error["message"].get<std::string>(), testing::HasSubstr(words));
  }
}

TEST(ZendeskLikeApp, sends_bracketed_cursor_parameters) {
  Vendor zendesk([](json& m) {
    m["paginators"]["pages"] = {{"type", "body_cursor"},
                                {"send", {{"page[after]", "{cursor}"}, {"page[size]", "{limit}"}}},
                                {"next", "/meta/after_cursor"},
                                {"more", "/meta/has_more"}};
  });
  zendesk.fixture.http.reply(
      200, {{"notes", {{{"id", "1"}}}}, {"meta", {{"after_cursor", "abc=="}, {"has_more", true}}}});
  const auto first = zendesk.fixture.call("acme_list_notes", {{"folder", "x"}});
  zendesk.fixture.http.reply(
      200, {{"notes", {{{"id", "2"}}}}, {"meta", {{"after_cursor", "def=="}, {"has_more", false}}}});
  const auto second =
      zendesk.fixture.call("acme_list_notes", {{"folder", "x"}, {"cursor", first.structured["next_cursor"]}});
  EXPECT_EQ(zendesk.fixture.http.requests()[1].url,
            "https://blue.acme.example/v1/folders/x/notes?page%5Bafter%5D=abc%3D%3D&page%5Bsize%5D=20");
  EXPECT_FALSE(second.structured.contains("next_cursor"));
}

void like_zoho(json& m) {
  m["vars"]["org_id"] = {{"source", "link"}, {"pattern", "^[0-9]{1,20}$"}, {"title", "Organization"}};
  m["api"]["auth_header"] = "Zoho-oauthtoken {token}";
  m["paginators"]["pages"] = {
      {"type", "offset"}, {"send", {{"from", "{offset}"}, {"limit", "{limit}"}}}, {"items_max", 40}};
  m["tools"][0]["request"]["headers"] = {{"orgId", "{org_id}"}};
  m["tools"][1]["ok"] = {{"status", {200, 201, 207}}, {"equals", {{"/data/0/code", "SUCCESS"}}}};
  m["tools"][1]["result"] = {{"item", "/data/0/details"}, {"shape", "note"}};
  m["api"]["error"] = {{"code", {"/data/0/code", "/code"}}, {"message", {"/data/0/message", "/message"}}};
  m["api"]["failures"] = {{{"as", "conflict"}, {"codes", {"DUPLICATE_DATA"}}},
                          {{"as", "rate_limited"}, {"codes", {"TOO_MANY_REQUESTS"}}, {"wait_s", 90}},
                          {{"as", "validation"}, {"codes", {"INVALID_DATA"}}}};
}

TEST(ZohoLikeApp, sends_its_own_headers_and_pages_by_offset) {
  Vendor zoho(like_zoho);
  zoho.fixture.tokens.current.vars["org_id"] = "4711";
  json page = json::array();
  for (int i = 0; i < 20; ++i) page.push_back({{"id", std::to_string(i)}});
  zoho.fixture.http.reply(200, {{"notes", page}});
  const auto first = zoho.fixture.call("acme_list_notes", {{"folder", "x"}});
  EXPECT_EQ(zoho.header(0, "orgid"), "4711");
  EXPECT_EQ(zoho.header(0, "authorization"), "Zoho-oauthtoken token-1");
  EXPECT_EQ(zoho.fixture.http.requests()[0].url,
            "https://blue.acme.example/v1/folders/x/notes?from=0&limit=20");
  zoho.fixture.http.reply(200, {{"notes", page}});
  const auto second =
      zoho.fixture.call("acme_list_notes", {{"folder", "x"}, {"cursor", first.structured["next_cursor"]}});
  EXPECT_EQ(zoho.fixture.http.requests()[1].url,
            "https://blue.acme.example/v1/folders/x/notes?from=20&limit=20");
  EXPECT_FALSE(second.structured.contains("next_cursor")) << "the API goes no further than 40";
}

TEST(ZohoLikeApp, gives_nothing_for_204) {
  Vendor zoho(like_zoho);
  zoho.fixture.tokens.current.vars["org_id"] = "4711";
  zoho.fixture.http.reply_text(204, "");
  EXPECT_EQ(zoho.fixture.call("acme_list_notes", {{"folder", "x"}}).structured,
            (json{{"items", json::array()}}));
}

TEST(ZohoLikeApp, looks_for_success_inside_the_body) {
  Vendor zoho(like_zoho);
  zoho.fixture.http.reply(207, {{"data", {{{"code", "SUCCESS"}, {"details", {{"id", "9"}}}}}}});
  EXPECT_EQ(zoho.fixture.call("acme_add_note", {{"folder", "x"}, {"text", "t"}}).structured["item"]["id"],
            "9");
  zoho.fixture.http.reply(207, {{"data", {{{"code", "DUPLICATE_DATA"}, {"message", "duplicate data"}}}}});
  const auto run = zoho.fixture.call("acme_add_note", {{"folder", "x"}, {"text", "t"}});
  EXPECT_EQ(run.error["code"], "conflict");
  EXPECT_THAT(run.error["message"].get<std::string>(), testing::HasSubstr("duplicate data"));
}

TEST(ZohoLikeApp, finds_an_error_wherever_it_may_be) {
  Vendor zoho(like_zoho);
  zoho.fixture.http.reply(429, {{"code", "TOO_MANY_REQUESTS"}, {"message", "slow down"}});
  const auto run = zoho.fixture.call("acme_add_note", {{"folder", "x"}, {"text", "t"}});
  EXPECT_EQ(run.error["code"], "rate_limited");
  EXPECT_EQ(run.error["retry_after_s"], 90) << "the app does not say how long: the manifest does";
  EXPECT_THAT(run.error["message"].get<std::string>(), testing::HasSubstr("slow down"));
  zoho.fixture.http.reply(429, {{"code", "TOO_MANY_REQUESTS"}}, {{"retry-after", "30"}});
  EXPECT_EQ(zoho.fixture.call("acme_add_note", {{"folder", "x"}, {"text", "t"}}).error["retry_after_s"], 30);
}

TEST(ZohoLikeApp, makes_objects_of_a_list) {
  Vendor zoho([](json& m) {
    like_zoho(m);
    m["tools"][1]["input"]["properties"]["text"] = {{"type", "array"},
                                                    {"description", "Names."},
                                                    {"items", {{"type", "string"}, {"maxLength", 9}}},
                                                    {"maxItems", 5}};
    m["tools"][1]["derive"] = {{"named", {{"objects", "text"}, {"member", "name"}}}};
    m["tools"][1]["request"]["body"] = {{"tags", "{named}"}};
  });
  zoho.fixture.http.reply(200, {{"data", {{{"code", "SUCCESS"}, {"details", {{"id", "9"}}}}}}});
  zoho.fixture.call("acme_add_note", {{"folder", "x"}, {"text", {"a", "b"}}});
  EXPECT_EQ(json::parse(zoho.fixture.http.requests()[0].body),
            (json{{"tags", {{{"name", "a"}}, {{"name", "b"}}}}}));
}

TEST(ZohoLikeApp, expects_success_in_the_body_of_the_last_step_only) {
  Vendor zoho([](json& m) {
    like_zoho(m);
    const json write = m["tools"][1]["request"];
    m["tools"][1].erase("request");
    m["tools"][1]["steps"] = {{{"method", "GET"}, {"path", "/me"}, {"take", {{"author", "/id"}}}}, write};
    m["tools"][1]["steps"][1]["body"]["by"] = "{author}";
  });
  zoho.fixture.http.reply(200, {{"id", "7"}});
  zoho.fixture.http.reply(200, {{"data", {{{"code", "SUCCESS"}, {"details", {{"id", "9"}}}}}}});
  const auto run = zoho.fixture.call("acme_add_note", {{"folder", "x"}, {"text", "t"}});
  EXPECT_EQ(run.structured["item"]["id"], "9") << run.execution.result_json;
}

TEST(PagedByNumber, counts_pages_until_one_is_not_full) {
  Vendor acme([](json&) {});
  json page = json::array();
  for (int i = 0; i < 3; ++i) page.push_back({{"id", std::to_string(i)}});
  acme.fixture.http.reply(200, {{"notes", page}});
  const auto first = acme.fixture.call("acme_list_notes", {{"folder", "x"}, {"limit", 3}});
  acme.fixture.http.reply(200, {{"notes", {page[0]}}});
  const auto second =
      acme.fixture.call("acme_list_notes", {{"folder", "x"}, {"cursor", first.structured["next_cursor"]}});
  EXPECT_EQ(acme.fixture.http.requests()[0].url,
            "https://blue.acme.example/v1/folders/x/notes?page=1&size=3");
  EXPECT_EQ(acme.fixture.http.requests()[1].url,
            "https://blue.acme.example/v1/folders/x/notes?page=2&size=3");
  EXPECT_FALSE(second.structured.contains("next_cursor"));
}

TEST(UnpagedList, is_given_whole) {
  Vendor acme([](json& m) { m["tools"][0].erase("paginate"); });
  json page = json::array();
  for (int i = 0; i < 30; ++i) page.push_back({{"id", std::to_string(i)}});
  acme.fixture.http.reply(200, {{"notes", page}});
  EXPECT_EQ(acme.fixture.call("acme_list_notes", {{"folder", "x"}}).structured["items"].size(), 30u);
}

TEST(ConnectionVariables, cannot_be_set_by_arguments) {
  // The lint keeps arguments from having a variable's name; should one come through, the connection's value
  // wins.
  Vendor acme([](json&) {});
  acme.fixture.http.reply(200, {{"note", {{"id", "1"}}}});
  acme.fixture.call("acme_add_note", {{"folder", "x"}, {"text", "t"}, {"team", "evil"}});
  EXPECT_EQ(acme.fixture.http.requests()[0].url, "https://blue.acme.example/v1/folders/x/notes");
  EXPECT_THAT(acme.fixture.http.requests()[0].allowed_hosts, ElementsAre("blue.acme.example"));
}

}  // namespace
}  // namespace assistiv::mcp
