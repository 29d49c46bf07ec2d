#include "agents/store/journal_writer.h"

#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "agents/store/journal_store.h"
#include "agents/store/outage.h"
#include "core/error.h"
#include "core/metrics.h"

namespace assistiv::agents {

namespace {

using storage::Scope;
using storage::Transaction;

core::metrics::Histogram& batch_sizes() {
  static auto& sizes = core::metrics::histogram(
      "assistiv_agent_journal_batch", "Transactions by how many appends of agents' runs are in them.", {},
      core::metrics::Histogram::kSizes);
  return sizes;
}

}  // namespace

struct JournalWriter::Waiting {
  JournalAppend append;
  std::size_t bytes = 0;
  core::AsyncEvent settled;
  std::atomic<bool> is_settled{false};
  AppendOutcome outcome;
  std::exception_ptr fault;
  bool is_refused = false;

  void settle() {
    is_settled = true;
    settled.set();
  }
};

struct JournalWriter::State {
  State(storage::Database& given, JournalOptions limits, EventLog& events, std::function<void()> due,
        RunEndHook end_hook)
      : database(given),
        options(limits),
        log(events),
        runs_are_due(std::move(due)),
        hook(std::move(end_hook)) {}

  std::vector<std::shared_ptr<Waiting>> take() {
    const std::lock_guard lock(mutex);
    std::vector<std::shared_ptr<Waiting>> out;
    std::size_t bytes = 0;
    // A large write takes its time: it holds up as few others as may be.
    while (!queue.empty() && out.size() < options.batch_max &&
           (out.empty() || bytes + queue.front()->bytes <= options.batch_bytes_max)) {
      bytes += queue.front()->bytes;
      out.push_back(std::move(queue.front()));
      queue.pop_front();
    }
    return out;
  }

  core::Task<std::vector<AppendOutcome>> commit(std::vector<std::shared_ptr<Waiting>> batch) {
    // System scope: runs of several platforms share a commit; each row is reached by the platform of its
    // lease.
    co_return co_await database.run(Scope::system().with_generic_plans(),
                                    [this, batch = std::move(batch)](Transaction& tx) {
                                      std::vector<const JournalAppend*> appends;
                                      for (const auto& one : batch) appends.push_back(&one->append);
                                      return append_to_journal(tx, appends, options.lease, hook);
                                    });
  }

  storage::Database& database;
  const JournalOptions options;
  EventLog& log;
  const std::function<void()> runs_are_due;
  const RunEndHook hook;
  core::AsyncEvent work;
  std::mutex mutex;
  std::deque<std::shared_ptr<Waiting>> queue;
  bool stopping = false;
};

JournalWriter::JournalWriter(storage::Database& database, JournalOptions options, EventLog& log,
                             std::function<void()> runs_are_due, RunEndHook hook)
    : state_(std::make_shared<State>(database, options, log, std::move(runs_are_due), std::move(hook))) {}

JournalWriter::~JournalWriter() {
  stop();
}

void JournalWriter::start(core::AnyExecutor executor) {
  for (std::size_t i = 0; i < state_->options.writers; ++i)
    group_.spawn(executor, "writer", [state = state_](std::stop_token stop) { return work(state, stop); });
}

void JournalWriter::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  group_.stop();
}

core::Task<> JournalWriter::work(std::shared_ptr<State> state, std::stop_token stop) {
  while (true) {
    // Asked before the look: what was queued before the stop is seen.
    const bool is_last = stop.stop_requested();
    auto batch = state->take();
    if (!batch.empty()) {
      co_await write_batch(state, std::move(batch));
    } else if (is_last) {
      co_return;
    } else {
      co_await state->work.wait_for(std::chrono::seconds(1), stop);
    }
  }
}

core::Task<> JournalWriter::write_batch(std::shared_ptr<State> state,
                                        std::vector<std::shared_ptr<Waiting>> batch) {
  batch_sizes().observe(batch.size());
  const auto deadline = std::chrono::steady_clock::now() + state->options.patience;
  auto pause = std::chrono::milliseconds(20);
  std::exception_ptr fault;
  bool in_doubt = false;
  bool away = false;  // the database, at the last try
  while (true) {
    fault = nullptr;
    bool again = false;
    away = false;
    try {
      const auto outcomes = co_await state->commit(batch);
      bool next_waits = false;
      for (std::size_t i = 0; i < batch.size(); ++i) {
        auto& one = *batch[i];
        one.outcome = outcomes[i];
        const auto& lease = one.append.lease;
        if (one.outcome.applied) state->log.changed({lease.platform, lease.thread});
        next_waits = next_waits || one.outcome.next_waits;
        one.settle();
      }
      if (next_waits && state->runs_are_due) state->runs_are_due();
      co_return;
    } catch (const core::Error& e) {
      // Whether it was committed is found out by trying again: what is in the journal is not written twice.
      in_doubt = in_doubt || e.kind() == core::ErrorKind::Unavailable;
      away = e.kind() == core::ErrorKind::Unavailable;
      again = away && std::chrono::steady_clock::now() < deadline;
      fault = std::current_exception();
    } catch (...) {
      fault = std::current_exception();
    }
    if (!again) break;
    co_await core::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(500));
  }
  // One that cannot be written must not take the others with it; a database that is away takes all.
  for (auto& one : batch) {
    if (batch.size() > 1 && !away) {
      co_await write_batch(state, {one});
    } else {
      one->fault = fault;
      one->is_refused = !in_doubt;
      one->settle();
    }
  }
}

core::Task<JournalWriter::Receipt> JournalWriter::append(RunLease lease, JournalWrite write) {
  const auto bytes = bytes_of(write);
  if (bytes > state_->options.append_bytes_max) throw write_too_large(bytes);
  const auto count = lease.appends;
  auto waiting = std::make_shared<Waiting>();
  waiting->bytes = bytes;
  waiting->append = to_append(std::move(lease), std::move(write));
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping || state_->queue.size() >= state_->options.queue_max) {
      --*count;
      throw core::Error(core::ErrorKind::Unavailable, "The journal takes no more writes now.")
          .with_retry_after(std::chrono::seconds(1));
    }
    state_->queue.push_back(waiting);
  }
  state_->work.set();
  while (!waiting->is_settled) co_await waiting->settled.wait_for(std::chrono::seconds(60));
  if (waiting->fault) {
    // What the database has refused is certainly not there, and the run may write something else.
    if (waiting->is_refused) --*count;
    std::rethrow_exception(waiting->fault);
  }
  const auto& outcome = waiting->outcome;
  co_return Receipt{outcome.applied && !outcome.rolled_back, outcome.last_seq};
}

namespace {

class StoredJournal final : public Journal {
 public:
  StoredJournal(storage::Database& database, JournalWriter& writer, EventLog& log, RunLease lease,
                ThreadBefore before)
      : database_(database),
        writer_(writer),
        log_(log),
        lease_(std::move(lease)),
        last_seq_(before.last_seq),
        is_blank_(before.is_blank) {}
  ~StoredJournal() override { log_.forget(key(), lease_.run); }

  core::Task<void> commit(JournalWrite write) override {
    log_.settle(key(), write.events);
    if (write.ends) log_.forget(key(), lease_.run);
    // What is shown from now on stands behind these, also while they are being written.
    is_blank_ = false;
    const auto events = static_cast<std::int64_t>(write.events.size());
    last_seq_ += events;
    const auto receipt = co_await writer_.append(lease_, std::move(write));
    if (!receipt.applied)
      throw core::conflict("This run is another executor's now, or gone.").with_code("fenced");
    if (events > 0) last_seq_ = receipt.last_seq;
  }

  core::Task<std::optional<StoredCheckpoint>> load(std::string ns, std::string id) override {
    if (is_blank_ && id.empty()) co_return std::nullopt;
    std::optional<CheckpointId> wanted;
    if (!id.empty()) {
      wanted = CheckpointId::parse(id);
      if (!wanted) co_return std::nullopt;
    }
    using Found = std::optional<StoredCheckpoint>;
    const auto look = [this, ns, wanted]() -> core::Task<Found> {
      return database_.run(Scope::tenant(lease_.platform), [key = key(), ns, wanted](Transaction& tx) {
        return CheckpointStore::load_head(tx, key, ns, wanted);
      });
    };
    co_return co_await through_outage<Found>(look, kOutagePatience, {});
  }

  void show(RunEvent event) override { log_.show(key(), {lease_.run, std::move(event)}, last_seq_); }

 private:
  ThreadKey key() const { return {lease_.platform, lease_.thread}; }

  storage::Database& database_;
  JournalWriter& writer_;
  EventLog& log_;
  RunLease lease_;
  std::atomic<std::int64_t> last_seq_;
  std::atomic<bool> is_blank_;
};

}  // namespace

std::unique_ptr<Journal> make_journal(storage::Database& database, JournalWriter& writer, EventLog& log,
                                      RunLease lease, ThreadBefore before) {
  return std::make_unique<StoredJournal>(database, writer, log, std::move(lease), before);
}

}  // namespace assistiv::agents
