#include "oauth/authorize/access_tokens.h"

#include <nlohmann/json.hpp>

#include "oauth/authorize/access_token.h"
#include "oauth/authorize/authorization_store.h"
#include "oauth/crypto/foreign_jws.h"

namespace assistiv::oauth {

namespace {

PrincipalPtr token_principal(const AccessTokenClaims& claims, const Authorization& row) {
  return std::make_shared<const Principal>(Principal{.kind = PrincipalKind::EndUser,
                                                     .key_id = row.id,
                                                     .platform_id = row.platform_id,
                                                     .end_user_id = row.end_user_id,
                                                     .scopes = claims.scopes,
                                                     .expires_at = claims.expires_at,
                                                     .audience = row.resource,
                                                     .client_id = row.client_id,
                                                     .via_key = row.key_id,
                                                     .tools_json = row.tools_json});
}

}  // namespace

bool AccessTokens::is_token(std::string_view bearer) const {
  return looks_like_jwt(bearer);
}

core::Task<PrincipalPtr> AccessTokens::look_up(std::string bearer) {
  const auto claims = jws_claims(bearer);
  const bool own = claims && claims->contains("iss") && claims->at("iss") == world_.issuer;
  co_return co_await (own ? look_up_own(std::move(bearer)) : external_.look_up(std::move(bearer)));
}

core::Task<PrincipalPtr> AccessTokens::look_up_own(std::string bearer) {
  const auto payload = co_await keys_.verify(std::string(kAccessTokenType), std::move(bearer));
  const auto claims = payload ? claims_of_payload(*payload) : std::nullopt;
  if (!claims || claims->issuer != world_.issuer || claims->expires_at <= world_.clock.now())
    co_return nullptr;
  const auto row = co_await world_.database.run(
      storage::Scope::tenant(claims->platform_id), [this, claims = *claims](storage::Transaction& tx) {
        return AuthorizationStore(world_.vault, world_.clock)
            .find_live(tx, claims.platform_id, claims.authorization_id);
      });
  const bool fits = row && row->end_user_id == claims->end_user_id && row->resource == claims->audience &&
                    row->client_id == claims->client_id;
  co_return fits ? token_principal(*claims, *row) : nullptr;
}

core::Task<PrincipalPtr> AccessTokens::standing(core::PlatformId platform, core::EndUserId end_user,
                                                core::KeyId id) {
  const auto row = co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, id](storage::Transaction& tx) {
        return AuthorizationStore(world_.vault, world_.clock).find_live(tx, platform, id);
      });
  if (!row) co_return co_await external_.standing(platform, IssuerId{id.uuid}, end_user);
  if (row->end_user_id != end_user) co_return nullptr;
  AccessTokenClaims claims;
  claims.scopes = row->scopes;
  claims.expires_at = row->expires_at;
  co_return token_principal(claims, *row);
}

void AccessTokens::record_uses(storage::Transaction& tx, const std::vector<KeyUse>& uses) {
  AuthorizationStore(world_.vault, world_.clock).record_uses(tx, uses);
}

}  // namespace assistiv::oauth
