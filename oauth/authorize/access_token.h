#pragma once
// What an access token says (RFC 9068, with our own members pid and aid). Pure.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"

namespace assistiv::oauth {

inline constexpr std::string_view kAccessTokenType = "at+jwt";

struct AccessTokenClaims {
  std::string issuer, audience, client_id, token_id;
  core::PlatformId platform_id;
  core::EndUserId end_user_id;
  core::KeyId authorization_id;
  std::vector<std::string> scopes;
  core::Time issued_at, expires_at;
};

std::string to_payload(const AccessTokenClaims& claims);
// Nothing for what to_payload() would not have written.
std::optional<AccessTokenClaims> claims_of_payload(std::string_view payload);

// By its shape only: three base64url parts, at most 8 KiB (other issuers put much into a token). No API key
// looks like that.
bool looks_like_jwt(std::string_view bearer);

}  // namespace assistiv::oauth
