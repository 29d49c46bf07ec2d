// The ledger's background: the writer, the keeper, start and stop.
#include <algorithm>
#include <utility>

#include "billing/ledger_node.h"
#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"

namespace assistiv::billing {

namespace {

constexpr std::chrono::milliseconds kWriteRetry{250};
constexpr std::chrono::milliseconds kGatePoll{2};
constexpr std::chrono::seconds kSweepEvery{1};
constexpr std::size_t kAdoptBatch = 500;
constexpr int kStartTries = 10;

core::metrics::Gauge& gauge(const char* name, const char* help) {
  return core::metrics::gauge(name, help);
}

core::metrics::Counter& counter(const char* name, const char* help) {
  return core::metrics::counter(name, help);
}

std::string lease_key(const LeaseRow& row) {
  return row.platform_id.str() + "/" + row.account_id.str() + "/" + std::to_string(row.period_no);
}

// The store wants the calls side by side: they are moved there and back, not copied.
std::vector<SettledCall> take_calls(std::vector<EndedCall>& batch) {
  std::vector<SettledCall> out;
  out.reserve(batch.size());
  for (auto& ended : batch) out.push_back(std::move(ended.call));
  return out;
}

void put_calls_back(std::vector<EndedCall>& batch, std::vector<SettledCall> calls) {
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i].call = std::move(calls[i]);
}

// The leases that calls of this batch were held from, by lease_key.
std::map<std::string, std::pair<Book*, LeaseState*>> leases_of(const std::vector<EndedCall>& batch) {
  std::map<std::string, std::pair<Book*, LeaseState*>> out;
  for (const auto& ended : batch) {
    for (const auto* held : {&ended.wallet, &ended.budget}) {
      if (!held->lease) continue;
      const LeaseRow row{ended.call.hold.payer.platform_id, held->level.account, held->level.period_no, 0, 0};
      out[lease_key(row)] = {ended.book.get(), held->lease.get()};
    }
  }
  return out;
}

void report_clash(const SettledCall& call) {
  counter("assistiv_ledger_double_settles_total", "Settlements of a call that was settled.").add();
  core::log::error("ledger.attempt_settled_twice",
                   {{"request", call.hold.facts.request_id}, {"attempt", call.hold.facts.attempt}});
}

void report_written_off(std::int64_t nanos) {
  if (nanos == 0) return;
  counter("assistiv_ledger_written_off_nano_usd_total", "Costs that no account could pay any more.")
      .add(static_cast<std::uint64_t>(nanos));
  core::log::error("ledger.written_off", {{"nano_usd", nanos}});
}

}  // namespace

LedgerCore::LedgerCore(LedgerWorld world)
    : world_(std::move(world)),
      leases_(world_.clock, world_.random),
      settles_(world_.clock, world_.random, world_.events) {}

void LedgerCore::start() {
  journal_ =
      std::make_unique<Journal>(world_.options.journal_directory, core::Uuid::v7(world_.clock, world_.random),
                                world_.options.segment_bytes);
  for (int tries = 1;; ++tries) {
    begin_epoch();
    try {
      adopt_orphans();
      break;
    } catch (const core::Error& error) {
      // Paused for longer than an epoch lives: once more.
      if (!is_epoch_ended(error) || tries == kStartTries) throw;
    }
  }
  // The tasks are joined by stop() and abandon(): the ledger outlives them.
  tasks_.spawn(world_.executor, "ledger.write", [this](std::stop_token stop) { return write(stop); });
  tasks_.spawn(world_.executor, "ledger.keep", [this](std::stop_token stop) { return keep(stop); });
  if (world_.options.fsync_interval.count() > 0) {
    tasks_.spawn(world_.executor, "ledger.sync", [this](std::stop_token stop) { return sync(stop); });
  }
  open_ = true;
}

void LedgerCore::stop() {
  if (!open_.exchange(false)) return;
  keeper_.set();
  ended_.set();
  tasks_.stop();
  try {
    if (in_doubt_) begin_epoch();
    drain();
    {
      std::shared_lock lock(books_mutex_);
      for (const auto& [platform, book] : books_) {
        std::lock_guard book_lock(book->mutex);
        strip(*book, book->wallet);
        for (auto& [end_user, budget] : book->budgets) strip(*book, budget);
      }
    }
    const auto rows = take_returns();
    world_.database.execute(storage::Scope::system(), [&](storage::Transaction& tx) {  // the node's own epoch
      leases_.give_back(tx, epoch_, rows);
      leases_.close_node(tx, epoch_);
    });
    std::lock_guard lock(queue_mutex_);
    if (queue_.empty() && journal_->bytes() == 0) journal_->remove();
  } catch (const core::Error& error) {
    // The journal has it; whoever starts next finishes it.
    core::log::error("ledger.stop", {{"error", error.what()}, {"detail", error.detail()}});
  }
}

void LedgerCore::abandon() {
  open_ = false;
  abandoned_ = true;
  tasks_.stop();
  if (journal_) journal_->unlock();
}

// In stop(): what ended is committed, here.
void LedgerCore::drain() {
  for (auto batch = next_batch(); !batch.empty(); batch = next_batch()) {
    auto calls = take_calls(batch);
    std::optional<SettleResult> result;
    world_.database.execute(storage::Scope::system(),
                            [&](storage::Transaction& tx) {  // calls of many platforms
                              result = settles_.settle(tx, epoch_, calls, SettleMode::Careful);
                            });
    put_calls_back(batch, std::move(calls));
    batch_done(std::move(batch), *result);
  }
}

core::Task<bool> LedgerCore::flush(std::chrono::milliseconds timeout) {
  const auto deadline = Steady::now() + timeout;
  while (Steady::now() < deadline) {
    {
      std::lock_guard lock(queue_mutex_);
      if (queue_.empty() && in_batch_ == 0) co_return true;
    }
    ended_.set();
    co_await core::sleep_for(kGatePoll);
  }
  co_return false;
}

core::Task<> LedgerCore::write(std::stop_token stop) {
  auto& age = gauge("assistiv_ledger_unsettled_age_ms", "Age of the oldest call that is not committed.");
  auto& waiting = gauge("assistiv_ledger_unsettled", "Ended calls that are not committed.");
  auto& bytes = gauge("assistiv_ledger_journal_bytes", "What the journal still needs.");
  while (!stop.stop_requested()) {
    const auto began = Steady::now();
    const bool good = co_await write_batch();
    std::size_t left = 0;
    {
      std::lock_guard lock(queue_mutex_);
      left = queue_.size();
      const auto since = left ? Steady::now() - queue_.front().ended_at : Steady::duration{};
      age.set(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
    }
    waiting.set(static_cast<std::int64_t>(left));
    bytes.set(static_cast<std::int64_t>(journal_->bytes()));
    if (!good) {
      co_await core::sleep_for(kWriteRetry, stop);
      continue;
    }
    if (left == 0) co_await ended_.wait_for(kSweepEvery, stop);
    // Batches that are too small cost more than they are worth.
    const auto spent = Steady::now() - began;
    if (left < world_.options.batch_max && spent < world_.options.settle_interval) {
      co_await core::sleep_for(world_.options.settle_interval - spent, stop);
    }
  }
}

std::vector<EndedCall> LedgerCore::next_batch() {
  std::lock_guard lock(queue_mutex_);
  std::vector<EndedCall> out;
  const auto max = singles_ > 0 ? 1 : world_.options.batch_max;
  while (!queue_.empty() && out.size() < max) {
    out.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  in_batch_ = out.size();
  return out;
}

// False when the database did not take it: it is in the queue again.
core::Task<bool> LedgerCore::write_batch() {
  co_await enter();
  auto batch = next_batch();
  if (batch.empty()) {
    leave();
    co_return true;
  }
  const auto calls = std::make_shared<std::vector<SettledCall>>(take_calls(batch));
  std::optional<SettleResult> result;
  std::optional<core::Error> failed;
  for (auto mode : {careful_ ? SettleMode::Careful : SettleMode::Fast, SettleMode::Careful}) {
    failed.reset();
    const auto epoch = epoch_.load();
    try {
      result = co_await world_.database.run(storage::Scope::system(),  // a batch has calls of many platforms
                                            [this, calls, epoch, mode](storage::Transaction& tx) {
                                              return settles_.settle(tx, epoch, *calls, mode);
                                            });
    } catch (const core::Error& error) {
      failed = error;
    }
    const bool look_closer =
        failed && (failed->kind() == core::ErrorKind::Conflict || is_settle_late(*failed));
    if (!look_closer) break;
  }
  put_calls_back(batch, std::move(*calls));
  if (failed) {
    batch_failed(std::move(batch), *failed);
  } else {
    careful_ = false;
    batch_done(std::move(batch), *result);
  }
  leave();
  co_return !failed;
}

void LedgerCore::batch_done(std::vector<EndedCall> batch, const SettleResult& result) {
  report_written_off(result.written_off);
  const auto leases = leases_of(batch);
  for (const auto& paid : result.paid) {
    const auto found = leases.find(lease_key(paid));
    if (found == leases.end()) continue;
    const auto& [book, lease] = found->second;
    std::lock_guard lock(book->mutex);
    lease->money.amount -= paid.amount;
    lease->tokens.amount -= paid.tokens;
  }
  std::vector<std::int64_t> seqs;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    auto& ended = batch[i];
    if (result.clash[i]) report_clash(ended.call);
    seqs.push_back(ended.call.hold.seq);
    std::lock_guard lock(ended.book->mutex);
    end_pending(ended.wallet, ended.call.cost, 0);
    end_pending(ended.budget, ended.call.cost, ended.call.tokens);
  }
  journal_->committed(seqs);
  std::lock_guard lock(queue_mutex_);
  in_batch_ = 0;
  if (singles_ > 0) --singles_;
}

void LedgerCore::batch_failed(std::vector<EndedCall> batch, const core::Error& error) {
  core::log::warn("ledger.batch_failed",
                  {{"calls", batch.size()}, {"error", error.what()}, {"detail", error.detail()}});
  doubt(error, "settlement");
  careful_ = true;
  const bool poisoned =
      error.kind() != core::ErrorKind::Unavailable && error.kind() != core::ErrorKind::DeadlineExceeded;
  std::lock_guard lock(queue_mutex_);
  in_batch_ = 0;
  // One call that the database does not take must not keep the others: they go one by one, and it goes last.
  if (poisoned && batch.size() > 1) singles_ = batch.size();
  if (poisoned && batch.size() == 1 && singles_ > 0) --singles_;
  const auto at = poisoned && batch.size() == 1 ? queue_.end() : queue_.begin();
  queue_.insert(at, std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
}

core::Task<> LedgerCore::enter() {
  for (;;) {
    {
      std::lock_guard lock(gate_mutex_);
      if (!rebuilding_) {
        ++writes_;
        co_return;
      }
    }
    co_await core::sleep_for(kGatePoll);
  }
}

void LedgerCore::leave() {
  std::lock_guard lock(gate_mutex_);
  --writes_;
}

void LedgerCore::doubt(const core::Error& error, const char* what) {
  const bool unknown =
      error.kind() == core::ErrorKind::Unavailable || error.kind() == core::ErrorKind::DeadlineExceeded;
  if (!unknown) return;
  core::log::warn("ledger.in_doubt", {{"what", what}, {"detail", error.detail()}});
  // Others may have what this node had leased: nothing is admitted until the new epoch knows.
  if (is_epoch_ended(error)) admit_until_ = 0;
  in_doubt_ = true;
  keeper_.set();
}

core::Task<> LedgerCore::keep(std::stop_token stop) {
  const auto every = world_.options.admit_for / 4;
  auto next_beat = Steady::now() + every;
  auto next_sweep = Steady::now() + kSweepEvery;
  while (!stop.stop_requested()) {
    const auto patience = std::min<Steady::duration>(every, std::chrono::seconds(1));
    co_await keeper_.wait_for(patience, stop);
    if (stop.stop_requested()) break;
    const auto now = Steady::now();
    if (now >= next_sweep) {
      collect_idle();
      next_sweep = now + kSweepEvery;
    }
    bool good = true;
    try {
      if (in_doubt_ || now >= next_beat || now.time_since_epoch().count() >= admit_until_) {
        next_beat = now + every;
        co_await beat();
      }
      co_await give_back();
    } catch (const core::Error& error) {
      core::log::warn("ledger.keeper", {{"error", error.what()}, {"detail", error.detail()}});
      good = false;
    }
    if (!good) co_await core::sleep_for(kWriteRetry, stop);
  }
}

// Says that the node lives, or begins a new epoch; then looks after those who did not say so.
core::Task<> LedgerCore::beat() {
  const auto began = Steady::now();
  if (!in_doubt_) {
    const bool alive = co_await world_.database.run(
        storage::Scope::system(),
        [this, epoch = epoch_.load()](storage::Transaction& tx) {  // nodes have no tenant
          return leases_.heartbeat(tx, epoch, world_.options.lease_expiry);
        });
    if (alive) {
      admit_until_ = (began + world_.options.admit_for).time_since_epoch().count();
    } else {
      core::log::warn("ledger.epoch_ended", {{"epoch", epoch_.load()}});
      admit_until_ = 0;
      in_doubt_ = true;
    }
  }
  if (in_doubt_) {
    {
      std::lock_guard lock(gate_mutex_);
      rebuilding_ = true;
    }
    const auto quiet = [this] {
      std::lock_guard lock(gate_mutex_);
      return writes_ == 0;
    };
    while (!quiet()) co_await core::sleep_for(kGatePoll);
    std::exception_ptr failed;
    try {
      co_await disk_.run([this] { begin_epoch(); });
    } catch (...) {
      failed = std::current_exception();
    }
    {
      std::lock_guard lock(gate_mutex_);
      rebuilding_ = false;
    }
    if (failed) std::rethrow_exception(failed);
  }
  const auto lost =
      co_await world_.database.run(storage::Scope::system(),  // nodes have no tenant
                                   [this](storage::Transaction& tx) { return leases_.reclaim_expired(tx); });
  for (const auto epoch : lost) {
    core::log::error("ledger.node_lost", {{"epoch", epoch}});
    counter("assistiv_ledger_lost_nodes_total", "Nodes whose leases were taken back.").add();
  }
  co_await disk_.run([this] { adopt_orphans(); });
}

// What the database says this node leases of the book's accounts; takes it out of `rows`. What was to be
// given back is in it again.
void LedgerCore::set_amounts(Book& book, std::map<std::string, LeaseRow>& rows) {
  std::lock_guard lock(book.mutex);
  const auto set = [&](AccountState& state) {
    auto all = state.old;
    if (state.lease) all.push_back(state.lease);
    for (const auto& lease : all) {
      const auto row = rows.extract(lease_key({book.platform, lease->account, lease->period_no, 0, 0}));
      lease->money.amount = row.empty() ? 0 : row.mapped().amount;
      lease->tokens.amount = row.empty() ? 0 : row.mapped().tokens;
    }
    state.stale = true;
    ++state.changes;
  };
  set(book.wallet);
  for (auto& [end_user, budget] : book.budgets) set(budget);
  std::lock_guard returns_lock(returns_mutex_);
  std::erase_if(returns_, [&](const LeaseRow& row) { return row.platform_id == book.platform; });
}

// A new epoch, which has what the one before had leased. No write of this node is under way.
void LedgerCore::begin_epoch() {
  const auto began = Steady::now();
  std::int64_t epoch = 0;
  std::vector<LeaseRow> rows;
  world_.database.execute(storage::Scope::system(), [&](storage::Transaction& tx) {  // nodes have no tenant
    epoch = leases_.register_node(tx, journal_->id(), world_.options.lease_expiry);
    rows = leases_.leases(tx, epoch);
  });
  std::map<std::string, LeaseRow> found;
  for (const auto& row : rows) found.emplace(lease_key(row), row);
  {
    std::shared_lock lock(books_mutex_);
    for (const auto& [platform, book] : books_) set_amounts(*book, found);
  }
  {
    std::lock_guard lock(returns_mutex_);
    for (const auto& [key, row] : found) returns_.push_back(row);
  }
  epoch_ = epoch;
  careful_ = true;
  in_doubt_ = false;
  admit_until_ = (began + world_.options.admit_for).time_since_epoch().count();
  core::log::info("ledger.epoch", {{"epoch", epoch}, {"leases", rows.size()}});
}

void LedgerCore::adopt_orphans() {
  for (const auto& orphan : OrphanJournal::find(world_.options.journal_directory, journal_->id()))
    finish(*orphan);
}

// Commits what a dead process left, gives back what it had leased.
void LedgerCore::finish(OrphanJournal& orphan) {
  auto calls = orphan.calls();
  std::map<std::string, LeaseRow> inherited;
  const auto count = calls.size();
  world_.database.execute(storage::Scope::system(), [&](storage::Transaction& tx) {  // nodes have no tenant
    inherited.clear();
    for (const auto& row : leases_.inherit(tx, orphan.id(), epoch_)) {
      auto& into =
          inherited.emplace(lease_key(row), LeaseRow{row.platform_id, row.account_id, row.period_no, 0, 0})
              .first->second;
      into.amount += row.amount;
      into.tokens += row.tokens;
    }
  });
  try {
    settle_lost(std::move(calls), inherited);
    std::vector<LeaseRow> rows;
    for (const auto& [key, row] : inherited) rows.push_back(row);
    world_.database.execute(storage::Scope::system(), [&](storage::Transaction& tx) {  // nodes have no tenant
      leases_.give_back(tx, epoch_, rows);
    });
  } catch (const core::Error&) {
    in_doubt_ = true;  // the new epoch reads what is left of it, and the journal is still there
    throw;
  }
  orphan.remove();
  core::log::info("ledger.recovered", {{"journal", orphan.id().str()}, {"calls", count}});
}

void LedgerCore::settle_lost(std::vector<SettledCall> calls, std::map<std::string, LeaseRow>& inherited) {
  for (std::size_t from = 0; from < calls.size(); from += kAdoptBatch) {
    const auto to = std::min(from + kAdoptBatch, calls.size());
    const std::vector<SettledCall> batch(
        std::make_move_iterator(calls.begin() + static_cast<std::ptrdiff_t>(from)),
        std::make_move_iterator(calls.begin() + static_cast<std::ptrdiff_t>(to)));
    std::optional<SettleResult> result;
    world_.database.execute(storage::Scope::system(),
                            [&](storage::Transaction& tx) {  // calls of many platforms
                              result = settles_.settle(tx, epoch_, batch, SettleMode::Careful);
                            });
    report_written_off(result->written_off);
    for (const auto& paid : result->paid) {
      auto& row = inherited[lease_key(paid)];
      row.amount -= paid.amount;
      row.tokens -= paid.tokens;
      if (row.amount >= 0 && row.tokens >= 0) continue;
      // Paid by what this node leases itself: memory is wrong by that. A new epoch reads it.
      row.amount = std::max<std::int64_t>(row.amount, 0);
      row.tokens = std::max<std::int64_t>(row.tokens, 0);
      in_doubt_ = true;
    }
  }
  std::erase_if(inherited,
                [](const auto& each) { return each.second.amount == 0 && each.second.tokens == 0; });
}

std::vector<LeaseRow> LedgerCore::take_returns() {
  std::lock_guard lock(returns_mutex_);
  return std::exchange(returns_, {});
}

core::Task<> LedgerCore::give_back() {
  co_await enter();
  auto rows = take_returns();
  std::optional<core::Error> failed;
  if (!rows.empty()) {
    try {
      co_await world_.database.run(storage::Scope::system(),  // leases of many platforms
                                   [this, epoch = epoch_.load(), rows](storage::Transaction& tx) {
                                     leases_.give_back(tx, epoch, rows);
                                   });
    } catch (const core::Error& error) {
      failed = error;
    }
  }
  leave();
  if (!failed) co_return;
  // The database still has them as leased, or not: a new epoch reads what is true.
  in_doubt_ = true;
  keeper_.set();
  throw *std::move(failed);
}

// Leases that nobody used for a while go back; accounts that nobody uses are forgotten.
void LedgerCore::collect_idle() {
  const auto now = Steady::now();
  std::int64_t leased = 0;
  std::unique_lock lock(books_mutex_);
  for (auto it = books_.begin(); it != books_.end();) {
    auto& book = *it->second;
    std::unique_lock book_lock(book.mutex);
    const auto idle = [&](AccountState& state) {
      if (now - state.used_at > world_.options.return_idle) strip(book, state);
      if (state.lease) leased += state.lease->money.amount;
      return now - state.used_at > 10 * world_.options.return_idle && !state.in_use();
    };
    const bool busy = !book.flights.empty() || !book.waiters.empty();
    for (auto each = book.budgets.begin(); each != book.budgets.end();) {
      each = idle(each->second) && !busy ? book.budgets.erase(each) : std::next(each);
    }
    const bool forget = idle(book.wallet) && book.budgets.empty() && !busy && it->second.use_count() == 1;
    book_lock.unlock();
    it = forget ? books_.erase(it) : std::next(it);
  }
  gauge("assistiv_ledger_leased_nano_usd", "What this node has leased and could still be spent.").set(leased);
}

core::Task<> LedgerCore::sync(std::stop_token stop) {
  while (!stop.stop_requested()) {
    co_await core::sleep_for(world_.options.fsync_interval, stop);
    std::vector<std::shared_ptr<core::AsyncEvent>> waiting;
    {
      std::lock_guard lock(synced_mutex_);
      waiting.swap(synced_);
    }
    if (waiting.empty()) continue;
    co_await disk_.run([this] { journal_->sync(); });
    for (const auto& event : waiting) event->set();
  }
}

}  // namespace assistiv::billing
