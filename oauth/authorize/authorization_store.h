#pragma once
// Rows of `client_authorization`: what an end user allowed a client. A code, a refresh token and an access
// token carry the row's id, so their look-ups run in the system's scope; everything after that is in the
// row's platform.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/secret.h"
#include "oauth/crypto/vault.h"
#include "oauth/identity/key_store.h"
#include "oauth/identity/page.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct Authorization {
  core::PlatformId platform_id;
  core::KeyId id;
  core::EndUserId end_user_id;
  std::optional<core::KeyId> key_id;
  std::optional<core::KeyId> issuer_id;  // of the provider that its end user signed in with
  std::string client_id, client_name, redirect_uri, resource;
  std::vector<std::string> scopes;
  std::string tools_json;  // {app: policy}, "*" for every other app
  std::string code_hash, code_challenge;
  core::Time code_expires_at;
  bool code_used = false;
  std::optional<core::Secret> refresh_secret;
  std::uint32_t refresh_generation = 0;
  std::optional<core::Time> refreshed_at;
  core::Time created_at, expires_at;
  std::optional<core::Time> last_used_at;
};

class AuthorizationStore {
 public:
  static constexpr int kMaxPerEndUser = 100;

  AuthorizationStore(const Vault& vault, const core::Clock& clock) : vault_(vault), clock_(clock) {}

  // False when there is one with this id: the same consent was sent twice.
  bool insert(storage::Transaction& tx, const Authorization& row) const;
  // Those past kMaxPerEndUser that were not used for longest; they are gone.
  std::vector<Authorization> make_room(storage::Transaction& tx, core::PlatformId platform,
                                       core::EndUserId end_user) const;
  // Of any platform, locked until the transaction ends. Also one that has expired.
  std::optional<Authorization> lock(storage::Transaction& tx, core::KeyId id) const;
  // The authorization without a code that a client of the platform has for this end user and resource, locked
  // until the transaction ends. Also one that has expired.
  std::optional<Authorization> lock_direct(storage::Transaction& tx, const Authorization& like) const;
  // Those of one client; they are gone.
  void remove_of_client(storage::Transaction& tx, core::PlatformId platform,
                        const std::string& client_id) const;
  // One that is good now: not expired; platform, end user and key, if any, active.
  std::optional<Authorization> find_live(storage::Transaction& tx, core::PlatformId platform,
                                         core::KeyId id) const;
  void use_code(storage::Transaction& tx, const Authorization& row, core::Time expires_at) const;
  void note_refresh(storage::Transaction& tx, const Authorization& row, core::Time expires_at) const;

  // Those whose code was exchanged. Newest first.
  Page<Authorization> list(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user,
                           PageRequest page) const;
  // Nothing when there was none (of this end user).
  std::optional<Authorization> remove(storage::Transaction& tx, core::PlatformId platform,
                                      std::optional<core::EndUserId> end_user, core::KeyId id) const;
  // Moves last_used_at forward.
  void record_uses(storage::Transaction& tx, const std::vector<KeyUse>& uses) const;
  void discard_expired(storage::Transaction& tx, core::Time before, std::int64_t limit) const;

 private:
  Authorization read(const storage::Row& row) const;
  const Vault& vault_;
  const core::Clock& clock_;
};

}  // namespace assistiv::oauth
