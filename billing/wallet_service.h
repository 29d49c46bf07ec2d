#pragma once
// A platform's wallet as the REST API offers it. Each write is one transaction: the Idempotency-Key, the
// entry, the balance and the audit entry.
#include <functional>
#include <optional>
#include <string>

#include "billing/account_store.h"
#include "billing/actor.h"
#include "billing/idempotency_store.h"
#include "billing/list_page.h"
#include "core/json.h"
#include "core/task.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::billing {

// What the services of money need. Everything outlives them.
struct MoneyWorld {
  storage::Database& database;
  storage::AuditLog& audit;
  const AccountStore& accounts;
  const core::Clock& clock;
};

// Who asks for a write, and how often it may count.
struct MoneyWrite {
  Actor actor;
  std::optional<IdempotencyKey> key;
};

struct WalletMovement {
  core::NanoUsd amount;  // USD; of an adjustment below zero to take out
  std::string description;
  std::optional<std::string> reason;
  std::string metadata_json = "{}";
};

struct WalletPatch {
  std::optional<core::NanoUsd> low_balance_threshold;
  bool clear_low_balance_threshold = false;
};

core::Json usd_or_null(const std::optional<core::NanoUsd>& amount);
core::Json wallet_json(const Account& wallet);
// An entry of a wallet: `amount` and `balance_after`.
core::Json wallet_entry_json(const LedgerEntry& entry);
// "in", "out", or "none" for an entry that moved nothing of the account's.
std::string direction_of(const LedgerEntry& entry);

// A list in the transport's own shape, newest first.
struct JsonPage {
  std::string rows;  // a JSON array
  std::int64_t total = 0;
};

// Thread-safe. An unknown platform throws NotFound. Faults of input name the member of the body.
class WalletService {
 public:
  static constexpr int kRecent = 5;

  explicit WalletService(MoneyWorld world) : world_(world), once_(world.clock) {}

  // With the five newest transactions.
  core::Task<core::Json> get(core::PlatformId platform);
  core::Task<JsonPage> transactions(core::PlatformId platform, ListRequest page);
  core::Task<MoneyReply> top_up(core::PlatformId platform, WalletMovement movement, MoneyWrite write);
  // A correction by hand, either way; one that takes out more than the balance throws Conflict.
  core::Task<MoneyReply> adjust(core::PlatformId platform, WalletMovement movement, MoneyWrite write);
  core::Task<MoneyReply> patch(core::PlatformId platform, WalletPatch patch, MoneyWrite write);

 private:
  enum class Movement { Payment, Correction };
  std::optional<MoneyReply> take_out(storage::Transaction& tx, core::PlatformId platform,
                                     const WalletMovement& movement, const MoneyWrite& write) const;
  MoneyReply put_in(storage::Transaction& tx, core::PlatformId platform, const WalletMovement& movement,
                    const MoneyWrite& write, Movement kind) const;

  MoneyWorld world_;
  IdempotencyStore once_;
};

// What a debit does while nodes still hold what it needs: repeats `attempt` (one transaction) for up to two
// seconds, then throws Conflict, "balance_held".
core::Task<MoneyReply> until_given_back(std::function<core::Task<std::optional<MoneyReply>>()> attempt);

}  // namespace assistiv::billing
