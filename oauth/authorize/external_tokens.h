#pragma once
// From a JWT of a platform's own issuer to the Principal of its end user. The tenant is that of the
// registration, and never what a claim says.
#include <optional>
#include <string>

#include "core/task.h"
#include "oauth/authorize/authorize_world.h"
#include "oauth/authorize/external_claims.h"
#include "oauth/authorize/issuer_store.h"
#include "oauth/authorize/key_sets.h"
#include "oauth/principal.h"

namespace assistiv::oauth {

// Thread-safe.
class ExternalTokens {
 public:
  ExternalTokens(AuthorizeWorld& world, KeySets& keys) : world_(world), keys_(keys) {}

  // Null when it is not good. Throws Error{Unavailable} when the issuer's keys cannot be read.
  core::Task<PrincipalPtr> look_up(std::string bearer);

  // Who acted with a token of this registration, as far as it goes now: null when the registration is gone or
  // the end user is not active.
  core::Task<PrincipalPtr> standing(core::PlatformId platform, IssuerId issuer, core::EndUserId end_user);

  // The claims of a JWT that `issuer` signed and that holds now; nothing for any other. `typ` and audience
  // are the caller's to check.
  core::Task<std::optional<ExternalClaims>> verified(RegisteredIssuer issuer, std::string jwt);
  // The end user that verified claims are about: there, made if the registration says so, and active. Nothing
  // otherwise.
  core::Task<std::optional<core::EndUserId>> end_user_of(RegisteredIssuer issuer, ExternalClaims claims,
                                                         std::string request_id);

 private:
  AuthorizeWorld& world_;
  KeySets& keys_;
};

}  // namespace assistiv::oauth
