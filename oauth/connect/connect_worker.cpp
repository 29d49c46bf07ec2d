#include "oauth/connect/connect_worker.h"

#include <algorithm>

#include "core/error.h"
#include "core/log.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/connection_service.h"
#include "oauth/connect/flow_store.h"
#include "oauth/connect/platform_facts.h"
#include "oauth/connect/refresh_pace_store.h"
#include "oauth/connect/revocation_queue.h"
#include "oauth/connect/token_service.h"

namespace assistiv::oauth {

namespace {

// Used links and flows stay a while, so that who uses them again is told so.
constexpr std::chrono::hours kKeepOld{1};
constexpr std::size_t kDiscardsPerRound = 5000;
constexpr std::size_t kOverduePerRound = 100;

void log_failed_step(const char* step, const core::Error& error) {
  core::log::warn("connect.worker_step_failed",
                  {{"step", step}, {"error", error.what()}, {"detail", error.detail()}});
}

}  // namespace

ConnectWorker::ConnectWorker(ConnectWorld& world, TokenService& tokens, RevocationQueue& revocations,
                             ConnectionService& connections, ConnectWorkerOptions options)
    : world_(world),
      tokens_(tokens),
      revocations_(revocations),
      connections_(connections),
      options_(options) {}

void ConnectWorker::start(core::AnyExecutor executor) {
  group_.spawn(executor, "connect_worker", [this](std::stop_token stop) { return loop(stop); });
}

void ConnectWorker::stop() {
  group_.stop();
}

core::Task<> ConnectWorker::loop(std::stop_token stop) {
  // The last round, after the stop, writes what is only in memory.
  do {
    co_await core::sleep_for(options_.interval, stop);
    co_await run_once(stop);
  } while (!stop.stop_requested());
}

core::Task<> ConnectWorker::run_once(std::stop_token stop) {
  // Each step on its own: one that fails must not hold up the others.
  try {
    co_await connections_.flush_uses();
  } catch (const core::Error& error) {
    log_failed_step("flush_uses", error);
  }
  if (stop.stop_requested()) co_return;
  try {
    co_await discard_old();
  } catch (const core::Error& error) {
    log_failed_step("discard_old", error);
  }
  try {
    co_await revocations_.run_due(options_.revocations_per_round, stop);
  } catch (const core::Error& error) {
    log_failed_step("revocations", error);
  }
  try {
    co_await tokens_.refresh_idle(options_.refreshes_per_round, stop);
  } catch (const core::Error& error) {
    log_failed_step("refresh_idle", error);
  }
}

void ConnectWorker::put_outcome(const FlowRow& flow, storage::Transaction& tx, const FlowStore& flows) const {
  try {
    revocations_.put_grant(tx, flow.platform_id, flows.open_outcome(flow));
  } catch (const core::Error& error) {
    // One outcome that does not open must not hold up the others.
    core::log::error("connect.outcome_unreadable", {{"flow_id", flow.id.str()}, {"error", error.detail()}});
  }
}

core::Task<> ConnectWorker::discard_old() {
  // Every tenant's rows: background work.
  co_await world_.database.run(storage::Scope::system(), [this](storage::Transaction& tx) {
    const FlowStore flows(world_.vault, world_.clock);
    auto overdue = flows.lock_overdue(tx, kOverduePerRound);
    // The trails of several platforms are locked in the order of their ids everywhere.
    std::ranges::sort(overdue, {}, &FlowRow::platform_id);
    for (const auto& flow : overdue) {
      put_outcome(flow, tx, flows);
      if (!flows.finish(tx, flow.platform_id, flow.id)) continue;
      world_.audit.append(tx, flow.platform_id, flow_failed({}, flow, "expired"));
    }
    flows.discard_old(tx, world_.clock.now() - kKeepOld, kDiscardsPerRound);
    RefreshPaceStore().discard_old(tx, world_.clock.now() - kKeepOld, kDiscardsPerRound);
  });
}

}  // namespace assistiv::oauth
