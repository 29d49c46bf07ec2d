#pragma once
// Rows of agent_checkpoint, agent_blob and agent_task. Statements on the caller's transaction; who may see
// the thread is the caller's to check.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agents/runtime/journal.h"
#include "agents/store/reach.h"
#include "core/json.h"
#include "storage/database.h"

namespace assistiv::agents {

struct ThreadKey {
  core::PlatformId platform;
  ThreadId thread;
  auto operator<=>(const ThreadKey&) const = default;
};

// Members of a body whose text is longer stand outside, once for each thread and content.
inline constexpr std::size_t kBlobMin = 4096;

// A checkpoint as its row: made before the transaction, so that the transaction is short.
struct StoredRow {
  std::string id, parent, ns, source, body, metadata;  // parent "": none
  int step = 0;
  core::Time at;
  bool whole = true;
  struct Blob {
    std::string place;  // JSON pointer in the body, which is null there
    std::string digest, text;
  };
  std::vector<Blob> blobs;
};
std::vector<StoredRow> to_rows(const std::vector<CheckpointRow>& checkpoints);

struct HistoryQuery {
  std::string ns;
  std::optional<CheckpointId> before;
  core::Json metadata = core::Json::object();  // contained in the checkpoint's
  int limit = 10;                              // 1..1000
};

struct HistoryPage {
  std::vector<StoredCheckpoint> states;  // fewer than the limit when more do not fit into a reply
  bool more = false;                     // after them
};

class CheckpointStore {
 public:
  struct Insert {
    ThreadKey key;
    std::optional<RunId> run;
    const std::vector<StoredRow>* rows;
  };
  struct TaskInsert {
    ThreadKey key;
    const std::vector<TaskRow>* rows;
  };
  // A checkpoint that is there already stays as it is.
  static void insert(storage::Transaction& tx, const std::vector<Insert>& checkpoints);
  // A fact that is there already gets the new value.
  static void insert_tasks(storage::Transaction& tx, const std::vector<TaskInsert>& tasks);

  // Without an id the newest one of the namespace.
  static std::optional<StoredCheckpoint> load(storage::Transaction& tx, const ThreadKey& key,
                                              const std::string& ns, std::optional<CheckpointId> id);
  // The same, but of the root without an id the thread's head, which after a fork is not the newest.
  static std::optional<StoredCheckpoint> load_head(storage::Transaction& tx, const ThreadKey& key,
                                                   const std::string& ns, std::optional<CheckpointId> id);
  // Newest first.
  static HistoryPage history(storage::Transaction& tx, const ThreadKey& key, const HistoryQuery& query);

  // Keeps of every namespace the newest checkpoint (of the root: `head`) and its tasks.
  static void keep_latest(storage::Transaction& tx, const ThreadKey& key, std::optional<CheckpointId> head);
  // What a run that is rolled back has left.
  static void remove_of_run(storage::Transaction& tx, const ThreadKey& key, RunId run);
  static void copy(storage::Transaction& tx, const ThreadKey& from, ThreadId to);
};

}  // namespace assistiv::agents
