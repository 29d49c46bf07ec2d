#pragma once
// The engine's background work, any number of processes at once: refreshes idle grants before their refresh
// tokens end, revokes upstream what could not be revoked at once, discards links and flows that are over, and
// writes down when connections were last used.
#include <chrono>
#include <cstddef>
#include <stop_token>
#include <utility>

#include "core/async.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct ConnectWorld;
struct FlowRow;
class ConnectionService;
class FlowStore;
class RevocationQueue;
class TokenService;

struct ConnectWorkerOptions {
  std::chrono::milliseconds interval{15000};
  std::size_t refreshes_per_round = 20;  // 80 a minute and process; GitHub allows a client 2,000 an hour
  std::size_t revocations_per_round = 50;
};

class ConnectWorker {
 public:
  ConnectWorker(ConnectWorld& world, TokenService& tokens, RevocationQueue& revocations,
                ConnectionService& connections, ConnectWorkerOptions options = {});

  void start(core::AnyExecutor executor);
  void stop();  // ends the round under way at the next step, writes last uses, joins
  // One round now, for tests and commands.
  core::Task<> run_once(std::stop_token stop = {});

 private:
  core::Task<> loop(std::stop_token stop);
  core::Task<> discard_old();
  void put_outcome(const FlowRow& flow, storage::Transaction& tx, const FlowStore& flows) const;

  ConnectWorld& world_;
  TokenService& tokens_;
  RevocationQueue& revocations_;
  ConnectionService& connections_;
  ConnectWorkerOptions options_;
  core::TaskGroup group_{"connect"};
};

}  // namespace assistiv::oauth
