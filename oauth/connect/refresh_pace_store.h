#pragma once
// How fast refreshes go out to a provider, over all nodes and counted for each OAuth client, as providers
// count: a token bucket in a row (GCRA), from the provider's published limit. A tenth of the limit stays free
// for people who connect and for requests that are asked twice; half of it may go at once, the rest steadily.
// Where tenants share a client, none gets more than three quarters of that, so that one tenant's thousand
// connections leave room for another's one.
#include <chrono>
#include <cstddef>
#include <string>

#include "core/clock.h"
#include "core/ids.h"
#include "oauth/connect/connector_spec.h"
#include "storage/database.h"

namespace assistiv::oauth {

// Whose turns: of a client at a token endpoint, and a tenant's part of them.
struct PaceKey {
  std::string client, tenant;  // of table refresh_pace
};
// Apps of one provider with the same client share it (Zoho's). An app that a platform brought counts for that
// platform alone: its manifest could name anybody's client.
PaceKey pace_key(const ConnectorSpec& spec, core::PlatformId platform, const std::string& client_id);

struct PaceTurn {
  bool taken = false;
  std::chrono::milliseconds wait{0};  // until the turn, or, not taken, until it is worth asking again
};

// Inside the caller's transaction; holds no state. Its rows are locked after all others.
class RefreshPaceStore {
 public:
  // A turn that comes within `wait_max`.
  PaceTurn take(storage::Transaction& tx, const PaceKey& key, const RefreshLimit& limit, core::Time now,
                std::chrono::milliseconds wait_max) const;
  // The provider wants no refreshes of this client for `time`; then they go on at the steady rate.
  void pause(storage::Transaction& tx, const PaceKey& key, const RefreshLimit& limit, core::Time now,
             std::chrono::milliseconds time) const;
  // What is left of a pause. For who has a turn and has waited for it.
  std::chrono::milliseconds pause_left(storage::Transaction& tx, const PaceKey& key, core::Time now) const;
  // Rows that have said nothing since.
  void discard_old(storage::Transaction& tx, core::Time before, std::size_t limit) const;
};

}  // namespace assistiv::oauth
