#include "storage/audit.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>

#include "core/async.h"
#include "core/encoding.h"
#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"
#include "storage/audit_chain.h"

namespace assistiv::storage {

namespace {

constexpr std::size_t kQueueMax = 20000;
constexpr std::size_t kBatchMax = 2000;
constexpr std::chrono::seconds kRoomPatience{5};
constexpr std::chrono::seconds kFlushPatience{15};
constexpr std::chrono::seconds kStopPatience{5};
constexpr std::chrono::seconds kReceiptPatience{10};
// How long entries that nobody waits for gather before they are written together: a transaction costs the
// same for one as for a hundred.
constexpr std::chrono::milliseconds kLinger{20};
constexpr std::size_t kGatherMax = 500;  // enough to be worth a transaction at once
constexpr std::chrono::milliseconds kRecheck{200};
constexpr std::chrono::milliseconds kRetryMin{50}, kRetryMax{2000};
constexpr int kVerifyChunk = 2000;

using AuditSteady = std::chrono::steady_clock;

core::Error audit_unavailable(std::string detail) {
  return core::Error(core::ErrorKind::Unavailable,
                     "The audit trail cannot be written at the moment. Try again shortly.")
      .with_retry_after(std::chrono::seconds(2))
      .with_detail(std::move(detail));
}

bool is_passing(core::ErrorKind kind) {
  return kind == core::ErrorKind::Unavailable || kind == core::ErrorKind::DeadlineExceeded;
}

struct AuditBatch {
  std::vector<AuditRecord> records;
  // After an attempt whose outcome is not known: a record as that attempt linked it. If the chain has it
  // there, the attempt was committed; its hash makes it unmistakable.
  std::optional<AuditRecord> witness;
  std::size_t orphans = 0;  // of platforms that are gone
};

std::vector<core::PlatformId> platforms_of(const std::vector<AuditRecord>& records) {
  std::vector<core::PlatformId> out;
  for (const auto& record : records) out.push_back(record.platform);
  std::ranges::sort(out);
  const auto rest = std::ranges::unique(out);
  out.erase(rest.begin(), rest.end());
  return out;
}

void write_batch(Transaction& tx, AuditBatch& batch) {
  // Neighbours in the indexes side by side; the order within a platform stays.
  std::ranges::stable_sort(batch.records, {}, &AuditRecord::platform);
  auto heads = lock_audit_heads(tx, platforms_of(batch.records));
  if (batch.witness && audit_record_exists(tx, *batch.witness)) return;
  std::vector<const AuditRecord*> linked;
  for (auto& record : batch.records) {
    const auto head = heads.find(record.platform);
    if (head == heads.end()) {
      record.seq = 0;
      continue;
    }
    link_record(record, head->second);
    linked.push_back(&record);
  }
  batch.orphans = batch.records.size() - linked.size();
  if (linked.empty()) return;
  batch.witness = *linked.front();
  insert_audit_records(tx, linked, heads);
}

// A batch whose outcome was in doubt: is it in the chain after all? The lock waits for the attempt's end.
bool was_written(Transaction& tx, const AuditBatch& batch) {
  lock_audit_heads(tx, platforms_of(batch.records));
  return audit_record_exists(tx, *batch.witness);
}

void give_receipts(const std::vector<AuditRecord>& records, bool written) {
  for (const auto& record : records) {
    if (!record.receipt) continue;
    record.receipt->written = written && record.seq > 0;
    record.receipt->settled.set();
  }
}

// Counts itself while it lives.
class Waiting {
 public:
  explicit Waiting(std::atomic<int>& count) : count_(count) { ++count_; }
  ~Waiting() { --count_; }

 private:
  std::atomic<int>& count_;
};

core::metrics::Counter& dropped(const char* reason) {
  return core::metrics::counter("assistiv_audit_dropped_total", "Audit entries that could not be written.",
                                {{"reason", reason}});
}

}  // namespace

struct AuditLog::Impl {
  Impl(Database& db, const core::Clock& now) : database(db), clock(now) {}

  enum class Arrival { Fresh, Waited };
  bool try_push(AuditRecord& record, Arrival arrival);
  core::Task<> wait_to_push(AuditRecord record);
  std::shared_ptr<AuditBatch> take_batch();
  core::Task<> write_forever(std::stop_token stop);
  core::Task<bool> write_out(std::shared_ptr<AuditBatch> batch, std::stop_token stop);
  core::Task<std::optional<core::Error>> try_write(std::shared_ptr<AuditBatch> batch);
  core::Task<> gather(std::stop_token stop);
  core::Task<bool> found_written(std::shared_ptr<AuditBatch> batch);
  core::Task<> push(AuditRecord record);
  void hurry_up();
  core::Task<> write_one_by_one(std::shared_ptr<AuditBatch> batch, std::stop_token stop);
  void settle(std::size_t count);

  Database& database;
  const core::Clock& clock;

  std::mutex mutex;  // queue, recorded, settled
  std::deque<AuditRecord> queue;
  std::uint64_t recorded = 0, settled = 0;
  std::atomic<int> waiters{0};  // callers that wait for room
  core::AsyncEvent filled, progressed, hurry;
  bool urgent = false;  // somebody waits for what is queued

  core::metrics::Counter& written =
      core::metrics::counter("assistiv_audit_written_total", "Audit entries written.");
  core::metrics::Gauge& waiting =
      core::metrics::gauge("assistiv_audit_queue", "Audit entries waiting to be written.");
  core::TaskGroup tasks{"audit"};
};

// A caller that comes while others wait for room waits with them, or it might take their room again and
// again.
bool AuditLog::Impl::try_push(AuditRecord& record, Arrival arrival) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex);
    if (queue.size() >= kQueueMax || (arrival == Arrival::Fresh && waiters > 0)) return false;
    if (record.receipt) urgent = true;
    queue.push_back(std::move(record));
    ++recorded;
    wake = urgent || queue.size() >= kGatherMax;
  }
  waiting.add(1);
  filled.set();
  if (wake) hurry.set();
  return true;
}

core::Task<> AuditLog::Impl::push(AuditRecord record) {
  if (!try_push(record, Arrival::Fresh)) co_await wait_to_push(std::move(record));
}

void AuditLog::Impl::hurry_up() {
  {
    const std::lock_guard lock(mutex);
    urgent = !queue.empty();
  }
  hurry.set();
}

core::Task<> AuditLog::Impl::gather(std::stop_token stop) {
  const auto enough = [&] {
    const std::lock_guard lock(mutex);
    return urgent || queue.size() >= kGatherMax;
  };
  const auto until = AuditSteady::now() + kLinger;
  // Again when the event is from before: it is remembered until somebody waits.
  while (!enough() && !stop.stop_requested()) {
    const auto now = AuditSteady::now();
    if (now >= until || !co_await hurry.wait_for(until - now, stop)) co_return;
  }
}

core::Task<> AuditLog::Impl::wait_to_push(AuditRecord record) {
  const Waiting waiting_here(waiters);
  const auto deadline = AuditSteady::now() + kRoomPatience;
  do {
    if (AuditSteady::now() >= deadline) throw audit_unavailable("the audit queue is full");
    co_await progressed.wait_for(kRecheck);
  } while (!try_push(record, Arrival::Waited));
}

std::shared_ptr<AuditBatch> AuditLog::Impl::take_batch() {
  auto batch = std::make_shared<AuditBatch>();
  const std::lock_guard lock(mutex);
  const auto count = std::min(queue.size(), kBatchMax);
  batch->records.reserve(count);
  std::move(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(count),
            std::back_inserter(batch->records));
  queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(count));
  if (queue.empty()) urgent = false;
  return batch;
}

void AuditLog::Impl::settle(std::size_t count) {
  {
    const std::lock_guard lock(mutex);
    settled += count;
  }
  waiting.add(-static_cast<std::int64_t>(count));
  progressed.set();
}

// While one batch commits the next one gathers: the busier the server, the larger the batches. An idle one
// lingers a little; flush() and callers that wait for their entry end that.
core::Task<> AuditLog::Impl::write_forever(std::stop_token stop) {
  while (true) {
    auto batch = take_batch();
    if (!batch->records.empty()) {
      const auto count = batch->records.size();
      if (!co_await write_out(batch, stop)) co_await write_one_by_one(std::move(batch), stop);
      settle(count);
    } else if (stop.stop_requested()) {
      co_return;
    } else {
      co_await filled.wait_for(std::chrono::hours(1), stop);
      co_await gather(stop);
    }
  }
}

core::Task<std::optional<core::Error>> AuditLog::Impl::try_write(std::shared_ptr<AuditBatch> batch) {
  try {
    // Entries of many platforms in one transaction.
    co_await database.run(Scope::system(), [batch](Transaction& tx) { write_batch(tx, *batch); });
  } catch (const core::Error& e) {
    co_return e;
  }
  give_receipts(batch->records, true);
  written.add(batch->records.size() - batch->orphans);
  if (batch->orphans > 0) dropped("platform_gone").add(batch->orphans);
  co_return std::nullopt;
}

// False when the database refuses the batch as it is. Waits for a database that is away; when stopping, not
// for long.
core::Task<bool> AuditLog::Impl::write_out(std::shared_ptr<AuditBatch> batch, std::stop_token stop) {
  std::optional<AuditSteady::time_point> give_up;
  for (auto pause = kRetryMin;; pause = std::min(pause * 2, kRetryMax)) {
    const auto error = co_await try_write(batch);
    if (!error) co_return true;
    core::log::warn("audit.write_failed", {{"detail", error->detail()}, {"entries", batch->records.size()}});
    if (!is_passing(error->kind())) co_return false;
    if (!stop.stop_requested()) {
      co_await core::sleep_for(pause, stop);
      continue;
    }
    if (!give_up) give_up = AuditSteady::now() + kStopPatience;
    if (AuditSteady::now() >= *give_up) {
      dropped("stopped").add(batch->records.size());
      core::log::error("audit.entries_lost", {{"entries", batch->records.size()}});
      give_receipts(batch->records, false);
      co_return true;
    }
    co_await core::sleep_for(kRetryMin);
  }
}

core::Task<bool> AuditLog::Impl::found_written(std::shared_ptr<AuditBatch> batch) {
  try {
    co_return co_await database.run(Scope::system(),
                                    [batch](Transaction& tx) { return was_written(tx, *batch); });
  } catch (const core::Error& e) {
    core::log::warn("audit.write_failed", {{"detail", e.detail()}, {"entries", batch->records.size()}});
    co_return false;
  }
}

// One entry that the database refuses must not hold up the others.
core::Task<> AuditLog::Impl::write_one_by_one(std::shared_ptr<AuditBatch> batch, std::stop_token stop) {
  // An attempt before the refused one may have been committed without our hearing of it.
  if (batch->witness && co_await found_written(batch)) {
    give_receipts(batch->records, true);
    written.add(batch->records.size() - batch->orphans);
    co_return;
  }
  for (auto& record : batch->records) {
    auto single = std::make_shared<AuditBatch>();
    single->records.push_back(record);
    if (co_await write_out(std::move(single), stop)) continue;
    give_receipts({record}, false);
    dropped("refused").add();
    core::log::error("audit.entry_refused", {{"audit_event", record.event.event}});
  }
}

AuditLog::AuditLog(Database& database, const core::Clock& clock)
    : impl_(std::make_unique<Impl>(database, clock)) {}
AuditLog::~AuditLog() = default;

void AuditLog::append(Transaction& tx, core::PlatformId platform, const AuditEvent& event) {
  AuditBatch batch;
  batch.records.push_back({platform, impl_->clock.now(), fit_event(event), 0, {}, {}});
  write_batch(tx, batch);
  if (batch.orphans > 0) throw core::not_found("There is no such platform.");
}

core::Task<> AuditLog::record(core::PlatformId platform, AuditEvent event) {
  AuditRecord record{platform, impl_->clock.now(), fit_event(std::move(event)), 0, {}, {}};
  // Without a frame of its own: most calls find room.
  if (!impl_->try_push(record, Impl::Arrival::Fresh)) co_await impl_->wait_to_push(std::move(record));
}

core::Task<> AuditLog::record_durably(core::PlatformId platform, AuditEvent event) {
  const auto receipt = std::make_shared<AuditReceipt>();
  co_await impl_->push({platform, impl_->clock.now(), fit_event(std::move(event)), 0, {}, {}, receipt});
  const bool settled = co_await receipt->settled.wait_for(kReceiptPatience);
  if (!settled || !receipt->written) throw audit_unavailable("an entry that must come first was not written");
}

core::Task<> AuditLog::flush() {
  std::uint64_t target = 0;
  const auto reached = [&] {
    const std::lock_guard lock(impl_->mutex);
    if (target == 0) target = impl_->recorded;
    return impl_->settled >= target;
  };
  const auto deadline = AuditSteady::now() + kFlushPatience;
  impl_->hurry_up();
  while (!reached()) {
    if (AuditSteady::now() >= deadline) throw audit_unavailable("flushing the audit queue took too long");
    co_await impl_->progressed.wait_for(kRecheck);
  }
}

void AuditLog::start(core::AnyExecutor executor) {
  impl_->tasks.spawn(std::move(executor), "audit writer", [impl = impl_.get()](std::stop_token stop) {
    return impl->write_forever(std::move(stop));
  });
}

void AuditLog::stop() {
  impl_->tasks.stop();
}

core::Task<AuditPage> AuditLog::list(core::PlatformId platform, AuditFilter filter) {
  if (filter.page < 1 || filter.limit < 1) throw core::bad_request("page and limit start at 1", "page");
  co_return co_await impl_->database.run(Scope::tenant(platform), [platform, filter](Transaction& tx) {
    return read_audit_page(tx, platform, filter);
  });
}

namespace {

// Walks the chain up to the head that it saw first; entries that are added meanwhile are not its concern.
struct ChainWalk {
  AuditHead head;
  AuditHead at{0, audit_genesis_hash()};
  std::optional<std::int64_t> broken_at;

  bool done() const { return broken_at || at.seq >= head.seq; }

  void step(core::PlatformId platform, const AuditEntry& entry) {
    const auto hash = audit_hash(at.hash, platform, entry.seq, entry.at, entry.event);
    const bool fits = entry.seq == at.seq + 1 && entry.prev_hash == core::hex_encode(at.hash) &&
                      entry.hash == core::hex_encode(hash);
    if (!fits) broken_at = at.seq + 1;
    at = {entry.seq, hash};
  }
};

ChainWalk walk_chunk(Transaction& tx, core::PlatformId platform, ChainWalk walk) {
  const auto entries = read_audit_entries(tx, platform, walk.at.seq, walk.head.seq, kVerifyChunk);
  for (const auto& entry : entries) {
    walk.step(platform, entry);
    if (walk.broken_at) return walk;
  }
  if (entries.empty()) walk.broken_at = walk.at.seq + 1;
  return walk;
}

// An entry that the head does not know: the head was removed or set back. One statement, so one snapshot: the
// head and its entries are always written together.
std::optional<std::int64_t> first_entry_beyond_head(Transaction& tx, core::PlatformId platform) {
  const auto found = tx.exec(
      "select min(seq) as seq from audit_entry where platform_id = $1::uuid and "
      "seq > coalesce((select seq from audit_head where platform_id = $1::uuid), 0)",
      {platform.str()});
  return found[0].is_null("seq") ? std::nullopt : std::optional(found[0].integer("seq"));
}

}  // namespace

core::Task<AuditVerdict> AuditLog::verify(core::PlatformId platform) {
  std::optional<std::int64_t> beyond;
  ChainWalk walk;
  walk.head = co_await impl_->database.run(Scope::tenant(platform), [platform, &beyond](Transaction& tx) {
    beyond = first_entry_beyond_head(tx, platform);
    return read_audit_head(tx, platform).value_or(AuditHead{0, audit_genesis_hash()});
  });
  while (!walk.done()) {
    walk = co_await impl_->database.run(Scope::tenant(platform), [platform, walk](Transaction& tx) {
      return walk_chunk(tx, platform, walk);
    });
  }
  if (!walk.broken_at && walk.at.hash != walk.head.hash) walk.broken_at = walk.head.seq;
  if (!walk.broken_at) walk.broken_at = beyond;
  const auto intact = walk.broken_at ? *walk.broken_at - 1 : walk.at.seq;
  co_return AuditVerdict{!walk.broken_at, intact, walk.head.seq, core::hex_encode(walk.head.hash),
                         walk.broken_at};
}

}  // namespace assistiv::storage
