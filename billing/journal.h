#pragma once
// A node's journal: what it holds and what it settled, until the database has it. Appended with one write()
// each, so that it is in the page cache, which outlives a killed process, before the upstream call starts.
//
// A directory holds the journals of one machine's processes: <id>.lock (flock: alive) and
// <id>.<n>.journal, segments of records (u32 length, u32 checksum, payload; host byte order). A segment goes
// when the database has everything in it. A journal whose lock is free belongs to a dead process: whoever
// takes the lock finishes it.
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "billing/account_store.h"
#include "billing/ledger.h"

namespace assistiv::billing {

// What a hold took of one account; zero where the account has no such cap.
struct HoldLevel {
  AccountId account;
  std::int64_t period_no = 0;
  std::int64_t amount = 0;
  std::int64_t tokens = 0;
};

struct HoldRecord {
  std::int64_t epoch = 0;  // with seq: which hold this is, for ever
  std::int64_t seq = 0;
  Payer payer;
  CallFacts facts;
  std::string price_id;
  std::int64_t bound = 0;
  std::int64_t lost_cost = 0;
  std::int64_t token_bound = 0;
  std::int64_t created_ms = 0;
  HoldLevel wallet;
  std::optional<HoldLevel> budget;
};

// A call that ended: one usage row to be.
struct SettledCall {
  HoldRecord hold;
  Settlement settlement;
  std::int64_t cost = 0;  // what is billed: at most hold.bound
  std::int64_t tokens = 0;
};

// How a hold is billed whose process died, or that nobody settled.
SettledCall lost_call(HoldRecord hold);

std::string encode_hold(const HoldRecord& hold);
std::string encode_settlement(const SettledCall& call);  // the hold's identity and how it ended

// Thread-safe.
class Journal {
 public:
  // Makes the directory and takes the lock. Throws Unavailable when the directory cannot be written.
  Journal(std::string directory, core::Uuid id, std::size_t segment_bytes);
  ~Journal();  // closes; the files stay
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  const core::Uuid& id() const { return id_; }
  // `seq` stays open until committed(). Throws Unavailable when the disk does not take it.
  void hold(std::int64_t seq, std::string record);
  // False when the disk does not take it; the hold stays open all the same.
  bool settle(std::int64_t seq, std::string_view record);
  // The database has these. Drops segments; moves what is open in very old ones forward, so that one slow
  // call does not keep everything after it.
  void committed(const std::vector<std::int64_t>& seqs);
  std::size_t bytes() const;
  // Blocks: what was appended before is on the disk.
  void sync();
  // Gives the journal up to whoever comes, as the end of the process does.
  void unlock();
  // After the last commit of an orderly end: no files are left. Nothing may be appended afterwards.
  void remove();

 private:
  struct Segment {
    int fd = -1;
    std::size_t bytes = 0;
    std::size_t open = 0;  // records of holds that are not committed
  };
  struct OpenHold {
    std::string record;
    std::vector<int> segments;  // where its records are
  };
  std::string path(int segment) const;
  void add_segment();
  bool append(std::string_view record);
  void release(const OpenHold& hold);
  void carry_forward();
  void drop_empty();

  const std::string directory_;
  const core::Uuid id_;
  const std::size_t segment_bytes_;
  int lock_fd_ = -1;
  mutable std::mutex mutex_;
  int current_ = 0;
  int synced_ = 0;  // the segment that the last sync() ended with
  std::map<int, Segment> segments_;
  std::unordered_map<std::int64_t, OpenHold> open_;
};

// A dead process's journal, under its lock.
class OrphanJournal {
 public:
  // Every journal of the directory whose process is dead, `own` aside.
  static std::vector<std::unique_ptr<OrphanJournal>> find(const std::string& directory,
                                                          const core::Uuid& own);
  ~OrphanJournal();
  OrphanJournal(const OrphanJournal&) = delete;
  OrphanJournal& operator=(const OrphanJournal&) = delete;

  const core::Uuid& id() const { return id_; }
  // Every call in it, settled or lost. A torn record at a segment's end is a write that was cut off: the call
  // had not started.
  std::vector<SettledCall> calls() const;
  void remove();  // when the database has them

 private:
  OrphanJournal(std::string directory, core::Uuid id, int lock_fd)
      : directory_(std::move(directory)), id_(id), lock_fd_(lock_fd) {}
  std::string directory_;
  core::Uuid id_;
  int lock_fd_;
};

}  // namespace assistiv::billing
