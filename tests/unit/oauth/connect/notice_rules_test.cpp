#include "oauth/connect/notice_rules.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::oauth {

namespace {

using core::Json;

// As GitHub signs: the raw body alone.
Json plain_notices() {
  return core::parse_json(R"({"notices": {
    "signature": {"algorithm": "hmac-sha256", "header": "X-Hub-Signature-256", "prefix": "sha256="},
    "ends": [{"headers": {"X-GitHub-Event": "github_app_authorization"}, "equals": {"/action": "revoked"},
              "account": ["/sender/id"]}]}})");
}

// As Slack signs: with a time.
Json timed_notices() {
  return core::parse_json(R"({"notices": {
    "signature": {"algorithm": "hmac-sha256", "header": "X-Slack-Signature", "prefix": "v0=", "text": "v0:{time}:{body}"},
    "time": {"header": "X-Slack-Request-Timestamp", "window_s": 300},
    "challenge": {"equals": {"/type": "url_verification"}, "answer": "/challenge"}, "occurred": "/event_time",
    "ends": [{"equals": {"/event/type": "tokens_revoked"}, "account": ["/team_id"], "each": "/event/tokens/oauth"},
             {"equals": {"/event/type": "app_uninstalled"}, "account": ["/team_id"], "all": true}]}})");
}

NoticeRules rules_of(const Json& oauth) {
  return read_notice_rules(core::JsonReader(oauth, "/oauth")).value();
}

std::string notice_rule_fault(const Json& oauth) {
  try {
    read_notice_rules(core::JsonReader(oauth, "/oauth"));
  } catch (const core::Error& error) {
    return error.field();
  }
  return "none";
}

core::HttpHeaders headers_of(std::initializer_list<std::pair<const char*, std::string>> fields) {
  core::HttpHeaders out;
  for (const auto& [name, value] : fields) out.add(name, value);
  return out;
}

const core::Time kThen = core::from_epoch_ms(1'531'420'618'000);
// The examples in the documentation of GitHub ("Validating webhook deliveries") and of Slack ("Verifying
// requests from Slack").
const core::Secret kGithubSecret("It's a Secret to Everybody");
constexpr char kGithubSignature[] = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
const core::Secret kSlackSecret("8f742231b10e8888abcd99yyyzzz85a5");
constexpr char kSlackSignature[] = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
constexpr char kSlackBody[] =
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_"
    "name=foobar"
    "&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%"
    "2Fhooks.slack"
    ".com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015."
    "47445629121.803a0bc"
    "887a14d10d2c447fce8b6703c";

TEST(NoticeRules, take_the_signatures_that_the_vendors_publish) {
  EXPECT_EQ(notice_fault(rules_of(plain_notices()), kGithubSecret,
                         headers_of({{"x-hub-signature-256", kGithubSignature}}), "Hello, World!", kThen),
            "");
  EXPECT_EQ(notice_fault(rules_of(timed_notices()), kSlackSecret,
                         headers_of({{"X-Slack-Signature", kSlackSignature},
                                     {"X-Slack-Request-Timestamp", "1531420618"}}),
                         kSlackBody, kThen + std::chrono::seconds(299)),
            "");
}

TEST(NoticeRules, refuse_every_other_signature) {
  const auto rules = rules_of(plain_notices());
  const auto fault = [&](std::initializer_list<std::pair<const char*, std::string>> fields,
                         std::string_view body = "Hello, World!",
                         const core::Secret& secret = kGithubSecret) {
    return notice_fault(rules, secret, headers_of(fields), body, kThen);
  };
  const std::string good = kGithubSignature;
  EXPECT_EQ(fault({}), "no_signature");
  EXPECT_EQ(fault({{"X-Hub-Signature-256", good.substr(7)}}), "no_signature");
  EXPECT_EQ(fault({{"X-Hub-Signature-256", "sha256="}}), "wrong_signature");
  EXPECT_EQ(fault({{"X-Hub-Signature-256", good + "0"}}), "wrong_signature");
  EXPECT_EQ(fault({{"X-Hub-Signature-256", good}}, "Hello, World?"), "wrong_signature");
  EXPECT_EQ(fault({{"X-Hub-Signature-256", good}}, "Hello, World!", core::Secret("another")),
            "wrong_signature");
  // Two of them: which one would the next reader look at?
  EXPECT_EQ(fault({{"X-Hub-Signature-256", good}, {"X-Hub-Signature-256", good}}), "no_signature");
}

TEST(NoticeRules, refuse_a_time_that_is_not_now) {
  const auto rules = rules_of(timed_notices());
  const auto fault = [&](const std::string& time, std::chrono::seconds later) {
    return notice_fault(
        rules, kSlackSecret,
        headers_of({{"X-Slack-Signature", kSlackSignature}, {"X-Slack-Request-Timestamp", time}}), kSlackBody,
        kThen + later);
  };
  EXPECT_EQ(fault("1531420618", std::chrono::seconds(301)), "time_out_of_window");
  EXPECT_EQ(fault("1531420618", std::chrono::seconds(-301)), "time_out_of_window");
  // The time is part of what is signed.
  EXPECT_EQ(fault("1531420700", std::chrono::seconds(0)), "wrong_signature");
  for (const char* bad : {"", "now", "-1", "1531420618.5", "99999999999999999999"}) {
    EXPECT_EQ(fault(bad, std::chrono::seconds(0)), "no_time") << bad;
  }
  EXPECT_EQ(notice_fault(rules, kSlackSecret, headers_of({{"X-Slack-Signature", kSlackSignature}}),
                         kSlackBody, kThen),
            "no_time");
}

TEST(NoticeRules, knows_base64_and_a_body_that_holds_the_marks) {
  auto oauth = plain_notices();
  oauth["notices"]["signature"] = {
      {"algorithm", "hmac-sha256"}, {"header", "X-Sign"}, {"encoding", "base64"}, {"text", "{time}{body}"}};
  oauth["notices"]["time"] = {{"header", "X-Time"}};
  const std::string body = "{time} {body}";
  const auto signature = core::base64_encode(core::hmac_sha256("secret-1", "1531420618" + body));
  const auto headers = headers_of({{"X-Sign", signature}, {"X-Time", "1531420618"}});
  EXPECT_EQ(notice_fault(rules_of(oauth), core::Secret("secret-1"), headers, body, kThen), "");
  EXPECT_EQ(signed_notice_text(rules_of(oauth), headers, body), "1531420618" + body);
}

TEST(NoticeRules, read_whose_grant_ended) {
  const auto github = [](const char* event, const char* body) {
    return read_notice(rules_of(plain_notices()), headers_of({{"X-GitHub-Event", event}}),
                       core::parse_json(body));
  };
  EXPECT_EQ(github("github_app_authorization", R"({"action":"revoked","sender":{"id":42}})").accounts,
            std::vector<std::string>{"42"});
  EXPECT_FALSE(
      github("github_app_authorization", R"({"action":"granted","sender":{"id":42}})").ends_anything());
  EXPECT_FALSE(github("push", R"({"action":"revoked","sender":{"id":42}})").ends_anything());
  EXPECT_FALSE(github("github_app_authorization", R"({"action":"revoked"})").ends_anything());
  EXPECT_FALSE(
      github("github_app_authorization", R"({"action":"revoked","sender":{"id":null}})").ends_anything());
  EXPECT_FALSE(github("github_app_authorization", R"([1])").ends_anything());

  const auto slack = [](const char* body) {
    return read_notice(rules_of(timed_notices()), {}, core::parse_json(body));
  };
  const auto revoked = slack(
      R"({"team_id":"T1","event":{"type":"tokens_revoked","tokens":{"oauth":["U1","U2",7,{},"a/b"],"bot":["UB"]}},
          "event_time":1531420618})");
  EXPECT_EQ(revoked.accounts, (std::vector<std::string>{"T1/U1", "T1/U2", "T1/7"}));
  EXPECT_EQ(revoked.occurred, kThen);
  const auto uninstalled = slack(R"({"team_id":"T1","event":{"type":"app_uninstalled"}})");
  EXPECT_EQ(uninstalled.accounts_below, "T1/");
  EXPECT_FALSE(uninstalled.occurred);
  // Nobody's workspace is everybody's.
  EXPECT_FALSE(slack(R"({"team_id":"","event":{"type":"app_uninstalled"}})").ends_anything());
  EXPECT_FALSE(slack(R"({"event":{"type":"app_uninstalled"}})").ends_anything());
}

TEST(NoticeRules, answers_a_challenge_and_does_nothing_else) {
  const auto rules = rules_of(timed_notices());
  const auto notice = read_notice(
      rules, {}, core::parse_json(R"({"type":"url_verification","challenge":"3eZbr","team_id":"T1",
                                      "event":{"type":"app_uninstalled"}})"));
  EXPECT_EQ(notice.challenge, "3eZbr");
  EXPECT_FALSE(notice.ends_anything());
  const Json giant = {{"type", "url_verification"}, {"challenge", std::string(2000, 'x')}};
  EXPECT_FALSE(read_notice(rules, {}, giant).challenge);
}

TEST(NoticeRules, never_names_more_than_a_thousand_accounts) {
  Json body = {{"team_id", "T1"},
               {"event", {{"type", "tokens_revoked"}, {"tokens", {{"oauth", Json::array()}}}}}};
  for (int i = 0; i < 3000; ++i) body["event"]["tokens"]["oauth"].push_back("U" + std::to_string(i));
  EXPECT_EQ(read_notice(rules_of(timed_notices()), {}, body).accounts.size(), kNoticeAccountsMax);
}

TEST(NoticeRules, refuse_a_manifest_that_would_prove_nothing) {
  EXPECT_FALSE(read_notice_rules(core::JsonReader(Json::object(), "/oauth")));
  struct Case {
    const char *at, *value, *fault;
  };
  const Case cases[] = {
      {"/notices/signature/algorithm", R"("md5")", "/oauth/notices/signature/algorithm"},
      {"/notices/signature/text", R"("v0:{time}")", "/oauth/notices/signature/text"},
      {"/notices/signature/text", R"("v0:{body}")", "/oauth/notices/signature/text"},
      {"/notices/signature/text", R"("{time}{body}{body}")", "/oauth/notices/signature/text"},
      {"/notices/signature/header", R"("X: Y")", "/oauth/notices/signature/header"},
      {"/notices/signature/more", "1", "/oauth/notices/signature/more"},
      {"/notices/time/window_s", "86400", "/oauth/notices/time/window_s"},
      {"/notices/challenge/answer", R"("challenge")", "/oauth/notices/challenge/answer"},
      {"/notices/challenge/equals", "{}", "/oauth/notices/challenge/equals"},
      {"/notices/occurred", R"("event_time")", "/oauth/notices/occurred"},
      {"/notices/ends", "[]", "/oauth/notices/ends"},
      {"/notices/ends/1/account", "[]", "/oauth/notices/ends/1/account"},
      {"/notices/ends/0/account/0", R"("team_id")", "/oauth/notices/ends/0/account"},
      {"/notices/ends/0/all", "true", "/oauth/notices/ends/0/all"},
      {"/notices/ends/0/equals", R"({"event": 1})", "/oauth/notices/ends/0/equals/event"},
  };
  for (const auto& one : cases) {
    auto oauth = timed_notices();
    oauth[Json::json_pointer(one.at)] = core::parse_json(one.value);
    EXPECT_EQ(notice_rule_fault(oauth), one.fault) << one.at << " " << one.value;
  }
}

}  // namespace

}  // namespace assistiv::oauth
