#pragma once
// Rows of agent_wait: what the threads of parked runs wait for besides an answer. What settles it makes a run
// that goes on, with the version and as the caller of the run that was parked.
#include <chrono>
#include <cstddef>
#include <string>

#include "agents/store/run_store.h"
#include "core/clock.h"
#include "core/random.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::agents {

// Thread-safe.
class WaitStore {
 public:
  WaitStore(storage::Database& database, const core::Clock& clock, core::Random& random, QueueOptions queue,
            RunEndHook hook);

  // In the transaction that ends a run: notes what each open interrupt of a parked one waits for. An approval
  // of the graph with "expires_at", and any interrupt of a run that may be parked for so long only, is
  // answered with {"__expired__": true} then.
  static void note(storage::Transaction& tx, const EndedRun& ended);

  // Each makes runs for what is settled, and gives how many.
  core::Task<std::size_t> fire_expired(std::size_t max);
  // The end user's connections have changed.
  core::Task<std::size_t> connection_changed(core::PlatformId platform, core::EndUserId user);
  // The approval was decided (or asked for: then nothing waits for it yet).
  core::Task<std::size_t> approval_changed(core::PlatformId platform, std::string approval);

 private:
  struct Due;
  std::size_t wake(storage::Transaction& tx, const storage::Result& rows, const core::Json& answer) const;
  bool wake_one(storage::Transaction& tx, const Due& due, const core::Json& answer) const;

  storage::Database& database_;
  const core::Clock& clock_;
  core::Random& random_;
  QueueOptions queue_;
  RunEndHook hook_;
};

}  // namespace assistiv::agents
