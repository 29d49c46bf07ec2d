#pragma once
// Reading, rolling over and writing rows of `account` and `ledger_entry`, for the stores of the ledger.
// Callers hold the row's lock (for no key update) where they write.
#include <optional>
#include <string>
#include <string_view>

#include "billing/account_store.h"

namespace assistiv::billing {

// The columns of account_of, without a prefix.
std::string account_columns();
Account account_of(const storage::Row& row);

// True when the period of `account` was over: now a new one is open, settled and leased are 0, an automatic
// replenishment is in the limit. In memory only; write with write_account.
bool roll_over(Account& account, core::Time now);

// A new entry with the account's figures after it.
LedgerEntry entry_for(const Account& account, const core::Clock& clock, core::Random& random);
void write_entry(storage::Transaction& tx, const Account& account, const LedgerEntry& entry);

// The period, limits and settings as they are in `account`; settled and leased too. Counts the version up and
// tells the nodes.
void write_account(storage::Transaction& tx, Account& account, core::Time now);

// Rolls a locked account over in the database, with its replenishment entry. Does nothing within the period.
void roll_over_row(storage::Transaction& tx, Account& account, const core::Clock& clock,
                   core::Random& random);

// Topic and payload of what write_account sends.
inline constexpr std::string_view kAccountTopic = "account";
// "<platform>/<end user or ->": nodes give back what they lease of it and do not use.
inline constexpr std::string_view kRecallTopic = "account.recall";
std::string account_payload(core::PlatformId platform, const std::optional<core::EndUserId>& end_user);

BudgetEvent event_of(BudgetEventType type, const Account& account, const LedgerEntry& entry);
// budget.low_balance when the account is armed and below its threshold; disarms it in memory and says so.
bool crossed_low_balance(Account& account);

std::string ms_text(core::Time time);
std::optional<std::string> nano_param(const std::optional<core::NanoUsd>& amount);

}  // namespace assistiv::billing
