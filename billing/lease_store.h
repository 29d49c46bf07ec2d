#pragma once
// Nodes and what they lease of accounts. Every write is fenced: it holds a key-share lock on its live epoch,
// and who ends an epoch takes that row for update first. Scope::system throughout: a node's epoch belongs to
// no tenant.
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "billing/account_store.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/random.h"
#include "storage/database.h"

namespace assistiv::billing {

struct LeaseRow {
  core::PlatformId platform_id;
  AccountId account_id;
  std::int64_t period_no = 0;
  std::int64_t amount = 0;
  std::int64_t tokens = 0;
};

// What to take of an account: at least `need`, else nothing; rather `want`, when that is little of what is
// left.
struct Take {
  std::int64_t need = 0;
  std::int64_t want = 0;
  std::int64_t tokens_need = 0;
  std::int64_t tokens_want = 0;
};

struct Taken {
  Account account;  // after it
  std::int64_t amount = 0;
  std::int64_t tokens = 0;
  bool amount_fits = true;  // what was needed could be taken, or could have been
  bool tokens_fit = true;
};

struct TakeRequest {
  std::int64_t epoch = 0;
  core::PlatformId platform_id;
  std::optional<core::EndUserId> end_user_id;
  bool with_wallet = true;  // false: of the budget only, so that the wallet's row is not locked
  Take wallet;
  Take budget;
  int share_percent = 5;  // of what is left, for `want`
  // When it does not fit: ask the other nodes to give back.
  bool recall = false;
};

struct TakeResult {
  Taken wallet;
  std::optional<Taken> budget;  // nothing: the end user has none
  bool granted = false;         // all levels, or none
};

class LeaseStore {
 public:
  LeaseStore(const core::Clock& clock, core::Random& random) : clock_(clock), random_(random) {}

  // A new epoch for this journal. Older epochs of the journal end; what they lease is the new one's.
  std::int64_t register_node(storage::Transaction& tx, const core::Uuid& journal,
                             std::chrono::milliseconds expiry) const;
  // A dead process's epochs end; what they lease is `epoch`'s. Returns what came over.
  std::vector<LeaseRow> inherit(storage::Transaction& tx, const core::Uuid& journal,
                                std::int64_t epoch) const;
  std::vector<LeaseRow> leases(storage::Transaction& tx, std::int64_t epoch) const;
  // False when the epoch has ended.
  bool heartbeat(storage::Transaction& tx, std::int64_t epoch, std::chrono::milliseconds expiry) const;
  // Everything was given back.
  void close_node(storage::Transaction& tx, std::int64_t epoch) const;

  // The epochs that did not show up in time end: what they lease goes back to the accounts, each with a
  // "reconcile" entry. At most a few at a time. Returns the epochs.
  std::vector<std::int64_t> reclaim_expired(storage::Transaction& tx) const;

  // Both accounts in one step, locked in the order of their ids; the wallet is made when it is missing, a
  // period that is over rolls. Throws epoch_ended().
  TakeResult take(storage::Transaction& tx, const TakeRequest& request) const;
  // Throws epoch_ended().
  void give_back(storage::Transaction& tx, std::int64_t epoch, std::vector<LeaseRow> rows) const;

 private:
  std::vector<LeaseRow> move_leases(storage::Transaction& tx, const core::Uuid& journal,
                                    std::int64_t epoch) const;
  void reclaim(storage::Transaction& tx, std::int64_t epoch) const;
  const core::Clock& clock_;
  core::Random& random_;
};

// Throws epoch_ended() unless the epoch is live; it stays so until the transaction's end.
void require_live(storage::Transaction& tx, std::int64_t epoch);
core::Error epoch_ended();
bool is_epoch_ended(const core::Error& error);

}  // namespace assistiv::billing
