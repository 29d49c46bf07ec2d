// Clients without a browser on a real database: what works once works once on any node, and everything that
// ends them.
#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>

#include "oauth/authorize/oauth_error.h"
#include "support/issuer_fixture.h"

namespace assistiv::oauth {
namespace {

class PlatformClientTest : public IssuerTest {
 protected:
  IssuedPlatformClient make(std::optional<core::EndUserId> end_user, std::string jwks = {}) {
    const auto auth = jwks.empty() ? PlatformClientAuth::SecretBasic : PlatformClientAuth::PrivateKeyJwt;
    return run(
        server_.platform_clients().add(platform_, {"Report", end_user, auth, std::move(jwks)}, context()));
  }
  static std::string basic(const IssuedPlatformClient& client) {
    return "Basic " + core::base64_encode(client.client.client_id + ":" + client.secret.reveal());
  }
  IssuedTokens exchange(AuthorizationServer& server, core::FormFields fields, std::string header = {}) {
    return run(server.platform_clients().exchange(std::move(fields), std::move(header), "r"));
  }
  std::string fault(core::FormFields fields, std::string header = {}) {
    try {
      exchange(server_, std::move(fields), std::move(header));
    } catch (const OAuthError& e) {
      return e.code();
    }
    return "";
  }
  core::FormFields grant(const IssuedPlatformClient& client, const std::string& jti,
                         const core::Json& more = core::Json::object()) {
    core::Json changes = {
        {"aud", kOurs}, {"client_id", client.client.client_id}, {"resource", kAudience}, {"jti", jti}};
    changes.update(more);
    return {{"grant_type", std::string(kJwtBearerGrant)},
            {"assertion", token(changes, {{"kid", "k1"}, {"typ", "oauth-id-jag+jwt"}}).reveal()}};
  }
  const core::FormFields credentials_{{"grant_type", "client_credentials"}};
};

TEST_F(PlatformClientTest, acts_for_the_end_user_that_it_was_given) {
  const auto client = make(end_user_);
  const auto who = principal(exchange(server_, credentials_, basic(client)).access);
  ASSERT_NE(who, nullptr);
  EXPECT_EQ(who->platform_id, platform_);
  EXPECT_EQ(who->end_user_id, end_user_);
  EXPECT_EQ(who->client_id, client.client.client_id);
  EXPECT_EQ(who->audience, kAudience);
  EXPECT_EQ(database_.exec("select c::text as text from platform_client c")[0].text("text").find(
                client.secret.reveal()),
            std::string::npos);
  const auto other = make_platform("Other").platform.id;
  EXPECT_EQ(error_of([&] {
              run(server_.platform_clients().add(other, {"x", end_user_, PlatformClientAuth::SecretBasic, {}},
                                                 context()));
            }).kind(),
            core::ErrorKind::NotFound);
}

TEST_F(PlatformClientTest, has_one_authorization_however_often_it_comes) {
  const auto client = make(end_user_);
  const auto first = exchange(server_, credentials_, basic(client)).access;
  clock_.advance(std::chrono::minutes(10));
  for (int i = 0; i < 5; ++i) exchange(server_, credentials_, basic(client));
  EXPECT_EQ(count("from client_authorization"), 1);
  EXPECT_EQ(count("from audit_entry where event = 'authorization.granted'"), 1);
  EXPECT_NE(principal(first), nullptr);
  const auto id = run(server_.authorizations().list(platform_, end_user_, {})).items.at(0).id;
  run(server_.authorizations().revoke(platform_, end_user_, id, context()));
  EXPECT_EQ(principal(first), nullptr);
  clock_.advance(std::chrono::hours(1));
  exchange(server_, credentials_, basic(client));
  run(server_.sweep());
  EXPECT_EQ(count("from client_authorization"), 1);
}

TEST_F(PlatformClientTest, ends_with_its_registration_its_end_user_and_its_issuer) {
  const auto issuer = add();
  const auto report = make(end_user_);
  const auto agent = make({});
  const auto by_secret = exchange(server_, credentials_, basic(report)).access;
  const auto by_grant = exchange(server_, grant(agent, "1"), basic(agent)).access;
  EXPECT_EQ(principal(by_grant)->end_user_id, end_user_);
  run(server_.issuers().remove(platform_, issuer.id, context()));
  EXPECT_EQ(principal(by_grant), nullptr);
  EXPECT_NE(principal(by_secret), nullptr);
  EXPECT_EQ(fault(grant(agent, "2"), basic(agent)), "invalid_grant");
  run(service_.update_end_user(platform_, end_user_,
                               {.display_name = {}, .metadata_json = {}, .is_active = false}, context()));
  EXPECT_EQ(principal(by_secret), nullptr);
  EXPECT_EQ(fault(credentials_, basic(report)), "invalid_grant");
  run(service_.update_end_user(platform_, end_user_,
                               {.display_name = {}, .metadata_json = {}, .is_active = true}, context()));
  EXPECT_NE(principal(by_secret), nullptr);
  run(server_.platform_clients().remove(platform_, report.client.client_id, context()));
  EXPECT_EQ(principal(by_secret), nullptr);
  EXPECT_EQ(fault(credentials_, basic(report)), "invalid_client");
}

TEST_F(PlatformClientTest, a_grant_that_is_bound_to_a_key_is_nobodys_who_only_has_it) {
  add();
  const auto agent = make({});
  EXPECT_EQ(fault(grant(agent, "1", {{"cnf", {{"jkt", "x"}}}}), basic(agent)), "invalid_grant");
  EXPECT_EQ(fault(grant(agent, "1"), basic(agent)), "");
}

TEST_F(PlatformClientTest, an_assertion_and_a_grant_work_once_on_any_node) {
  add();
  AuthorizationServer other({database_.db(),
                             audit_,
                             *vault_,
                             http_,
                             clock_,
                             random_,
                             kOurs,
                             Resources(kOurs, [](std::string_view) { return true; }),
                             false,
                             {}});
  other.world().end_user_of = server_.world().end_user_of;
  const auto agent = make({});
  const auto same = grant(agent, "1");
  std::vector<std::future<IssuedTokens>> flights;
  for (int i = 0; i < 8; ++i) {
    auto& node = i % 2 == 0 ? server_ : other;
    flights.push_back(io_.start(node.platform_clients().exchange(same, basic(agent), "r")));
  }
  int issued = 0;
  for (auto& flight : flights) {
    try {
      io_.result(flight);
      ++issued;
    } catch (const OAuthError& e) {
      EXPECT_EQ(e.code(), "invalid_grant");
    }
  }
  EXPECT_EQ(issued, 1);
  const auto key = make_es256_key("c1");
  const auto by_key = make(end_user_, "{\"keys\":[" + key.public_jwk + "]}");
  const auto now = core::to_epoch_seconds(clock_.now());
  const auto& id = by_key.client.client_id;
  const core::Json claims = {{"iss", id}, {"sub", id}, {"aud", kOurs}, {"exp", now + 60}, {"jti", "1"}};
  auto fields = credentials_;
  fields.emplace_back("client_assertion_type", std::string(kJwtAssertionType));
  fields.emplace_back("client_assertion",
                      jws_sign(key.private_jwk, {{"kid", "c1"}}, core::dump_json(claims)));
  exchange(other, fields);
  EXPECT_EQ(fault(fields), "invalid_client");
  EXPECT_EQ(count("from used_assertion"), 2);
  clock_.advance(std::chrono::hours(2));
  run(server_.sweep());
  EXPECT_EQ(count("from used_assertion"), 0);
}

}  // namespace
}  // namespace assistiv::oauth
