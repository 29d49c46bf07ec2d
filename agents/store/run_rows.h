#pragma once
// How a row of agent_run is read: shared by the sources of the run store.
#include <string>
#include <string_view>
#include <vector>

#include "agents/store/run.h"
#include "storage/database.h"

namespace assistiv::agents {

// "select <columns> from agent_run r join agent_thread t ...": complete it with a where.
extern const std::string kSelectRun;
Run read_run(const storage::Row& row);
RunLease read_lease(const storage::Row& row, std::chrono::steady_clock::time_point asked_at);
// The thread's lock comes before the run's, everywhere: whoever takes both waits in one order. False: gone.
bool lock_thread_row(storage::Transaction& tx, core::PlatformId platform, ThreadId thread);

}  // namespace assistiv::agents
