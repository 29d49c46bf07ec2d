#pragma once
// The events of threads as they are followed: from a number on, and then live on any node. Every follower
// reads for itself, so each sees all of them, in order and without gaps. What is only shown (pieces of
// messages) is seen on the node of the run, also by who comes in the middle (decision 82).
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <vector>

#include "agents/store/checkpoint_store.h"
#include "agents/store/event_store.h"
#include "agents/store/outage.h"
#include "agents/store/reach.h"
#include "core/async.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::agents {

struct EventLogOptions {
  std::size_t read_max = 256;                  // events of one read
  std::size_t shown_max = 256;                 // pieces that wait for one follower; then the oldest go
  std::size_t backlog_bytes = 1 << 20;         // of one thread, for those who come in the middle
  std::chrono::milliseconds poll{1000};        // when no notice comes
  std::chrono::milliseconds notice_pause{10};  // between two notices to the other nodes
  std::chrono::milliseconds patience = kOutagePatience;  // of followers with a database that is away
};

class EventLog;

// One reader. Not thread-safe: one coroutine at a time.
class EventFollower {
 public:
  ~EventFollower();
  // What has come since the last call, in order; empty at the timeout or when `stop` is requested. Without
  // a timeout it looks at the rows, whether news of them has come or not. While the database is away it
  // waits, beyond the timeout, before it throws Unavailable.
  core::Task<std::vector<LoggedEvent>> next(std::chrono::steady_clock::duration timeout,
                                            std::stop_token stop = {});
  // Of the last event that was kept.
  std::int64_t seq() const { return seq_; }

 private:
  friend class EventLog;
  struct Inbox;
  struct Hub;
  EventFollower(storage::Database& database, EventLogOptions options, std::shared_ptr<Hub> hub, ThreadKey key,
                std::int64_t after, std::optional<RunId> run);
  core::Task<EventPage> read_rows();
  std::vector<LoggedEvent> merge(EventPage kept);
  void give(LoggedEvent event, bool is_kept, std::vector<LoggedEvent>& out);

  storage::Database& database_;
  const EventLogOptions options_;
  std::shared_ptr<Hub> hub_;
  std::shared_ptr<Inbox> inbox_;
  const ThreadKey key_;
  std::int64_t seq_;
  std::int64_t told_;  // the last that was given, also of those that were shown before they were kept
  const std::optional<RunId> run_;
  std::chrono::steady_clock::time_point read_at_{};
};

// Thread-safe.
class EventLog {
 public:
  // `node` tells this process from the others.
  EventLog(storage::Database& database, std::string node, EventLogOptions options = {});
  ~EventLog();

  // Sends the notices to the other nodes. Without it they find the events by polling.
  void start(core::AnyExecutor executor);
  void stop();

  // Follows the thread after `after` (0: from its first event); with a run only that run's, -1 being all of
  // them. NotFound when the reach does not hold the thread.
  core::Task<std::unique_ptr<EventFollower>> follow(Reach reach, ThreadId thread, std::int64_t after,
                                                    std::optional<RunId> run = {});
  // As EventStore::read(); none: there are no more.
  core::Task<std::vector<LoggedEvent>> read(Reach reach, ThreadId thread, std::int64_t after, std::size_t max,
                                            std::optional<RunId> run = {});

  // Called for every change of a thread, here or on another node; quick, not throwing. Before start().
  void listen(std::function<void(const ThreadKey&)> heard);
  // The thread has events that were committed here. Other nodes are told.
  void changed(ThreadKey key);
  // For those who follow on this node, now or later until it is settled; comes between the events `after`
  // and after + 1.
  void show(ThreadKey key, LoggedEvent piece, std::int64_t after);
  // These events are about to be written: what was shown of them (pieces of their message, the beginning of
  // their call) is not given any more.
  void settle(ThreadKey key, const std::vector<RunEvent>& events);
  // Nothing more will come of what the run has shown.
  void forget(ThreadKey key, RunId run);
  // A run may be claimed: the other nodes are told with the next notice.
  void runs_are_due();
  // As storage::Notifier's callback.
  void on_notify(std::string_view topic, std::string_view payload);
  std::size_t followers() const;

 private:
  struct Courier;
  storage::Database& database_;
  const EventLogOptions options_;
  std::shared_ptr<EventFollower::Hub> hub_;
  std::function<void(const ThreadKey&)> heard_;
  std::shared_ptr<Courier> courier_;
  core::TaskGroup group_{"agent notices"};
};

}  // namespace assistiv::agents
