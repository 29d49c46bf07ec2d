#pragma once
// From an access token to a Principal: the signature, then the authorization behind it.
#include "oauth/authorize/authorize_world.h"
#include "oauth/authorize/signing_keys.h"
#include "oauth/identity/token_door.h"

namespace assistiv::oauth {

// Thread-safe.
class AccessTokens final : public TokenDoor {
 public:
  AccessTokens(AuthorizeWorld& world, SigningKeys& keys) : world_(world), keys_(keys) {}
  bool is_token(std::string_view bearer) const override;
  core::Task<PrincipalPtr> look_up(std::string bearer) override;
  void record_uses(storage::Transaction& tx, const std::vector<KeyUse>& uses) override;

 private:
  AuthorizeWorld& world_;
  SigningKeys& keys_;
};

}  // namespace assistiv::oauth
