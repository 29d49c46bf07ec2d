// The authorization server on a real database: from a consent to tokens, and every way in which they end.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>
#include <set>

#include "core/encoding.h"
#include "core/json_read.h"
#include "oauth/authorize/authorization_server.h"
#include "oauth/authorize/oauth_error.h"
#include "oauth/authorize/refresh_token.h"
#include "oauth/crypto/pkce.h"
#include "support/fake_http_client.h"
#include "support/identity_fixture.h"

namespace assistiv::oauth {
namespace {

constexpr char kIssuer[] = "https://gateway.test";
constexpr char kResource[] = "https://gateway.test/mcp";
constexpr char kRedirect[] = "https://client.test/cb";
constexpr char kVerifier[] = "verifier-verifier-verifier-verifier-verifier-1";
constexpr char kDocument[] = "https://client.test/client.json";

std::string vault_directory() {
  std::string name = std::filesystem::temp_directory_path() / "assistiv-vault-XXXXXX";
  return mkdtemp(name.data()) == nullptr ? std::string() : name;
}

class AuthorizationTest : public IdentityTest {
 protected:
  AuthorizationTest() { authenticator_.accept(server_.tokens()); }
  ~AuthorizationTest() override { std::filesystem::remove_all(directory_); }

  void SetUp() override {
    const auto platform = make_platform();
    platform_ = platform.platform.id;
    const auto user = make_end_user(platform_);
    end_user_ = user.end_user.id;
    user_key_ = user.api_key;
    client_ = register_client();
  }

  OAuthClient register_client(const char* auth = "none") {
    const core::Json body = {{"client_name", "Agent"},
                             {"redirect_uris", {kRedirect}},
                             {"grant_types", {"authorization_code", "refresh_token"}},
                             {"token_endpoint_auth_method", auth}};
    return run(server_.clients().add(body, "192.0.2.1")).client;
  }

  Consent consent(std::optional<core::KeyId> key = {}) {
    Consent out;
    out.id = core::KeyId::make(clock_, random_);
    out.who = {platform_, end_user_, key, "Acme", "user-1"};
    out.client = client_;
    out.request.client_id = client_.client_id;
    out.request.redirect_uri = kRedirect;
    out.request.state = "state-1";
    out.request.code_challenge = code_challenge_s256(kVerifier);
    out.request.resource = {kResource, {}};
    out.scopes = {"mcp", "mcp:write"};
    out.tools_json = R"({"*":{"mode":"all"}})";
    return out;
  }

  // The parameters of the URL that the browser is sent to.
  core::FormFields grant(Consent given) {
    const auto url = run(server_.authorizations().grant(std::move(given), "r")).value();
    EXPECT_TRUE(url.starts_with(std::string(kRedirect) + "?"));
    return core::form_decode(url.substr(url.find('?') + 1)).value();
  }

  core::FormFields code_form(core::FormFields answer) {
    return {{"grant_type", "authorization_code"},
            {"code", one_param(answer, "code").value()},
            {"redirect_uri", kRedirect},
            {"code_verifier", kVerifier},
            {"resource", kResource}};
  }

  IssuedTokens exchange(core::FormFields fields) { return exchange_as(client_, std::move(fields)); }
  IssuedTokens exchange_as(const OAuthClient& client, core::FormFields fields) {
    return run(server_.authorizations().exchange(std::move(fields), client, "r"));
  }
  IssuedTokens tokens() { return exchange(code_form(grant(consent()))); }
  IssuedTokens refresh(const core::Secret& token) {
    return exchange({{"grant_type", "refresh_token"}, {"refresh_token", token.reveal()}});
  }

  std::string fault_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const OAuthError& e) {
      return e.code();
    }
    return "";
  }
  std::string exchange_fault(core::FormFields fields) {
    return fault_of([&] { exchange(fields); });
  }
  static core::FormFields with(core::FormFields fields, const std::string& name, const std::string& value) {
    std::erase_if(fields, [&](const auto& field) { return field.first == name; });
    fields.emplace_back(name, value);
    return fields;
  }

  bool accepted(const core::Secret& token) {
    try {
      return authenticate(token) != nullptr;
    } catch (const core::Error& e) {
      EXPECT_EQ(e.kind(), core::ErrorKind::Unauthenticated);
      return false;
    }
  }
  std::int64_t count(const std::string& from) {
    return database_.exec("select count(*) as n " + from)[0].integer("n");
  }

  std::string directory_ = vault_directory();
  std::unique_ptr<Vault> vault_ = Vault::open_file(directory_ + "/keys.json", random_);
  test::FakeHttpClient http_;
  AuthorizationServer server_{{database_.db(), audit_, *vault_, http_, clock_, random_, kIssuer,
                               Resources(kIssuer, [](std::string_view app) { return app == "github"; }),
                               false, [this](std::string_view topic, std::string_view payload) {
                                 authenticator_.on_notify(topic, payload);
                               }}};
  core::PlatformId platform_;
  core::EndUserId end_user_;
  IssuedKey user_key_;
  OAuthClient client_;
};

TEST_F(AuthorizationTest, goes_from_a_consent_to_a_principal) {
  const auto given = consent();
  const auto answer = grant(given);
  EXPECT_EQ(one_param(answer, "state"), "state-1");
  EXPECT_EQ(one_param(answer, "iss"), kIssuer);
  const auto issued = exchange(code_form(answer));
  EXPECT_EQ(issued.expires_in.count(), 900);
  ASSERT_TRUE(issued.refresh.has_value());
  const auto principal = authenticate(issued.access);
  EXPECT_EQ(principal->kind, PrincipalKind::EndUser);
  EXPECT_EQ(principal->platform_id, platform_);
  EXPECT_EQ(principal->end_user_id, end_user_);
  EXPECT_EQ(principal->key_id, given.id);
  EXPECT_EQ(principal->audience, kResource);
  EXPECT_EQ(principal->client_id, client_.client_id);
  EXPECT_TRUE(principal->has_scope("mcp:write"));
  EXPECT_EQ(core::parse_json(principal->tools_json), core::parse_json(given.tools_json));
  EXPECT_EQ(authenticator_.cached(issued.access.reveal()), principal);
  clock_.advance(std::chrono::seconds(900));
  EXPECT_FALSE(accepted(issued.access));
  EXPECT_EQ(count("from audit_entry where event = 'authorization.granted'"), 1);
}

TEST_F(AuthorizationTest, keeps_nothing_readable_of_codes_and_tokens) {
  const auto answer = grant(consent());
  const auto issued = exchange(code_form(answer));
  const auto row = database_.exec("select a::text as text from client_authorization a")[0].text("text");
  EXPECT_EQ(row.find(one_param(answer, "code")->substr(3)), std::string::npos);
  EXPECT_EQ(row.find(issued.refresh->reveal().substr(3)), std::string::npos);
  const auto keys = database_.exec("select private_jwk from oauth_signing_key")[0].text("private_jwk");
  EXPECT_FALSE(Vault::kid_of(keys).empty());
}

TEST_F(AuthorizationTest, a_code_works_once_and_a_second_use_ends_everything) {
  const auto form = code_form(grant(consent()));
  const auto issued = exchange(form);
  EXPECT_TRUE(accepted(issued.access));
  EXPECT_EQ(exchange_fault(form), "invalid_grant");
  EXPECT_FALSE(accepted(issued.access));
  EXPECT_EQ(fault_of([&] { refresh(*issued.refresh); }), "invalid_grant");
  EXPECT_EQ(count("from audit_entry where event = 'authorization.revoked'"), 1);
}

TEST_F(AuthorizationTest, a_code_is_bound_to_client_verifier_redirect_and_resource) {
  const auto form = code_form(grant(consent()));
  EXPECT_EQ(exchange_fault(with(form, "code_verifier", std::string(43, 'x'))), "invalid_grant");
  EXPECT_EQ(exchange_fault(with(form, "code_verifier", "short")), "invalid_grant");
  EXPECT_EQ(exchange_fault(with(form, "redirect_uri", "https://client.test/other")), "invalid_grant");
  EXPECT_EQ(exchange_fault(with(form, "resource", "https://gateway.test/mcp/github")), "invalid_target");
  EXPECT_EQ(exchange_fault(with(form, "resource", "https://other.test/mcp")), "invalid_target");
  EXPECT_EQ(exchange_fault(with(form, "code", one_param(form, "code").value() + "A")), "invalid_grant");
  const auto other = register_client();
  EXPECT_EQ(fault_of([&] { exchange_as(other, form); }), "invalid_grant");
  exchange(form);  // none of that used it up
}

TEST_F(AuthorizationTest, a_code_is_good_for_a_minute) {
  const auto form = code_form(grant(consent()));
  clock_.advance(std::chrono::seconds(60));
  EXPECT_EQ(exchange_fault(form), "invalid_grant");
}

TEST_F(AuthorizationTest, one_consent_gives_one_authorization) {
  const auto given = consent();
  grant(given);
  EXPECT_EQ(run(server_.authorizations().grant(given, "r")), std::nullopt);
  EXPECT_EQ(count("from client_authorization"), 1);
}

TEST_F(AuthorizationTest, refresh_tokens_rotate_and_a_lost_reply_can_be_asked_for_again) {
  const auto first = tokens();
  const auto second = refresh(*first.refresh);
  EXPECT_NE(second.refresh->reveal(), first.refresh->reveal());
  const auto again = refresh(*first.refresh);
  EXPECT_EQ(again.refresh->reveal(), second.refresh->reveal())
      << "the same successor within the grace window";
  const auto third = refresh(*second.refresh);
  EXPECT_TRUE(accepted(third.access));
}

TEST_F(AuthorizationTest, processes_that_share_a_refresh_token_get_one_successor) {
  const auto first = tokens();
  std::vector<std::future<IssuedTokens>> flights;
  for (int i = 0; i < 8; ++i) {
    flights.push_back(io_.start(server_.authorizations().exchange(
        {{"grant_type", "refresh_token"}, {"refresh_token", first.refresh->reveal()}}, client_, "r")));
  }
  std::set<std::string> successors;
  for (auto& flight : flights) successors.insert(flight.get().refresh->reveal());
  EXPECT_EQ(successors.size(), 1u);
}

TEST_F(AuthorizationTest, a_refresh_token_used_after_its_grace_ends_the_family) {
  const auto first = tokens();
  const auto second = refresh(*first.refresh);
  clock_.advance(AuthorizationService::kGrace);
  EXPECT_TRUE(accepted(second.access));
  EXPECT_EQ(fault_of([&] { refresh(*first.refresh); }), "invalid_grant");
  EXPECT_FALSE(accepted(second.access)) << "at once, although it was cached";
  EXPECT_EQ(fault_of([&] { refresh(*second.refresh); }), "invalid_grant");
  const auto reason = database_.exec(
      "select details::jsonb ->> 'reason' as reason from audit_entry where event = 'authorization.revoked'");
  EXPECT_EQ(reason[0].text("reason"), "refresh_token_reused");
}

TEST_F(AuthorizationTest, a_forged_refresh_token_ends_nothing) {
  const auto given = consent();
  const auto issued = exchange(code_form(grant(given)));
  const auto forged = make_refresh_token(given.id, 0, core::Secret("guessed"));
  EXPECT_EQ(fault_of([&] { refresh(forged); }), "invalid_grant");
  EXPECT_EQ(fault_of([&] {
              exchange_as(register_client(),
                          {{"grant_type", "refresh_token"}, {"refresh_token", issued.refresh->reveal()}});
            }),
            "invalid_grant");
  EXPECT_TRUE(accepted(refresh(*issued.refresh).access));
}

TEST_F(AuthorizationTest, a_refresh_narrows_and_never_widens) {
  auto given = consent();
  given.scopes = {"mcp"};
  const auto issued = exchange(code_form(grant(given)));
  EXPECT_EQ(exchange_fault({{"grant_type", "refresh_token"},
                            {"refresh_token", issued.refresh->reveal()},
                            {"scope", "mcp mcp:write"}}),
            "invalid_scope");
  const auto wide = tokens();
  const auto narrow = exchange(
      {{"grant_type", "refresh_token"}, {"refresh_token", wide.refresh->reveal()}, {"scope", "mcp"}});
  EXPECT_FALSE(authenticate(narrow.access)->has_scope("mcp:write"));
}

TEST_F(AuthorizationTest, idle_authorizations_end_and_are_swept) {
  const auto issued = tokens();
  grant(consent());  // its code is never exchanged
  clock_.advance(std::chrono::minutes(2));
  run(server_.sweep());
  EXPECT_EQ(count("from client_authorization"), 1);
  clock_.advance(std::chrono::hours(24 * 30));
  EXPECT_EQ(fault_of([&] { refresh(*issued.refresh); }), "invalid_grant");
  run(server_.sweep());
  EXPECT_EQ(count("from client_authorization"), 0);
}

TEST_F(AuthorizationTest, a_registration_is_kept_while_its_tokens_are_refreshed) {
  auto issued = tokens();
  for (int month = 0; month < 6; ++month) {
    clock_.advance(std::chrono::hours(24 * 29));
    run(server_.sweep());
    ASSERT_TRUE(run(server_.clients().find(client_.client_id, "a")).has_value());
    run(server_.keys().rotate_if_due());
    issued = refresh(*issued.refresh);
  }
}

TEST_F(AuthorizationTest, ends_with_its_end_user_its_platform_and_its_key) {
  const auto by_link = tokens();
  const auto by_key = exchange(code_form(grant(consent(user_key_.key.id))));
  EXPECT_TRUE(accepted(by_link.access));
  EXPECT_TRUE(accepted(by_key.access));
  run(service_.update_key({platform_, end_user_}, user_key_.key.id, {.name = {}, .is_active = false},
                          context()));
  EXPECT_FALSE(accepted(by_key.access)) << "what was allowed with a key ends with it";
  EXPECT_EQ(fault_of([&] { refresh(*by_key.refresh); }), "invalid_grant");
  EXPECT_TRUE(accepted(by_link.access));
  run(service_.update_end_user(platform_, end_user_,
                               {.display_name = {}, .metadata_json = {}, .is_active = false}, context()));
  EXPECT_FALSE(accepted(by_link.access));
  EXPECT_EQ(fault_of([&] { refresh(*by_link.refresh); }), "invalid_grant");
}

TEST_F(AuthorizationTest, is_known_for_a_minute_without_the_database_as_a_key_is_unless_it_was_ended) {
  const auto issued = tokens();
  const auto& key = user_key_.raw;
  const auto knows = [this](const core::Secret& bearer) {
    try {
      return authenticate(bearer) != nullptr;
    } catch (const core::Error& e) {
      EXPECT_NE(e.kind(), core::ErrorKind::Unauthenticated) << "not to know is no verdict";
      return false;
    }
  };
  EXPECT_TRUE(knows(issued.access) && knows(key));
  // Nothing that is asked of the database is answered any more.
  database_.exec("alter table client_authorization rename to away_1; alter table api_key rename to away_2");
  clock_.advance(std::chrono::seconds(59));
  EXPECT_TRUE(knows(issued.access));
  EXPECT_TRUE(knows(key));
  // An end of which this node has heard holds at once.
  authenticator_.on_notify("end_user", platform_.str() + "/" + end_user_.str());
  EXPECT_FALSE(knows(issued.access));
  EXPECT_FALSE(knows(key));
  database_.exec("alter table away_1 rename to client_authorization; alter table away_2 rename to api_key");
  EXPECT_TRUE(knows(issued.access) && knows(key));
  database_.exec("alter table client_authorization rename to away_1; alter table api_key rename to away_2");
  clock_.advance(std::chrono::seconds(60));
  EXPECT_FALSE(knows(issued.access));
  EXPECT_FALSE(knows(key));
}

TEST_F(AuthorizationTest, is_listed_and_revoked_by_its_end_user_only) {
  const auto issued = tokens();
  grant(consent());  // not exchanged: nobody has it yet
  const auto page = run(server_.authorizations().list(platform_, end_user_, {}));
  ASSERT_EQ(page.items.size(), 1u);
  EXPECT_EQ(page.items[0].client_name, "Agent");
  const auto other = make_end_user(platform_, "user-2").end_user.id;
  EXPECT_EQ(run(server_.authorizations().list(platform_, other, {})).total, 0);
  const auto id = page.items[0].id;
  EXPECT_EQ(error_of([&] { run(server_.authorizations().revoke(platform_, other, id, context())); }).kind(),
            core::ErrorKind::NotFound);
  EXPECT_TRUE(accepted(issued.access));
  run(server_.authorizations().revoke(platform_, end_user_, id, context()));
  EXPECT_FALSE(accepted(issued.access));
}

TEST_F(AuthorizationTest, a_client_revokes_its_own_tokens_of_either_kind) {
  const auto one = tokens();
  const auto two = tokens();
  const auto other = register_client();
  run(server_.authorizations().revoke_token(one.refresh->reveal(), other, "r"));
  run(server_.authorizations().revoke_token("nonsense", client_, "r"));
  EXPECT_TRUE(accepted(one.access));
  run(server_.authorizations().revoke_token(one.refresh->reveal(), client_, "r"));
  EXPECT_FALSE(accepted(one.access));
  run(server_.authorizations().revoke_token(two.access.reveal(), client_, "r"));
  EXPECT_FALSE(accepted(two.access));
}

TEST_F(AuthorizationTest, refuses_tokens_that_it_did_not_sign) {
  const auto issued = tokens();
  const auto& jwt = issued.access.reveal();
  const auto dot = jwt.rfind('.');
  EXPECT_FALSE(accepted(core::Secret(jwt.substr(0, dot + 1) + std::string(86, 'A'))));
  EXPECT_FALSE(accepted(core::Secret(core::base64url_encode(R"({"alg":"none","typ":"at+jwt"})") +
                                     jwt.substr(jwt.find('.'), dot - jwt.find('.') + 1))));
  EXPECT_TRUE(accepted(issued.access));
}

TEST_F(AuthorizationTest, signs_with_a_new_key_each_month_and_still_knows_the_old_one) {
  const auto before = tokens();
  clock_.advance(std::chrono::hours(24 * 30));
  run(server_.keys().rotate_if_due());
  EXPECT_EQ(server_.keys().public_set()["keys"].size(), 2u);
  const auto between = tokens();
  EXPECT_TRUE(accepted(between.access)) << "the new key is published before it signs";
  clock_.advance(std::chrono::minutes(10));
  const auto after = tokens();
  EXPECT_NE(after.access.reveal().substr(0, after.access.reveal().find('.')),
            between.access.reveal().substr(0, between.access.reveal().find('.')));
  EXPECT_TRUE(accepted(after.access));
  EXPECT_TRUE(accepted(between.access));
  run(server_.keys().rotate_if_due());
  EXPECT_EQ(server_.keys().public_set()["keys"].size(), 2u);
}

TEST_F(AuthorizationTest, another_node_knows_the_keys) {
  AuthorizationServer other({database_.db(),
                             audit_,
                             *vault_,
                             http_,
                             clock_,
                             random_,
                             kIssuer,
                             Resources(kIssuer, [](std::string_view) { return true; }),
                             false,
                             {}});
  EXPECT_EQ(other.keys().public_set(), server_.keys().public_set());
  EXPECT_NE(run(other.tokens().look_up(tokens().access.reveal())), nullptr);
}

TEST_F(AuthorizationTest, limits_registrations_of_an_address_and_forgets_unused_ones) {
  const core::Json body = {{"redirect_uris", {kRedirect}}};
  int made = 0;
  const auto refused = error_of([&] {
    for (; made < 1000; ++made) run(server_.clients().add(body, "192.0.2.7"));
  });
  EXPECT_EQ(refused.kind(), core::ErrorKind::RateLimited);
  EXPECT_EQ(made, 60);
  run(server_.clients().add(body, "192.0.2.8"));
  EXPECT_EQ(count("from oauth_client"), 62);
  tokens();  // client_ is in use
  clock_.advance(std::chrono::hours(25));
  EXPECT_EQ(run(server_.clients().find("mcp_nothing", "a")), std::nullopt);
  run(server_.sweep());
  EXPECT_EQ(count("from oauth_client"), 1);
  EXPECT_TRUE(run(server_.clients().find(client_.client_id, "a")).has_value());
}

TEST_F(AuthorizationTest, limits_registrations_of_a_site_and_of_everybody) {
  const core::Json body = {{"redirect_uris", {kRedirect}}};
  ClientRegistry registry(server_.world(), {.registrations = {2, std::chrono::seconds(600), 100},
                                            .site_registrations = {3, std::chrono::seconds(600), 100},
                                            .all_registrations = {5, std::chrono::seconds(600), 1}});
  const auto made = [&](const char* address) {
    try {
      run(registry.add(body, address));
      return true;
    } catch (const core::Error& e) {
      EXPECT_EQ(e.kind(), core::ErrorKind::RateLimited);
      return false;
    }
  };
  EXPECT_TRUE(made("2001:db8:1:1::1"));
  EXPECT_TRUE(made("2001:db8:1:1::2"));
  EXPECT_FALSE(made("2001:db8:1:1::3")) << "the /64 is full";
  EXPECT_TRUE(made("2001:db8:1:2::1"));
  EXPECT_FALSE(made("2001:db8:1:3::1")) << "the /48 is full";
  EXPECT_TRUE(made("2001:db8:2:1::1"));
  EXPECT_TRUE(made("192.0.2.1"));
  EXPECT_FALSE(made("192.0.2.2")) << "all together";
  clock_.advance(std::chrono::seconds(600));
  EXPECT_TRUE(made("192.0.2.2"));
}

TEST_F(AuthorizationTest, the_oldest_authorization_makes_room_with_an_entry_and_a_notice) {
  const auto oldest = tokens();
  EXPECT_TRUE(accepted(oldest.access)) << "from now on it is cached";
  clock_.advance(std::chrono::seconds(1));
  for (int i = 1; i < AuthorizationStore::kMaxPerEndUser; ++i) grant(consent());
  EXPECT_TRUE(accepted(oldest.access));
  grant(consent());
  EXPECT_FALSE(accepted(oldest.access));
  EXPECT_EQ(count("from client_authorization"), AuthorizationStore::kMaxPerEndUser);
  EXPECT_EQ(count("from audit_entry where event = 'authorization.revoked' and details::jsonb ->> 'reason' = "
                  "'too_many'"),
            1);
}

TEST_F(AuthorizationTest, a_client_of_former_rules_must_register_again) {
  database_.exec(
      R"(update oauth_client set metadata = jsonb_set(metadata, '{redirect_uris}', '["myapp://done"]'))");
  EXPECT_EQ(run(server_.clients().find(client_.client_id, "a")), std::nullopt);
}

TEST_F(AuthorizationTest, a_flood_of_registrations_makes_room_of_old_unused_ones) {
  ClientRegistry registry(server_.world(), {.unused_max = 3});
  const core::Json body = {{"redirect_uris", {kRedirect}}};
  run(registry.add(body, "a"));
  run(registry.add(body, "a"));
  EXPECT_EQ(error_of([&] { run(registry.add(body, "b")); }).kind(), core::ErrorKind::RateLimited)
      << "the newest are kept for who is just signing in";
  clock_.advance(std::chrono::minutes(11));
  run(registry.add(body, "b"));
  EXPECT_EQ(count("from oauth_client"), 1);
}

TEST_F(AuthorizationTest, reads_a_client_id_metadata_document_and_keeps_it_for_its_time) {
  const std::string text =
      core::dump_json({{"client_id", kDocument}, {"client_name", "Agent"}, {"redirect_uris", {kRedirect}}});
  http_.always("GET", kDocument, [text](const core::OutboundRequest&) {
    auto reply = test::FakeHttpClient::json(200, text);
    reply.headers.add("cache-control", "max-age=600");
    return reply;
  });
  const auto find = [&] { return run(server_.clients().find(kDocument, "192.0.2.1")); };
  EXPECT_EQ(find()->metadata.name, "Agent");
  EXPECT_EQ(find()->kind, ClientKind::Document);
  EXPECT_EQ(http_.requests().size(), 1u);
  EXPECT_EQ(http_.requests()[0].allowed_hosts, std::vector<std::string>{"client.test"});
  clock_.advance(std::chrono::seconds(600));
  EXPECT_TRUE(find().has_value());
  EXPECT_EQ(http_.requests().size(), 2u);
}

TEST_F(AuthorizationTest, refuses_documents_that_are_not_what_they_claim) {
  const auto fault = [&](int status, core::Json body) {
    http_.once("GET", kDocument, test::FakeHttpClient::replies(status, core::dump_json(body)));
    return fault_of([&] { run(server_.clients().find(kDocument, "192.0.2.1")); });
  };
  const core::Json good = {
      {"client_id", kDocument}, {"client_name", "Agent"}, {"redirect_uris", {kRedirect}}};
  const auto with = [&](const char* name, core::Json value) {
    auto body = good;
    body[name] = std::move(value);
    return body;
  };
  EXPECT_EQ(fault(200, with("client_id", "https://other.test/client.json")), "invalid_client_metadata");
  EXPECT_EQ(fault(200, with("client_name", "")), "invalid_client_metadata");
  EXPECT_EQ(fault(200, with("redirect_uris", {"javascript:1"})), "invalid_client_metadata");
  EXPECT_EQ(fault(200, with("token_endpoint_auth_method", "client_secret_basic")), "invalid_client_metadata");
  EXPECT_EQ(fault(302, good), "invalid_client_metadata") << "redirects are not followed";
  EXPECT_EQ(fault(200, core::Json::array()), "invalid_client_metadata");
  http_.once("GET", kDocument, test::FakeHttpClient::fails(core::OutboundFailure::Refused));
  EXPECT_EQ(fault_of([&] { run(server_.clients().find(kDocument, "192.0.2.1")); }),
            "invalid_client_metadata");
  EXPECT_EQ(count("from oauth_client where kind = 'document'"), 0);
  EXPECT_EQ(run(server_.clients().find("http://127.0.0.1/client.json", "a")), std::nullopt);
}

TEST_F(AuthorizationTest, a_sign_in_link_works_once_in_the_browser_that_pressed_the_button) {
  auto& sign_ins = server_.sign_ins();
  const auto link = run(sign_ins.create_link(platform_, end_user_, context()));
  const auto token = link.url.substr(link.url.rfind('/') + 1);
  const auto page = run(sign_ins.page(token, ""));
  EXPECT_EQ(page.fault, std::nullopt);
  EXPECT_EQ(page.who.end_user_label, "user-1");
  EXPECT_EQ(run(sign_ins.use_link(token, "", page.csrf, "r")).fault, SignInFault::WrongBrowser);
  EXPECT_EQ(run(sign_ins.use_link(token, sign_ins.new_browser_secret(), page.csrf, "r")).fault,
            SignInFault::WrongBrowser);
  const auto done = run(sign_ins.use_link(token, page.cookie, page.csrf, "r"));
  ASSERT_EQ(done.fault, std::nullopt);
  EXPECT_NE(done.cookie, page.cookie) << "a cookie that somebody planted is worth nothing";
  EXPECT_EQ(run(sign_ins.session(done.cookie))->end_user_id, end_user_);
  EXPECT_EQ(run(sign_ins.session(page.cookie)), std::nullopt);
  EXPECT_EQ(run(sign_ins.use_link(token, page.cookie, page.csrf, "r")).fault, SignInFault::Used);
  EXPECT_EQ(run(sign_ins.page(token, "")).fault, SignInFault::Used);
  run(sign_ins.sign_out(done.cookie));
  EXPECT_EQ(run(sign_ins.session(done.cookie)), std::nullopt);
}

TEST_F(AuthorizationTest, sign_in_links_and_sessions_expire) {
  auto& sign_ins = server_.sign_ins();
  const auto link = run(sign_ins.create_link(platform_, end_user_, context()));
  const auto token = link.url.substr(link.url.rfind('/') + 1);
  const auto cookie = run(sign_ins.use_key(authenticate(user_key_.raw), "r"));
  EXPECT_EQ(run(sign_ins.session(cookie))->key_id, user_key_.key.id);
  clock_.advance(std::chrono::minutes(10));
  EXPECT_EQ(run(sign_ins.page(token, "")).fault, SignInFault::Expired);
  EXPECT_EQ(run(sign_ins.page("nonsense", "")).fault, SignInFault::Unknown);
  clock_.advance(std::chrono::hours(1));
  EXPECT_EQ(run(sign_ins.session(cookie)), std::nullopt);
  clock_.advance(std::chrono::hours(1));
  run(server_.sweep());
  EXPECT_EQ(count("from sign_in_link"), 0);
  EXPECT_EQ(count("from sign_in_session"), 0);
}

TEST_F(AuthorizationTest, a_session_ends_with_the_key_that_was_pasted) {
  const auto cookie = run(server_.sign_ins().use_key(authenticate(user_key_.raw), "r"));
  run(service_.revoke_key({platform_, end_user_}, user_key_.key.id, context()));
  EXPECT_EQ(run(server_.sign_ins().session(cookie)), std::nullopt);
}

TEST_F(AuthorizationTest, links_are_for_own_end_users) {
  const auto other = make_platform("Other").platform.id;
  EXPECT_EQ(error_of([&] { run(server_.sign_ins().create_link(other, end_user_, context())); }).kind(),
            core::ErrorKind::NotFound);
}

TEST_F(AuthorizationTest, writes_down_when_a_token_was_last_used) {
  authenticate(tokens().access);
  run(authenticator_.write_uses());
  EXPECT_TRUE(
      run(server_.authorizations().list(platform_, end_user_, {})).items.at(0).last_used_at.has_value());
}

}  // namespace
}  // namespace assistiv::oauth
