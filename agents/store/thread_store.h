#pragma once
// Rows of agent_thread. A thread that a caller does not reach does not exist for it: every read takes the
// Reach, and what is missing and what is somebody else's are the same answer.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agents/runtime/journal.h"
#include "agents/store/checkpoint_store.h"
#include "agents/store/owner_count_store.h"
#include "agents/store/reach.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/random.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::agents {

struct ThreadTtl {
  int minutes = 0;
  std::string strategy = "delete";  // or "keep_latest": only the newest state stays
};

struct Thread {
  ThreadId id;
  std::optional<core::EndUserId> end_user;
  std::string status;  // "idle", "busy", "interrupted", "error"
  core::Json metadata;
  core::Json config;
  core::Json values;      // null: none yet. Of the head, when the last run ended
  core::Json interrupts;  // {task id: [{"id", "value"}]}
  core::Json error;       // null: none
  std::optional<CheckpointId> head;
  std::int64_t last_seq = 0;
  std::optional<ThreadTtl> ttl;
  core::Time created_at, updated_at;
  std::optional<core::Time> state_updated_at;
};

struct NewThread {
  std::optional<ThreadId> id;  // absent: a new one
  core::Json metadata = core::Json::object();
  core::Json config = core::Json::object();
  std::optional<ThreadTtl> ttl;
  bool existing_is_fine = false;  // if_exists "do_nothing"
};

struct ThreadPatch {
  core::Json metadata = core::Json::object();  // its members replace those of the same name
  std::optional<ThreadTtl> ttl;
};

struct ThreadSearch {
  core::Json metadata = core::Json::object();  // contained in the thread's, as the next in its values
  core::Json values = core::Json::object();
  std::vector<ThreadId> ids;  // empty: any
  std::optional<std::string> status;
  std::string sort_by =
      "created_at";  // "thread_id", "status", "created_at", "updated_at", "state_updated_at"
  bool ascending = false;
  int limit = 10;
  int offset = 0;
  bool with_values = true;
};

struct ThreadPage {
  std::vector<Thread> threads;  // fewer than the limit when more do not fit into a reply (reply_page_store.h)
  std::int64_t total = 0;
};

// The newest checkpoint of a namespace, when a state was made from it; "" when there was none.
struct StateBase {
  std::string ns;
  std::string checkpoint;
};

// An update of the state that no run makes. With `view` the thread's head moves.
struct StateUpdate {
  std::vector<StateBase> made_from;  // those that must be the newest still
  std::vector<CheckpointRow> checkpoints;
  std::vector<TaskRow> tasks;
  std::optional<RunView> view;
};

// Thread-safe.
class ThreadStore {
 public:
  // Of a thread's metadata, as PostgreSQL writes them; what is over it throws PayloadTooLarge.
  static constexpr std::size_t kMetadataMax = 64 << 10;

  ThreadStore(storage::Database& database, const core::Clock& clock, core::Random& random,
              OwnerCounts* counts = nullptr)
      : database_(database), clock_(clock), random_(random), counts_(counts) {}

  // Conflict when the id is taken, and also when existing_is_fine but the thread is somebody else's, and
  // ("too_many_threads") when its owner has as many as there may be.
  core::Task<Thread> create(Reach reach, NewThread input);
  core::Task<std::optional<Thread>> find(Reach reach, ThreadId id);
  // NotFound, as in all that follow.
  core::Task<Thread> get(Reach reach, ThreadId id);
  core::Task<Thread> update(Reach reach, ThreadId id, ThreadPatch patch);
  // With its runs, checkpoints and events. A run that is on it finds its lease lost at its next write.
  core::Task<> remove(Reach reach, ThreadId id);
  core::Task<ThreadPage> search(Reach reach, ThreadSearch query);
  core::Task<std::int64_t> count(Reach reach, ThreadSearch query);
  // A new thread with the same state and history, without runs and events. Conflict as create().
  core::Task<Thread> copy(Reach reach, ThreadId id);
  // Deletes the threads, or all but their newest state ("keep_latest"), except for busy ones; gives how many.
  core::Task<std::int64_t> prune(Reach reach, std::vector<ThreadId> ids, std::string strategy);

  // Without an id the head; nothing when the thread has no state yet or there is no such checkpoint.
  core::Task<std::optional<StoredCheckpoint>> state(Reach reach, ThreadId id, std::string ns,
                                                    std::optional<CheckpointId> checkpoint);
  core::Task<HistoryPage> history(Reach reach, ThreadId id, HistoryQuery query);
  // Conflict: "thread_busy" while a run is pending or running, "state_moved" when it was made from what is
  // not the newest any more.
  core::Task<> update_state(Reach reach, ThreadId id, StateUpdate update);

  // Nothing but an answer wakes what is parked on the thread now.
  core::Task<> forget_waits(Reach reach, ThreadId id);

  // Applies the TTL of at most `max` threads that are not busy; for any node's background work.
  core::Task<std::size_t> sweep(std::size_t max);

 private:
  storage::Database& database_;
  const core::Clock& clock_;
  core::Random& random_;
  OwnerCounts* counts_;
};

// For other stores: locks the row until the end of the transaction. Nothing: not there, or not reached.
std::optional<Thread> lock_thread(storage::Transaction& tx, const Reach& reach, ThreadId id);
bool thread_exists(storage::Transaction& tx, const Reach& reach, ThreadId id);
// Inserts; false when the id is taken in this platform.
bool insert_thread(storage::Transaction& tx, const Reach& reach, ThreadId id, const NewThread& input,
                   bool is_temporary);

}  // namespace assistiv::agents
