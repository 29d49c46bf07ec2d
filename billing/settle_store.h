#pragma once
// Commits a batch of ended calls in one transaction: their usage rows, one entry per account (and kind of
// use), the accounts, the leases that paid.
#include <cstdint>
#include <vector>

#include "billing/journal.h"
#include "billing/lease_store.h"
#include "core/error.h"

namespace assistiv::billing {

struct SettleResult {
  // Per call, in order: false when the database has a row of this (request id, attempt) already.
  std::vector<bool> written;
  // Of the calls that are not written: true when the row is of another hold, so the caller settled two
  // holds under one name.
  std::vector<bool> clash;
  // What the node's leases paid, per account and period.
  std::vector<LeaseRow> paid;
  std::int64_t written_off = 0;  // nano-USD that no account could pay any more
};

enum class SettleMode {
  // Throws Conflict when a row exists already, and settle_late() when a lease does not cover its calls.
  Fast,
  // Looks first. For what Fast refused: replays, commits in doubt, leases that were reclaimed.
  Careful,
};

class SettleStore {
 public:
  // `events` may be null.
  SettleStore(const core::Clock& clock, core::Random& random, BudgetEventSink* events)
      : clock_(clock), random_(random), events_(events) {}

  // Scope::system: a batch has calls of many platforms. Throws epoch_ended().
  SettleResult settle(storage::Transaction& tx, std::int64_t epoch, const std::vector<SettledCall>& calls,
                      SettleMode mode) const;

 private:
  const core::Clock& clock_;
  core::Random& random_;
  BudgetEventSink* events_;
};

bool is_settle_late(const core::Error& error);

}  // namespace assistiv::billing
