#pragma once
// What a JWT of another issuer says (RFC 7519), and whether it holds now. Pure; none of it is known to be
// true until the signature was checked.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/json.h"

namespace assistiv::oauth {

// Clocks of issuers may differ from ours by so much.
inline constexpr std::chrono::seconds kClockSkew{60};

struct ExternalClaims {
  std::string issuer;
  std::vector<std::string> audiences;  // 1 to 20
  core::Time expires_at;
  std::optional<core::Time> issued_at, not_before;
  std::shared_ptr<const core::Json> all;  // the object itself; never null
};

// Nothing without iss, aud and exp, or when one of the registered claims has a wrong type.
std::optional<ExternalClaims> read_external_claims(core::Json payload);
bool holds_now(const ExternalClaims& claims, core::Time now);

// A member that is a text; "" when it is absent or something else.
std::string claim_text(const ExternalClaims& claims, std::string_view name);
// The external_id of the end user that the token is about: the claim's text, 1 to 255 bytes. An e-mail
// address counts only when the issuer says that it is verified: elsewhere anybody can claim one. Nothing when
// there is none.
std::optional<std::string> external_id_of(const ExternalClaims& claims, const std::string& claim);

// Whether a token with this (not authenticated) header may stand in a bearer's place: a plain JWT or an
// access token (RFC 9068), and neither a logout token nor a grant.
bool is_bearer_type(std::string_view typ);

}  // namespace assistiv::oauth
