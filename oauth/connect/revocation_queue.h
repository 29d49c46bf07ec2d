#pragma once
// Tokens that are to die at the provider. A row holds everything that is needed, sealed, and outlives the
// connection, the app and the platform it came from; it goes when the provider has revoked the tokens, when
// it never will, or after the last of a bounded number of tries.
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/task.h"
#include "oauth/connect/connection_service.h"
#include "oauth/connect/grant_record.h"
#include "oauth/connect/incident_store.h"
#include "oauth/connect/provider_client.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct ConnectWorld;

// One credential to revoke.
struct DoomedToken {
  std::string app, slot;
  std::string account_id;     // "" when it is not known
  std::string connection_id;  // for the audit trail; empty where there was none
  Values vars;
  ClientCredentials client;
  core::Secret access, refresh;
  std::optional<core::Time> expires_at;  // of the access token
  // Of a platform's own app: ConnectorSpec::source_json and moved_to, as the app may be gone by then.
  std::string connector_json, moved_to;
  std::optional<core::EndUserId> end_user_id;
};

struct RevocationResult {
  bool revoked = false;
  std::optional<std::string> reason;                  // as Disconnected::reason
  std::optional<std::chrono::seconds> retry_after{};  // with "pending", when the provider said so
};

// What became of one row.
struct RevocationTry {
  core::PlatformId platform_id;
  std::string account_id, slot;
  RevocationResult result;  // the reason may also be "unreadable": no master key opens the row
};

// A row that is still to be tried.
struct WaitingRevocation {
  core::PlatformId platform_id;
  std::string account_id;
  int attempts = 0;
  core::Time due_at;
};

// Thread-safe.
class RevocationQueue {
 public:
  static constexpr int kAttemptsMax = 12;  // over about a day

  RevocationQueue(ConnectWorld& world, ProviderClient& provider) : world_(world), provider_(provider) {}

  // Inside the caller's transaction. Rows that the caller will run() itself are not due for a minute.
  using Due = RevocationDue;
  core::Uuid put(storage::Transaction& tx, core::PlatformId platform, const DoomedToken& token,
                 Due due) const;
  // Moves the credentials of this connection, which the caller has locked, into the queue. What can never be
  // revoked is deleted at once: then there is no row.
  std::vector<core::Uuid> put_connection(storage::Transaction& tx, const Connection& connection,
                                         Due due) const;
  // The tokens of an authorization that came to nothing, or that a newer one replaced.
  void put_grant(storage::Transaction& tx, core::PlatformId platform, const GrantRecord& grant,
                 std::optional<core::EndUserId> end_user = {}, Due due = Due::Now) const;
  // False when the manifest has no way to revoke.
  static bool supports(const ConnectorSpec* spec);
  static bool supports(const ConnectorSpec* spec, const std::string& slot);

  // One try for one row, now.
  core::Task<RevocationResult> run(core::PlatformId platform, core::Uuid row);
  // Tries what is due; gives how many.
  core::Task<std::size_t> run_due(std::size_t limit, std::stop_token stop = {});

  // For an incident: one try for a row of these that is due or was never tried; empty when there is none.
  core::Task<std::optional<RevocationTry>> run_next(IncidentScope scope);
  // When the next of these rows is due; empty when there is none.
  core::Task<std::optional<core::Time>> next_try(IncidentScope scope);
  core::Task<std::vector<WaitingRevocation>> waiting(IncidentScope scope, std::size_t limit);
  core::Task<std::size_t> count_waiting(IncidentScope scope);

 private:
  struct Work;
  std::vector<Work> claim_due(storage::Transaction& tx, std::size_t limit) const;
  std::optional<Work> claim(storage::Transaction& tx, core::PlatformId platform, core::Uuid row) const;
  std::optional<Work> claim_next(storage::Transaction& tx, const IncidentScope& scope) const;
  Work read_work(const storage::Row& row) const;
  core::Task<RevocationResult> attempt(Work work);
  core::Task<ConnectorPtr> connector_of(Work work);
  core::Task<RevokeReply> ask_provider(const ConnectorSpec* spec, const RevokeRequest* request, Work work);
  // Puts a fresh access token into `work`; a value is the end of the attempt instead.
  core::Task<std::optional<RevokeOutcome>> revive(const ConnectorSpec* spec, Work* work);
  core::Task<bool> grant_is_free(core::PlatformId platform, DoomedToken token);

  ConnectWorld& world_;
  ProviderClient& provider_;
};

}  // namespace assistiv::oauth
