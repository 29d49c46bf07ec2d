// A platform's own OpenID provider on a real database: its registration, its tokens in place of keys, and
// signing in there.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "oauth/crypto/pkce.h"
#include "support/issuer_fixture.h"

namespace assistiv::oauth {
namespace {

TEST_F(IssuerTest, is_registered_after_a_look_at_its_metadata) {
  const auto row = add();
  EXPECT_EQ(row.jwks_uri, kJwks);
  EXPECT_TRUE(row.names_itself);
  EXPECT_EQ(row.token_auth, TokenAuth::SecretBasic);
  EXPECT_EQ(run(server_.issuers().get(platform_, row.id)).client_secret->reveal(), "secret-1");
  EXPECT_EQ(run(server_.issuers().list(platform_)).size(), 1u);
  const auto stored = database_.exec("select i::text as text from registered_issuer i")[0].text("text");
  EXPECT_EQ(stored.find("secret-1"), std::string::npos);
  EXPECT_EQ(count("from audit_entry where event = 'issuer.registered'"), 1);
  const auto other = make_platform("Other").platform.id;
  EXPECT_EQ(error_of([&] { run(server_.issuers().get(other, row.id)); }).kind(), core::ErrorKind::NotFound);
}

TEST_F(IssuerTest, is_refused_with_the_reason) {
  const auto fault = [&](NewIssuer given) { return error_of([&] { add(platform_, std::move(given)); }); };
  auto given = input();
  for (const auto* bad : {"http://login.acme.test", "ftp://x", "login", "https://login.acme.test/?a=1",
                          "https://u@login.acme.test", "http://127.0.0.1:9", kOurs}) {
    given.issuer = bad;
    EXPECT_EQ(fault(given).field(), "/issuer") << bad;
  }
  EXPECT_TRUE(http_.requests().empty());
  for (const auto& [name, value] :
       std::vector<std::pair<const char*, core::Json>>{{"issuer", std::string(kIdp) + "/"},
                                                       {"jwks_uri", "http://keys.acme.test/jwks"},
                                                       {"token_endpoint", 7},
                                                       {"authorization_endpoint", "javascript:alert(1)"},
                                                       {"jwks_uri", nullptr}}) {
    auto changed = metadata();
    changed[name] = value;
    serve_metadata(changed);
    EXPECT_EQ(fault(input()).field(), "/issuer") << name;
  }
  http_.always("GET", kDiscovery, test::FakeHttpClient::replies(302, ""));
  EXPECT_EQ(fault(input()).field(), "/issuer");
  http_.always("GET", kDiscovery, test::FakeHttpClient::fails(core::OutboundFailure::Refused));
  EXPECT_EQ(fault(input()).field(), "/issuer");
  EXPECT_EQ(count("from registered_issuer"), 0);
}

TEST_F(IssuerTest, two_platforms_share_an_issuer_with_audiences_of_their_own_only) {
  const auto row = add();
  const auto other = make_platform("Other").platform.id;
  auto given = input();
  EXPECT_EQ(error_of([&] { add(other, given); }).kind(), core::ErrorKind::Conflict);
  given.client_id = "client-2";
  EXPECT_EQ(error_of([&] { add(other, given); }).kind(), core::ErrorKind::Conflict) << "the same audience";
  given.audiences = {"client-1"};
  EXPECT_EQ(error_of([&] { add(other, given); }).kind(), core::ErrorKind::Conflict)
      << "made for the other's client";
  given.audiences = {"https://other.test/mcp"};
  add(other, given);
  EXPECT_EQ(
      error_of([&] {
        run(server_.issuers().update(
            platform_, row.id,
            {.client_secret = {}, .audiences = std::vector<std::string>{"client-2"}, .creates_end_users = {}},
            context()));
      }).kind(),
      core::ErrorKind::Conflict);
  make_end_user(other);
  EXPECT_EQ(principal(token())->platform_id, platform_);
  EXPECT_EQ(principal(token({{"aud", "https://other.test/mcp"}}))->platform_id, other);
  EXPECT_EQ(principal(token({{"aud", {kAudience, "https://other.test/mcp"}}})), nullptr)
      << "of both: of none";
}

TEST_F(IssuerTest, a_platform_takes_tokens_that_are_made_for_it_and_no_others) {
  const auto thief = make_platform("Thief").platform.id;
  make_end_user(thief);
  const auto mine = server_.issuers().audience_of(platform_);
  const auto refused = [&](core::PlatformId who, std::vector<std::string> audiences) {
    auto given = input();
    given.client_id = "client-of-" + who.str();
    given.audiences = std::move(audiences);
    const auto error = error_of([&] { add_own(who, given); });
    return error.kind() == core::ErrorKind::InvalidArgument && error.field() == "/audiences";
  };
  // Before the one whose it is has come.
  EXPECT_TRUE(refused(thief, {mine}));
  EXPECT_TRUE(refused(thief, {server_.issuers().audience_of(thief), mine})) << "beside its own";
  EXPECT_TRUE(refused(thief, {kAudience, ""})) << "whose it is nobody knows";
  EXPECT_TRUE(refused(thief, {"client-1"}));
  auto given = input();
  given.client_id = "client-of-the-thief";
  given.audiences = {server_.issuers().audience_of(thief)};
  const auto theirs = add_own(thief, given);
  const auto patch = [&](std::vector<std::string> audiences, const AuditContext& who) {
    run(server_.issuers().update(
        thief, theirs.id, {.client_secret = {}, .audiences = std::move(audiences), .creates_end_users = {}},
        who));
  };
  EXPECT_EQ(error_of([&] { patch({mine}, context_of(thief)); }).field(), "/audiences");
  EXPECT_EQ(principal(token({{"aud", mine}})), nullptr);
  given = input();
  given.audiences = {mine};
  add_own(platform_, given);
  EXPECT_EQ(principal(token({{"aud", mine}}))->platform_id, platform_);
  EXPECT_EQ(principal(token({{"aud", {mine, server_.issuers().audience_of(thief)}}})), nullptr);
  EXPECT_EQ(error_of([&] { patch({mine}, context()); }).kind(), core::ErrorKind::Conflict)
      << "not for the operator either";
  // What the operator has registered stays when the platform changes the rest.
  patch({kAudience, given.audiences.front() + "/" + thief.str()}, context());
  patch({kAudience}, context_of(thief));
  EXPECT_EQ(principal(token())->platform_id, thief);
}

TEST_F(IssuerTest, registrations_from_before_the_rule_go_on) {
  const auto row = add();  // an audience that names nobody
  run(server_.issuers().update(
      platform_, row.id,
      {.client_secret = {}, .audiences = std::vector<std::string>{kAudience}, .creates_end_users = true},
      context_of(platform_)));
  EXPECT_EQ(principal(token())->platform_id, platform_);
}

TEST_F(IssuerTest, a_token_is_its_end_user) {
  const auto row = add();
  const auto who = principal(token());
  ASSERT_NE(who, nullptr);
  EXPECT_EQ(who->kind, PrincipalKind::EndUser);
  EXPECT_EQ(who->platform_id, platform_);
  EXPECT_EQ(who->end_user_id, end_user_);
  EXPECT_EQ(who->key_id.str(), row.id.str());
  EXPECT_TRUE(who->audience.empty());
  EXPECT_TRUE(who->has_scope("mcp") && who->has_scope("connections") && who->has_scope("inference"));
  const auto narrow = principal(token({{"scope", "openid mcp"}}));
  EXPECT_EQ(narrow->scopes, std::vector<std::string>{"mcp"});
  EXPECT_EQ(principal(token({{"pid", make_platform("Other").platform.id.str()}}))->platform_id, platform_);
  EXPECT_EQ(key_fetches(), 1u);
}

TEST_F(IssuerTest, refuses_tokens_that_are_not_good) {
  add();
  const auto now = core::to_epoch_seconds(clock_.now());
  for (const auto& changes : std::vector<core::Json>{{{"iss", "https://login.acme.test"}},
                                                     {{"iss", "https://login.acme.test/tenant/"}},
                                                     {{"iss", nullptr}},
                                                     {{"aud", "https://other.test"}},
                                                     {{"aud", "client-1"}},
                                                     {{"aud", nullptr}},
                                                     {{"aud", 7}},
                                                     {{"exp", now - 60}},
                                                     {{"exp", nullptr}},
                                                     {{"exp", "tomorrow"}},
                                                     {{"nbf", now + 61}},
                                                     {{"iat", now + 61}},
                                                     {{"sub", "nobody"}},
                                                     {{"sub", nullptr}},
                                                     {{"sub", 7}},
                                                     {{"sub", std::string(256, 'x')}},
                                                     {{"cnf", {{"jkt", "x"}}}}}) {
    EXPECT_EQ(principal(token(changes)), nullptr) << core::dump_json(changes);
  }
  EXPECT_NE(principal(token({{"exp", now - 59}, {"nbf", now + 59}, {"iat", now + 59}})), nullptr)
      << "clocks differ";
  for (const auto* typ : {"logout+jwt", "oauth-id-jag+jwt", "dpop+jwt", "secevent+jwt"})
    EXPECT_EQ(principal(token(core::Json::object(), {{"kid", "k1"}, {"typ", typ}})), nullptr) << typ;
  EXPECT_NE(principal(token(core::Json::object(), {{"kid", "k1"}, {"typ", "at+jwt"}})), nullptr);
  const auto stranger = make_es256_key("k1");
  EXPECT_EQ(
      principal(core::Secret(jws_sign(stranger.private_jwk, {{"kid", "k1"}}, core::dump_json(claims())))),
      nullptr);
  const auto good = token({{"a", 1}}).reveal();
  const auto body = good.substr(good.find('.'), good.rfind('.') - good.find('.') + 1);
  EXPECT_EQ(principal(core::Secret(core::base64url_encode(R"({"alg":"none"})") + body)), nullptr);
  const auto hmac_input =
      core::base64url_encode(R"({"alg":"HS256","kid":"k1"})") + body.substr(0, body.size() - 1);
  EXPECT_EQ(principal(core::Secret(hmac_input + "." +
                                   core::base64url_encode(core::hmac_sha256(key_.public_jwk, hmac_input)))),
            nullptr);
  EXPECT_EQ(principal(token({{"padding", std::string(8000, 'x')}})), nullptr) << "too long";
  EXPECT_NE(principal(core::Secret(good)), nullptr);
}

TEST_F(IssuerTest, a_token_ends_with_its_time_its_end_user_and_its_registration) {
  const auto row = add();
  const auto good = token();
  EXPECT_NE(principal(good), nullptr);
  run(service_.update_end_user(platform_, end_user_,
                               {.display_name = {}, .metadata_json = {}, .is_active = false}, context()));
  EXPECT_EQ(principal(good), nullptr);
  run(service_.update_end_user(platform_, end_user_,
                               {.display_name = {}, .metadata_json = {}, .is_active = true}, context()));
  EXPECT_NE(principal(good), nullptr);
  run(server_.issuers().update(
      platform_, row.id,
      {.client_secret = {}, .audiences = std::vector<std::string>{}, .creates_end_users = {}}, context()));
  EXPECT_EQ(principal(good), nullptr) << "at once, although it was cached";
  run(server_.issuers().update(
      platform_, row.id,
      {.client_secret = {}, .audiences = std::vector<std::string>{kAudience}, .creates_end_users = {}},
      context()));
  EXPECT_NE(principal(good), nullptr);
  clock_.advance(std::chrono::seconds(360));
  EXPECT_EQ(principal(good), nullptr);
  const auto next = token();
  EXPECT_NE(principal(next), nullptr);
  run(server_.issuers().remove(platform_, row.id, context()));
  EXPECT_EQ(principal(next), nullptr);
}

TEST_F(IssuerTest, makes_end_users_only_where_the_registration_says_so) {
  auto given = input();
  given.creates_end_users = true;
  given.end_user_claim = "email";
  add(platform_, given);
  EXPECT_EQ(principal(token({{"email", "a@acme.test"}})), nullptr) << "anybody can claim an address";
  EXPECT_EQ(principal(token({{"email", "a@acme.test"}, {"email_verified", false}})), nullptr);
  const auto who = principal(token({{"email", "a@acme.test"}, {"email_verified", true}}));
  ASSERT_NE(who, nullptr);
  EXPECT_EQ(principal(token({{"email", "a@acme.test"}, {"email_verified", true}, {"n", 2}}))->end_user_id,
            who->end_user_id);
  EXPECT_EQ(count("from end_user where external_id = 'a@acme.test'"), 1);
  EXPECT_EQ(count("from audit_entry where event = 'end_user.created'"), 2);
}

TEST_F(IssuerTest, reads_the_keys_again_for_a_new_one_and_never_too_often) {
  add();
  EXPECT_NE(principal(token()), nullptr);
  const auto fresh = make_es256_key("k2");
  const auto of_fresh = core::Secret(jws_sign(fresh.private_jwk, {{"kid", "k2"}}, core::dump_json(claims())));
  clock_.advance(KeySets::kAskAgainAfter);
  serve_keys({key_, fresh});
  EXPECT_NE(principal(of_fresh), nullptr);
  EXPECT_EQ(key_fetches(), 2u);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(principal(token({{"i", i}}, {{"kid", "k" + std::to_string(9 + i)}})), nullptr);
  EXPECT_EQ(key_fetches(), 2u) << "unknown keys of strangers cost nothing";
  clock_.advance(std::chrono::hours(2));
  http_.always("GET", kJwks, test::FakeHttpClient::fails(core::OutboundFailure::Timeout));
  EXPECT_NE(principal(token()), nullptr) << "the keys of before are used while the issuer is down";
  clock_.advance(std::chrono::hours(25));
  EXPECT_EQ(error_of([&] { authenticate(token()); }).kind(), core::ErrorKind::Unavailable);
}

TEST_F(IssuerTest, only_keys_for_signatures_of_the_right_kind_and_size_count) {
  const auto good = core::parse_json(key_.public_jwk);
  const auto with = [&](const char* name, core::Json value) {
    auto jwk = good;
    jwk[name] = std::move(value);
    return read_foreign_key(jwk).has_value();
  };
  EXPECT_TRUE(read_foreign_key(good).has_value());
  EXPECT_TRUE(with("use", "sig") && with("alg", "ES256") && with("key_ops", {"verify"}));
  EXPECT_FALSE(with("use", "enc") || with("alg", "RS256") || with("alg", "HS256") ||
               with("key_ops", {"sign"}) || with("crv", "secp256k1") || with("crv", "P-384") ||
               with("kty", "oct") || with("x", "AA"));
  const auto rsa = [&](std::size_t bytes, std::string e) {
    return read_foreign_key(
               {{"kty", "RSA"}, {"n", core::base64url_encode(std::string(bytes, '\x81'))}, {"e", e}})
        .has_value();
  };
  EXPECT_TRUE(rsa(256, "AQAB"));
  EXPECT_TRUE(rsa(256, "Aw"));
  for (const auto* e : {"", "AQ", "Ag", "AQAA", "AQAAAAAAAAAB"}) EXPECT_FALSE(rsa(256, e)) << e;
  EXPECT_FALSE(rsa(128, "AQAB") || rsa(2048, "AQAB"));
  EXPECT_FALSE(read_foreign_key({{"kty", "oct"}, {"k", "AAAA"}}).has_value());
}

TEST_F(IssuerTest, signs_an_end_user_in_with_code_pkce_nonce_and_this_browser) {
  const auto row = add();
  const auto cookie = browser();
  const auto sent = start(cookie);
  EXPECT_EQ(one_param(sent, "scope"), "openid");
  EXPECT_EQ(one_param(sent, "redirect_uri"), server_.issuers().redirect_uri());
  EXPECT_EQ(one_param(sent, "code_challenge_method"), "S256");
  provider_answers(sent);
  EXPECT_EQ(finish(sent, browser()).fault, ProviderFault::Unknown) << "another browser, which ends nothing";
  const auto done = finish(sent, cookie);
  ASSERT_FALSE(done.fault.has_value());
  EXPECT_EQ(done.query, "client_id=x");
  const auto asked = http_.requests("POST", kTokenEndpoint);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].headers.get("authorization"), "Basic " + core::base64_encode("client-1:secret-1"));
  const auto verifier = one_param(core::form_decode(asked[0].body).value(), "code_verifier").value();
  EXPECT_EQ(code_challenge_s256(verifier), one_param(sent, "code_challenge"));
  const auto who = run(server_.sign_ins().session(done.cookie));
  ASSERT_TRUE(who.has_value());
  EXPECT_EQ(who->end_user_id, end_user_);
  EXPECT_EQ(finish(sent, cookie).fault, ProviderFault::Unknown) << "once";
  run(server_.issuers().remove(platform_, row.id, context()));
  EXPECT_EQ(run(server_.sign_ins().session(done.cookie)), std::nullopt) << "it ends with its registration";
}

TEST_F(IssuerTest, a_sign_in_with_an_answer_that_is_not_good_comes_to_nothing) {
  add();
  const auto cookie = browser();
  const auto fault = [&](const core::Json& changes, std::string issuer = kIdp) {
    const auto sent = start(cookie);
    provider_answers(sent, changes);
    return finish(sent, cookie, std::move(issuer)).fault;
  };
  const auto now = core::to_epoch_seconds(clock_.now());
  EXPECT_EQ(fault(core::Json::object()), std::nullopt);
  for (const auto& changes : std::vector<core::Json>{{{"nonce", "other"}},
                                                     {{"nonce", nullptr}},
                                                     {{"aud", "client-2"}},
                                                     {{"aud", {"client-1", "client-2"}}},
                                                     {{"azp", "client-2"}},
                                                     {{"iss", "https://evil.test"}},
                                                     {{"exp", now - 60}}}) {
    EXPECT_EQ(fault(changes), ProviderFault::Failed) << core::dump_json(changes);
  }
  EXPECT_EQ(fault({{"aud", {"client-1", "client-2"}}, {"azp", "client-1"}}), std::nullopt);
  EXPECT_EQ(fault({{"sub", "nobody"}}), ProviderFault::NoEndUser);
  EXPECT_EQ(fault(core::Json::object(), "https://evil.test"), ProviderFault::Failed) << "mixed up";
  EXPECT_EQ(fault(core::Json::object(), ""), ProviderFault::Failed) << "it says that it names itself";
  const auto asked = http_.requests("POST", kTokenEndpoint).size();
  const auto sent = start(cookie);
  const auto denied = run(
      server_.providers().finish({one_param(sent, "state").value(), "", "access_denied", kIdp}, cookie, "r"));
  EXPECT_EQ(denied.fault, ProviderFault::Denied);
  EXPECT_EQ(denied.query, "client_id=x");
  const auto late = start(cookie);
  clock_.advance(std::chrono::minutes(10));
  EXPECT_EQ(finish(late, cookie).fault, ProviderFault::Unknown);
  EXPECT_EQ(http_.requests("POST", kTokenEndpoint).size(), asked) << "nothing is asked for these";
  start(cookie);
  clock_.advance(std::chrono::minutes(11));
  run(server_.sweep());
  EXPECT_EQ(count("from provider_sign_in"), 0);
}

TEST_F(IssuerTest, offers_a_sign_in_where_there_is_one) {
  EXPECT_FALSE(run(server_.providers().offer()).any);
  EXPECT_EQ(run(server_.providers().start("nothing", browser(), "q", "a")).fault,
            ProviderFault::UnknownPlatform);
  add();
  EXPECT_EQ(run(server_.providers().offer()).only_slug, slug());
  const auto other = make_platform("Other").platform.id;
  auto given = input();
  given.client_id = "client-2";
  given.audiences = {};
  add(other, given);
  EXPECT_TRUE(run(server_.providers().offer()).any);
  EXPECT_EQ(run(server_.providers().offer()).only_slug, std::nullopt);
  int sent = 0;
  const auto cookie = browser();
  while (!run(server_.providers().start(slug(), cookie, "q", "192.0.2.9")).fault) ASSERT_LT(++sent, 100);
  EXPECT_EQ(sent, 30) << "per address and minute";
}

}  // namespace
}  // namespace assistiv::oauth
