#include "oauth/connect/connection_service.h"

#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"
#include "core/log.h"
#include "support/connect_fixture.h"

namespace assistiv::test {

using oauth::ConnectionStatus;

class ConnectionServiceTest : public ConnectTest {
 protected:
  void SetUp() override {
    platform_ = make_platform();
    end_user_ = make_end_user(platform_);
    activate(platform_);
  }
  oauth::Disconnected disconnect(core::ConnectionId id) {
    return run(node_->connections.disconnect(platform_, {}, id, context()));
  }
  std::size_t token_revokes() const { return http_.requests("DELETE", kRevokeTokenUrl).size(); }
  std::size_t grant_revokes() const { return http_.requests("DELETE", kRevokeGrantUrl).size(); }

  core::PlatformId platform_;
  core::EndUserId end_user_;
};

TEST_F(ConnectionServiceTest, lists_what_belongs_to_the_platform_and_end_user) {
  const auto first = connect(platform_, end_user_, 1, "41");
  clock_.advance(std::chrono::milliseconds(1));
  const auto second = connect(platform_, end_user_, 2, "42");
  const auto other_user = make_end_user(platform_, "other");
  connect(platform_, other_user, 3, "43");
  const auto other = make_platform("Other");
  oauth::ConnectionFilter mine;
  mine.end_user_id = end_user_;
  const auto page = run(node_->connections.list(platform_, mine, {}));
  ASSERT_EQ(page.total, 2);
  EXPECT_EQ(page.items[0].id, second);
  EXPECT_EQ(page.items[1].id, first);
  EXPECT_EQ(run(node_->connections.list(platform_, {}, {})).total, 3);
  EXPECT_EQ(run(node_->connections.list(other, {}, {})).total, 0);
  EXPECT_EQ(error_of(node_->connections.get(other, first)).kind(), core::ErrorKind::NotFound);
  EXPECT_EQ(error_of(node_->connections.list(platform_, {}, {0, 20})).field(), "page");
}

TEST_F(ConnectionServiceTest, uses_the_default_and_never_another_one_while_it_is_there) {
  EXPECT_FALSE(run(node_->connections.usable(platform_, end_user_, "demo")).has_value());
  const auto first = connect(platform_, end_user_, 1, "41");
  clock_.advance(std::chrono::minutes(1));
  const auto second = connect(platform_, end_user_, 2, "42");
  const auto used = [&] { return run(node_->connections.usable(platform_, end_user_, "demo"))->id; };
  EXPECT_EQ(used(), first) << "the first one is the default";
  run(node_->tokens.mark_needs_reauth(platform_, first, "main", 1, "gone"));
  EXPECT_EQ(used(), first) << "it asks to be renewed";
  run(node_->connections.change(platform_, end_user_, second, {.make_default = true}, context()));
  EXPECT_EQ(used(), second);
  run(node_->connections.disconnect(platform_, end_user_, second, context()));
  EXPECT_EQ(run(node_->connections.usable(platform_, end_user_, "demo"))->status,
            ConnectionStatus::NeedsReauth);
  EXPECT_FALSE(run(node_->connections.usable(platform_, make_end_user(platform_, "x"), "demo")).has_value());
}

TEST_F(ConnectionServiceTest, names_connections_apart) {
  const auto first = connect(platform_, end_user_, 1, "41");
  const auto second = connect(platform_, end_user_, 2, "42");
  const auto rename = [&](core::ConnectionId id, std::optional<std::string> label) {
    return node_->connections.change(platform_, end_user_, id, {.label = std::move(label)}, context());
  };
  EXPECT_EQ(shown_label(run(rename(first, "Work"))), "Work");
  EXPECT_EQ(error_of(rename(second, "WORK")).code(), "label_taken");
  EXPECT_EQ(error_of(rename(second, "a\nb")).field(), "/label");
  const auto named = run(rename(first, std::nullopt));
  EXPECT_EQ(shown_label(named), named.account_label);
  EXPECT_EQ(error_of(node_->connections.change(platform_, make_end_user(platform_, "x"), first,
                                               {.make_default = true}, context()))
                .kind(),
            core::ErrorKind::NotFound);
}

TEST_F(ConnectionServiceTest, revokes_upstream_before_the_ciphertext_goes) {
  const auto id = connect(platform_, end_user_);
  http_.once("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(204, ""));
  http_.hold("DELETE", kRevokeGrantUrl);
  auto call = io_.start(node_->connections.disconnect(platform_, {}, id, context()));
  ASSERT_TRUE(http_.await_arrivals("DELETE", kRevokeGrantUrl, 1));
  // Already unusable, and still there to be revoked should this process vanish now.
  EXPECT_EQ(column("select status from connection"), "revoked");
  EXPECT_EQ(count("from upstream_revocation"), 1);
  http_.release("DELETE", kRevokeGrantUrl);
  const auto result = call.get();
  EXPECT_TRUE(result.revoked_upstream);
  EXPECT_FALSE(result.reason.has_value());
  EXPECT_EQ(count("from upstream_revocation"), 0);
  EXPECT_EQ(count("from credential"), 0);
  EXPECT_EQ(run(node_->tokens.access_token(platform_, id, "main")).status, oauth::TokenStatus::NotConnected);
  const auto request = http_.requests("DELETE", kRevokeGrantUrl)[0];
  EXPECT_EQ(request.headers.get("authorization"), "Basic " + core::base64_encode("client-1:client-secret-1"));
  EXPECT_EQ(request.body, R"({"access_token":"access-1"})");
}

TEST_F(ConnectionServiceTest, revokes_the_whole_grant_only_when_nobody_else_uses_it) {
  const auto mine = connect(platform_, end_user_, 1);
  // The same account and client in another tenant.
  const auto other = make_platform("Other");
  activate(other);
  const auto other_user = make_end_user(other);
  const auto theirs = connect(other, other_user, 2);
  http_.always("DELETE", kRevokeTokenUrl, FakeHttpClient::replies(204, ""));
  http_.always("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(204, ""));
  EXPECT_TRUE(disconnect(mine).revoked_upstream);
  EXPECT_EQ(token_revokes(), 1u);
  EXPECT_EQ(grant_revokes(), 0u);
  EXPECT_EQ(run(node_->tokens.access_token(other, theirs, "main")).token.reveal(), "access-2");
  EXPECT_TRUE(run(node_->connections.disconnect(other, other_user, theirs, context())).revoked_upstream);
  EXPECT_EQ(grant_revokes(), 1u);
}

TEST_F(ConnectionServiceTest, refuses_what_belongs_to_somebody_else) {
  const auto id = connect(platform_, end_user_);
  const auto other = make_platform("Other");
  const auto other_user = make_end_user(platform_, "other");
  EXPECT_EQ(error_of(node_->connections.disconnect(other, {}, id, context())).kind(),
            core::ErrorKind::NotFound);
  EXPECT_EQ(error_of(node_->connections.disconnect(platform_, other_user, id, context())).kind(),
            core::ErrorKind::NotFound);
  EXPECT_EQ(run(node_->connections.get(platform_, id)).status, ConnectionStatus::Active);
}

TEST_F(ConnectionServiceTest, tries_again_from_the_queue_while_the_provider_is_away) {
  const auto id = connect(platform_, end_user_);
  http_.once("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(503, ""));
  const auto result = disconnect(id);
  EXPECT_FALSE(result.revoked_upstream);
  EXPECT_EQ(result.reason, "pending");
  EXPECT_EQ(run(node_->revocations.run_due(10)), 0u);
  clock_.advance(std::chrono::seconds(30));
  http_.once("DELETE", kRevokeGrantUrl, FakeHttpClient::fails(core::OutboundFailure::Timeout));
  EXPECT_EQ(run(node_->revocations.run_due(10)), 1u);
  clock_.advance(std::chrono::seconds(60));
  http_.once("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(204, ""));
  run(node_->worker.run_once());
  EXPECT_EQ(count("from upstream_revocation"), 0);
  EXPECT_EQ(grant_revokes(), 3u);
}

TEST_F(ConnectionServiceTest, gives_a_revocation_up_after_a_bounded_number_of_tries) {
  const auto id = connect(platform_, end_user_);
  http_.always("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(500, ""));
  // A refresh of the dead connection's token fails the same way.
  http_.always("POST", kTokenUrl, FakeHttpClient::replies(500, ""));
  disconnect(id);
  for (int i = 0; i < 40 && count("from upstream_revocation") > 0; ++i) {
    clock_.advance(std::chrono::hours(7));
    run(node_->revocations.run_due(10));
  }
  EXPECT_EQ(count("from upstream_revocation"), 0);
  const auto tries = grant_revokes() + http_.requests("POST", kTokenUrl).size() - 1;
  EXPECT_EQ(tries, static_cast<std::size_t>(oauth::RevocationQueue::kAttemptsMax));
}

TEST_F(ConnectionServiceTest, gets_a_live_token_to_revoke_an_expired_one) {
  const auto id = connect(platform_, end_user_);
  clock_.advance(std::chrono::hours(9));
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, token_json(2)));
  http_.once("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(503, ""));
  EXPECT_EQ(disconnect(id).reason, "pending");
  clock_.advance(std::chrono::seconds(30));
  http_.once("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(204, ""));
  run(node_->revocations.run_due(10));
  // The second try uses the token that the first one stored: the refresh token works once.
  EXPECT_EQ(http_.requests("POST", kTokenUrl).size(), 2u);
  for (const auto& request : http_.requests("DELETE", kRevokeGrantUrl)) {
    EXPECT_EQ(request.body, R"({"access_token":"access-2"})");
  }
}

TEST_F(ConnectionServiceTest, says_why_nothing_was_revoked) {
  const auto id = connect(platform_, end_user_);
  http_.once("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(401, ""));
  EXPECT_EQ(disconnect(id).reason, "refused");
  EXPECT_EQ(count("from upstream_revocation"), 0);
  EXPECT_EQ(disconnect(id).reason, "no_credentials");

  activate(platform_, "plain");
  oauth::NewLink input;
  input.app = "plain";
  const auto browser = start_flow(platform_, end_user_, input);
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, R"({"access_token":"plain-1"})"));
  http_.once("GET", kUserUrl, FakeHttpClient::replies(200, R"({"id":42})"));
  const auto plain = *run(node_->flow.finish(callback(browser, "plain"))).connection_id;
  EXPECT_EQ(disconnect(plain).reason, "not_supported");
  EXPECT_EQ(count("from credential"), 0);
}

TEST_F(ConnectionServiceTest, reads_in_the_body_whether_a_revocation_worked) {
  auto manifest = core::parse_json(test::demo_manifest());
  auto& rules = manifest["oauth"]["revoke"];
  rules.erase("grant");
  rules["token"]["ok_status"] = {200};
  rules["token"]["ok"] = {{"equals", {{"/ok", true}}}};
  rules["token"]["gone"] = {"token_revoked"};
  registry_.add(core::dump_json(manifest));
  struct Answer {
    const char* body;
    bool revoked;
    const char* reason;
  };
  const Answer answers[] = {{R"({"ok": true})", true, ""},
                            {R"({"ok": false, "error": "token_revoked"})", true, ""},
                            {R"({"ok": false, "error": "incorrect_client_credentials"})", false, "refused"},
                            {R"({"ok": false, "error": "fatal_error"})", false, "pending"},
                            {"<html>", false, "pending"}};
  int n = 1;
  for (const auto& answer : answers) {
    const auto id = connect(platform_, end_user_, n++);
    http_.once("DELETE", kRevokeTokenUrl, test::FakeHttpClient::replies(200, answer.body));
    const auto result = run(node_->connections.disconnect(platform_, {}, id, context()));
    EXPECT_EQ(result.revoked_upstream, answer.revoked) << answer.body;
    EXPECT_EQ(result.reason.value_or(""), answer.reason) << answer.body;
  }
}

TEST_F(ConnectionServiceTest, does_not_use_the_secret_of_another_client) {
  const auto id = connect(platform_, end_user_);
  oauth::AppPatch patch;
  patch.client_id = "client-2";
  patch.client_secret = core::Secret("client-secret-2");
  run(node_->apps.update(platform_, "demo", patch, context()));
  EXPECT_EQ(disconnect(id).reason, "refused");
  EXPECT_EQ(grant_revokes(), 0u);
}

TEST_F(ConnectionServiceTest, disconnects_everything_of_an_end_user_and_survives_the_end_of_the_platform) {
  connect(platform_, end_user_, 1, "41");
  connect(platform_, end_user_, 2, "42");
  const auto other = make_end_user(platform_, "other");
  const auto kept = connect(platform_, other, 3, "43");
  oauth::ConnectionFilter mine;
  mine.end_user_id = end_user_;
  EXPECT_EQ(run(node_->connections.disconnect_all(platform_, mine, context())), 2u);
  EXPECT_EQ(run(node_->connections.get(platform_, kept)).status, ConnectionStatus::Active);
  EXPECT_EQ(run(node_->connections.disconnect_all(platform_, {}, context())), 1u);
  database_.exec("delete from platform");
  EXPECT_EQ(count("from upstream_revocation"), 3);
  http_.always("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(204, ""));
  EXPECT_EQ(run(node_->revocations.run_due(10)), 3u);
  EXPECT_EQ(grant_revokes(), 3u);
}

TEST_F(ConnectionServiceTest, hands_each_due_revocation_to_one_worker) {
  connect(platform_, end_user_, 1, "41");
  connect(platform_, end_user_, 2, "42");
  run(node_->connections.disconnect_all(platform_, {}, context()));
  http_.always("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(204, ""));
  ConnectNode other(database_.db(), *vault_, http_, registry_, clock_, random_);
  IoThread second;
  auto a = io_.start(node_->revocations.run_due(10));
  auto b = second.start(other.revocations.run_due(10));
  EXPECT_EQ(a.get() + b.get(), 2u);
  EXPECT_EQ(grant_revokes(), 2u);
}

TEST_F(ConnectionServiceTest, skips_a_revocation_that_does_not_open) {
  connect(platform_, end_user_, 1, "41");
  connect(platform_, end_user_, 2, "42");
  run(node_->connections.disconnect_all(platform_, {}, context()));
  database_.exec(
      "update upstream_revocation set payload = 'tampered' where revocation_id ="
      " (select min(revocation_id::text)::uuid from upstream_revocation)");
  http_.always("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(204, ""));
  EXPECT_EQ(run(node_->revocations.run_due(10)), 1u);
  EXPECT_EQ(count("from upstream_revocation"), 1);
}

TEST_F(ConnectionServiceTest, writes_uses_in_batches_and_never_back_in_time) {
  const auto id = connect(platform_, end_user_);
  EXPECT_FALSE(run(node_->connections.get(platform_, id)).last_used_at.has_value());
  node_->connections.touch(platform_, id);
  clock_.advance(std::chrono::seconds(5));
  node_->connections.touch(platform_, id);
  const auto used = clock_.now();
  run(node_->worker.run_once());
  EXPECT_EQ(run(node_->connections.get(platform_, id)).last_used_at, used);
  clock_.advance(-std::chrono::hours(1));
  node_->connections.touch(platform_, id);
  run(node_->connections.flush_uses());
  EXPECT_EQ(run(node_->connections.get(platform_, id)).last_used_at, used);
}

TEST_F(ConnectionServiceTest, runs_its_worker_until_it_is_stopped) {
  const auto id = connect(platform_, end_user_);
  node_->connections.touch(platform_, id);
  node_->worker.start(io_.executor());
  node_->worker.stop();
  EXPECT_TRUE(run(node_->connections.get(platform_, id)).last_used_at.has_value());
}

TEST_F(ConnectionServiceTest, writes_no_secret_to_the_log_or_in_plain_text_to_the_database) {
  std::vector<std::string> lines;
  std::mutex mutex;
  core::log::set_level(core::log::Level::Debug);
  core::log::set_listener([&](core::log::Level, std::string_view line) {
    std::lock_guard lock(mutex);
    lines.emplace_back(line);
  });
  const auto id = connect(platform_, end_user_);
  clock_.advance(std::chrono::hours(9));
  http_.once("POST", kTokenUrl,
             FakeHttpClient::replies(200, R"({"error":"slow_down","error_description":"refresh-1"})"));
  run(node_->tokens.access_token(platform_, id, "main"));
  clock_.advance(std::chrono::minutes(5));
  http_.once("POST", kTokenUrl, FakeHttpClient::fails(core::OutboundFailure::Timeout));
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, token_json(2)));
  run(node_->tokens.access_token(platform_, id, "main"));
  http_.once("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(503, ""));
  disconnect(id);
  core::log::set_listener({});
  core::log::set_level(core::log::Level::Info);
  EXPECT_FALSE(lines.empty());
  for (const auto& secret : {"access-1", "access-2", "refresh-1", "refresh-2", "client-secret-1", "code-1"}) {
    for (const auto& line : lines) EXPECT_EQ(line.find(secret), std::string::npos) << line;
    for (const auto* table : {"mcp_app", "connection", "credential", "connect_flow", "connect_link",
                              "upstream_revocation", "audit_entry"}) {
      EXPECT_EQ(count(std::string("from ") + table + " t where t::text like '%" + secret + "%'"), 0) << table;
    }
  }
}

TEST_F(ConnectionServiceTest, shows_no_row_to_another_tenants_transaction) {
  connect(platform_, end_user_);
  start_flow(platform_, end_user_);
  const auto other = make_platform("Other");
  database_.db().execute(storage::Scope::tenant(other), [](storage::Transaction& tx) {
    for (const auto* table :
         {"mcp_app", "connection", "credential", "connect_link", "connect_flow", "upstream_revocation"}) {
      EXPECT_TRUE(tx.exec(std::string("select 1 from ") + table).empty()) << table;
    }
  });
}

TEST_F(ConnectionServiceTest, lists_every_sealed_column_for_reencryption) {
  // Whatever looks like a sealed text is in a column that the re-encryption knows.
  const auto id = connect(platform_, end_user_);
  clock_.advance(std::chrono::hours(9));
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, token_json(2)));
  run(node_->tokens.access_token(platform_, id, "main"));
  start_flow(platform_, end_user_);
  oauth::Reencryption reencryption(database_.db(), *vault_, oauth::connect_sealed_columns());
  reencryption.rotate(random_);
  const auto report = reencryption.run();
  EXPECT_TRUE(report.complete());
  for (const auto& column : report.columns)
    EXPECT_EQ(column.unreadable, 0) << column.table << "." << column.column;
  reencryption.drop_unused();
  node_->tokens.on_notify("resync", "");
  EXPECT_EQ(run(node_->tokens.access_token(platform_, id, "main")).token.reveal(), "access-2");
}

}  // namespace assistiv::test
