#pragma once
// Keys of platforms and end users: rows of `api_key`. Operator keys: rows of `operator_key`
// (operator_keys.h).
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/random.h"
#include "oauth/identity/api_key.h"
#include "oauth/identity/page.h"
#include "storage/database.h"

namespace assistiv::oauth {

// Whose keys: a platform's own, or one end user's.
struct KeyOwner {
  core::PlatformId platform_id;
  std::optional<core::EndUserId> end_user_id;
};

// What a raw key leads to, as the authenticator needs it.
struct Credential {
  ApiKey key;
  bool owner_active = false;  // the platform and, for an end user's key, the end user
};

// One key's last use.
struct KeyUse {
  std::optional<core::PlatformId> platform_id;  // none for an operator key
  core::KeyId key_id;
  core::Time at;
  bool of_token = false;  // of an access token: key_id is its authorization's id
};

// A key that a change concerns: caches are keyed by the hash.
struct ChangedKey {
  ApiKey key;
  std::string hash;  // SHA-256 of the raw key, hex
};

// As PlatformStore.
class KeyStore {
 public:
  static constexpr int kMaxKeysPerOwner = 100;

  KeyStore(const core::Clock& clock, core::Random& random) : clock_(clock), random_(random) {}

  // Throws Error{NotFound} when the owner does not exist, Error{Conflict} past kMaxKeysPerOwner.
  IssuedKey issue(storage::Transaction& tx, const KeyOwner& owner, const NewKey& input) const;
  // Newest first. Kind Platform: the platform's own keys. Kind EndUser: `end_user`'s, or all end users'.
  Page<ApiKey> list(storage::Transaction& tx, core::PlatformId platform, PrincipalKind kind,
                    std::optional<core::EndUserId> end_user, PageRequest page) const;
  // An owner without an end user reaches every key of the platform, one with an end user only that one's.
  std::optional<ChangedKey> update(storage::Transaction& tx, const KeyOwner& owner, core::KeyId id,
                                   const KeyPatch& patch) const;
  // Removes the row: a revoked key cannot come back.
  std::optional<ChangedKey> revoke(storage::Transaction& tx, const KeyOwner& owner, core::KeyId id) const;
  // Needs Scope::system(): the tenant is known only after this look-up. Finds operator keys, too.
  std::optional<Credential> find_by_hash(storage::Transaction& tx, PrincipalKind kind,
                                         std::string_view hash) const;
  std::optional<Credential> find(storage::Transaction& tx, core::PlatformId platform, core::KeyId id) const;
  // Moves last_used_at forward, never back. Needs Scope::system(): the uses are of many tenants.
  void record_uses(storage::Transaction& tx, const std::vector<KeyUse>& uses) const;

 private:
  const core::Clock& clock_;
  core::Random& random_;
};

}  // namespace assistiv::oauth
