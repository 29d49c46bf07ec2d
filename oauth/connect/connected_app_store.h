#pragma once
// What the tools of an end user depend on, in one statement: the platform's activated apps and, for each, the
// end user's usable connection (as ConnectionStore::usable picks it) and its further ones.
#include <optional>
#include <string>
#include <vector>

#include "core/ids.h"
#include "oauth/connect/connection_service.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct ConnectedApp {
  struct Link {
    core::ConnectionId id;
    ConnectionStatus status = ConnectionStatus::Active;  // never Revoked
    std::vector<std::string> scopes;                     // granted
    std::string label = {}, account_id = {};             // shown_label(), and the app's own id
  };
  std::string app;
  bool is_active = true;          // the activation's switch
  std::optional<Link> link;       // none: not connected
  std::vector<Link> others = {};  // further accounts, by label
};

// By name.
std::vector<ConnectedApp> connected_apps(storage::Transaction& tx, core::PlatformId platform,
                                         core::EndUserId end_user);

// The end user's connection to an app whose credential is the platform's: made when it is not there, since
// approvals and the audit trail are bound to one.
ConnectedApp::Link shared_connection(storage::Transaction& tx, core::PlatformId platform,
                                     core::EndUserId end_user, const std::string& app);

// Whether the platform activated the app (switched on or not).
bool app_activated(storage::Transaction& tx, core::PlatformId platform, const std::string& app);

}  // namespace assistiv::oauth
