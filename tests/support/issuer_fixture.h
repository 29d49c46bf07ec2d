#pragma once
// A platform with a registered OpenID provider that a FakeHttpClient plays, on a database of its own.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/encoding.h"
#include "core/json_read.h"
#include "oauth/authorize/authorization_server.h"
#include "oauth/authorize/authorize_request.h"
#include "oauth/crypto/jws.h"
#include "support/fake_http_client.h"
#include "support/identity_fixture.h"

namespace assistiv::oauth {

inline constexpr char kOurs[] = "https://gateway.test";
inline constexpr char kIdp[] = "https://login.acme.test/tenant";
inline constexpr char kAudience[] = "https://gateway.test/mcp";
inline constexpr char kJwks[] = "https://keys.acme.test/jwks";
inline constexpr char kTokenEndpoint[] = "https://login.acme.test/token";
inline constexpr char kDiscovery[] = "https://login.acme.test/tenant/.well-known/openid-configuration";

inline std::string issuer_vault_directory() {
  std::string name = std::filesystem::temp_directory_path() / "assistiv-vault-XXXXXX";
  return mkdtemp(name.data()) == nullptr ? std::string() : name;
}

class IssuerTest : public IdentityTest {
 protected:
  IssuerTest() {
    server_.world().end_user_of = [this](core::PlatformId platform, std::string external_id, bool create,
                                         std::string request_id) {
      return end_user_of(&service_, platform, std::move(external_id), create, std::move(request_id));
    };
    authenticator_.accept(server_.tokens());
  }
  ~IssuerTest() override { std::filesystem::remove_all(directory_); }

  static core::Task<std::optional<core::EndUserId>> end_user_of(IdentityService* service,
                                                                core::PlatformId platform,
                                                                std::string external_id, bool create,
                                                                std::string request_id) {
    const auto found = co_await service->find_end_user(
        platform, {.external_id = std::move(external_id), .display_name = {}, .metadata_json = {}}, create,
        {nullptr, std::move(request_id)});
    co_return found ? std::optional(found->id) : std::nullopt;
  }

  void SetUp() override {
    platform_ = make_platform().platform.id;
    end_user_ = make_end_user(platform_).end_user.id;
    serve_metadata(metadata());
    serve_keys({key_});
  }

  static core::Json metadata() {
    return {{"issuer", kIdp},
            {"authorization_endpoint", "https://login.acme.test/authorize?p=1"},
            {"token_endpoint", kTokenEndpoint},
            {"jwks_uri", kJwks},
            {"authorization_response_iss_parameter_supported", true}};
  }
  void serve_metadata(const core::Json& text) {
    http_.always("GET", kDiscovery, test::FakeHttpClient::replies(200, core::dump_json(text)));
  }
  void serve_keys(const std::vector<SigningKeyPair>& pairs) {
    core::Json keys = core::Json::array();
    for (const auto& pair : pairs) keys.push_back(core::parse_json(pair.public_jwk));
    http_.always("GET", kJwks, test::FakeHttpClient::replies(200, core::dump_json({{"keys", keys}})));
  }
  static NewIssuer input() {
    return {kIdp, "client-1", core::Secret("secret-1"), {kAudience}, "sub", false, true};
  }
  // The operator may register any audience.
  static AuditContext context() {
    auto operators = std::make_shared<Principal>();
    operators->kind = PrincipalKind::Operator;
    return {std::move(operators), "request-1"};
  }
  static AuditContext context_of(core::PlatformId platform) {
    auto own = std::make_shared<Principal>();
    own->kind = PrincipalKind::Platform;
    own->platform_id = platform;
    return {std::move(own), "request-1"};
  }
  RegisteredIssuer add(core::PlatformId platform, NewIssuer given) {
    return run(server_.issuers().add(platform, std::move(given), context()));
  }
  // With the platform's own key.
  RegisteredIssuer add_own(core::PlatformId platform, NewIssuer given) {
    return run(server_.issuers().add(platform, std::move(given), context_of(platform)));
  }
  RegisteredIssuer add() { return add(platform_, input()); }

  core::Json claims(const core::Json& changes = core::Json::object()) {
    const auto now = core::to_epoch_seconds(clock_.now());
    core::Json out = {{"iss", kIdp}, {"aud", kAudience}, {"sub", "user-1"}, {"iat", now}, {"exp", now + 300}};
    out.merge_patch(changes);
    return out;
  }
  core::Secret token(const core::Json& changes = core::Json::object(), JweHeader header = {{"kid", "k1"}}) {
    return core::Secret(jws_sign(key_.private_jwk, header, core::dump_json(claims(changes))));
  }
  PrincipalPtr principal(const core::Secret& bearer) {
    try {
      return authenticate(bearer);
    } catch (const core::Error& e) {
      EXPECT_EQ(e.kind(), core::ErrorKind::Unauthenticated) << e.message();
      return nullptr;
    }
  }
  std::size_t key_fetches() const { return http_.requests("GET", kJwks).size(); }
  std::int64_t count(const std::string& from) {
    return database_.exec("select count(*) as n " + from)[0].integer("n");
  }
  std::string slug() {
    return database_.exec("select slug from platform where platform_id = '" + platform_.str() + "'")[0].text(
        "slug");
  }

  // A browser that was sent to the provider: the parameters that it brings there.
  core::FormFields start(const std::string& cookie) {
    const auto out = run(server_.providers().start(slug(), cookie, "client_id=x", "192.0.2.1"));
    EXPECT_FALSE(out.fault.has_value());
    EXPECT_TRUE(out.url.starts_with("https://login.acme.test/authorize?p=1&"));
    return core::form_decode(out.url.substr(out.url.find('?') + 1)).value();
  }
  void provider_answers(const core::FormFields& sent, const core::Json& changes = core::Json::object()) {
    core::Json patch = {{"aud", "client-1"}, {"nonce", one_param(sent, "nonce").value()}};
    patch.merge_patch(changes);
    http_.always("POST", kTokenEndpoint,
                 test::FakeHttpClient::replies(200, core::dump_json({{"id_token", token(patch).reveal()}})));
  }
  ProviderResult finish(const core::FormFields& sent, const std::string& cookie, std::string issuer = kIdp) {
    return run(server_.providers().finish({one_param(sent, "state").value(), "code-1", "", std::move(issuer)},
                                          cookie, "r"));
  }
  std::string browser() { return server_.sign_ins().new_browser_secret(); }

  std::string directory_ = issuer_vault_directory();
  std::unique_ptr<Vault> vault_ = Vault::open_file(directory_ + "/keys.json", random_);
  test::FakeHttpClient http_;
  SigningKeyPair key_ = make_es256_key("k1");
  AuthorizationServer server_{{database_.db(), audit_, *vault_, http_, clock_, random_, kOurs,
                               Resources(kOurs, [](std::string_view) { return true; }), false,
                               [this](std::string_view topic, std::string_view payload) {
                                 authenticator_.on_notify(topic, payload);
                               }}};
  core::PlatformId platform_;
  core::EndUserId end_user_;
};

}  // namespace assistiv::oauth
