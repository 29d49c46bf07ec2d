#pragma once
// An end user's budget as the REST API offers it. Each write is one transaction: the Idempotency-Key, the
// entry, the balance, the webhook's message and the audit entry.
#include <optional>
#include <string>

#include "billing/account_store.h"
#include "billing/wallet_service.h"

namespace assistiv::billing {

struct BudgetMovement {
  core::NanoUsd amount;  // of USD, tokens, or both
  std::int64_t tokens = 0;
  std::string description;
  std::optional<std::string> reason;
  std::string metadata_json = "{}";
};

core::Json budget_json(const Account& budget);
// An entry of a budget: the names of a webhook's data.
core::Json budget_entry_json(const LedgerEntry& entry);

// Thread-safe. An end user without a budget (or no end user) throws NotFound. Faults of input name the member
// of the body.
class BudgetService {
 public:
  explicit BudgetService(MoneyWorld world) : world_(world), once_(world.clock) {}

  core::Task<core::Json> get(core::PlatformId platform, core::EndUserId end_user);
  core::Task<JsonPage> transactions(core::PlatformId platform, core::EndUserId end_user, ListRequest page);
  core::Task<MoneyReply> create(core::PlatformId platform, core::EndUserId end_user, NewBudget input,
                                MoneyWrite write);
  core::Task<MoneyReply> patch(core::PlatformId platform, core::EndUserId end_user, AccountPatch patch,
                               std::optional<std::string> reason, MoneyWrite write);
  core::Task<MoneyReply> top_up(core::PlatformId platform, core::EndUserId end_user, BudgetMovement movement,
                                MoneyWrite write);
  core::Task<MoneyReply> debit(core::PlatformId platform, core::EndUserId end_user, BudgetMovement movement,
                               MoneyWrite write);

  // A monthly budget for an end user that this transaction has just made (settings.default_budget_usd).
  void open_default(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user,
                    core::NanoUsd limit, const Actor& actor) const;

 private:
  Account found(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user) const;
  void trail(storage::Transaction& tx, const Actor& actor, const std::string& event,
             const MoneyResult& result) const;
  std::optional<MoneyReply> take_out(storage::Transaction& tx, core::PlatformId platform,
                                     core::EndUserId end_user, const BudgetMovement& movement,
                                     const MoneyWrite& write) const;

  MoneyWorld world_;
  IdempotencyStore once_;
};

}  // namespace assistiv::billing
