#pragma once
// Rows of agent_run: making runs, reading them, cancelling them, and the queue. Time is the database's.
//
// A run is claimed for a lease; the claim raises its epoch, and whatever an owner writes names owner and
// epoch. An owner that was paused past its lease therefore writes nothing, however sure of itself.
#include <chrono>
#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agents/store/checkpoint_store.h"
#include "agents/store/owner_count_store.h"
#include "agents/store/run.h"
#include "core/clock.h"
#include "core/random.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::agents {

// Told of what others may wait for, after the commit; from any thread, quick, not throwing.
struct RunSignals {
  std::function<void()> runs_are_due;                 // a run may be claimed
  std::function<void(ThreadKey)> thread_has_changed;  // events, or a run that ended
};

// What ended within a transaction, for who must act in it. All of it is known without another query.
struct EndedRun {
  core::PlatformId platform;
  RunId run;
  ThreadId thread;
  std::optional<core::EndUserId> end_user;
  std::string status;
  bool has_begun = false;  // else it was cancelled while it waited in the queue
  bool has_webhook = false;
  bool rolled_back = false;  // the row goes in this transaction
  core::Time ended_at;
  std::optional<std::chrono::milliseconds> max_wait;
  core::Json woken_by;    // as of Run
  core::Json interrupts;  // of the thread, when the status is "interrupted"; else null
};
using RunEndHook = std::function<void(storage::Transaction&, const EndedRun&)>;

enum class CancelAction { Interrupt, Rollback };

// Whose runs a claim leaves in the queue.
struct ClaimExcept {
  std::vector<core::PlatformId> platforms;
  std::vector<core::EndUserId> end_users;
};

struct RenewedRun {
  RunId run;
  std::optional<std::string> cancel_action;
  bool renewed = true;  // false: still the owner's, but a write holds its row, and the lease ends as before
};

struct ReapedRuns {
  std::size_t queued_again = 0;
  std::size_t exhausted = 0;
  std::size_t cancelled = 0;
};

// Thread-safe. What the reach does not hold throws NotFound.
class RunStore {
 public:
  RunStore(storage::Database& database, const core::Clock& clock, core::Random& random, QueueOptions options,
           RunSignals signals, RunEndHook hook = {}, OwnerCounts* counts = nullptr);

  // When it returns, the run is durable. Throws NotFound for the thread, Conflict ("thread_busy") under
  // "reject", Conflict when the key was used for another request; as OwnerCounts::admit_run().
  core::Task<CreatedRun> create(Reach reach, NewRun input);
  core::Task<Run> get(Reach reach, RunId id);
  // The same for who waits for the run: a database that is away for a moment is waited for.
  core::Task<Run> await_row(Reach reach, RunId id, std::stop_token stop);
  // Newest first. Fewer than the limit when more do not fit into a reply (reply_page_store.h); none: there
  // are no more.
  core::Task<std::vector<Run>> list(Reach reach, RunSearch query);
  core::Task<std::vector<RunId>> ids(Reach reach, RunSearch query);
  core::Task<std::int64_t> count(Reach reach, RunSearch query);
  // The run that waits is over at once; one that runs is asked to stop, and is over when its owner has
  // stopped or its lease has run out. A run that is over stays as it is. Gives the run after it, or nothing
  // when it was rolled back.
  core::Task<std::optional<Run>> cancel(Reach reach, RunId id, CancelAction action);
  // Conflict while it is open. Its checkpoints stay.
  core::Task<> remove(Reach reach, RunId id);

  // ---- the queue ----

  // Takes at most `max` runs that are due, of any platform: at most one of each thread, the oldest.
  core::Task<std::vector<ClaimedRun>> claim(std::string owner, std::size_t max, ClaimExcept except = {});
  // For a thread that does not share the executor's loop: blocks, but never for a row that somebody holds.
  // Gives those that are still the owner's.
  std::vector<RenewedRun> renew(const std::vector<RunLease>& leases);
  // Hands a run back without spending an attempt. False: it was lost.
  core::Task<bool> hand_over(RunLease lease);
  // Ends a run whose cancellation was asked for, as it was asked for. False: it was lost.
  core::Task<bool> finish_cancel(RunLease lease);
  // Takes back at most `max` runs whose leases have run out.
  core::Task<ReapedRuns> reap(std::size_t max);
  // When the next pending run is due; nothing when none waits.
  core::Task<std::optional<core::Time>> next_due();

 private:
  core::Task<std::optional<Run>> admit(Reach reach, NewRun input);
  void signal(const std::vector<ThreadKey>& changed, bool due) const;

  storage::Database& database_;
  const core::Clock& clock_;
  core::Random& random_;
  QueueOptions options_;
  RunSignals signals_;
  RunEndHook hook_;
  OwnerCounts* counts_;
};

// ---- for the journal and the schedules: statements on the caller's transaction ----

struct RunEnding {
  core::PlatformId platform;
  RunId run;
  std::string status;
  core::Json error;          // null: none
  bool append_event = true;  // the store's own "end" event; the journal counts its own
  bool rolls_back = false;   // a rollback that was asked for before is done without it
};
struct EndedRuns {
  bool next_waits = false;         // on one of the threads another run waits for its turn
  std::vector<RunId> rolled_back;  // are gone, whatever they had come to
};
// Marks the runs over and their threads with them. Whoever calls has checked owner and epoch, and has locked
// the threads.
EndedRuns end_runs(storage::Transaction& tx, const std::vector<RunEnding>& endings, const RunEndHook& hook);
// The run whose end a hook was told of, as it is now.
Run ended_run(storage::Transaction& tx, const EndedRun& ended);
// The body of the event "end" that closes every run.
std::string end_event_body(RunId run, const std::string& status, const core::Json& error);

// The create() of above within a transaction.
CreatedRun create_run(storage::Transaction& tx, const Reach& reach, const NewRun& input, RunId id,
                      const QueueOptions& options, const RunEndHook& hook);

}  // namespace assistiv::agents
