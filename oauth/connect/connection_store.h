#pragma once
// Rows of `connection`.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/random.h"
#include "oauth/connect/connection_service.h"
#include "oauth/connect/grant_record.h"
#include "storage/database.h"

namespace assistiv::oauth {

ConnectionStatus connection_status_of(std::string_view text);

struct SavedConnection {
  core::ConnectionId id;
  bool created = false;  // false: this account had a connection, which was repaired
};

struct ConnectionUse {
  core::PlatformId platform_id;
  core::ConnectionId connection_id;
  core::Time at;
};

class ConnectionStore {
 public:
  ConnectionStore(const core::Clock& clock, core::Random& random) : clock_(clock), random_(random) {}

  std::optional<Connection> get(storage::Transaction& tx, core::PlatformId platform,
                                core::ConnectionId id) const;
  // Locks the row until the end of the transaction.
  std::optional<Connection> lock(storage::Transaction& tx, core::PlatformId platform,
                                 core::ConnectionId id) const;
  Page<Connection> list(storage::Transaction& tx, core::PlatformId platform, const ConnectionFilter& filter,
                        PageRequest page) const;  // newest first
  std::optional<Connection> usable(storage::Transaction& tx, core::PlatformId platform,
                                   core::EndUserId end_user, const std::string& app) const;
  // Up to `limit` connections that still have something to take down, locked.
  std::vector<Connection> lock_live(storage::Transaction& tx, core::PlatformId platform,
                                    const ConnectionFilter& filter, std::size_t limit) const;
  // The one row of (platform, end user, app, provider account), active again. A name that is taken is left
  // out.
  SavedConnection save(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user,
                       const GrantRecord& grant, const std::optional<std::string>& label = {}) const;
  // The first live connection of an end user and app is the default from the start.
  void set_label(storage::Transaction& tx, const Connection& connection,
                 const std::optional<std::string>& label) const;
  void make_default(storage::Transaction& tx, const Connection& connection) const;
  // Whether another live connection of the same end user and app is shown under this label.
  bool label_taken(storage::Transaction& tx, const Connection& connection, const std::string& label) const;
  // One that was revoked is nobody's default any more.
  void set_status(storage::Transaction& tx, core::PlatformId platform, core::ConnectionId id,
                  ConnectionStatus status, const std::string& reason) const;
  // Back to active from NeedsReauth for this very reason; false when it is not in that state.
  bool restore(storage::Transaction& tx, core::PlatformId platform, core::ConnectionId id,
               const std::string& reason) const;
  // In the system's scope.
  void set_last_used(storage::Transaction& tx, const std::vector<ConnectionUse>& uses) const;
  // Whether a connection, of this tenant or (without one) of any, still stands on this grant. In the system's
  // scope.
  bool account_in_use(storage::Transaction& tx, std::optional<core::PlatformId> platform,
                      const std::string& app, const std::string& client_id,
                      const std::string& account_id) const;

 private:
  const core::Clock& clock_;
  core::Random& random_;
};

}  // namespace assistiv::oauth
