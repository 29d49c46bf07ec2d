#include "oauth/connect/incident_store.h"

#include <algorithm>

namespace assistiv::oauth {

const char kInIncident[] =
    " app = $1 and ($2::uuid is null or platform_id = $2::uuid) and ($3::uuid is null or end_user_id = "
    "$3::uuid)";

std::vector<storage::Param> incident_params(const IncidentScope& scope) {
  std::vector<storage::Param> out{scope.app, std::nullopt, std::nullopt};
  if (scope.platform_id) out[1] = scope.platform_id->str();
  if (scope.end_user_id) out[2] = scope.end_user_id->str();
  return out;
}

std::vector<IncidentShare> incident_shares(storage::Transaction& tx, const IncidentScope& scope) {
  std::map<core::PlatformId, IncidentShare> shares;
  const auto share_of = [&shares](const storage::Row& row) -> IncidentShare& {
    return shares[row.id<core::PlatformId>("platform_id")];
  };
  const auto params = incident_params(scope);
  for (const auto& row : tx.exec(std::string("select platform_id, count(*) as n from connection where") +
                                     kInIncident + " and status <> 'revoked' group by platform_id",
                                 params)) {
    share_of(row).connections = static_cast<std::size_t>(row.integer("n"));
  }
  for (const auto& row :
       tx.exec(std::string("select platform_id, count(*) as n from connect_flow where") + kInIncident +
                   " and status = 'awaiting_confirmation' group by platform_id",
               params)) {
    share_of(row).waiting = static_cast<std::size_t>(row.integer("n"));
  }
  for (const auto& row :
       tx.exec(std::string(
                   "select d.platform_id, d.slot, count(*) as n from credential d join (select platform_id,"
                   " connection_id from connection where") +
                   kInIncident +
                   " and status <> 'revoked') c on c.platform_id = d.platform_id and c.connection_id ="
                   " d.connection_id group by d.platform_id, d.slot",
               params)) {
    share_of(row).tokens[row.text("slot")] = static_cast<std::size_t>(row.integer("n"));
  }
  for (const auto& row : tx.exec("select platform_id, name from platform")) {
    const auto share = shares.find(row.id<core::PlatformId>("platform_id"));
    if (share != shares.end()) share->second.platform = row.text("name");
  }
  std::vector<IncidentShare> out;
  for (auto& [platform, share] : shares) {
    share.platform_id = platform;
    out.push_back(std::move(share));
  }
  // For people to read: as they know the platforms. Of one name, by id.
  std::stable_sort(out.begin(), out.end(),
                   [](const IncidentShare& a, const IncidentShare& b) { return a.platform < b.platform; });
  return out;
}

}  // namespace assistiv::oauth
