#pragma once
// Carries runs out: takes what is due from the queue, keeps its lease, executes it on its journal. A run that
// this process loses (a crash, a pause past the lease) is taken up by another worker from what is recorded.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "agents/effects/gateway_effects.h"
#include "agents/runtime/run.h"
#include "agents/service/run_shares.h"
#include "agents/service/run_standing.h"
#include "agents/store/agent_service.h"
#include "agents/store/event_log.h"
#include "agents/store/journal_writer.h"
#include "agents/store/run_queue.h"
#include "agents/store/run_store.h"
#include "core/async.h"
#include "core/clock.h"
#include "core/random.h"
#include "core/task.h"
#include "oauth/principal.h"
#include "storage/database.h"

namespace assistiv::agents {

struct RunWorkerOptions {
  std::string owner;       // tells this process from the others
  RunShareLimits running;  // runs at once
};

// All of it outlives the worker; the functions are thread-safe.
struct RunWorkerWorld {
  storage::Database& database;
  RunStore& runs;
  RunQueue& queue;
  JournalWriter& journal;
  EventLog& log;
  AgentService& agents;
  const core::Clock& clock;
  core::Random& random;
  RunStanding& standing;
  // CEL's `user`: an object without secrets.
  std::function<core::Task<core::Json>(core::PlatformId, core::EndUserId)> user;
  std::function<std::unique_ptr<Effects>(RunIdentity)> effects;
  std::function<core::AnyExecutor()> executor;  // where the next run goes
  // A run is over here, or parked, and what it left is durable. Quick, not throwing.
  std::function<void(const RunLease&, const Run&, const RunOutcome&)> ended;
};

// Thread-safe.
class RunWorker {
 public:
  RunWorker(RunWorkerWorld world, RunWorkerOptions options);
  ~RunWorker();  // stop()

  // Takes runs from the queue. Without it the worker carries out nothing.
  void start(core::AnyExecutor executor);
  // No run is begun any more; those that run end with their step, at most after `patience`, and are handed
  // over. Blocks: not on an I/O thread.
  void drain(std::chrono::milliseconds patience);
  void stop();

  // The name under which RunStore::create may claim a run of theirs for begin(), with its place; nothing when
  // there is no room for them.
  struct Claim {
    std::string owner;
    RunShares::Place place;
  };
  std::optional<Claim> claim_as(const Reach& who) const;
  // Begins a run that was claimed at its creation by `principal`; null: who its key stands for is looked up.
  void begin(RunLease lease, Run run, oauth::PrincipalPtr principal, RunShares::Place place);
  bool is_running(RunId run) const;
  // As it was when it began here; nothing when it is not carried out here, or not of this reach.
  std::optional<Run> running_run(const Reach& reach, RunId run) const;
  std::size_t running() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace assistiv::agents
