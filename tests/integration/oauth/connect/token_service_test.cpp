#include "oauth/connect/token_service.h"

#include <future>

#include "core/encoding.h"
#include "support/connect_fixture.h"

namespace assistiv::test {

using core::OutboundFailure;
using oauth::TokenStatus;

class TokenServiceTest : public ConnectTest {
 protected:
  void SetUp() override {
    platform_ = make_platform();
    end_user_ = make_end_user(platform_);
    activate(platform_);
    connection_ = connect(platform_, end_user_);
  }
  void expire_token() { clock_.advance(std::chrono::hours(9)); }
  oauth::TokenAnswer token(ConnectNode& node) {
    return run(node.tokens.access_token(platform_, connection_, "main"));
  }
  oauth::TokenAnswer token() { return token(*node_); }
  void provider_refreshes(int n, int expires_in_s = 28800) {
    http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, token_json(n, expires_in_s)));
  }
  void provider_says(const std::string& code) {
    http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, R"({"error":")" + code + "\"}"));
  }
  // The refresh tokens that were sent, in order (the first request was the code exchange).
  std::vector<std::string> refreshes_sent() const {
    std::vector<std::string> out;
    for (const auto& request : http_.requests("POST", kTokenUrl)) {
      const auto fields = core::form_decode(request.body);
      for (const auto& [name, value] : *fields) {
        if (name == "refresh_token") out.push_back(value);
      }
    }
    return out;
  }
  std::string status() { return column("select status from connection"); }
  void end_leases() { database_.exec("update credential set lease_until = now() - interval '1 second'"); }
  // A second process on the same database.
  std::unique_ptr<ConnectNode> second_node(oauth::TokenServiceOptions options = {}) {
    return std::make_unique<ConnectNode>(database_.db(), *vault_, http_, registry_, clock_, random_, options);
  }

  core::PlatformId platform_;
  core::EndUserId end_user_;
  core::ConnectionId connection_;
};

TEST_F(TokenServiceTest, gives_the_stored_token_while_it_is_fresh) {
  const auto answer = token();
  EXPECT_EQ(answer.status, TokenStatus::Ready);
  EXPECT_EQ(answer.token.reveal(), "access-1");
  EXPECT_EQ(answer.version, 1);
  EXPECT_TRUE(refreshes_sent().empty());
}

TEST_F(TokenServiceTest, keeps_it_in_memory_until_a_notice) {
  token();
  database_.exec("update credential set access_token = 'not a sealed text'");
  EXPECT_EQ(token().token.reveal(), "access-1");
  node_->tokens.on_notify("connection", platform_.str() + "/" + end_user_.str());
  EXPECT_EQ(error_of(node_->tokens.access_token(platform_, connection_, "main")).kind(),
            core::ErrorKind::Internal);
}

TEST_F(TokenServiceTest, refreshes_an_expired_token_and_keeps_one_generation) {
  expire_token();
  provider_refreshes(2);
  const auto answer = token();
  EXPECT_EQ(answer.token.reveal(), "access-2");
  EXPECT_EQ(answer.version, 2);
  EXPECT_EQ(refreshes_sent(), std::vector<std::string>{"refresh-1"});
  EXPECT_EQ(count("from credential where previous_refresh_token is not null and lease_owner is null"), 1);
  EXPECT_EQ(count("from audit_entry where event = 'connection.refreshed'"), 1);
  expire_token();
  provider_refreshes(3);
  EXPECT_EQ(token().token.reveal(), "access-3");
  EXPECT_EQ(refreshes_sent(), (std::vector<std::string>{"refresh-1", "refresh-2"}));
}

TEST_F(TokenServiceTest, refreshes_once_for_many_callers_on_two_nodes) {
  expire_token();
  provider_refreshes(2);
  const auto other = second_node();
  IoThread second;
  http_.hold("POST", kTokenUrl);
  std::vector<std::future<oauth::TokenAnswer>> calls;
  for (int i = 0; i < 10; ++i) {
    calls.push_back(io_.start(node_->tokens.access_token(platform_, connection_, "main")));
    calls.push_back(second.start(other->tokens.access_token(platform_, connection_, "main")));
  }
  ASSERT_TRUE(http_.await_arrivals("POST", kTokenUrl, 2));
  http_.release("POST", kTokenUrl);
  for (auto& call : calls) {
    const auto answer = call.get();
    EXPECT_EQ(answer.status, TokenStatus::Ready);
    EXPECT_EQ(answer.token.reveal(), "access-2");
  }
  EXPECT_EQ(refreshes_sent().size(), 1u);
}

TEST_F(TokenServiceTest, lets_the_loser_use_a_token_that_still_lives) {
  clock_.advance(std::chrono::hours(8) - std::chrono::minutes(1));
  provider_refreshes(2);
  const auto other = second_node();
  IoThread second;
  http_.hold("POST", kTokenUrl);
  auto winner = io_.start(node_->tokens.access_token(platform_, connection_, "main"));
  ASSERT_TRUE(http_.await_arrivals("POST", kTokenUrl, 2));
  EXPECT_EQ(second.run(other->tokens.access_token(platform_, connection_, "main")).token.reveal(),
            "access-1");
  http_.release("POST", kTokenUrl);
  EXPECT_EQ(winner.get().token.reveal(), "access-2");
}

TEST_F(TokenServiceTest, never_gives_the_loser_an_expired_token) {
  expire_token();
  provider_refreshes(2);
  oauth::TokenServiceOptions impatient;
  impatient.wait_max = std::chrono::milliseconds(50);
  const auto other = second_node(impatient);
  IoThread second;
  http_.hold("POST", kTokenUrl);
  auto winner = io_.start(node_->tokens.access_token(platform_, connection_, "main"));
  ASSERT_TRUE(http_.await_arrivals("POST", kTokenUrl, 2));
  EXPECT_EQ(second.run(other->tokens.access_token(platform_, connection_, "main")).status,
            TokenStatus::RetryLater);
  http_.release("POST", kTokenUrl);
  EXPECT_EQ(winner.get().token.reveal(), "access-2");
}

TEST_F(TokenServiceTest, never_ends_a_grant_for_a_transient_failure) {
  expire_token();
  const FakeHttpClient::Answer failures[] = {
      FakeHttpClient::replies(500, R"({"error":"bad_refresh_token"})"),
      FakeHttpClient::replies(503, ""),
      FakeHttpClient::replies(429, ""),
      FakeHttpClient::replies(400, R"({"error":"something_else"})"),
      FakeHttpClient::replies(200, R"({"error":"slow_down"})"),
      FakeHttpClient::fails(OutboundFailure::ConnectFailed),
      FakeHttpClient::fails(OutboundFailure::Refused),
  };
  for (const auto& failure : failures) {
    const auto fresh = second_node();  // with a closed circuit breaker
    http_.once("POST", kTokenUrl, failure);
    const auto answer = token(*fresh);
    EXPECT_EQ(answer.status, TokenStatus::RetryLater);
    EXPECT_GE(answer.retry_after.count(), 1);
    EXPECT_EQ(status(), "active");
    // Too early: nothing is sent.
    const auto sent = refreshes_sent().size();
    EXPECT_EQ(token(*fresh).status, TokenStatus::RetryLater);
    EXPECT_EQ(refreshes_sent().size(), sent);
    clock_.advance(std::chrono::minutes(10));
  }
  provider_refreshes(2);
  EXPECT_EQ(token().token.reveal(), "access-2");
}

TEST_F(TokenServiceTest, uses_the_old_token_while_the_provider_is_away) {
  clock_.advance(std::chrono::hours(8) - std::chrono::minutes(1));
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(503, ""));
  const auto answer = token();
  EXPECT_EQ(answer.status, TokenStatus::Ready);
  EXPECT_EQ(answer.token.reveal(), "access-1");
}

TEST_F(TokenServiceTest, obeys_retry_after) {
  expire_token();
  http_.once("POST", kTokenUrl, [](const core::OutboundRequest&) {
    auto response = FakeHttpClient::json(429, "");
    response.headers.set("retry-after", "120");
    return response;
  });
  EXPECT_EQ(token().retry_after, std::chrono::seconds(120));
  clock_.advance(std::chrono::seconds(119));
  EXPECT_EQ(token().status, TokenStatus::RetryLater);
  EXPECT_EQ(refreshes_sent().size(), 1u);
}

TEST_F(TokenServiceTest, reports_a_refused_client_without_ending_the_grant) {
  expire_token();
  provider_says("incorrect_client_credentials");
  EXPECT_EQ(token().status, TokenStatus::Misconfigured);
  EXPECT_EQ(status(), "active");
}

TEST_F(TokenServiceTest, ends_the_grant_when_the_provider_says_so) {
  expire_token();
  provider_says("bad_refresh_token");
  EXPECT_EQ(token().status, TokenStatus::NeedsReauth);
  EXPECT_EQ(status(), "needs_reauth");
  EXPECT_EQ(count("from audit_entry where event = 'connection.needs_reauth'"), 1);
  EXPECT_EQ(token().status, TokenStatus::NeedsReauth);
  EXPECT_EQ(refreshes_sent().size(), 1u);
}

TEST_F(TokenServiceTest, looks_again_before_it_ends_a_grant) {
  expire_token();
  // While the provider refuses the old token, the user connects anew.
  http_.hold("POST", kTokenUrl);
  provider_says("bad_refresh_token");
  auto call = io_.start(node_->tokens.access_token(platform_, connection_, "main"));
  ASSERT_TRUE(http_.await_arrivals("POST", kTokenUrl, 2));
  database_.exec("update credential set version = version + 1, expires_at = assistiv_time($1::bigint)",
                 {std::to_string(core::to_epoch_ms(clock_.now() + std::chrono::hours(1)))});
  http_.release("POST", kTokenUrl);
  const auto answer = call.get();
  EXPECT_EQ(answer.status, TokenStatus::Ready);
  EXPECT_EQ(answer.version, 2);
  EXPECT_EQ(status(), "active");
}

TEST_F(TokenServiceTest, tries_again_when_the_outcome_is_unknown) {
  expire_token();
  http_.once("POST", kTokenUrl, FakeHttpClient::fails(OutboundFailure::Timeout));
  provider_refreshes(2);
  EXPECT_EQ(token().token.reveal(), "access-2");
  EXPECT_EQ(refreshes_sent(), (std::vector<std::string>{"refresh-1", "refresh-1"}));
}

TEST_F(TokenServiceTest, falls_back_to_the_token_before_when_the_outcome_is_unknown) {
  expire_token();
  provider_refreshes(2);
  token();
  expire_token();
  http_.once("POST", kTokenUrl, FakeHttpClient::fails(OutboundFailure::Broken));
  provider_says("bad_refresh_token");
  provider_refreshes(3);
  EXPECT_EQ(token().token.reveal(), "access-3");
  EXPECT_EQ(refreshes_sent(), (std::vector<std::string>{"refresh-1", "refresh-2", "refresh-2", "refresh-1"}));
}

TEST_F(TokenServiceTest, ends_the_grant_when_both_generations_are_refused) {
  expire_token();
  provider_refreshes(2);
  token();
  expire_token();
  http_.once("POST", kTokenUrl, FakeHttpClient::fails(OutboundFailure::Timeout));
  provider_says("bad_refresh_token");
  provider_says("bad_refresh_token");
  EXPECT_EQ(token().status, TokenStatus::NeedsReauth);
  EXPECT_EQ(status(), "needs_reauth");
}

TEST_F(TokenServiceTest, never_sends_the_token_before_without_a_reason) {
  expire_token();
  provider_refreshes(2);
  token();
  expire_token();
  provider_says("bad_refresh_token");
  EXPECT_EQ(token().status, TokenStatus::NeedsReauth);
  EXPECT_EQ(refreshes_sent(), (std::vector<std::string>{"refresh-1", "refresh-2"}));
}

TEST_F(TokenServiceTest, remembers_an_unknown_outcome_for_the_next_try) {
  expire_token();
  provider_refreshes(2);
  token();
  expire_token();
  http_.once("POST", kTokenUrl, FakeHttpClient::fails(OutboundFailure::Timeout));
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(503, ""));
  EXPECT_EQ(token().status, TokenStatus::RetryLater);
  EXPECT_EQ(status(), "active");
  clock_.advance(std::chrono::minutes(1));
  provider_says("bad_refresh_token");
  provider_refreshes(3);
  EXPECT_EQ(token().token.reveal(), "access-3");
  EXPECT_EQ(refreshes_sent().back(), "refresh-1");
}

TEST_F(TokenServiceTest, recovers_or_asks_for_consent_after_a_crash_between_reply_and_commit) {
  expire_token();
  provider_refreshes(2);
  token();
  expire_token();
  // The commit is refused by the database, as if the process had died before it.
  database_.exec(
      "create function crash() returns trigger language plpgsql as $$ begin"
      " if new.version > old.version then raise exception 'crash'; end if; return new; end $$;"
      " create trigger crash before update on credential for each row execute function crash()");
  provider_refreshes(3);
  EXPECT_EQ(error_of(node_->tokens.access_token(platform_, connection_, "main")).kind(),
            core::ErrorKind::Internal);
  database_.exec("drop trigger crash on credential");
  // The lease is still held: nobody presents the used refresh token meanwhile, nobody gets an expired token.
  oauth::TokenServiceOptions impatient;
  impatient.wait_max = std::chrono::milliseconds(50);
  const auto other = second_node(impatient);
  EXPECT_EQ(token(*other).status, TokenStatus::RetryLater);
  end_leases();
  // A provider that retires the old token only when the new one is used gives another pair for the one
  // before.
  provider_says("bad_refresh_token");
  provider_refreshes(4);
  EXPECT_EQ(token(*other).token.reveal(), "access-4");
  EXPECT_EQ(refreshes_sent(), (std::vector<std::string>{"refresh-1", "refresh-2", "refresh-2", "refresh-1"}));
}

TEST_F(TokenServiceTest, asks_for_consent_when_a_crash_lost_the_only_copy) {
  expire_token();
  database_.exec(
      "create function crash() returns trigger language plpgsql as $$ begin"
      " if new.version > old.version then raise exception 'crash'; end if; return new; end $$;"
      " create trigger crash before update on credential for each row execute function crash()");
  provider_refreshes(2);
  error_of(node_->tokens.access_token(platform_, connection_, "main"));
  database_.exec("drop trigger crash on credential");
  end_leases();
  provider_says("bad_refresh_token");
  EXPECT_EQ(token().status, TokenStatus::NeedsReauth);
  EXPECT_EQ(status(), "needs_reauth");
}

TEST_F(TokenServiceTest, revokes_fresh_tokens_that_lost_their_connection) {
  expire_token();
  provider_refreshes(2);
  http_.hold("POST", kTokenUrl);
  auto call = io_.start(node_->tokens.access_token(platform_, connection_, "main"));
  ASSERT_TRUE(http_.await_arrivals("POST", kTokenUrl, 2));
  database_.exec("delete from credential");
  database_.exec("update connection set status = 'revoked'");
  http_.release("POST", kTokenUrl);
  EXPECT_EQ(call.get().status, TokenStatus::NotConnected);
  http_.always("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(204, ""));
  EXPECT_EQ(run(node_->revocations.run_due(10)), 1u);
  EXPECT_NE(http_.requests("DELETE", kRevokeGrantUrl).at(0).body.find("access-2"), std::string::npos);
}

TEST_F(TokenServiceTest, refreshes_once_for_a_rejected_version) {
  clock_.advance(std::chrono::hours(1));
  provider_refreshes(2);
  const auto first = run(node_->tokens.force_refresh(platform_, connection_, "main", 1));
  EXPECT_EQ(first.token.reveal(), "access-2");
  const auto second = run(node_->tokens.force_refresh(platform_, connection_, "main", 1));
  EXPECT_EQ(second.token.reveal(), "access-2");
  EXPECT_EQ(refreshes_sent().size(), 1u);
}

TEST_F(TokenServiceTest, does_not_refresh_a_young_token_over_and_over) {
  provider_refreshes(2);
  EXPECT_EQ(run(node_->tokens.force_refresh(platform_, connection_, "main", 1)).token.reveal(), "access-2");
  EXPECT_EQ(run(node_->tokens.force_refresh(platform_, connection_, "main", 2)).status,
            TokenStatus::RetryLater);
  EXPECT_EQ(refreshes_sent().size(), 1u);
}

TEST_F(TokenServiceTest, sees_at_once_that_access_was_taken_away_after_connecting) {
  provider_says("bad_refresh_token");
  EXPECT_EQ(run(node_->tokens.force_refresh(platform_, connection_, "main", 1)).status,
            TokenStatus::NeedsReauth);
  EXPECT_EQ(status(), "needs_reauth");
}

TEST_F(TokenServiceTest, marks_a_rejected_token_that_cannot_be_refreshed) {
  activate(platform_, "plain");
  oauth::NewLink input;
  input.app = "plain";
  const auto browser = start_flow(platform_, end_user_, input);
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, R"({"access_token":"plain-1","scope":"read"})"));
  http_.once("GET", kUserUrl, FakeHttpClient::replies(200, R"({"id":42})"));
  const auto id = *run(node_->flow.finish(callback(browser, "plain"))).connection_id;
  clock_.advance(std::chrono::hours(24 * 300));
  EXPECT_EQ(run(node_->tokens.access_token(platform_, id, "main")).token.reveal(), "plain-1");
  EXPECT_EQ(run(node_->tokens.force_refresh(platform_, id, "main", 1)).status, TokenStatus::NeedsReauth);
  EXPECT_EQ(run(node_->connections.get(platform_, id)).status, oauth::ConnectionStatus::NeedsReauth);
}

TEST_F(TokenServiceTest, marks_a_connection_only_for_the_version_that_failed) {
  run(node_->tokens.mark_needs_reauth(platform_, connection_, "main", 7, "gone"));
  EXPECT_EQ(status(), "active");
  run(node_->tokens.mark_needs_reauth(platform_, connection_, "main", 1, "gone"));
  EXPECT_EQ(status(), "needs_reauth");
  EXPECT_EQ(token().status, TokenStatus::NeedsReauth);
}

TEST_F(TokenServiceTest, does_not_refresh_for_another_oauth_client) {
  oauth::AppPatch patch;
  patch.client_id = "client-2";
  run(node_->apps.update(platform_, "demo", patch, context()));
  EXPECT_EQ(token().token.reveal(), "access-1");
  expire_token();
  EXPECT_EQ(token().status, TokenStatus::NeedsReauth);
  EXPECT_EQ(column("select status_reason from connection"), "client_changed");
  EXPECT_TRUE(refreshes_sent().empty());
}

TEST_F(TokenServiceTest, knows_no_connection_of_another_platform) {
  const auto other = make_platform("Other");
  token();
  EXPECT_EQ(run(node_->tokens.access_token(other, connection_, "main")).status, TokenStatus::NotConnected);
  EXPECT_EQ(run(node_->tokens.force_refresh(other, connection_, "main", 1)).status,
            TokenStatus::NotConnected);
  EXPECT_EQ(run(node_->tokens.access_token(platform_, connection_, "bot")).status, TokenStatus::NotConnected);
}

TEST_F(TokenServiceTest, opens_no_ciphertext_of_another_row_or_column) {
  const auto other = make_end_user(platform_, "other");
  const auto foreign = connect(platform_, other, 5, "77");
  database_.exec(
      "update credential set access_token = (select access_token from credential where connection_id = "
      "$1::uuid)"
      " where connection_id = $2::uuid",
      {foreign.str(), connection_.str()});
  EXPECT_EQ(error_of(node_->tokens.access_token(platform_, connection_, "main")).kind(),
            core::ErrorKind::Internal);
  database_.exec("update credential set access_token = refresh_token where connection_id = $1::uuid",
                 {foreign.str()});
  EXPECT_EQ(error_of(node_->tokens.access_token(platform_, foreign, "main")).kind(),
            core::ErrorKind::Internal);
}

TEST_F(TokenServiceTest, spares_a_provider_that_is_down) {
  oauth::TokenServiceOptions options;
  options.breaker_failures = 2;
  const auto node = second_node(options);
  expire_token();
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(503, ""));
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(503, ""));
  token(*node);
  clock_.advance(std::chrono::seconds(10));
  token(*node);
  clock_.advance(std::chrono::seconds(10));
  EXPECT_EQ(token(*node).status, TokenStatus::RetryLater);
  EXPECT_EQ(refreshes_sent().size(), 2u);
  clock_.advance(std::chrono::seconds(30));
  provider_refreshes(2);
  EXPECT_EQ(token(*node).token.reveal(), "access-2");
}

TEST_F(TokenServiceTest, refreshes_idle_grants_before_they_die) {
  // The refresh token lives ten days; nobody calls a tool.
  clock_.advance(std::chrono::hours(24 * 7));
  EXPECT_EQ(run(node_->tokens.refresh_idle(10)), 0u);
  clock_.advance(std::chrono::hours(24));
  provider_refreshes(2);
  EXPECT_EQ(run(node_->tokens.refresh_idle(10)), 1u);
  EXPECT_EQ(refreshes_sent().size(), 1u);
  EXPECT_EQ(run(node_->tokens.refresh_idle(10)), 0u);
  EXPECT_EQ(token().token.reveal(), "access-2");
  clock_.advance(std::chrono::hours(24 * 8));
  provider_says("bad_refresh_token");
  run(node_->tokens.refresh_idle(10));
  EXPECT_EQ(status(), "needs_reauth");
}

TEST_F(TokenServiceTest, looks_at_an_idle_grant_that_fails_once_an_hour) {
  clock_.advance(std::chrono::hours(24 * 8));
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(503, ""));
  EXPECT_EQ(run(node_->tokens.refresh_idle(10)), 1u);
  EXPECT_EQ(run(node_->tokens.refresh_idle(10)), 0u);
  clock_.advance(std::chrono::hours(1));
  provider_refreshes(2);
  EXPECT_EQ(run(node_->tokens.refresh_idle(10)), 1u);
  EXPECT_EQ(status(), "active");
}

}  // namespace assistiv::test
