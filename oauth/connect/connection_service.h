#pragma once
// Connections: an end user's authorized account at an app.
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/task.h"
#include "oauth/connect/connector_spec.h"
#include "oauth/identity/audit_context.h"
#include "oauth/identity/page.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct ConnectWorld;
class RevocationQueue;

// When tokens that are to be revoked upstream are due for the worker: at once, when the caller has had its
// turn (a minute), or held for an incident command (an hour).
enum class RevocationDue { Now, AfterCaller, Held };

enum class ConnectionStatus { Active, NeedsReauth, Revoked };
std::string_view connection_status(ConnectionStatus status);  // "active", "needs_reauth", "revoked"

struct Connection {
  core::ConnectionId id;
  core::PlatformId platform_id;
  core::EndUserId end_user_id;
  std::string app;
  ConnectionStatus status = ConnectionStatus::Active;
  std::string account_id, account_label;  // as the app calls it
  std::optional<std::string> label;       // as a person called it
  bool is_default = false;                // the one that tools use when no account is named
  std::vector<std::string> scopes;        // granted
  Values vars;
  core::Time created_at, updated_at;
  std::optional<core::Time> last_used_at;
};

// What people are shown, and tools are told.
const std::string& shown_label(const Connection& connection);

struct ConnectionChange {
  // Set: the new name, or none for the app's own. 1 to 80 characters; taken by another live connection of the
  // end user and app (whatever the case), it throws Error{Conflict}.
  std::optional<std::optional<std::string>> label;
  bool make_default = false;
};

struct ConnectionFilter {
  std::optional<core::EndUserId> end_user_id;
  std::optional<std::string> app;
  std::optional<ConnectionStatus> status;
};

struct Disconnected {
  core::ConnectionId id;
  bool revoked_upstream = false;
  // Why not: "pending" (the provider is away; tried again from a queue), "not_supported" (the provider has no
  // way), "no_credentials" (nothing was stored any more), "shared_grant" (only the whole grant could be
  // revoked and another connection uses it), "refused" (by the provider), "given_up".
  std::optional<std::string> reason;
};

// Thread-safe. What does not exist, or belongs to another tenant or end user, throws Error{NotFound}.
class ConnectionService {
 public:
  ConnectionService(ConnectWorld& world, RevocationQueue& revocations)
      : world_(world), revocations_(revocations) {}

  core::Task<Page<Connection>> list(core::PlatformId platform, ConnectionFilter filter, PageRequest page);
  core::Task<Connection> get(core::PlatformId platform, core::ConnectionId id);
  // With `end_user`, only that end user's connection; not one that was disconnected.
  core::Task<Connection> change(core::PlatformId platform, std::optional<core::EndUserId> end_user,
                                core::ConnectionId id, ConnectionChange change, AuditContext context);
  // Of this end user and app, the default; else the newest that is active; else the newest that needs consent
  // again.
  core::Task<std::optional<Connection>> usable(core::PlatformId platform, core::EndUserId end_user,
                                               std::string app);
  // From the first moment nobody can use the connection; then its tokens are revoked upstream; then, when
  // that is done or can never be, the ciphertext is deleted. With `end_user`, only that end user's
  // connection.
  core::Task<Disconnected> disconnect(core::PlatformId platform, std::optional<core::EndUserId> end_user,
                                      core::ConnectionId id, AuditContext context);
  // Every connection that the filter names (also flows that wait for confirmation); upstream revocation goes
  // through the queue. For IdentityHooks::before_remove and for apps. Gives how many connections there were.
  core::Task<std::size_t> disconnect_all(core::PlatformId platform, ConnectionFilter filter,
                                         AuditContext context, RevocationDue due = RevocationDue::Now);

  // Notes a use; written in batches by flush_uses(), which the worker calls. Never blocks.
  void touch(core::PlatformId platform, core::ConnectionId id);
  core::Task<> flush_uses();

 private:
  std::vector<core::EndUserId> end_round(storage::Transaction& tx, core::PlatformId platform,
                                         const ConnectionFilter& filter, const AuditContext& context,
                                         RevocationDue due) const;

  ConnectWorld& world_;
  RevocationQueue& revocations_;
  std::mutex mutex_;
  std::map<std::pair<core::PlatformId, core::ConnectionId>, core::Time> uses_;
};

}  // namespace assistiv::oauth
