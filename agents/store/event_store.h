#pragma once
// Rows of agent_event, which the journal writes (journal_store.cpp). Statements on the caller's transaction;
// who may see the thread is the caller's to check.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "agents/runtime/journal.h"
#include "agents/store/checkpoint_store.h"
#include "agents/store/reach.h"
#include "storage/database.h"

namespace assistiv::agents {

struct LoggedEvent {
  RunId run;
  RunEvent event;  // seq 0: it was shown, and is never kept
};

struct EventPage {
  std::vector<LoggedEvent> events;
  bool more = false;  // after them
};

class EventStore {
 public:
  // In order, those after `after`; with a run only its own. Fewer than `max` when more are too large to be
  // read at once (reply_page_store.h).
  static EventPage read(storage::Transaction& tx, const ThreadKey& key, std::int64_t after,
                        std::optional<RunId> run, std::size_t max);
  // Forgets at most `max` events of threads that are not busy, older than `days`; gives how many.
  static std::size_t discard_old(storage::Transaction& tx, int days, std::size_t max);
};

}  // namespace assistiv::agents
