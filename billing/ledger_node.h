#pragma once
// The ledger of one process. Three parts: admission (ledger_node.cpp) on the caller's thread, the writer that
// commits what ended and the keeper that keeps the epoch alive, gives back and takes over
// (ledger_background.cpp).
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "billing/journal.h"
#include "billing/lease_store.h"
#include "billing/ledger.h"
#include "billing/ledger_book.h"
#include "billing/settle_store.h"
#include "core/async.h"

namespace assistiv::billing {

// An ended call on its way to the database.
struct EndedCall {
  SettledCall call;
  std::shared_ptr<Book> book;
  HeldLease wallet;
  HeldLease budget;
  Steady::time_point ended_at;
};

class LedgerCore : public std::enable_shared_from_this<LedgerCore> {
 public:
  explicit LedgerCore(LedgerWorld world);

  void start();
  void stop();
  void abandon();  // as a killed process: what is not in the journal or the database by now never will be
  core::Task<bool> flush(std::chrono::milliseconds timeout);

  core::Task<Admission> admit(AdmissionRequest request);
  core::Task<std::optional<core::NanoUsd>> available(Payer payer);
  void account_changed(core::PlatformId platform, std::optional<core::EndUserId> end_user);
  void recall(core::PlatformId platform, const std::optional<core::EndUserId>& end_user);
  void resync();  // everything may have changed
  void notice(std::string_view topic, std::string_view payload);

  // Of a hold.
  void settle(EndedCall ended);

 private:
  // Admission.
  struct Held {
    HeldLease wallet;
    HeldLease budget;
  };
  struct Bounds {
    std::int64_t money = 0;
    std::int64_t tokens = 0;
  };
  enum class Why { Short, ShortAgain, Ahead };
  std::shared_ptr<Book> book(core::PlatformId platform);
  core::Task<> require_open();
  std::optional<Held> try_hold(Book& book, const AdmissionRequest& request);
  core::Task<std::optional<Refusal>> make_room(std::shared_ptr<Book> book, AdmissionRequest request,
                                               Steady::time_point arrived, int tries);
  core::Task<> fly(std::shared_ptr<Book> book, std::optional<core::EndUserId> end_user, Bounds bounds,
                   Why why);
  core::Task<> wait_for_flight(std::shared_ptr<Book> book, std::shared_ptr<Flight> flight);
  core::Task<> wait_for_room(std::shared_ptr<Book> book, Steady::duration time);
  void prefetch(const std::shared_ptr<Book>& book, const std::optional<core::EndUserId>& end_user,
                Bounds bounds);
  void fly_ahead(const std::shared_ptr<Book>& book, const std::optional<core::EndUserId>& end_user,
                 Bounds bounds);
  HoldPtr make_hold(const std::shared_ptr<Book>& book, AdmissionRequest request, Held held);
  core::Task<bool> wait_for_disk();

  // Background.
  core::Task<> write(std::stop_token stop);
  core::Task<> keep(std::stop_token stop);
  core::Task<> sync(std::stop_token stop);
  core::Task<bool> write_batch();
  std::vector<EndedCall> next_batch();
  void batch_done(std::vector<EndedCall> batch, const SettleResult& result);
  void batch_failed(std::vector<EndedCall> batch, const core::Error& error);
  core::Task<> beat();
  core::Task<> give_back();
  void collect_idle();
  std::vector<LeaseRow> take_returns();
  // With the book's mutex held: what is free of this account is to be given back.
  bool strip(Book& book, AccountState& state);
  // Something of this epoch may be in the database or not: the keeper begins a new one and reads what it has.
  void doubt(const core::Error& error, const char* what);
  core::Task<> enter();  // before a write of this epoch
  void leave();
  // These block, on a database thread or in start() and stop().
  void begin_epoch();
  void set_amounts(Book& book, std::map<std::string, LeaseRow>& rows);
  void adopt_orphans();
  void finish(OrphanJournal& orphan);
  void settle_lost(std::vector<SettledCall> calls, std::map<std::string, LeaseRow>& inherited);
  void drain();

  LedgerWorld world_;
  LeaseStore leases_;
  SettleStore settles_;
  std::unique_ptr<Journal> journal_;
  core::BlockingPool disk_{"ledger", 1, 64};

  std::shared_mutex books_mutex_;
  std::unordered_map<core::PlatformId, std::shared_ptr<Book>, core::IdHash> books_;

  std::mutex queue_mutex_;
  std::deque<EndedCall> queue_;
  std::size_t in_batch_ = 0;
  std::size_t singles_ = 0;  // the next so many batches have one call each
  bool careful_ = false;     // the next batch may be committed already, or not be covered
  core::AsyncEvent ended_;

  std::mutex returns_mutex_;
  std::vector<LeaseRow> returns_;  // taken out of memory, to be given back; locked after a book
  core::AsyncEvent keeper_;

  std::atomic<std::int64_t> epoch_{0};
  std::atomic<std::int64_t> next_seq_{1};
  std::atomic<std::int64_t> admit_until_{0};  // steady nanoseconds
  std::atomic<bool> open_{false};
  std::atomic<bool> abandoned_{false};
  std::atomic<bool> in_doubt_{false};
  std::mutex gate_mutex_;
  int writes_ = 0;
  bool rebuilding_ = false;

  std::mutex synced_mutex_;
  std::vector<std::shared_ptr<core::AsyncEvent>> synced_;

  core::TaskGroup tasks_{"ledger"};
};

}  // namespace assistiv::billing
