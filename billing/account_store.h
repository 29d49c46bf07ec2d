#pragma once
// Accounts (a platform's wallet, an end user's budget) and their entries. Every change writes its entry, and
// tells the nodes (topic "account", payload "<platform>/<end user, or - for the wallet>") to look again at
// what they have leased.
//
// A budget's period rolls over in the first statement that touches it after period_end; reads show it rolled.
// Changing the period starts a new one: what was used counts from 0.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "billing/budget_event.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/money.h"
#include "core/random.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::billing {

enum class AccountKind { Wallet, Budget };
enum class BudgetPeriod { OneTime, Daily, Monthly };
std::string_view to_string(BudgetPeriod period);  // "one_time", "daily", "monthly"
std::optional<BudgetPeriod> budget_period_of(std::string_view text);

// The whole days and calendar months of UTC. `end` is absent for OneTime, whose start is `now`.
struct PeriodWindow {
  core::Time start;
  std::optional<core::Time> end;
};
PeriodWindow period_window(BudgetPeriod period, core::Time now);

struct Account {
  AccountId id;
  core::PlatformId platform_id;
  AccountKind kind = AccountKind::Wallet;
  std::optional<core::EndUserId> end_user_id;  // of a budget
  // A wallet's limit is all that was paid in; its balance is remaining().
  std::optional<core::NanoUsd> limit;
  core::NanoUsd settled;  // in this period
  core::NanoUsd leased;   // in the nodes' hands: held by calls under way, or free to be held
  std::optional<std::int64_t> token_limit;
  std::int64_t tokens_settled = 0;
  std::int64_t tokens_leased = 0;
  BudgetPeriod period = BudgetPeriod::OneTime;
  std::int64_t period_no = 0;
  core::Time period_start;
  std::optional<core::Time> resets_at;
  bool auto_replenish = false;
  std::optional<core::NanoUsd> replenish_amount;
  std::optional<core::NanoUsd> low_balance_threshold;
  bool low_balance_armed = true;
  bool is_suspended = false;
  std::int64_t version = 1;
  core::Time created_at;
  core::Time updated_at;

  // limit - settled; below zero only after the limit was lowered. Absent without a cap.
  std::optional<core::NanoUsd> remaining() const;
  std::optional<std::int64_t> tokens_remaining() const;
};

// One row of ledger_entry. Amounts are positive; the type gives the direction.
struct LedgerEntry {
  core::Uuid id;
  AccountId account_id;
  // "opening", "top_up", "adjustment" (the limit changed), "replenish", "debit", "llm_usage", "mcp_usage",
  // "agent_usage", "refund", "suspended", "unsuspended", "reconcile", "write_off"
  std::string type;
  std::string debit, credit;  // the sides: "external", "allowance", "spent", "leased", "operator"
  core::NanoUsd amount;
  std::int64_t tokens = 0;
  std::int64_t calls = 0;  // of a usage entry
  std::optional<core::NanoUsd> limit_after;
  core::NanoUsd settled_after;
  std::optional<std::int64_t> token_limit_after;
  std::int64_t tokens_settled_after = 0;
  std::string description;
  std::optional<std::string> reason;
  std::string metadata_json = "{}";
  core::Time created_at;

  std::optional<core::NanoUsd> remaining_after() const;
};

struct MoneyNote {
  std::string description;
  std::optional<std::string> reason;
  std::string metadata_json = "{}";  // a JSON object
  // Of top_up and debit: a correction by hand, written as "adjustment".
  bool correction = false;
};

struct NewBudget {
  std::optional<core::NanoUsd> limit;  // > 0
  std::optional<std::int64_t> token_limit;
  BudgetPeriod period = BudgetPeriod::OneTime;
  bool auto_replenish = false;  // needs replenish_amount
  std::optional<core::NanoUsd> replenish_amount;
  std::optional<core::NanoUsd> low_balance_threshold;
};

// An absent member stays as it is.
struct AccountPatch {
  std::optional<core::NanoUsd> limit;  // may be below what is spent: then nothing more is admitted
  std::optional<std::int64_t> token_limit;
  std::optional<BudgetPeriod> period;
  std::optional<bool> auto_replenish;
  std::optional<core::NanoUsd> replenish_amount;
  std::optional<core::NanoUsd> low_balance_threshold;
  bool clear_low_balance_threshold = false;
  std::optional<bool> is_suspended;
};

struct MoneyResult {
  Account account;  // as it is now
  LedgerEntry entry;
};

struct EntryPage {
  std::vector<LedgerEntry> items;  // newest first
  std::int64_t total = 0;
};

// Statements on the caller's transaction; thread-safe. Faults of input throw InvalidArgument with the field
// ("/max_usd" style names are the route's business: the fields here are "limit", "amount", "tokens", ...).
class AccountStore {
 public:
  // `events` may be null.
  AccountStore(const core::Clock& clock, core::Random& random, BudgetEventSink* events)
      : clock_(clock), random_(random), events_(events) {}

  // Made on first use, with nothing in it.
  Account wallet(storage::Transaction& tx, core::PlatformId platform) const;
  std::optional<Account> budget(storage::Transaction& tx, core::PlatformId platform,
                                core::EndUserId end_user) const;

  // Conflict when the end user has one; NotFound when there is no such end user.
  MoneyResult create_budget(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user,
                            const NewBudget& input, const MoneyNote& note = {}) const;

  // Raises the limit (of USD, of tokens, or both) and re-arms low_balance. NotFound without such an account;
  // InvalidArgument for an amount that is not positive or for a cap that the budget does not have.
  MoneyResult top_up(storage::Transaction& tx, core::PlatformId platform, AccountId account,
                     core::NanoUsd amount, std::int64_t tokens, const MoneyNote& note) const;

  // Spends by hand. Conflict, "insufficient_balance", when more than remaining(). Nothing, when it would fit
  // but nodes have leased it: they were asked to give back, so commit, wait a little, try again
  // (until_given_back does).
  std::optional<MoneyResult> debit(storage::Transaction& tx, core::PlatformId platform, AccountId account,
                                   core::NanoUsd amount, std::int64_t tokens, const MoneyNote& note) const;

  // One entry per thing that changed; the result has the first, and a patch that changes nothing has an
  // "adjustment" of 0. A wallet takes low_balance_threshold and is_suspended only.
  MoneyResult patch(storage::Transaction& tx, core::PlatformId platform, AccountId account,
                    const AccountPatch& patch, const MoneyNote& note = {}) const;

  // page from 1, limit 1..100.
  EntryPage entries(storage::Transaction& tx, core::PlatformId platform, AccountId account, int page,
                    int limit) const;

 private:
  const core::Clock& clock_;
  core::Random& random_;
  BudgetEventSink* events_;
};

}  // namespace assistiv::billing
