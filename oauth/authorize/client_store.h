#pragma once
// Rows of `oauth_client`, in the system's scope: clients belong to no tenant.
#include <cstdint>
#include <optional>
#include <string>

#include "core/clock.h"
#include "oauth/authorize/client_metadata.h"
#include "storage/database.h"

namespace assistiv::oauth {

enum class ClientKind { Registered, Document };

struct OAuthClient {
  std::string client_id;
  ClientKind kind = ClientKind::Registered;
  ClientMetadata metadata;
  std::optional<std::string> secret_hash;  // SHA-256, hex
  core::Time created_at, expires_at;
};

// Inside the caller's transaction; holds no state.
class ClientStore {
 public:
  // Also one that has expired, but none that registered under rules that are no longer ours.
  std::optional<OAuthClient> find(storage::Transaction& tx, const std::string& client_id) const;
  // Puts a new registration, or the newest text of a document.
  void put(storage::Transaction& tx, const OAuthClient& client) const;
  // Somebody allowed it something: it is kept until `until` at least.
  void note_use(storage::Transaction& tx, const std::string& client_id, core::Time now,
                core::Time until) const;
  // How many of a kind nobody ever allowed anything; counts to `limit` at most.
  std::int64_t count_unused(storage::Transaction& tx, ClientKind kind, std::int64_t limit) const;
  // Makes room: forgets the `limit` oldest of those that were made before `before`.
  std::size_t discard_unused(storage::Transaction& tx, ClientKind kind, core::Time before,
                             std::int64_t limit) const;
  void discard_expired(storage::Transaction& tx, core::Time now, std::int64_t limit) const;
};

}  // namespace assistiv::oauth
