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

// What a statement asks of a row with app, platform_id and end_user_id, and its parameters $1 to $3.
extern const char kInIncident[];
std::vector<storage::Param> incident_params(const IncidentScope& scope);

// Platforms that have something to end, by name.
std::vector<IncidentShare> incident_shares(storage::Transaction& tx, const IncidentScope& scope);

}  // namespace assistiv::oauth
