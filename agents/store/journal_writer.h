#pragma once
// Group commit: what several runs append at about the same time becomes one transaction, so that the disk is
// waited for once and not once for each run.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "agents/runtime/journal.h"
#include "agents/store/checkpoint_store.h"
#include "agents/store/event_log.h"
#include "agents/store/run.h"
#include "agents/store/run_store.h"
#include "core/async.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::agents {

struct JournalOptions {
  std::size_t writers = 2;                  // transactions at a time
  std::size_t batch_max = 64;               // runs in one
  std::size_t queue_max = 4096;             // appends that wait; more are refused with Unavailable
  std::chrono::seconds patience{5};         // with a database that does not answer
  std::chrono::milliseconds lease{15'000};  // that a write gives its run
  std::size_t append_bytes_max = 64 << 20;  // in one append; more is refused with STATE_TOO_LARGE
  std::size_t batch_bytes_max = 4 << 20;    // in one transaction, unless a single append is larger
};

// Thread-safe.
class JournalWriter {
 public:
  // After a commit `log` hears of the events, and `runs_are_due` when a run waited for one that has ended.
  JournalWriter(storage::Database& database, JournalOptions options, EventLog& log,
                std::function<void()> runs_are_due, RunEndHook hook = {});
  ~JournalWriter();

  void start(core::AnyExecutor executor);
  // Writes what waits, then refuses.
  void stop();

  struct Receipt {
    bool applied = false;       // false: the run is another's, is over, or was rolled back. Stop at once.
    std::int64_t last_seq = 0;  // of the thread
  };
  // Durable when it returns. Throws Unprocessable ("STATE_TOO_LARGE") for what is over append_bytes_max: the
  // run may then write something else. Throws Unavailable when the database stayed away: whether the write is
  // there is then unknown, and the lease is not to be used again.
  core::Task<Receipt> append(RunLease lease, JournalWrite write);

 private:
  struct Waiting;
  struct State;
  static core::Task<> work(std::shared_ptr<State> state, std::stop_token stop);
  static core::Task<> write_batch(std::shared_ptr<State> state, std::vector<std::shared_ptr<Waiting>> batch);

  std::shared_ptr<State> state_;
  core::TaskGroup group_{"agent journal"};
};

// What is on a thread before a run of it.
struct ThreadBefore {
  std::int64_t last_seq = 0;  // of its events
  bool is_blank = false;      // it has no checkpoint: none is looked for
};
// The door of one run (journal.h) on top of it.
std::unique_ptr<Journal> make_journal(storage::Database& database, JournalWriter& writer, EventLog& log,
                                      RunLease lease, ThreadBefore before = {});

}  // namespace assistiv::agents
