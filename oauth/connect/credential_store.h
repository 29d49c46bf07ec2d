#pragma once
// Rows of `credential`: one sealed token pair per connection and slot, with a version and a lease. Leases are
// timed by the database's clock, because they are between processes; lifetimes by ours.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/random.h"
#include "core/secret.h"
#include "oauth/connect/connection_service.h"
#include "oauth/connect/grant_record.h"
#include "storage/database.h"

namespace assistiv::oauth {

class Vault;

// A credential and what of its connection matters for using it.
struct CredentialState {
  core::Uuid id;
  core::PlatformId platform_id;
  core::ConnectionId connection_id;
  core::EndUserId end_user_id;
  std::string slot, app, account_id;
  std::string client_id;  // that the grant belongs to
  ConnectionStatus status = ConnectionStatus::Active;
  Values vars;
  std::string access_sealed;
  std::optional<std::string> refresh_sealed, previous_sealed;
  std::optional<core::Time> expires_at;
  core::Time obtained_at;
  std::int64_t version = 0;
  std::optional<core::Uuid> written_by;  // the lease that wrote this version
  int failures = 0;                      // refreshes in a row without a new token
  std::optional<core::Time> retry_at;
};

struct RefreshLease {
  core::Uuid owner;
  bool outcome_unknown = false;  // an earlier refresh may have reached the provider
};

struct RefreshFailure {
  bool outcome_unknown = false;
  core::Time retry_at;
};

struct IdleCredential {
  core::PlatformId platform_id;
  core::ConnectionId connection_id;
  std::string slot;
  std::int64_t version = 0;
};

class CredentialStore {
 public:
  CredentialStore(const Vault& vault, const core::Clock& clock, core::Random& random)
      : vault_(vault), clock_(clock), random_(random) {}

  std::optional<CredentialState> get(storage::Transaction& tx, core::PlatformId platform,
                                     core::ConnectionId connection, const std::string& slot) const;
  // All slots of a connection, locked.
  std::vector<CredentialState> lock_all(storage::Transaction& tx, core::PlatformId platform,
                                        core::ConnectionId connection) const;

  core::Secret open_access(const CredentialState& state) const;
  std::optional<core::Secret> open_refresh(const CredentialState& state) const;
  std::optional<core::Secret> open_previous(const CredentialState& state) const;

  // The fresh tokens of an authorization: replaces the slots of the connection.
  void replace(storage::Transaction& tx, core::PlatformId platform, core::ConnectionId connection,
               const std::map<std::string, LiveToken>& slots) const;
  void remove_all(storage::Transaction& tx, core::PlatformId platform, core::ConnectionId connection) const;

  // Gives the lease up before anything was asked of the provider: the row is as it was.
  void give_back(storage::Transaction& tx, const CredentialState& state, const RefreshLease& lease) const;
  // Empty when the version moved, somebody else holds a live lease, or it is too early to try again.
  std::optional<RefreshLease> take_lease(storage::Transaction& tx, const CredentialState& state,
                                         std::chrono::milliseconds length) const;
  // A lease that still is ours is good for `length` from now on.
  void prolong(storage::Transaction& tx, const CredentialState& state, const RefreshLease& lease,
               std::chrono::milliseconds length) const;
  // Writes version + 1; false when the version has moved or the row is gone.
  bool commit_refresh(storage::Transaction& tx, const CredentialState& state, const RefreshLease& lease,
                      const LiveToken& token, const core::Secret& used_refresh) const;
  void release(storage::Transaction& tx, const CredentialState& state, const RefreshLease& lease,
               const RefreshFailure& failure) const;

  // Grants of active connections whose refresh token nears its end. They are not given again for an hour, so
  // that neither another process nor one that cannot be refreshed is in the way. In the system's scope.
  std::vector<IdleCredential> claim_idle(storage::Transaction& tx, std::size_t limit) const;

 private:
  const Vault& vault_;
  const core::Clock& clock_;
  core::Random& random_;
};

}  // namespace assistiv::oauth
