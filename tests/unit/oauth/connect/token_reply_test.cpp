#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "oauth/connect/provider_client.h"
#include "support/connect_fixture.h"

namespace assistiv::oauth {

namespace {

ConnectorSpec demo_spec() {
  return ConnectorSpec::parse(core::parse_json(test::demo_manifest()));
}

TokenReply read_demo(int status, std::string body, std::string type = "application/json") {
  core::OutboundResponse response;
  response.status = status;
  response.headers.set("content-type", std::move(type));
  response.body = std::move(body);
  const auto spec = demo_spec();
  return read_token_reply(spec, spec.oauth.slots, response);
}

}  // namespace

TEST(TokenReply, reads_json_with_numbers_as_strings) {
  const auto reply = read_demo(
      200,
      R"({"access_token":"a","refresh_token":"r","expires_in":"28800","refresh_token_expires_in":15811200,"scope":"x, y,x"})");
  ASSERT_EQ(reply.kind, TokenReplyKind::Ok);
  const auto& tokens = reply.slots.at("main");
  EXPECT_EQ(tokens.access.reveal(), "a");
  EXPECT_EQ(tokens.refresh->reveal(), "r");
  EXPECT_EQ(tokens.expires_in, std::chrono::seconds(28800));
  EXPECT_EQ(tokens.refresh_expires_in, std::chrono::seconds(15811200));
  EXPECT_EQ(tokens.scopes, (std::vector<std::string>{"x", "y"}));
}

TEST(TokenReply, reads_form_bodies) {
  const auto reply = read_demo(200, "access_token=a%2Bb&scope=repo%2Cgist&token_type=bearer",
                               "application/x-www-form-urlencoded; charset=utf-8");
  ASSERT_EQ(reply.kind, TokenReplyKind::Ok);
  EXPECT_EQ(reply.slots.at("main").access.reveal(), "a+b");
  EXPECT_EQ(reply.slots.at("main").scopes, (std::vector<std::string>{"repo", "gist"}));
}

TEST(TokenReply, assumes_a_lifetime_only_with_a_refresh_token) {
  const auto with = read_demo(200, R"({"access_token":"a","refresh_token":"r"})");
  EXPECT_EQ(with.slots.at("main").expires_in, std::chrono::seconds(3600));
  EXPECT_EQ(with.slots.at("main").refresh_expires_in, std::chrono::seconds(864000));
  const auto without = read_demo(200, R"({"access_token":"a"})");
  EXPECT_FALSE(without.slots.at("main").expires_in.has_value());
  const auto nonsense = read_demo(200, R"({"access_token":"a","expires_in":-5})");
  EXPECT_FALSE(nonsense.slots.at("main").expires_in.has_value());
}

TEST(TokenReply, waits_as_the_manifest_says_when_a_throttled_provider_does_not) {
  auto manifest = core::parse_json(test::demo_manifest());
  manifest["oauth"]["errors"]["throttled_equals"] = {{"/status", "failure"}};
  manifest["oauth"]["errors"]["throttled_wait_s"] = 900;
  const auto spec = ConnectorSpec::parse(manifest);
  core::OutboundResponse response;
  response.status = 400;
  response.headers.set("content-type", "application/json");
  response.body = R"({"error":"Access Denied","status":"failure"})";
  const auto silent = read_token_reply(spec, spec.oauth.slots, response);
  EXPECT_EQ(silent.kind, TokenReplyKind::Throttled);
  EXPECT_EQ(silent.retry_after, std::chrono::seconds(900));
  response.headers.set("retry-after", "7");
  EXPECT_EQ(read_token_reply(spec, spec.oauth.slots, response).retry_after, std::chrono::seconds(7));
}

TEST(FindAnswer, takes_the_preferred_item_of_a_list) {
  const auto body = core::parse_json(R"({"data":[{"id":1,"main":false},{"id":2,"main":true}],"none":[]})");
  ProbeRules rules;
  rules.at = "/data";
  EXPECT_EQ(find_answer(rules, body)->at("id"), 1);
  rules.prefer = {{"/main", "true"}};
  EXPECT_EQ(find_answer(rules, body)->at("id"), 2);
  rules.prefer = {{"/main", "7"}};
  EXPECT_EQ(find_answer(rules, body)->at("id"), 1) << "none is preferred";
  rules.at = "/none";
  EXPECT_EQ(find_answer(rules, body), nullptr);
  rules.at = "/nowhere";
  EXPECT_EQ(find_answer(rules, body), nullptr);
  rules.at = "";
  EXPECT_EQ(find_answer(rules, body), &body);
}

TEST(TokenReply, finds_an_error_behind_status_200) {
  EXPECT_EQ(read_demo(200, R"({"error":"bad_refresh_token"})").kind, TokenReplyKind::Permanent);
  EXPECT_EQ(read_demo(200, R"({"error":"incorrect_client_credentials"})").kind, TokenReplyKind::Config);
  EXPECT_EQ(read_demo(400, R"({"error":"slow_down"})").kind, TokenReplyKind::Throttled);
  EXPECT_EQ(read_demo(200, "error=bad_refresh_token", "application/x-www-form-urlencoded").kind,
            TokenReplyKind::Permanent);
}

TEST(TokenReply, calls_nothing_permanent_that_is_not_listed) {
  EXPECT_EQ(read_demo(400, R"({"error":"invalid_grant"})").kind, TokenReplyKind::Transient);
  EXPECT_EQ(read_demo(401, "").kind, TokenReplyKind::Transient);
  EXPECT_EQ(read_demo(403, "<html>").kind, TokenReplyKind::Transient);
  EXPECT_EQ(read_demo(500, R"({"error":"bad_refresh_token"})").kind, TokenReplyKind::Transient);
  EXPECT_EQ(read_demo(503, "").kind, TokenReplyKind::Transient);
}

TEST(TokenReply, says_unknown_when_the_provider_may_have_acted) {
  EXPECT_EQ(read_demo(502, "").kind, TokenReplyKind::Unknown);
  EXPECT_EQ(read_demo(504, "").kind, TokenReplyKind::Unknown);
  EXPECT_EQ(read_demo(200, "not json").kind, TokenReplyKind::Unknown);
  EXPECT_EQ(read_demo(200, R"({"token_type":"bearer"})").kind, TokenReplyKind::Unknown);
  EXPECT_EQ(read_demo(200, R"({"access_token":"a\r\nX-Evil: 1"})").kind, TokenReplyKind::Unknown);
  EXPECT_EQ(read_demo(200, R"({"access_token":"a","access_token":"b"})").kind, TokenReplyKind::Unknown);
}

TEST(TokenReply, takes_429_and_retry_after) {
  core::OutboundResponse response;
  response.status = 429;
  response.headers.set("Retry-After", "17");
  const auto spec = demo_spec();
  const auto reply = read_token_reply(spec, spec.oauth.slots, response);
  EXPECT_EQ(reply.kind, TokenReplyKind::Throttled);
  EXPECT_EQ(reply.retry_after, std::chrono::seconds(17));
}

TEST(TokenReply, cleans_the_code_for_the_log) {
  const auto reply = read_demo(400, R"({"error":"<b>\nevil</b>"})");
  EXPECT_EQ(reply.code, "_b__evil__b_");
}

TEST(AuthorizeUrl, carries_state_pkce_scopes_and_no_secret) {
  const auto spec = demo_spec();
  const auto url = ProviderClient::authorize_url(
      spec, {}, "client 1", "https://g.test/oauth/callback/demo", {"read", "write"},
      core::Secret("the-state"), core::Secret("verifier-verifier-verifier-verifier-verifier-1"));
  EXPECT_EQ(url.find("https://provider.test/"
                     "authorize?response_type=code&client_id=client%201&redirect_uri=https%3A%2F%2F"),
            0u);
  EXPECT_NE(url.find("&scope=read%20write&state=the-state&code_challenge="), std::string::npos);
  EXPECT_NE(url.find("&code_challenge_method=S256&prompt=select_account"), std::string::npos);
  EXPECT_EQ(url.find("verifier-"), std::string::npos);
}

}  // namespace assistiv::oauth
