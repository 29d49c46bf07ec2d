#include "oauth/authorize/platform_clients.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "core/metrics.h"
#include "oauth/authorize/authorize_request.h"
#include "oauth/authorize/client_auth.h"
#include "oauth/authorize/external_claims.h"
#include "oauth/authorize/issuer_store.h"
#include "oauth/authorize/oauth_error.h"
#include "oauth/connect/platform_facts.h"
#include "oauth/crypto/foreign_jws.h"
#include "oauth/crypto/jws.h"
#include "oauth/identity/input.h"

namespace assistiv::oauth {

namespace {

constexpr std::string_view kPlatformClientPrefix = "plc_";
constexpr std::size_t kPlatformClientIdBytes = 16;
constexpr std::size_t kPlatformClientSecretBytes = 32;
constexpr std::size_t kClientNameChars = 100;
constexpr std::size_t kAssertionBytesMax = 8192;
constexpr std::size_t kJtiBytesMax = 255;
constexpr std::chrono::minutes kAssertionLifeMax{60};  // what is remembered of it is bounded by this
constexpr std::string_view kGrantType = "oauth-id-jag+jwt";

// One text for all that can be wrong: a stranger learns nothing about a client.
OAuthError not_this_client() {
  return {"invalid_client", "The client is unknown, or its credentials are not good.", 401};
}

OAuthError bad_grant(std::string why) {
  return {"invalid_grant", std::move(why)};
}

void count_direct(std::string_view grant, const char* result) {
  core::metrics::counter(
      "assistiv_oauth_tokens_total", "Token requests by grant and outcome.",
      {{"grant", grant == kJwtBearerGrant ? "jwt_bearer" : "client_credentials"}, {"result", result}})
      .add();
}

bool has_usable_jti(const ExternalClaims& claims, core::Time now) {
  const auto jti = claim_text(claims, "jti");
  return !jti.empty() && jti.size() <= kJtiBytesMax && claims.expires_at <= now + kAssertionLifeMax;
}

// The one MCP URL that a request (or a grant) names.
Resource one_resource(const Resources& resources, const std::string& url) {
  auto found = resources.find(url);
  if (!found) throw OAuthError("invalid_target", "resource is not an MCP URL of this server.");
  return std::move(*found);
}

std::optional<std::string> resource_param(const core::FormFields& fields) {
  const auto count =
      std::count_if(fields.begin(), fields.end(), [](const auto& f) { return f.first == "resource"; });
  if (count > 1) throw OAuthError("invalid_target", "One resource at a time.");
  return one_param(fields, "resource");
}

// No refresh tokens here: the client can come again.
std::vector<std::string> direct_scopes(const std::string& text) {
  auto scopes = known_scopes(text);
  std::erase(scopes, std::string(kScopeOffline));
  if (std::find(scopes.begin(), scopes.end(), kScopeMcp) == scopes.end())
    throw OAuthError("invalid_scope", "scope must contain mcp or mcp:write.");
  return scopes;
}

// A text, or an array of one.
std::string one_text(const ExternalClaims& claims, const char* name) {
  const auto found = claims.all->find(name);
  if (found == claims.all->end()) return {};
  const auto& value = found->is_array() && found->size() == 1 ? found->front() : *found;
  return value.is_string() ? value.get<std::string>() : std::string();
}

core::Json client_details(const PlatformClient& client) {
  return {{"client_id", client.client_id}, {"client_name", client.name}, {"auth", to_string(client.auth)}};
}

}  // namespace

core::Task<IssuedPlatformClient> PlatformClients::add(core::PlatformId platform, NewPlatformClient input,
                                                      AuditContext context) {
  IssuedPlatformClient out;
  auto& row = out.client;
  row.platform_id = platform;
  row.client_id =
      std::string(kPlatformClientPrefix) + core::random_hex(world_.random, kPlatformClientIdBytes);
  row.name = checked_text(input.name, 1, kClientNameChars, "/name");
  row.end_user_id = input.end_user_id;
  row.auth = input.auth;
  row.created_at = world_.clock.now();
  const bool by_key = input.auth == PlatformClientAuth::PrivateKeyJwt;
  if (by_key == input.jwks.empty())
    throw core::bad_request("jwks goes with private_key_jwt, and with nothing else.", "/jwks");
  if (by_key) {
    row.jwks = std::move(input.jwks);
    if (read_key_set(row.jwks).empty())
      throw core::bad_request(
          "jwks has no public key for signatures (RSA of 2048 bits, P-256, P-384, P-521).", "/jwks");
    if (row.jwks.find("\"d\":") != std::string::npos)
      throw core::bad_request("jwks holds a private key. Replace that key, and send public ones only.",
                              "/jwks");
  } else {
    out.secret = core::Secret(core::random_token(world_.random, kPlatformClientSecretBytes));
    row.secret_hash = core::sha256_hex(out.secret.reveal());
  }
  co_await world_.database.run(
      storage::Scope::tenant(platform), [this, row, context](storage::Transaction& tx) {
        PlatformClientStore().insert(tx, row);
        world_.audit.append(tx, row.platform_id,
                            audit_event(context, "oauth_client.registered", row.end_user_id, row.client_id,
                                        client_details(row)));
      });
  co_return out;
}

core::Task<Page<PlatformClient>> PlatformClients::list(core::PlatformId platform, PageRequest page) {
  co_return co_await world_.database.run(
      storage::Scope::tenant(platform),
      [platform, page](storage::Transaction& tx) { return PlatformClientStore().list(tx, platform, page); });
}

core::Task<> PlatformClients::remove(core::PlatformId platform, std::string client_id, AuditContext context) {
  co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, client_id, context](storage::Transaction& tx) {
        const auto row = PlatformClientStore().remove(tx, platform, client_id);
        if (!row) throw core::not_found("No such client.");
        AuthorizationStore(world_.vault, world_.clock).remove_of_client(tx, platform, client_id);
        tx.notify("platform", platform.str());
        world_.audit.append(
            tx, platform,
            audit_event(context, "oauth_client.removed", row->end_user_id, client_id, client_details(*row)));
      });
  if (world_.changed) world_.changed("platform", platform.str());
}

bool PlatformClients::takes(const core::FormFields& fields) {
  const auto grant = one_param(fields, "grant_type");
  return grant && (*grant == kClientCredentialsGrant || *grant == kJwtBearerGrant);
}

core::Task<std::optional<PlatformClient>> PlatformClients::find(std::string client_id) {
  if (!client_id.starts_with(kPlatformClientPrefix)) co_return std::nullopt;
  // System scope: the client says which tenant this is.
  co_return co_await world_.database.run(storage::Scope::system(), [client_id](storage::Transaction& tx) {
    return PlatformClientStore().find(tx, client_id);
  });
}

core::Task<bool> PlatformClients::use_once(core::PlatformId platform, std::string maker,
                                           ExternalClaims claims) {
  co_return co_await world_.database.run(
      storage::Scope::tenant(platform), [platform, maker, claims](storage::Transaction& tx) {
        return PlatformClientStore().use_assertion(tx, platform, maker, claim_text(claims, "jti"),
                                                   claims.expires_at + kClockSkew);
      });
}

// RFC 7523 sections 2.2 and 3. The audience is our issuer; older clients name the endpoint.
core::Task<PlatformClient> PlatformClients::by_assertion(std::string assertion) {
  const auto header = jws_header(assertion);
  auto unverified = jws_claims(assertion);
  const auto claims = unverified ? read_external_claims(std::move(*unverified)) : std::nullopt;
  const auto typ = header ? header->value("typ", "") : "none";
  const bool readable = claims && assertion.size() <= kAssertionBytesMax &&
                        (typ.empty() || typ == "JWT" || typ == "client-authentication+jwt");
  if (!readable) throw not_this_client();
  const auto client = co_await find(claims->issuer);
  if (!client || client->auth != PlatformClientAuth::PrivateKeyJwt) throw not_this_client();
  const auto now = world_.clock.now();
  const auto& audience = claims->audiences.front();
  const bool good =
      foreign_jws_verify(read_key_set(client->jwks), assertion).has_value() && holds_now(*claims, now) &&
      claim_text(*claims, "sub") == client->client_id && claims->audiences.size() == 1 &&
      (audience == world_.issuer || audience == world_.issuer + "/token") && has_usable_jti(*claims, now);
  if (!good || !co_await use_once(client->platform_id, client->client_id, *claims)) throw not_this_client();
  co_return *client;
}

core::Task<PlatformClient> PlatformClients::authenticate(core::FormFields fields, std::string authorization) {
  const auto assertion = one_param(fields, "client_assertion");
  if (assertion) {
    if (!authorization.empty() || one_param(fields, "client_secret"))
      throw OAuthError("invalid_request", "Send the client's credentials in one place only.");
    if (one_param(fields, "client_assertion_type").value_or("") != kJwtAssertionType)
      throw OAuthError("invalid_request",
                       "client_assertion_type must be " + std::string(kJwtAssertionType) + ".");
    auto client = co_await by_assertion(*assertion);
    if (one_param(fields, "client_id").value_or(client.client_id) != client.client_id)
      throw not_this_client();
    co_return client;
  }
  const auto presented = read_presented_client(authorization, fields);
  const auto client = co_await find(presented.client_id);
  const auto given = presented.secret ? core::sha256_hex(presented.secret->reveal()) : std::string();
  const bool good = client && client->auth == PlatformClientAuth::SecretBasic && presented.basic &&
                    core::constant_time_equal(given, client->secret_hash);
  if (!good) throw not_this_client();
  co_return *client;
}

core::Task<IssuedTokens> PlatformClients::exchange(core::FormFields fields, std::string authorization,
                                                   std::string request_id) {
  const auto grant = one_param(fields, "grant_type").value_or("");
  try {
    auto client = co_await authenticate(fields, std::move(authorization));
    auto tokens =
        co_await (grant == kJwtBearerGrant
                      ? of_grant(std::move(fields), std::move(client), std::move(request_id))
                      : of_credentials(std::move(fields), std::move(client), std::move(request_id)));
    count_direct(grant, "issued");
    co_return tokens;
  } catch (const OAuthError&) {
    count_direct(grant, "refused");
    throw;
  }
}

core::Task<IssuedTokens> PlatformClients::of_credentials(core::FormFields fields, PlatformClient client,
                                                         std::string request_id) {
  if (!client.end_user_id)
    throw OAuthError("unauthorized_client", "This client acts with grants of its platform's issuer only.");
  DirectGrant direct{client.platform_id, *client.end_user_id, client.client_id, client.name, {}, {}, {}};
  direct.resource =
      one_resource(world_.resources, resource_param(fields).value_or(world_.resources.all_apps())).url;
  direct.scopes = direct_scopes(one_param(fields, "scope").value_or(full_scope()));
  direct.how = std::string(kClientCredentialsGrant);
  co_return co_await authorizations_.issue_direct(std::move(direct), std::move(request_id));
}

core::Task<IssuedTokens> PlatformClients::of_grant(core::FormFields fields, PlatformClient client,
                                                   std::string request_id) {
  if (client.end_user_id)
    throw OAuthError("unauthorized_client", "This client acts for one end user, with client_credentials.");
  const auto assertion = one_param(fields, "assertion").value_or("");
  const auto header = jws_header(assertion);
  auto unverified = assertion.size() <= kAssertionBytesMax ? jws_claims(assertion) : std::nullopt;
  const auto said = unverified ? read_external_claims(std::move(*unverified)) : std::nullopt;
  if (!header || !said || header->value("typ", "") != kGrantType)
    throw bad_grant("assertion is not a JWT of the type " + std::string(kGrantType) + ".");
  // It is for who can prove a key (RFC 9449, RFC 8705); the tokens here are bearer tokens.
  if (said->all->contains("cnf")) throw bad_grant("A grant that is bound to a key is not supported.");
  const auto issuer = co_await world_.database.run(
      storage::Scope::tenant(client.platform_id), [this, client, said](storage::Transaction& tx) {
        return IssuerStore(world_.vault).of_platform(tx, client.platform_id, said->issuer);
      });
  if (!issuer) throw bad_grant("The grant is of an issuer that the client's platform did not register.");
  const auto claims = co_await external_.verified(*issuer, assertion);
  if (!claims) throw bad_grant("The grant's signature or its time is not good.");
  if (claims->audiences != std::vector<std::string>{world_.issuer})
    throw bad_grant("The grant's aud is not this server's issuer, " + world_.issuer + ".");
  if (claim_text(*claims, "client_id") != client.client_id)
    throw bad_grant("The grant is for another client.");
  if (!has_usable_jti(*claims, world_.clock.now()))
    throw bad_grant("The grant needs a jti, and may be good for an hour at most.");
  const auto resource = one_resource(world_.resources, one_text(*claims, "resource")).url;
  if (one_resource(world_.resources, resource_param(fields).value_or(resource)).url != resource)
    throw OAuthError("invalid_target", "The grant is for another resource.");
  const auto granted =
      direct_scopes(claims->all->contains("scope") ? claim_text(*claims, "scope") : full_scope());
  const auto scopes = direct_scopes(one_param(fields, "scope").value_or(scope_text(granted)));
  if (!std::includes(granted.begin(), granted.end(), scopes.begin(), scopes.end()))
    throw OAuthError("invalid_scope", "The scope is wider than what the grant says.");
  if (!co_await use_once(client.platform_id, issuer->issuer, *claims))
    throw bad_grant("The grant was used before.");
  const auto end_user = co_await external_.end_user_of(*issuer, *claims, request_id);
  if (!end_user) throw bad_grant("The platform does not know the end user of the grant.");
  DirectGrant direct{client.platform_id, *end_user, client.client_id, client.name,
                     resource,           scopes,    "id_jag"};
  direct.issuer_id = core::KeyId{issuer->id.uuid};
  co_return co_await authorizations_.issue_direct(std::move(direct), std::move(request_id));
}

}  // namespace assistiv::oauth
