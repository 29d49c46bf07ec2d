#include "oauth/connect/connect_flow.h"

#include <future>

#include <nlohmann/json.hpp>
#include <set>

#include "core/encoding.h"
#include "core/json_read.h"
#include "oauth/crypto/pkce.h"
#include "support/connect_fixture.h"

namespace assistiv::test {

using oauth::FlowReason;

class ConnectFlowTest : public ConnectTest {
 protected:
  void SetUp() override {
    platform_ = make_platform();
    end_user_ = make_end_user(platform_);
    activate(platform_);
  }
  // Of a callback that must not go through.
  oauth::CallbackOutcome refused(const oauth::CallbackRequest& request, FlowReason reason) {
    const auto outcome = run(node_->flow.finish(request));
    EXPECT_EQ(outcome.fault, reason);
    EXPECT_EQ(count("from connection"), 0);
    return outcome;
  }
  static std::string error_url(const std::string& reason) {
    return std::string(kReturnUrl) + "?status=error&app=demo&reason=" + reason;
  }
  static std::string form_value(const core::OutboundRequest& request, const std::string& name) {
    const auto fields = core::form_decode(request.body);
    for (const auto& [key, value] : *fields) {
      if (key == name) return value;
    }
    return {};
  }

  core::PlatformId platform_;
  core::EndUserId end_user_;
};

TEST_F(ConnectFlowTest, goes_from_link_to_connection) {
  const auto browser = start_flow(platform_, end_user_);
  provider_grants(1);
  const auto outcome = run(node_->flow.finish(callback(browser)));
  ASSERT_FALSE(outcome.fault.has_value());
  EXPECT_EQ(outcome.redirect_to, std::string(kReturnUrl) + "?status=connected&app=demo&connection_id=" +
                                     outcome.connection_id->str());
  const auto connection = run(node_->connections.get(platform_, *outcome.connection_id));
  EXPECT_EQ(connection.account_id, "42");
  EXPECT_EQ(connection.account_label, "person-42");
  EXPECT_EQ(connection.scopes, (std::vector<std::string>{"read", "write"}));
  EXPECT_EQ(connection.end_user_id, end_user_);

  const auto exchange = http_.requests("POST", kTokenUrl).at(0);
  EXPECT_EQ(form_value(exchange, "grant_type"), "authorization_code");
  EXPECT_EQ(form_value(exchange, "code"), "code-1");
  EXPECT_EQ(form_value(exchange, "redirect_uri"), "https://gateway.test/oauth/callback/demo");
  EXPECT_EQ(form_value(exchange, "client_secret"), "client-secret-1");
  const auto challenge = oauth::code_challenge_s256(form_value(exchange, "code_verifier"));
  EXPECT_NE(browser.provider_url.find("code_challenge=" + challenge), std::string::npos);
  const auto probe = http_.requests("GET", kUserUrl).at(0);
  EXPECT_EQ(probe.headers.get("authorization"), "Bearer access-1");
  EXPECT_EQ(probe.headers.get("x-version"), "7");
  EXPECT_EQ(count("from audit_entry where event in ('connect.started', 'connection.created')"), 2);
}

TEST_F(ConnectFlowTest, shows_the_page_any_number_of_times_without_using_the_link_up) {
  const auto token = make_link(platform_, end_user_, {});
  for (int i = 0; i < 3; ++i) {
    const auto page = run(node_->flow.page(token, ""));
    EXPECT_FALSE(page.fault.has_value());
    EXPECT_EQ(page.platform_name, "Acme");
    EXPECT_EQ(page.end_user_label, "user-1");
    EXPECT_EQ(page.app_title, "Demo");
    ASSERT_EQ(page.scopes.size(), 3u);
    EXPECT_EQ(page.scopes[0].title, "See who you are");
    EXPECT_EQ(page.scopes[1].title, "Read things");
  }
  EXPECT_EQ(count("from connect_link where consumed_at is not null"), 0);
}

TEST_F(ConnectFlowTest, keeps_the_browsers_cookie_for_parallel_flows) {
  const auto first = run(node_->flow.page(make_link(platform_, end_user_, {}), ""));
  const auto second = run(node_->flow.page(make_link(platform_, end_user_, {}), first.cookie));
  EXPECT_EQ(second.cookie, first.cookie);
  EXPECT_NE(second.csrf, first.csrf);
  const auto forged = run(node_->flow.page(make_link(platform_, end_user_, {}), "short"));
  EXPECT_EQ(forged.cookie.size(), 43u);
}

TEST_F(ConnectFlowTest, starts_only_with_the_form_of_this_browser_and_link) {
  const auto token = make_link(platform_, end_user_, {});
  const auto page = run(node_->flow.page(token, ""));
  const auto other = run(node_->flow.page(make_link(platform_, end_user_, {}), ""));
  EXPECT_EQ(run(node_->flow.start(token, page.cookie, other.csrf, "r")).fault, FlowReason::WrongBrowser);
  EXPECT_EQ(run(node_->flow.start(token, other.cookie, page.csrf, "r")).fault, FlowReason::WrongBrowser);
  EXPECT_EQ(run(node_->flow.start(token, "", "", "r")).fault, FlowReason::WrongBrowser);
  EXPECT_FALSE(run(node_->flow.start(token, page.cookie, page.csrf, "r")).fault.has_value());
  EXPECT_EQ(run(node_->flow.start(token, page.cookie, page.csrf, "r")).fault, FlowReason::AlreadyUsed);
  EXPECT_EQ(run(node_->flow.page(token, page.cookie)).fault, FlowReason::AlreadyUsed);
}

TEST_F(ConnectFlowTest, refuses_links_that_are_old_unknown_or_lead_nowhere) {
  const auto token = make_link(platform_, end_user_, {});
  EXPECT_EQ(run(node_->flow.page("nonsense", "")).fault, FlowReason::InvalidState);
  const auto page = run(node_->flow.page(token, ""));
  clock_.advance(std::chrono::minutes(10));
  EXPECT_EQ(run(node_->flow.page(token, "")).fault, FlowReason::Expired);
  EXPECT_EQ(run(node_->flow.start(token, page.cookie, page.csrf, "r")).fault, FlowReason::Expired);
  const auto fresh = make_link(platform_, end_user_, {});
  database_.exec("update end_user set is_active = false");
  EXPECT_EQ(run(node_->flow.page(fresh, "")).fault, FlowReason::Expired);
}

TEST_F(ConnectFlowTest, makes_links_for_own_active_apps_and_end_users_only) {
  const auto other = make_platform("Other");
  oauth::NewLink input;
  input.app = "demo";
  EXPECT_EQ(error_of(node_->flow.create_link(other, end_user_, input, context())).kind(),
            core::ErrorKind::NotFound);
  activate(other);
  EXPECT_EQ(error_of(node_->flow.create_link(other, end_user_, input, context())).kind(),
            core::ErrorKind::NotFound);
  input.return_url = std::string(kReturnUrl) + "/";
  EXPECT_EQ(error_of(node_->flow.create_link(platform_, end_user_, input, context())).field(), "/return_url");
  input.return_url.reset();
  input.app = "plain";
  const auto inactive = error_of(node_->flow.create_link(platform_, end_user_, input, context()));
  EXPECT_EQ(inactive.kind(), core::ErrorKind::NotFound);
  EXPECT_NE(inactive.message().find("POST /v1/platforms/" + platform_.str() + "/mcp/apps"),
            std::string::npos);
  oauth::AppPatch patch;
  patch.is_active = false;
  run(node_->apps.update(platform_, "demo", patch, context()));
  input.app = "demo";
  EXPECT_EQ(error_of(node_->flow.create_link(platform_, end_user_, input, context())).kind(),
            core::ErrorKind::NotFound);
}

TEST_F(ConnectFlowTest, never_redirects_for_a_state_that_it_does_not_know) {
  auto browser = start_flow(platform_, end_user_);
  browser.state = "made-up";
  EXPECT_FALSE(refused(callback(browser), FlowReason::InvalidState).redirect_to.has_value());
  auto request = callback(start_flow(platform_, end_user_));
  request.query.push_back({"state", "second"});
  EXPECT_FALSE(refused(request, FlowReason::InvalidState).redirect_to.has_value());
  request.query.clear();
  EXPECT_FALSE(refused(request, FlowReason::InvalidState).redirect_to.has_value());
}

TEST_F(ConnectFlowTest, refuses_another_browser_and_lets_the_right_one_go_on) {
  const auto browser = start_flow(platform_, end_user_);
  auto request = callback(browser);
  request.cookie = core::random_token(random_, 32);
  EXPECT_FALSE(refused(request, FlowReason::WrongBrowser).redirect_to.has_value());
  request.cookie.clear();
  refused(request, FlowReason::WrongBrowser);
  EXPECT_TRUE(http_.requests().empty());
  EXPECT_EQ(count("from audit_entry where event = 'connect.refused'"), 1)
      << "once, however often it is tried";
  provider_grants(1);
  EXPECT_FALSE(run(node_->flow.finish(callback(browser))).fault.has_value());
}

TEST_F(ConnectFlowTest, ends_a_link_at_the_persons_no) {
  const auto token = make_link(platform_, end_user_, {});
  const auto page = run(node_->flow.page(token, ""));
  const auto other = core::random_token(random_, 32);
  EXPECT_EQ(run(node_->flow.cancel(token, other, page.csrf, "r")).fault, FlowReason::WrongBrowser);
  const auto end = run(node_->flow.cancel(token, page.cookie, page.csrf, "r"));
  EXPECT_FALSE(end.fault.has_value());
  EXPECT_EQ(end.return_to, error_url("access_denied"));
  EXPECT_EQ(run(node_->flow.start(token, page.cookie, page.csrf, "r")).fault, FlowReason::AlreadyUsed);
  EXPECT_EQ(run(node_->flow.cancel(token, page.cookie, page.csrf, "r")).fault, FlowReason::AlreadyUsed);
  EXPECT_EQ(column("select details ->> 'reason' from audit_entry where event = 'connect.failed'"),
            "access_denied");
}

TEST_F(ConnectFlowTest, asks_the_end_user_for_what_the_link_does_not_say) {
  auto manifest = core::parse_json(test::demo_manifest());
  manifest["vars"]["site"] = {
      {"source", "link"}, {"pattern", "^[a-z]{1,9}$"}, {"title", "Site"}, {"ask", "Its name."}};
  manifest["oauth"]["authorize"]["url"] = "https://{site}.provider.test/authorize";
  manifest["hosts"].push_back("{site}.provider.test");
  registry_.add(core::dump_json(manifest));
  const auto token = make_link(platform_, end_user_, {});
  const auto page = run(node_->flow.page(token, ""));
  ASSERT_EQ(page.asks.size(), 1u);
  EXPECT_EQ(page.asks[0].title, "Site");
  EXPECT_EQ(page.provider_host, "....provider.test");
  const auto start = [&](oauth::Values answers) {
    return run(node_->flow.start(token, page.cookie, page.csrf, "r", answers));
  };
  for (const oauth::Values& wrong :
       {oauth::Values{}, {{"site", ""}}, {{"site", "evil.example/"}}, {{"other", "acme"}}}) {
    const auto refused = start(wrong);
    EXPECT_EQ(refused.refused_var, "site");
    EXPECT_FALSE(refused.fault.has_value());
    EXPECT_EQ(refused.provider_url, "");
  }
  const auto good = start({{"site", "acme"}, {"client_id", "evil"}});
  EXPECT_TRUE(good.provider_url.starts_with("https://acme.provider.test/authorize?")) << good.provider_url;
  EXPECT_EQ(start({{"site", "acme"}}).fault, FlowReason::AlreadyUsed);

  oauth::NewLink said;
  said.vars = {{"site", "acme"}};
  const auto known = run(node_->flow.page(make_link(platform_, end_user_, said), ""));
  EXPECT_TRUE(known.asks.empty());
  EXPECT_EQ(known.provider_host, "acme.provider.test");
}

TEST_F(ConnectFlowTest, takes_one_number_at_two_sites_for_two_accounts) {
  auto manifest = core::parse_json(test::demo_manifest());
  manifest["vars"]["site"] = {{"source", "link"}, {"pattern", "^[a-z]{1,9}$"}};
  manifest["oauth"]["identity"]["id"] = {"{site}", "/id"};
  registry_.add(core::dump_json(manifest));
  int n = 1;
  for (const char* site : {"acme", "globex", "acme"}) {
    oauth::NewLink input;
    input.vars = {{"site", site}};
    const auto browser = start_flow(platform_, end_user_, input);
    provider_grants(n++);
    ASSERT_FALSE(run(node_->flow.finish(callback(browser))).fault.has_value());
  }
  std::set<std::string> accounts;
  for (const auto& connection : run(node_->connections.list(platform_, {}, {})).items)
    accounts.insert(connection.account_id);
  EXPECT_EQ(accounts, (std::set<std::string>{"acme/42", "globex/42"}));
  EXPECT_EQ(count("from connection"), 2);
}

TEST_F(ConnectFlowTest, asks_for_two_lists_of_scopes_and_keeps_them_apart) {
  auto manifest = core::parse_json(test::demo_manifest());
  auto& oauth = manifest["oauth"];
  oauth["scope"]["also"] = {{{"param", "bot_scope"}, {"prefix", "bot:"}, {"slot", "bot"}}};
  oauth["scope"]["titles"]["bot:post"] = "Post as the bot";
  oauth["scope"]["default"] = {"write", "bot:post"};
  oauth["slots"]["bot"] = {{"access", "/bot/token"}, {"scope", "/bot/scope"}, {"required", false}};
  oauth["revoke"]["token"]["slots"] = {"main"};
  oauth["revoke"].erase("grant");
  registry_.add(core::dump_json(manifest));
  const auto browser = start_flow(platform_, end_user_);
  EXPECT_NE(browser.provider_url.find("scope=read%20write&bot_scope=post&"), std::string::npos)
      << browser.provider_url;
  auto tokens = core::parse_json(token_json(1));
  tokens["scope"] = "read,write";
  tokens["bot"] = {{"token", "bot-1"}, {"scope", "post,read"}};
  http_.once("POST", kTokenUrl, test::FakeHttpClient::replies(200, tokens.dump()));
  http_.once("GET", kUserUrl, test::FakeHttpClient::replies(200, R"({"id": 42, "login": "octocat"})"));
  const auto outcome = run(node_->flow.finish(callback(browser)));
  ASSERT_FALSE(outcome.fault.has_value());
  const auto connection = run(node_->connections.list(platform_, {}, {})).items.at(0);
  EXPECT_EQ(connection.scopes, (std::vector<std::string>{"bot:post", "bot:read", "read", "write"}));
  EXPECT_EQ(run(node_->tokens.access_token(platform_, connection.id, "bot")).token.reveal(), "bot-1");
  // The bot is everybody's in its workspace: no request covers it, so it is not revoked with one person's
  // account.
  http_.once("DELETE", kRevokeTokenUrl, test::FakeHttpClient::replies(204, ""));
  EXPECT_TRUE(run(node_->connections.disconnect(platform_, {}, connection.id, context())).revoked_upstream);
  EXPECT_EQ(count("from upstream_revocation"), 0);
}

TEST_F(ConnectFlowTest, hands_a_live_link_out_again) {
  oauth::NewLink again;
  again.reuse = true;
  const auto first = make_link(platform_, end_user_, again);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(make_link(platform_, end_user_, again), first);
  EXPECT_EQ(count("from connect_link"), 1);
  EXPECT_EQ(count("from audit_entry where event = 'connect.link_created'"), 1);
  EXPECT_NE(make_link(platform_, end_user_, {}), first) << "who asks for a link of his own gets one";
  EXPECT_NE(make_link(platform_, make_end_user(platform_, "user-2"), again), first);
  oauth::NewLink elsewhere = again;
  elsewhere.return_url = kReturnUrl;
  EXPECT_EQ(make_link(platform_, end_user_, elsewhere), first) << "it is the app's first one";
  clock_.advance(std::chrono::minutes(6));
  const auto second = make_link(platform_, end_user_, again);
  EXPECT_NE(second, first) << "too old to be handed out";
  open_link(second);
  EXPECT_NE(make_link(platform_, end_user_, again), second) << "used";
}

TEST_F(ConnectFlowTest, makes_one_link_for_many_simultaneous_callers) {
  oauth::NewLink again;
  again.app = "demo";
  again.reuse = true;
  std::vector<std::future<oauth::ConnectLink>> made;
  for (int i = 0; i < 8; ++i)
    made.push_back(io_.start(node_->flow.create_link(platform_, end_user_, again, context())));
  for (auto& one : made) one.get();
  EXPECT_EQ(count("from connect_link"), 1);
}

TEST_F(ConnectFlowTest, leaves_an_entry_for_every_flow_that_fails) {
  const auto reason = [&] {
    return column(
        "select details ->> 'reason' from audit_entry where event = 'connect.failed'"
        " order by seq desc limit 1");
  };
  auto request = callback(start_flow(platform_, end_user_));
  request.query = {{"error", "access_denied"}, request.query[1]};
  refused(request, FlowReason::AccessDenied);
  EXPECT_EQ(reason(), "access_denied");
  refused(request, FlowReason::AlreadyUsed);
  request = callback(start_flow(platform_, end_user_));
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, R"({"error":"bad_verification_code"})"));
  refused(request, FlowReason::ExchangeFailed);
  EXPECT_EQ(reason(), "exchange_failed");
  request = callback(start_flow(platform_, end_user_));
  clock_.advance(std::chrono::minutes(11));
  refused(request, FlowReason::Expired);
  EXPECT_EQ(reason(), "expired");
  EXPECT_EQ(count("from audit_entry where event = 'connect.failed'"), 3);
}

TEST_F(ConnectFlowTest, says_in_the_trail_whose_key_made_the_link_and_who_confirmed) {
  database_.exec(
      "update platform set settings = '{\"connect_verifier_url\": \"https://platform.test/verify\"}'");
  const auto actor = std::make_shared<oauth::Principal>();
  actor->kind = oauth::PrincipalKind::Platform;
  actor->key_id = core::KeyId::make(clock_, random_);
  actor->platform_id = platform_;
  oauth::NewLink input;
  input.app = "demo";
  const auto url = run(node_->flow.create_link(platform_, end_user_, input, {actor, "r"})).url;
  const auto browser = open_link(url.substr(url.rfind('/') + 1));
  provider_grants(1);
  const auto outcome = run(node_->flow.finish(callback(browser)));
  run(node_->flow.confirm(platform_, *outcome.flow_id, end_user_, {actor, "r"}));
  const auto key = actor->key_id.str();
  const std::string of = " from audit_entry where event = ";
  EXPECT_EQ(column("select key_id" + of + "'connect.link_created'"), key);
  EXPECT_EQ(column("select details ->> 'link_key_id'" + of + "'connect.started'"), key);
  EXPECT_EQ(column("select actor_kind || ' ' || key_id" + of + "'connection.created'"), "platform " + key);
  EXPECT_EQ(column("select details ->> 'link_key_id'" + of + "'connection.created'"), key);
}

TEST_F(ConnectFlowTest, refuses_another_apps_callback_path) {
  const auto outcome = refused(callback(start_flow(platform_, end_user_), "plain"), FlowReason::InvalidState);
  EXPECT_FALSE(outcome.redirect_to.has_value());
  auto request = callback(start_flow(platform_, end_user_));
  request.app.reset();
  refused(request, FlowReason::InvalidState);
  EXPECT_TRUE(http_.requests().empty());
}

TEST_F(ConnectFlowTest, refuses_another_issuer) {
  auto request = callback(start_flow(platform_, end_user_));
  request.query.push_back({"iss", "https://evil.test"});
  EXPECT_FALSE(refused(request, FlowReason::InvalidState).redirect_to.has_value());
  request = callback(start_flow(platform_, end_user_));
  request.query.push_back({"iss", "https://provider.test.evil.test"});
  refused(request, FlowReason::InvalidState);
  request = callback(start_flow(platform_, end_user_));
  request.query.push_back({"iss", "https://provider.test/login"});
  provider_grants(1);
  EXPECT_FALSE(run(node_->flow.finish(request)).fault.has_value());
}

TEST_F(ConnectFlowTest, tells_the_platform_why_a_trusted_flow_failed) {
  auto request = callback(start_flow(platform_, end_user_));
  request.query[0] = {"error", "access_denied"};
  EXPECT_EQ(refused(request, FlowReason::AccessDenied).redirect_to, error_url("access_denied"));

  request = callback(start_flow(platform_, end_user_));
  request.query[0] = {"error", "<script>"};
  EXPECT_EQ(refused(request, FlowReason::ProviderError).redirect_to, error_url("provider_error"));

  request = callback(start_flow(platform_, end_user_));
  request.query.erase(request.query.begin());
  EXPECT_EQ(refused(request, FlowReason::ProviderError).redirect_to, error_url("provider_error"));

  request = callback(start_flow(platform_, end_user_));
  clock_.advance(std::chrono::minutes(10));
  EXPECT_EQ(refused(request, FlowReason::Expired).redirect_to, error_url("expired"));

  request = callback(start_flow(platform_, end_user_));
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, R"({"error":"bad_verification_code"})"));
  EXPECT_EQ(refused(request, FlowReason::ExchangeFailed).redirect_to, error_url("exchange_failed"));

  request = callback(start_flow(platform_, end_user_));
  http_.once("POST", kTokenUrl, FakeHttpClient::fails(core::OutboundFailure::Timeout));
  EXPECT_EQ(refused(request, FlowReason::ExchangeFailed).redirect_to, error_url("exchange_failed"));
}

TEST_F(ConnectFlowTest, revokes_tokens_that_do_not_say_whose_they_are) {
  const auto request = callback(start_flow(platform_, end_user_));
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, token_json(1)));
  http_.always("GET", kUserUrl, FakeHttpClient::replies(200, R"({"id":null,"login":"anonymous"})"));
  EXPECT_EQ(refused(request, FlowReason::IdentityFailed).redirect_to, error_url("identity_failed"));
  EXPECT_EQ(http_.requests("GET", kUserUrl).size(), 2u);
  http_.always("DELETE", kRevokeTokenUrl, FakeHttpClient::replies(204, ""));
  EXPECT_EQ(run(node_->revocations.run_due(10)), 1u);
  EXPECT_NE(http_.requests("DELETE", kRevokeTokenUrl).at(0).body.find("access-1"), std::string::npos);
}

TEST_F(ConnectFlowTest, is_used_once_even_when_callbacks_race) {
  const auto request = callback(start_flow(platform_, end_user_));
  provider_grants(1);
  http_.hold("POST", kTokenUrl);
  IoThread second;
  auto first_try = io_.start(node_->flow.finish(request));
  ASSERT_TRUE(http_.await_arrivals("POST", kTokenUrl, 1));
  auto second_try = second.start(node_->flow.finish(request));
  const auto loser = second_try.get();
  EXPECT_EQ(loser.fault, FlowReason::AlreadyUsed);
  EXPECT_FALSE(loser.redirect_to.has_value());
  http_.release("POST", kTokenUrl);
  EXPECT_FALSE(first_try.get().fault.has_value());
  EXPECT_EQ(http_.requests("POST", kTokenUrl).size(), 1u);
  EXPECT_EQ(count("from connection"), 1);
}

TEST_F(ConnectFlowTest, lets_one_of_many_simultaneous_callbacks_through) {
  const auto request = callback(start_flow(platform_, end_user_));
  provider_grants(1);
  std::vector<std::future<oauth::CallbackOutcome>> tries;
  for (int i = 0; i < 8; ++i) tries.push_back(io_.start(node_->flow.finish(request)));
  int connected = 0;
  for (auto& one : tries) connected += one.get().fault ? 0 : 1;
  EXPECT_EQ(connected, 1);
  EXPECT_EQ(http_.requests("POST", kTokenUrl).size(), 1u);
}

TEST_F(ConnectFlowTest, repairs_the_connection_of_the_same_account) {
  const auto first = connect(platform_, end_user_, 1);
  database_.exec("update connection set status = 'needs_reauth'");
  const auto second = connect(platform_, end_user_, 2);
  EXPECT_EQ(first, second);
  EXPECT_EQ(run(node_->connections.get(platform_, first)).status, oauth::ConnectionStatus::Active);
  EXPECT_EQ(run(node_->tokens.access_token(platform_, first, "main")).token.reveal(), "access-2");
  EXPECT_EQ(count("from audit_entry where event = 'connection.reconnected'"), 1);
  // The tokens it had are revoked one by one: the grant is in use again.
  http_.always("DELETE", kRevokeTokenUrl, FakeHttpClient::replies(204, ""));
  run(node_->revocations.run_due(10));
  ASSERT_EQ(http_.requests("DELETE", kRevokeTokenUrl).size(), 1u);
  EXPECT_NE(http_.requests("DELETE", kRevokeTokenUrl)[0].body.find("access-1"), std::string::npos);
}

TEST_F(ConnectFlowTest, makes_a_second_connection_for_another_account_unless_a_repair_was_asked) {
  const auto first = connect(platform_, end_user_, 1, "41");
  EXPECT_NE(connect(platform_, end_user_, 2, "42"), first);
  oauth::NewLink repair;
  repair.connection_id = first;
  auto request = callback(start_flow(platform_, end_user_, repair));
  provider_grants(3, "43");
  const auto outcome = run(node_->flow.finish(request));
  EXPECT_EQ(outcome.fault, FlowReason::AccountMismatch);
  EXPECT_EQ(outcome.redirect_to, error_url("account_mismatch"));
  EXPECT_EQ(count("from connection"), 2);
  EXPECT_EQ(count("from upstream_revocation"), 1);
}

TEST_F(ConnectFlowTest, comes_to_nothing_when_the_app_or_the_end_user_went_meanwhile) {
  const auto request = callback(start_flow(platform_, end_user_));
  provider_grants(1);
  http_.hold("GET", kUserUrl);
  auto pending = io_.start(node_->flow.finish(request));
  ASSERT_TRUE(http_.await_arrivals("GET", kUserUrl, 1));
  database_.exec("update mcp_app set is_active = false");
  http_.release("GET", kUserUrl);
  EXPECT_EQ(pending.get().fault, FlowReason::Expired);
  EXPECT_EQ(count("from connection"), 0);
  EXPECT_EQ(count("from upstream_revocation"), 1);
}

TEST_F(ConnectFlowTest, waits_for_the_platforms_word_where_there_is_a_verifier) {
  database_.exec(
      "update platform set settings = '{\"connect_verifier_url\": \"https://platform.test/verify?a=1\"}'");
  const auto outcome = [&] {
    const auto browser = start_flow(platform_, end_user_);
    provider_grants(1);
    return run(node_->flow.finish(callback(browser)));
  }();
  ASSERT_TRUE(outcome.awaiting_confirmation);
  EXPECT_EQ(outcome.redirect_to,
            "https://platform.test/verify?a=1&flow_id=" + outcome.flow_id->str() + "&app=demo");
  EXPECT_EQ(count("from connection"), 0);
  const auto other = make_platform("Other");
  EXPECT_EQ(error_of(node_->flow.confirm(other, *outcome.flow_id, end_user_, context())).kind(),
            core::ErrorKind::NotFound);
  const auto confirmed = run(node_->flow.confirm(platform_, *outcome.flow_id, end_user_, context()));
  EXPECT_EQ(run(node_->connections.get(platform_, confirmed.connection_id)).status,
            oauth::ConnectionStatus::Active);
  EXPECT_EQ(run(node_->tokens.access_token(platform_, confirmed.connection_id, "main")).token.reveal(),
            "access-1");
  EXPECT_EQ(error_of(node_->flow.confirm(platform_, *outcome.flow_id, end_user_, context())).kind(),
            core::ErrorKind::NotFound);
}

TEST_F(ConnectFlowTest, discards_what_the_platform_denies_or_forgets) {
  database_.exec(
      "update platform set settings = '{\"connect_verifier_url\": \"https://platform.test/verify\"}'");
  const auto await_flow = [&](int n) {
    const auto browser = start_flow(platform_, end_user_);
    provider_grants(n);
    return *run(node_->flow.finish(callback(browser))).flow_id;
  };
  const auto victim = make_end_user(platform_, "victim");
  const auto denied = await_flow(1);
  EXPECT_EQ(error_of(node_->flow.confirm(platform_, denied, victim, context())).code(), "end_user_mismatch");
  EXPECT_EQ(column("select details ->> 'reason' from audit_entry where event = 'connect.failed'"),
            "end_user_mismatch");
  EXPECT_EQ(error_of(node_->flow.confirm(platform_, denied, end_user_, context())).kind(),
            core::ErrorKind::NotFound);
  EXPECT_EQ(count("from upstream_revocation"), 1);

  const auto forgotten = await_flow(2);
  clock_.advance(std::chrono::minutes(10));
  EXPECT_EQ(error_of(node_->flow.confirm(platform_, forgotten, end_user_, context())).kind(),
            core::ErrorKind::NotFound);
  http_.always("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(204, ""));
  run(node_->worker.run_once());
  EXPECT_EQ(http_.requests("DELETE", kRevokeGrantUrl).size(), 2u);
  EXPECT_EQ(count("from audit_entry where event = 'connect.failed' and details ->> 'reason' = 'expired'"), 1);
  EXPECT_EQ(count("from connect_flow where outcome is not null"), 0);
  EXPECT_EQ(count("from connection"), 0);
}

TEST_F(ConnectFlowTest, fails_closed_on_a_verifier_url_that_is_none) {
  database_.exec("update platform set settings = '{\"connect_verifier_url\": \"javascript:1\"}'");
  refused(callback(start_flow(platform_, end_user_)), FlowReason::ProviderError);
  EXPECT_TRUE(http_.requests().empty());
}

TEST_F(ConnectFlowTest, forgets_links_and_flows_an_hour_after_their_end) {
  start_flow(platform_, end_user_);
  clock_.advance(std::chrono::hours(1));
  run(node_->worker.run_once());
  EXPECT_EQ(count("from connect_flow"), 1);
  clock_.advance(std::chrono::minutes(11));
  run(node_->worker.run_once());
  EXPECT_EQ(count("from connect_flow"), 0);
  EXPECT_EQ(count("from connect_link"), 0);
}

TEST_F(ConnectFlowTest, names_its_cookie_for_the_host_only_under_https) {
  EXPECT_EQ(node_->flow.cookie_name(), "__Host-assistiv_connect");
  EXPECT_EQ(node_->flow.set_cookie("v"),
            "__Host-assistiv_connect=v; Path=/; Max-Age=900; HttpOnly; SameSite=Lax; Secure");
  node_->world.public_url = "http://127.0.0.1:8080";
  EXPECT_EQ(node_->flow.set_cookie("v"), "assistiv_connect=v; Path=/; Max-Age=900; HttpOnly; SameSite=Lax");
}

}  // namespace assistiv::test
