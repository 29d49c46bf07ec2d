#pragma once
// What happens to an end user's budget and may interest its platform. Recorded in the transaction that makes
// it true, so an event exists exactly when its change does. Webhooks implement the sink as an outbox.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/ids.h"
#include "core/money.h"
#include "storage/database.h"

namespace assistiv::billing {

using AccountId = core::Id<struct AccountTag>;

enum class BudgetEventType { ToppedUp, Debited, LowBalance, Suspended, Unsuspended };
// "budget.topped_up", "budget.debited", "budget.low_balance", "budget.suspended", "budget.unsuspended"
std::string_view to_string(BudgetEventType type);

struct BudgetEvent {
  BudgetEventType event_type;
  core::Time created_at;
  core::PlatformId platform_id;
  core::EndUserId end_user_id;
  AccountId budget_id;
  core::Uuid transaction_id;  // ledger_entry.entry_id
  std::string type;           // of the entry: "top_up", "debit", "llm_usage", ...
  core::NanoUsd amount;       // of the entry; positive, the type gives the direction
  std::int64_t tokens = 0;
  // After the entry; absent for a budget without a cap in USD.
  std::optional<core::NanoUsd> max_after;
  core::NanoUsd used_after;
  std::optional<core::NanoUsd> remaining_after;
  std::optional<std::string> reason;
  std::string metadata_json = "{}";

  // "<transaction_id>:<event_type>": the same change gives the same id.
  std::string event_id() const;
};

// Thread-safe; called on database threads.
class BudgetEventSink {
 public:
  virtual ~BudgetEventSink() = default;
  // False when nobody of the platform listens to this type: asked per account in the settlement of every
  // batch, so it must answer from memory. A wrong true costs one record().
  virtual bool wants(core::PlatformId /*platform*/, BudgetEventType /*type*/) { return true; }
  // Work of a transaction: it may run more than once, and the transaction may be the system's.
  virtual void record(storage::Transaction& tx, const BudgetEvent& event) = 0;
};

}  // namespace assistiv::billing
