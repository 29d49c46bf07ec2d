#pragma once
// Rows of `oauth_signing_key`, in the system's scope: they belong to no tenant.
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/secret.h"
#include "oauth/crypto/vault.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct SigningKey {
  std::string kid;
  std::string public_jwk;
  core::Secret private_jwk;
  core::Time active_from, created_at, expires_at;
};

class SigningKeyStore {
 public:
  explicit SigningKeyStore(const Vault& vault) : vault_(vault) {}

  // Newest first. Keys that no master key opens are left out and named in the log.
  std::vector<SigningKey> all(storage::Transaction& tx) const;
  // Throws Error{InvalidArgument} when a key is there that no master key opens.
  void require_readable(storage::Transaction& tx) const;
  // Others that want to add a key wait until this transaction ends.
  void lock(storage::Transaction& tx) const;
  void insert(storage::Transaction& tx, const SigningKey& key) const;
  void discard_expired(storage::Transaction& tx, core::Time now) const;

 private:
  const Vault& vault_;
};

}  // namespace assistiv::oauth
