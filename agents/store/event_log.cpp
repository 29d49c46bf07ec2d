#include "agents/store/event_log.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "agents/store/shown_pieces.h"
#include "agents/store/thread_store.h"
#include "core/error.h"

namespace assistiv::agents {

namespace {

using storage::Scope;
using storage::Transaction;

constexpr std::size_t kThreadsPerNotice = 90;  // 74 bytes each; a notice holds 7,900
constexpr std::size_t kNoticesMax = 10'000;    // then followers elsewhere poll

std::string notice_of(const ThreadKey& key) {
  return key.platform.str() + "/" + key.thread.str();
}

}  // namespace

// What waits for one follower.
struct EventFollower::Inbox {
  core::AsyncEvent news;
  std::mutex mutex;
  bool dirty = true;           // the rows may hold more
  Backlog backlog;             // shown before it came
  std::size_t pieces_max = 0;  // then the oldest go
  std::deque<ShownPiece> pieces;

  void mark() {
    {
      const std::lock_guard lock(mutex);
      dirty = true;
    }
    news.set();
  }

  void add(ShownPiece piece) {
    {
      const std::lock_guard lock(mutex);
      if (pieces.size() >= pieces_max) pieces.pop_front();
      pieces.push_back(std::move(piece));
    }
    news.set();
  }

  // Those that were shown before it came go first. With the mutex held.
  void take_backlog() {
    if (backlog.empty()) return;
    std::deque<ShownPiece> all;
    for (const auto& stretch : std::exchange(backlog, {})) stretch.expand(all);
    pieces_max += all.size();
    for (auto& piece : pieces) all.push_back(std::move(piece));
    pieces = std::move(all);
  }
};

struct EventFollower::Hub {
  explicit Hub(std::size_t backlog_bytes) : shown({.thread_bytes = backlog_bytes}) {}

  std::mutex mutex;
  std::multimap<ThreadKey, std::weak_ptr<Inbox>> inboxes;
  ShownPieces shown;

  std::vector<std::shared_ptr<Inbox>> of(const ThreadKey& key) {
    const std::lock_guard lock(mutex);
    return of_locked(key);
  }
  std::vector<std::shared_ptr<Inbox>> of_locked(const ThreadKey& key) {
    std::vector<std::shared_ptr<Inbox>> out;
    const auto [from, to] = inboxes.equal_range(key);
    for (auto it = from; it != to; ++it)
      if (auto inbox = it->second.lock()) out.push_back(std::move(inbox));
    return out;
  }

  void mark_all() {
    std::vector<std::shared_ptr<Inbox>> all;
    {
      const std::lock_guard lock(mutex);
      for (const auto& [key, weak] : inboxes)
        if (auto inbox = weak.lock()) all.push_back(std::move(inbox));
    }
    for (const auto& inbox : all) inbox->mark();
  }
};

EventFollower::EventFollower(storage::Database& database, EventLogOptions options, std::shared_ptr<Hub> hub,
                             ThreadKey key, std::int64_t after, std::optional<RunId> run)
    : database_(database),
      options_(options),
      hub_(std::move(hub)),
      inbox_(std::make_shared<Inbox>()),
      key_(key),
      seq_(after),
      told_(after),
      run_(run) {
  // In one go: what is shown is in the backlog or comes to the inbox, and never both.
  inbox_->pieces_max = options_.shown_max;
  const std::lock_guard lock(hub_->mutex);
  inbox_->backlog = hub_->shown.of(key_);
  hub_->inboxes.emplace(key_, inbox_);
}

EventFollower::~EventFollower() {
  const std::lock_guard lock(hub_->mutex);
  const auto [from, to] = hub_->inboxes.equal_range(key_);
  for (auto it = from; it != to; ++it) {
    if (it->second.lock() != inbox_) continue;
    hub_->inboxes.erase(it);
    return;
  }
}

// A run that writes only at its end shows its events with the numbers that they will have. Each is given
// once; one after a gap waits for its row.
void EventFollower::give(LoggedEvent event, bool is_kept, std::vector<LoggedEvent>& out) {
  const auto seq = event.event.seq;
  if (seq > 0 && (seq <= told_ || (!is_kept && seq != told_ + 1))) return;
  if (seq > 0) told_ = seq;
  out.push_back(std::move(event));
}

// The pieces stand where they were shown: before the event that followed.
std::vector<LoggedEvent> EventFollower::merge(EventPage kept) {
  std::vector<LoggedEvent> out;
  const std::lock_guard lock(inbox_->mutex);
  inbox_->take_backlog();
  auto& pieces = inbox_->pieces;
  const auto take_before = [&](std::int64_t seq) {
    while (!pieces.empty() && pieces.front().after < seq) {
      if (!run_ || pieces.front().event.run == *run_) give(std::move(pieces.front().event), false, out);
      pieces.pop_front();
    }
  };
  for (auto& one : kept.events) {
    take_before(one.event.seq);
    seq_ = one.event.seq;
    give(std::move(one), true, out);
  }
  // What comes next is not known when some were left behind.
  if (!kept.more) take_before(seq_ + 1);
  return out;
}

core::Task<EventPage> EventFollower::read_rows() {
  return database_.run(Scope::tenant(key_.platform), [this](Transaction& tx) {
    return EventStore::read(tx, key_, seq_, run_, options_.read_max);
  });
}

core::Task<std::vector<LoggedEvent>> EventFollower::next(std::chrono::steady_clock::duration timeout,
                                                         std::stop_token stop) {
  using Steady = std::chrono::steady_clock;
  const auto deadline = Steady::now() + timeout;
  while (true) {
    bool read = timeout <= timeout.zero() || Steady::now() - read_at_ >= options_.poll;
    {
      const std::lock_guard lock(inbox_->mutex);
      read = std::exchange(inbox_->dirty, false) || read;
    }
    EventPage kept;
    if (read) {
      read_at_ = Steady::now();
      kept = co_await through_outage<EventPage>([this] { return read_rows(); }, options_.patience, stop);
      if (kept.more) inbox_->mark();
    }
    auto out = merge(std::move(kept));
    if (!out.empty() || stop.stop_requested() || Steady::now() >= deadline) co_return out;
    const auto wait = std::min<Steady::duration>(deadline - Steady::now(), options_.poll);
    co_await inbox_->news.wait_for(wait, stop);
  }
}

// Collects what the other nodes are to be told. Commits that notify wait for each other, so no run's commit
// carries a notice: one small transaction, which waits for no disk, tells of many. If it is lost, followers
// find out by polling.
struct EventLog::Courier {
  explicit Courier(std::string own) : node(std::move(own)) {}

  const std::string node;
  core::AsyncEvent news;
  std::mutex mutex;
  std::set<ThreadKey> threads;
  bool runs = false;
  bool started = false;

  void tell(const ThreadKey& key) {
    {
      const std::lock_guard lock(mutex);
      if (!started || threads.size() >= kNoticesMax) return;
      threads.insert(key);
    }
    news.set();
  }

  std::pair<std::set<ThreadKey>, bool> take() {
    const std::lock_guard lock(mutex);
    return {std::exchange(threads, {}), std::exchange(runs, false)};
  }

  static void send(Transaction& tx, const std::string& node, const std::set<ThreadKey>& threads, bool runs) {
    tx.exec("set local synchronous_commit = off");
    std::string payload;
    std::size_t count = 0;
    const auto flush = [&] {
      if (!payload.empty()) tx.notify("agent_events", node + payload);
      payload.clear();
      count = 0;
    };
    for (const auto& key : threads) {
      payload += " " + notice_of(key);
      if (++count == kThreadsPerNotice) flush();
    }
    flush();
    if (runs) tx.notify("agent_runs", node);
  }

  static core::Task<> work(std::shared_ptr<Courier> self, storage::Database& database,
                           EventLogOptions options, std::stop_token stop) {
    while (!stop.stop_requested()) {
      auto [threads, runs] = self->take();
      if (threads.empty() && !runs) {
        co_await self->news.wait_for(std::chrono::seconds(1), stop);
        continue;
      }
      try {
        // System scope: a notice holds ids of threads of several platforms, and nothing of theirs.
        co_await database.run(Scope::system(), [&](Transaction& tx) { send(tx, self->node, threads, runs); });
      } catch (const core::Error&) {
        // The database is away: those who follow poll.
      }
      co_await core::sleep_for(options.notice_pause, stop);
    }
  }
};

EventLog::EventLog(storage::Database& database, std::string node, EventLogOptions options)
    : database_(database),
      options_(options),
      hub_(std::make_shared<EventFollower::Hub>(options.backlog_bytes)),
      courier_(std::make_shared<Courier>(std::move(node))) {}

EventLog::~EventLog() {
  stop();
}

void EventLog::start(core::AnyExecutor executor) {
  {
    const std::lock_guard lock(courier_->mutex);
    courier_->started = true;
  }
  group_.spawn(executor, "courier",
               [courier = courier_, &database = database_, options = options_](std::stop_token stop) {
                 return Courier::work(courier, database, options, stop);
               });
}

void EventLog::stop() {
  group_.stop();
}

core::Task<std::unique_ptr<EventFollower>> EventLog::follow(Reach reach, ThreadId thread, std::int64_t after,
                                                            std::optional<RunId> run) {
  // It hears of news from before the look at the thread on.
  auto out = std::unique_ptr<EventFollower>(new EventFollower(
      database_, options_, hub_, {reach.platform, thread}, std::max<std::int64_t>(after, 0), run));
  co_await database_.run(Scope::tenant(reach.platform), [reach, thread](Transaction& tx) {
    if (!thread_exists(tx, reach, thread)) throw core::not_found("There is no such thread.");
  });
  co_return out;
}

core::Task<std::vector<LoggedEvent>> EventLog::read(Reach reach, ThreadId thread, std::int64_t after,
                                                    std::size_t max, std::optional<RunId> run) {
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    if (!thread_exists(tx, reach, thread)) throw core::not_found("There is no such thread.");
    return EventStore::read(tx, {reach.platform, thread}, after, run, max).events;
  });
}

void EventLog::listen(std::function<void(const ThreadKey&)> heard) {
  heard_ = std::move(heard);
}

void EventLog::changed(ThreadKey key) {
  if (heard_) heard_(key);
  for (const auto& inbox : hub_->of(key)) inbox->mark();
  courier_->tell(key);
}

void EventLog::show(ThreadKey key, LoggedEvent piece, std::int64_t after) {
  PieceStretch kept({after, piece});
  std::vector<std::shared_ptr<EventFollower::Inbox>> inboxes;
  {
    const std::lock_guard lock(hub_->mutex);
    // One that is shown before it is kept makes its message whole as well.
    if (piece.event.seq > 0) hub_->shown.settle(key, {piece.event});
    hub_->shown.add(key, std::move(kept));
    inboxes = hub_->of_locked(key);
  }
  for (const auto& inbox : inboxes) inbox->add({after, piece});
}

void EventLog::settle(ThreadKey key, const std::vector<RunEvent>& events) {
  const std::lock_guard lock(hub_->mutex);
  hub_->shown.settle(key, events);
}

void EventLog::forget(ThreadKey key, RunId run) {
  const std::lock_guard lock(hub_->mutex);
  hub_->shown.forget(key, run);
}

void EventLog::runs_are_due() {
  {
    const std::lock_guard lock(courier_->mutex);
    if (!courier_->started) return;
    courier_->runs = true;
  }
  courier_->news.set();
}

void EventLog::on_notify(std::string_view topic, std::string_view payload) {
  if (topic == "resync") return hub_->mark_all();
  if (topic != "agent_events") return;
  auto end = payload.find(' ');
  if (end == std::string_view::npos || payload.substr(0, end) == courier_->node) return;
  while (end != std::string_view::npos) {
    payload.remove_prefix(end + 1);
    end = payload.find(' ');
    const auto one = payload.substr(0, end);
    const auto platform = core::PlatformId::parse(one.substr(0, 36));
    const auto thread = one.size() > 37 ? ThreadId::parse(one.substr(37)) : std::nullopt;
    if (!platform || !thread) continue;
    if (heard_) heard_({*platform, *thread});
    for (const auto& inbox : hub_->of({*platform, *thread})) inbox->mark();
  }
}

std::size_t EventLog::followers() const {
  const std::lock_guard lock(hub_->mutex);
  return hub_->inboxes.size();
}

}  // namespace assistiv::agents
