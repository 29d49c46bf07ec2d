#pragma once
// What a node knows and has leased of one platform's accounts: the arithmetic of admission, in memory. Every
// function wants the book's mutex held.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "billing/journal.h"
#include "billing/lease_store.h"
#include "core/async.h"

namespace assistiv::billing {

using Steady = std::chrono::steady_clock;

// amount = what the database says this node has leased = free + held + pending.
struct Leased {
  std::int64_t amount = 0;
  std::int64_t held = 0;     // bounds of calls under way
  std::int64_t pending = 0;  // costs that are not committed
  std::int64_t free() const { return amount - held - pending; }
};

struct LeaseState {
  AccountId account;
  std::int64_t period_no = 0;
  Leased money;
  Leased tokens;
  bool in_use() const {
    return money.held != 0 || money.pending != 0 || tokens.held != 0 || tokens.pending != 0;
  }
};

struct AccountState {
  std::optional<Account> account;  // as last seen; nothing: there is none, or it was never looked at
  bool seen = false;
  bool stale = true;  // changed since
  std::uint64_t changes = 0;
  Steady::time_point seen_at{};
  Steady::time_point taken_at{};
  Steady::time_point used_at{};
  Steady::time_point short_at{};
  std::int64_t slice = 0;
  std::int64_t tokens_slice = 0;
  std::shared_ptr<LeaseState> lease;
  std::vector<std::shared_ptr<LeaseState>> old;  // of periods that are over

  // Nothing has to be asked before admitting from the lease.
  bool usable(core::Time now, Steady::time_point steady) const;
  std::int64_t free_money() const { return lease ? lease->money.free() : 0; }
  std::int64_t free_tokens() const { return lease ? lease->tokens.free() : 0; }
  // What is missing of these bounds, and what to ask for.
  Take missing(std::int64_t bound, std::int64_t token_bound) const;
  void apply(const Taken& taken, std::uint64_t changes_before, Steady::time_point now);
  void apply_absent(std::uint64_t changes_before, Steady::time_point now);
  // Takes what is free out of memory; the caller gives it back to the database.
  void strip(core::PlatformId platform, std::vector<LeaseRow>& out);
  bool in_use() const;
  // Bounds of this size will come: leases follow the rate of spending.
  void adapt_slices(std::int64_t bound, std::int64_t token_bound, Steady::time_point now);
};

struct Flight {
  std::vector<std::shared_ptr<core::AsyncEvent>> waiters;
};

struct Book {
  explicit Book(core::PlatformId id) : platform(id) {}
  const core::PlatformId platform;
  std::mutex mutex;
  AccountState wallet;
  std::unordered_map<core::EndUserId, AccountState, core::IdHash> budgets;
  std::map<std::optional<core::EndUserId>, std::shared_ptr<Flight>> flights;  // takes under way
  std::vector<std::shared_ptr<core::AsyncEvent>> waiters;                     // for something to become free

  AccountState* budget(const std::optional<core::EndUserId>& end_user);  // null without an end user
  std::vector<std::shared_ptr<core::AsyncEvent>> take_waiters();
};

// A hold's share of one lease.
struct HeldLease {
  std::shared_ptr<LeaseState> lease;
  HoldLevel level;
};
// Subtracts the bounds; the caller has seen that they fit.
HeldLease hold_from(AccountState& state, std::int64_t bound, std::int64_t token_bound);
void undo_hold(const HeldLease& held);
// The call ended: the bound is free again but for the cost, which is pending until it is committed.
void end_hold(const HeldLease& held, std::int64_t cost, std::int64_t tokens);
void end_pending(const HeldLease& held, std::int64_t cost, std::int64_t tokens);

// Why these bounds may not be held, by what was last seen; nothing when they may fit once others give back.
std::optional<Refusal> hopeless(const AccountState& wallet, const AccountState* budget,
                                const AdmissionRequest& request);
// The refusal when waiting did not help.
Refusal refusal_of(const AccountState& wallet, const AccountState* budget, const AdmissionRequest& request);

}  // namespace assistiv::billing
