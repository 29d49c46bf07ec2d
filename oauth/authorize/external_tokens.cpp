#include "oauth/authorize/external_tokens.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/metrics.h"
#include "oauth/connect/platform_facts.h"
#include "oauth/crypto/jws.h"
#include "oauth/identity/api_key.h"

namespace assistiv::oauth {

namespace {

PrincipalPtr counted(const char* result, PrincipalPtr principal) {
  core::metrics::counter("assistiv_oauth_external_tokens_total",
                         "Tokens of registered issuers that were looked at, by outcome.",
                         {{"result", result}})
      .add();
  return principal;
}

// All that an end user's key may do, or what the token's own scope has of it.
std::vector<std::string> scopes_in(const ExternalClaims& claims) {
  const auto known = scopes_of(PrincipalKind::EndUser);
  const std::string named = " " + claim_text(claims, "scope") + " ";
  std::vector<std::string> out;
  for (const auto scope : known) {
    if (named.find(" " + std::string(scope) + " ") != std::string::npos) out.emplace_back(scope);
  }
  if (out.empty()) out.assign(known.begin(), known.end());
  return out;
}

PrincipalPtr external_principal(const RegisteredIssuer& issuer, core::EndUserId end_user,
                                const ExternalClaims& claims) {
  return std::make_shared<const Principal>(Principal{.kind = PrincipalKind::EndUser,
                                                     .key_id = core::KeyId{issuer.id.uuid},
                                                     .platform_id = issuer.platform_id,
                                                     .end_user_id = end_user,
                                                     .scopes = scopes_in(claims),
                                                     .expires_at = claims.expires_at + kClockSkew});
}

}  // namespace

core::Task<std::optional<ExternalClaims>> ExternalTokens::verified(RegisteredIssuer issuer, std::string jwt) {
  const auto payload = co_await keys_.verify(issuer.jwks_uri, jwt);
  auto claims = payload ? jws_claims(jwt) : std::nullopt;
  auto read = claims ? read_external_claims(std::move(*claims)) : std::nullopt;
  if (!read || read->issuer != issuer.issuer || !holds_now(*read, world_.clock.now())) co_return std::nullopt;
  co_return read;
}

core::Task<std::optional<core::EndUserId>> ExternalTokens::end_user_of(RegisteredIssuer issuer,
                                                                       ExternalClaims claims,
                                                                       std::string request_id) {
  const auto external_id = external_id_of(claims, issuer.end_user_claim);
  if (!external_id || !world_.end_user_of) co_return std::nullopt;
  const auto found = co_await world_.end_user_of(issuer.platform_id, *external_id, issuer.creates_end_users,
                                                 std::move(request_id));
  if (!found) co_return std::nullopt;
  const bool active =
      co_await world_.database.run(storage::Scope::tenant(issuer.platform_id),
                                   [platform = issuer.platform_id, id = *found](storage::Transaction& tx) {
                                     return platform_facts(tx, platform, id).has_value();
                                   });
  co_return active ? found : std::nullopt;
}

core::Task<PrincipalPtr> ExternalTokens::standing(core::PlatformId platform, IssuerId issuer,
                                                  core::EndUserId end_user) {
  const bool good = co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, issuer, end_user](storage::Transaction& tx) {
        const auto row = IssuerStore(world_.vault).get(tx, platform, issuer);
        return row && !row->audiences.empty() && platform_facts(tx, platform, end_user).has_value();
      });
  if (!good) co_return nullptr;
  co_return std::make_shared<const Principal>(Principal{.kind = PrincipalKind::EndUser,
                                                        .key_id = core::KeyId{issuer.uuid},
                                                        .platform_id = platform,
                                                        .end_user_id = end_user,
                                                        .scopes = {"mcp"},
                                                        .expires_at = std::nullopt});
}

core::Task<PrincipalPtr> ExternalTokens::look_up(std::string bearer) {
  const auto header = jws_header(bearer);
  auto unverified = jws_claims(bearer);
  const auto said = unverified ? read_external_claims(std::move(*unverified)) : std::nullopt;
  if (!header || !said || !is_bearer_type(header->value("typ", ""))) co_return counted("malformed", nullptr);
  // Bound to a key that its bearer would have to prove (RFC 9449, RFC 8705): it is none of a bearer's.
  if (said->all->contains("cnf")) co_return counted("bound", nullptr);
  // System scope: which tenant's it is, the registration says.
  const auto issuer = co_await world_.database.run(
      storage::Scope::system(),
      [this, name = said->issuer, audiences = said->audiences](storage::Transaction& tx) {
        return IssuerStore(world_.vault).of_token(tx, name, audiences);
      });
  if (!issuer) co_return counted("unknown_issuer", nullptr);
  const auto claims = co_await verified(*issuer, std::move(bearer));
  if (!claims) co_return counted("refused", nullptr);
  const auto end_user = co_await end_user_of(*issuer, *claims, "");
  if (!end_user) co_return counted("unknown_end_user", nullptr);
  co_return counted("accepted", external_principal(*issuer, *end_user, *claims));
}

}  // namespace assistiv::oauth
