#include "oauth/connect/provider_notices.h"

#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"
#include "support/connect_fixture.h"

namespace assistiv::test {

namespace {

constexpr char kSecret[] = "webhook-secret-1";

}  // namespace

class ProviderNoticesTest : public ConnectTest {
 protected:
  void SetUp() override {
    auto manifest = core::parse_json(demo_manifest());
    // Accounts of this app have two parts, as Slack's have.
    manifest["oauth"]["identity"]["id"] = {"/team", "/id"};
    manifest["oauth"]["notices"] = core::parse_json(R"({
      "signature": {"algorithm": "hmac-sha256", "header": "X-Sign", "prefix": "v1="},
      "challenge": {"equals": {"/type": "hello"}, "answer": "/word"}, "occurred": "/at",
      "ends": [{"equals": {"/type": "revoked"}, "account": ["/team"], "each": "/users"},
               {"equals": {"/type": "removed"}, "account": ["/team"], "all": true}]})");
    registry_.add(core::dump_json(manifest));
    platform_ = make_platform();
    ada_ = make_end_user(platform_, "ada");
    grace_ = make_end_user(platform_, "grace");
    activate(platform_);
    set_secret(platform_);
  }
  void set_secret(core::PlatformId platform) {
    run(notices_.set_secret(platform, "demo", core::Secret(kSecret), context()));
  }
  core::ConnectionId connect_account(core::PlatformId platform, core::EndUserId end_user, int n,
                                     const std::string& team, const std::string& user) {
    const auto browser = start_flow(platform, end_user);
    http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, token_json(n)));
    http_.once(
        "GET", kUserUrl,
        FakeHttpClient::replies(200, core::dump_json({{"team", team}, {"id", user}, {"login", user}})));
    const auto outcome = run(node_->flow.finish(callback(browser)));
    EXPECT_FALSE(outcome.fault.has_value());
    return outcome.connection_id.value_or(core::ConnectionId{});
  }
  core::Task<std::string> receive(core::Json notice, core::PlatformId platform,
                                  const std::string& secret = kSecret) {
    const auto body = core::dump_json(notice);
    core::HttpHeaders headers;
    headers.add("x-sign", "v1=" + core::hex_encode(core::hmac_sha256(secret, body)));
    return notices_.receive(platform, "demo", headers, body, "request-9");
  }
  std::string send(core::Json notice) { return run(receive(std::move(notice), platform_)); }
  std::string status(core::PlatformId platform, core::ConnectionId id) {
    return std::string(oauth::connection_status(run(node_->connections.get(platform, id)).status));
  }
  std::string status(core::ConnectionId id) { return status(platform_, id); }

  oauth::ProviderNotices notices_{node_->world};
  core::PlatformId platform_;
  core::EndUserId ada_, grace_;
};

TEST_F(ProviderNoticesTest, ends_the_accounts_that_are_named_and_asks_nobody) {
  const auto ada = connect_account(platform_, ada_, 1, "T1", "U1");
  const auto grace = connect_account(platform_, grace_, 2, "T1", "U2");
  ASSERT_EQ(run(node_->tokens.access_token(platform_, ada, "main")).status, oauth::TokenStatus::Ready);
  const auto calls = http_.requests().size();

  EXPECT_EQ(send({{"type", "revoked"}, {"team", "T1"}, {"users", {"U1", "U9"}}}), "");
  EXPECT_EQ(status(ada), "needs_reauth");
  EXPECT_EQ(status(grace), "active");
  // No cached token is used any more, and nobody was asked.
  EXPECT_EQ(run(node_->tokens.access_token(platform_, ada, "main")).status, oauth::TokenStatus::NeedsReauth);
  EXPECT_EQ(http_.requests().size(), calls);
  EXPECT_EQ(column("select details ->> 'reason' from audit_entry where event = 'connection.needs_reauth'"),
            "revoked_at_provider");
  EXPECT_EQ(column("select request_id from audit_entry where event = 'connection.needs_reauth'"),
            "request-9");

  // The user connects again: the same connection is repaired.
  EXPECT_EQ(connect_account(platform_, ada_, 3, "T1", "U1"), ada);
  EXPECT_EQ(status(ada), "active");
}

TEST_F(ProviderNoticesTest, ends_everybody_of_a_workspace_and_nobody_else) {
  const auto ada = connect_account(platform_, ada_, 1, "T1", "U1");
  const auto grace = connect_account(platform_, grace_, 2, "T1", "U2");
  const auto elsewhere = connect_account(platform_, grace_, 3, "T12", "U2");
  send({{"type", "removed"}, {"team", "T1"}});
  EXPECT_EQ(status(ada), "needs_reauth");
  EXPECT_EQ(status(grace), "needs_reauth");
  EXPECT_EQ(status(elsewhere), "active");
  // "_" and "%" are no patterns.
  send({{"type", "removed"}, {"team", "T1_"}});
  send({{"type", "removed"}, {"team", "%"}});
  EXPECT_EQ(status(elsewhere), "active");
}

TEST_F(ProviderNoticesTest, more_connections_than_one_round_takes) {
  const auto first = connect_account(platform_, ada_, 1, "T1", "U1");
  database_.exec(
      "insert into connection (platform_id, connection_id, end_user_id, app, client_id, provider_account_id,"
      " account_label, status, scopes, vars, created_at, updated_at) select platform_id, gen_random_uuid(),"
      " end_user_id, app, client_id, 'T1/X' || i, '', 'active', '[]', '{}', now(), now() from connection,"
      " generate_series(1, 450) i where connection_id = $1::uuid",
      {first.str()});
  send({{"type", "removed"}, {"team", "T1"}});
  EXPECT_EQ(count("from connection where status = 'active'"), 0);
  EXPECT_EQ(count("from audit_entry where event = 'connection.needs_reauth'"), 451);
  EXPECT_TRUE(run(node_->audit.verify(platform_)).valid);
}

TEST_F(ProviderNoticesTest, the_same_notice_again_ends_nothing_but_has_the_token_tried) {
  const core::Json notice = {{"type", "revoked"}, {"team", "T1"}, {"users", {"U1"}}};
  const auto ada = connect_account(platform_, ada_, 1, "T1", "U1");
  send(notice);
  send(notice);
  EXPECT_EQ(count("from audit_entry where event = 'connection.needs_reauth'"), 1);

  // Anew, then the old notice once more: the provider itself is asked, by the worker, and says that all is
  // well.
  connect_account(platform_, ada_, 2, "T1", "U1");
  clock_.advance(std::chrono::minutes(2));
  send(notice);
  EXPECT_EQ(status(ada), "active");
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, token_json(3)));
  run(node_->worker.run_once({}));
  EXPECT_EQ(status(ada), "active");

  // A second withdrawal looks the same, and is found out the same way.
  clock_.advance(std::chrono::minutes(2));
  send(notice);
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, R"({"error":"bad_refresh_token"})"));
  run(node_->worker.run_once({}));
  EXPECT_EQ(status(ada), "needs_reauth");
}

TEST_F(ProviderNoticesTest, a_notice_from_before_the_token_is_old_news) {
  const auto before = core::to_epoch_ms(clock_.now()) / 1000;
  clock_.advance(std::chrono::minutes(1));
  const auto ada = connect_account(platform_, ada_, 1, "T1", "U1");
  send({{"type", "revoked"}, {"team", "T1"}, {"users", {"U1"}}, {"at", before}});
  EXPECT_EQ(status(ada), "active");
  send({{"type", "revoked"},
        {"team", "T1"},
        {"users", {"U1"}},
        {"at", core::to_epoch_ms(clock_.now()) / 1000}});
  EXPECT_EQ(status(ada), "needs_reauth");
}

TEST_F(ProviderNoticesTest, tenants_are_apart) {
  const auto other = make_platform("Other");
  const auto theirs = make_end_user(other);
  activate(other);
  const auto connection = connect_account(other, theirs, 1, "T1", "U1");
  send({{"type", "removed"}, {"team", "T1"}});
  EXPECT_EQ(status(other, connection), "active");
  // Without a secret of its own, the other platform's address takes nothing.
  const core::Json notice = {{"type", "removed"}, {"team", "T1"}};
  EXPECT_EQ(error_of(receive(notice, other)).kind(), core::ErrorKind::NotFound);
  run(notices_.set_secret(other, "demo", core::Secret("webhook-secret-2"), context()));
  EXPECT_EQ(error_of(receive(notice, other)).kind(), core::ErrorKind::PermissionDenied);
  EXPECT_EQ(run(receive(notice, other, "webhook-secret-2")), "");
  EXPECT_EQ(status(other, connection), "needs_reauth");
}

TEST_F(ProviderNoticesTest, refuses_what_is_not_signed_or_no_json) {
  const auto connection = connect_account(platform_, ada_, 1, "T1", "U1");
  const core::Json notice = {{"type", "removed"}, {"team", "T1"}};
  EXPECT_EQ(error_of(receive(notice, platform_, "wrong-secret")).kind(), core::ErrorKind::PermissionDenied);
  EXPECT_EQ(error_of(notices_.receive(platform_, "demo", {}, core::dump_json(notice), "r")).kind(),
            core::ErrorKind::PermissionDenied);
  EXPECT_EQ(error_of(notices_.receive(platform_, "demo", {}, std::string((1 << 20) + 1, 'x'), "r")).kind(),
            core::ErrorKind::PayloadTooLarge);
  EXPECT_EQ(error_of(notices_.receive(platform_, "plain", {}, "{}", "r")).kind(), core::ErrorKind::NotFound);
  EXPECT_EQ(error_of(notices_.receive(platform_, "nothing", {}, "{}", "r")).kind(),
            core::ErrorKind::NotFound);
  core::HttpHeaders headers;
  headers.add("x-sign", "v1=" + core::hex_encode(core::hmac_sha256(kSecret, "{")));
  EXPECT_EQ(error_of(notices_.receive(platform_, "demo", headers, "{", "r")).kind(),
            core::ErrorKind::InvalidArgument);
  EXPECT_EQ(status(connection), "active");
  EXPECT_EQ(send({{"type", "hello"}, {"word", "xyzzy"}}), "xyzzy");
  EXPECT_EQ(send({{"type", "something else"}}), "");
}

TEST_F(ProviderNoticesTest, the_secret_is_sealed_and_replaceable) {
  EXPECT_EQ(count("from provider_webhook where secret like '%webhook-secret%'"), 0);
  const auto view = run(notices_.get(platform_, "demo"));
  EXPECT_EQ(view.url, "https://gateway.test/webhooks/providers/" + platform_.str() + "/demo");
  EXPECT_TRUE(view.secret_set_at.has_value());
  EXPECT_EQ(error_of(notices_.set_secret(platform_, "demo", core::Secret("short"), context())).field(),
            "/secret");
  EXPECT_EQ(error_of(notices_.get(platform_, "plain")).kind(), core::ErrorKind::NotFound);
  EXPECT_EQ(error_of(notices_.get(make_platform("Other"), "demo")).kind(), core::ErrorKind::NotFound);
  run(notices_.set_secret(platform_, "demo", core::Secret("webhook-secret-3"), context()));
  const core::Json notice = {{"type", "nothing"}};
  EXPECT_EQ(error_of(receive(notice, platform_)).kind(), core::ErrorKind::PermissionDenied);
  EXPECT_EQ(run(receive(notice, platform_, "webhook-secret-3")), "");
  run(notices_.remove_secret(platform_, "demo", context()));
  EXPECT_EQ(error_of(receive(notice, platform_, "webhook-secret-3")).kind(), core::ErrorKind::NotFound);
  EXPECT_EQ(error_of(notices_.remove_secret(platform_, "demo", context())).kind(), core::ErrorKind::NotFound);
}

}  // namespace assistiv::test
