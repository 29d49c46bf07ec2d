#pragma once
// Rows of agent_wait: what the threads of parked runs wait for besides an answer. What settles it makes a run
// that goes on, with the version and as the caller of the run that was parked.
//
// What is waited for may be settled before the run has parked, when its notice finds nobody. So each row is
// looked at once after it was committed: what was settled before is seen then, of what is settled later the
// notice finds the row.
#include <chrono>
#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

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

  // In the transaction that ends a run, one statement for a parked one and none for others: notes what each
  // open interrupt waits for. An approval of the graph with "expires_at", and any interrupt of a run that may
  // be parked for so long only, is answered with {"__expired__": true} then.
  static void note(storage::Transaction& tx, const EndedRun& ended);
  // Whether any of them, {task id: [{"id", "value"}]}, waits for a connection or an approval.
  static bool has_settled_by_others(const core::Json& interrupts);

  // Each makes runs for what is settled, and gives how many.
  core::Task<std::size_t> fire_expired(std::size_t max);
  // The end user's connections have changed: wakes what waits for an app that is connected now, unless these
  // very connections were not enough before.
  core::Task<std::size_t> connection_changed(core::PlatformId platform, core::EndUserId user);
  // Something has happened to the approval; nothing goes on while it is pending.
  core::Task<std::size_t> approval_changed(core::PlatformId platform, std::string approval);
  // Looks at what was noted and not looked at since.
  core::Task<std::size_t> check_noted(std::size_t max);
  // Notices may have been lost: everything is to be looked at again.
  core::Task<> forget_checks();

 private:
  struct Wait;
  enum class Woken { Yes, Busy, Gone };
  using Select = std::function<storage::Result(storage::Transaction&)>;
  using Act = bool (WaitStore::*)(storage::Transaction&, const Wait&) const;

  core::Task<std::size_t> for_each(storage::Scope scope, Select select, Act act);
  bool settle(storage::Transaction& tx, const Wait& wait) const;
  bool expire(storage::Transaction& tx, const Wait& wait) const;
  Woken wake(storage::Transaction& tx, const Wait& wait, const core::Json& answer,
             const core::Json& woken_by) const;
  static bool take(storage::Transaction& tx, const Wait& wait, bool keeps_deadline);
  static std::vector<Wait> read(const storage::Result& rows);

  storage::Database& database_;
  const core::Clock& clock_;
  core::Random& random_;
  QueueOptions queue_;
  RunEndHook hook_;
};

}  // namespace assistiv::agents
