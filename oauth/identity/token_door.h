#pragma once
// Bearer tokens that are no API keys, as the authenticator needs them. Implemented in oauth/authorize.
#include <string>
#include <string_view>
#include <vector>

#include "core/task.h"
#include "oauth/identity/key_store.h"
#include "oauth/principal.h"
#include "storage/database.h"

namespace assistiv::oauth {

class TokenDoor {
 public:
  virtual ~TokenDoor() = default;
  // By its shape: no I/O, and never true for an API key.
  virtual bool is_token(std::string_view bearer) const = 0;
  // Whose it is; null when it is not good (any more). The answer is cached until a notice drops it.
  virtual core::Task<PrincipalPtr> look_up(std::string bearer) = 0;
  // Who acts for the end user by what a principal of look_up() named in its key_id, as far as it goes now;
  // null when that has ended. For work that goes on without its caller. Never cached.
  virtual core::Task<PrincipalPtr> standing(core::PlatformId platform, core::EndUserId end_user,
                                            core::KeyId id) = 0;
  // Uses of principals that look_up() gave. In the system's scope.
  virtual void record_uses(storage::Transaction& tx, const std::vector<KeyUse>& uses) = 0;
};

}  // namespace assistiv::oauth
