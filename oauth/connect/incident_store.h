#pragma once
// What an incident command counts before it acts. In the system's scope: an incident is the operator's.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/ids.h"
#include "storage/database.h"

namespace assistiv::oauth {

// Whose connections are to end.
struct IncidentScope {
  std::string app;
  std::optional<core::PlatformId> platform_id;
  std::optional<core::EndUserId> end_user_id;
};

struct IncidentShare {
  core::PlatformId platform_id;
  std::string platform;                       // its name
  std::size_t connections = 0;                // that are not revoked here
  std::size_t waiting = 0;                    // consents that wait for the platform's confirmation
  std::map<std::string, std::size_t> tokens;  // of those connections, by slot
};

// Platforms that have something to end, by id.
std::vector<IncidentShare> incident_shares(storage::Transaction& tx, const IncidentScope& scope);

}  // namespace assistiv::oauth
