#pragma once
// From a JWT to a Principal: for one of ours the signature, then the authorization behind it; the rest goes
// to ExternalTokens.
#include "oauth/authorize/authorize_world.h"
#include "oauth/authorize/external_tokens.h"
#include "oauth/authorize/signing_keys.h"
#include "oauth/identity/token_door.h"

namespace assistiv::oauth {

// Thread-safe.
class AccessTokens final : public TokenDoor {
 public:
  AccessTokens(AuthorizeWorld& world, SigningKeys& keys, ExternalTokens& external)
      : world_(world), keys_(keys), external_(external) {}
  bool is_token(std::string_view bearer) const override;
  core::Task<PrincipalPtr> look_up(std::string bearer) override;
  core::Task<PrincipalPtr> standing(core::PlatformId platform, core::EndUserId end_user,
                                    core::KeyId id) override;
  void record_uses(storage::Transaction& tx, const std::vector<KeyUse>& uses) override;

 private:
  core::Task<PrincipalPtr> look_up_own(std::string token);
  AuthorizeWorld& world_;
  SigningKeys& keys_;
  ExternalTokens& external_;
};

}  // namespace assistiv::oauth
