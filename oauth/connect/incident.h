#pragma once
// After a breach: every connection of an app ends, ours first, then at the provider. For the operator's
// command; works beside running servers, and a second run goes on where the first one stopped.
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <vector>

#include "core/async.h"
#include "core/task.h"
#include "oauth/connect/connection_service.h"
#include "oauth/connect/incident_store.h"
#include "oauth/connect/revocation_queue.h"

namespace assistiv::oauth {

struct ConnectWorld;

class IncidentResponse {
 public:
  static constexpr int kWorkers = 4;  // calls to the provider at a time

  IncidentResponse(ConnectWorld& world, ConnectionService& connections, RevocationQueue& revocations)
      : world_(world), connections_(connections), revocations_(revocations) {}

  core::Task<std::vector<IncidentShare>> shares(IncidentScope scope);
  // How many of these tokens the app's manifest has no way to revoke, by slot.
  core::Task<std::map<std::string, std::size_t>> out_of_reach(IncidentScope scope,
                                                              std::vector<IncidentShare> shares);
  // Nobody can use the connections any more when this returns; their tokens wait in the revocation queue, for
  // an hour left to revoke_upstream. Gives how many connections ended.
  core::Task<std::size_t> end_ours(IncidentScope scope, std::vector<IncidentShare> shares,
                                   AuditContext context);
  // Works through the queue, as fast as the manifest says that the provider takes it, and waits when the
  // provider says so, but for no longer than `patience` at a time: what is left then stays in the queue.
  // `report` hears of every token that was revoked or never will be.
  core::Task<> revoke_upstream(IncidentScope scope, std::chrono::seconds patience,
                               std::function<void(const RevocationTry&)> report);

 private:
  struct Run;
  core::Task<> work(std::shared_ptr<Run> run, std::stop_token stop);
  core::Task<int> turns_per_minute(IncidentScope scope);
  core::Task<bool> one_turn(std::shared_ptr<Run> run, std::stop_token stop);

  ConnectWorld& world_;
  ConnectionService& connections_;
  RevocationQueue& revocations_;
  core::TaskGroup group_{"incident"};
};

}  // namespace assistiv::oauth
