#pragma once
// One durable write of several runs at once, in the caller's transaction.
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "agents/runtime/journal.h"
#include "agents/store/checkpoint_store.h"
#include "agents/store/run.h"
#include "agents/store/run_store.h"
#include "storage/database.h"

namespace assistiv::agents {

// A JournalWrite made ready: what can be done before the transaction is done.
struct JournalAppend {
  RunLease lease;
  std::int64_t number = 0;  // counts the lease's appends from 1
  JournalWrite write;       // when it ends the run, its last event is "end"
  std::vector<StoredRow> rows;
  std::string usage;
};
JournalAppend to_append(RunLease lease, JournalWrite write);

struct AppendOutcome {
  bool applied = false;       // else somebody else has the run, or it is over: stop at once
  std::int64_t last_seq = 0;  // of the thread
  bool next_waits = false;    // it ended its run, and another one of some thread in the batch may go on
  bool rolled_back = false;   // as somebody had asked for meanwhile: the run is gone, and this write with it
};

// Each is applied wholly or not at all, and at most once: one that was applied before and is tried again,
// because its commit was in doubt, is said to be applied. Runs may be of several platforms. Their leases are
// good for `lease` from now.
std::vector<AppendOutcome> append_to_journal(storage::Transaction& tx,
                                             const std::vector<const JournalAppend*>& appends,
                                             std::chrono::milliseconds lease, const RunEndHook& hook);

}  // namespace assistiv::agents
