#include "oauth/authorize/access_token.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "oauth/authorize/resources.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kTokenBytesMax = 8192;
constexpr std::int64_t kEpochSecondsMax = 253402300799;  // the year 9999

core::Time of_seconds(std::int64_t seconds) {
  return core::from_epoch_ms(seconds * 1000);
}

}  // namespace

std::string to_payload(const AccessTokenClaims& claims) {
  return core::dump_json({{"iss", claims.issuer},
                          {"sub", claims.end_user_id.str()},
                          {"aud", claims.audience},
                          {"client_id", claims.client_id},
                          {"scope", scope_text(claims.scopes)},
                          {"jti", claims.token_id},
                          {"iat", core::to_epoch_seconds(claims.issued_at)},
                          {"exp", core::to_epoch_seconds(claims.expires_at)},
                          {"pid", claims.platform_id.str()},
                          {"aid", claims.authorization_id.str()}});
}

std::optional<AccessTokenClaims> claims_of_payload(std::string_view payload) {
  const auto json = core::try_parse_json(payload, 4);
  if (!json || !json->is_object()) return std::nullopt;
  try {
    const core::JsonReader reader(*json);
    const auto platform = core::PlatformId::parse(reader.string("pid"));
    const auto end_user = core::EndUserId::parse(reader.string("sub"));
    const auto authorization = core::KeyId::parse(reader.string("aid"));
    const auto issued = reader.optional_integer("iat", 0, kEpochSecondsMax);
    const auto expires = reader.optional_integer("exp", 0, kEpochSecondsMax);
    if (!platform || !end_user || !authorization || !issued || !expires) return std::nullopt;
    return AccessTokenClaims{.issuer = reader.string("iss"),
                             .audience = reader.string("aud"),
                             .client_id = reader.string("client_id"),
                             .token_id = reader.string("jti"),
                             .platform_id = *platform,
                             .end_user_id = *end_user,
                             .authorization_id = *authorization,
                             .scopes = known_scopes(reader.string("scope")),
                             .issued_at = of_seconds(*issued),
                             .expires_at = of_seconds(*expires)};
  } catch (const core::Error&) {
    return std::nullopt;
  }
}

bool looks_like_jwt(std::string_view bearer) {
  const auto in_alphabet = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  };
  return bearer.size() <= kTokenBytesMax && bearer.starts_with("eyJ") &&
         std::count(bearer.begin(), bearer.end(), '.') == 2 &&
         std::all_of(bearer.begin(), bearer.end(), in_alphabet);
}

}  // namespace assistiv::oauth
