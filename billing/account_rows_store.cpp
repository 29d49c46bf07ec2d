#include "billing/account_rows.h"

#include <utility>

#include "core/error.h"

namespace assistiv::billing {

namespace {

std::optional<core::NanoUsd> optional_nano(const storage::Row& row, std::string_view column) {
  if (row.is_null(column)) return {};
  return core::NanoUsd{row.integer(column)};
}

std::optional<std::int64_t> optional_integer(const storage::Row& row, std::string_view column) {
  return row.is_null(column) ? std::nullopt : std::optional(row.integer(column));
}

storage::Param integer_param(const std::optional<std::int64_t>& value) {
  return value ? storage::Param(std::to_string(*value)) : std::nullopt;
}

const char* flag(bool value) {
  return value ? "true" : "false";
}

}  // namespace

std::string ms_text(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

std::optional<std::string> nano_param(const std::optional<core::NanoUsd>& amount) {
  return amount ? std::optional(std::to_string(amount->nanos)) : std::nullopt;
}

std::string account_payload(core::PlatformId platform, const std::optional<core::EndUserId>& end_user) {
  return platform.str() + "/" + (end_user ? end_user->str() : "-");
}

std::string account_columns() {
  return "platform_id, account_id, kind, end_user_id, amount_limit, settled, leased, token_limit, "
         "tokens_settled, tokens_leased, period, period_no, assistiv_ms(period_start) period_start, "
         "assistiv_ms(period_end) period_end, auto_replenish, replenish_amount, low_balance_threshold, "
         "low_balance_armed, is_suspended, version, assistiv_ms(created_at) created_at, "
         "assistiv_ms(updated_at) updated_at";
}

Account account_of(const storage::Row& row) {
  Account out;
  out.id = row.id<AccountId>("account_id");
  out.platform_id = row.id<core::PlatformId>("platform_id");
  out.kind = row.text("kind") == "wallet" ? AccountKind::Wallet : AccountKind::Budget;
  out.end_user_id = row.optional_id<core::EndUserId>("end_user_id");
  out.limit = optional_nano(row, "amount_limit");
  out.settled = {row.integer("settled")};
  out.leased = {row.integer("leased")};
  out.token_limit = optional_integer(row, "token_limit");
  out.tokens_settled = row.integer("tokens_settled");
  out.tokens_leased = row.integer("tokens_leased");
  out.period = budget_period_of(row.text("period")).value();
  out.period_no = row.integer("period_no");
  out.period_start = row.time("period_start");
  out.resets_at = row.optional_time("period_end");
  out.auto_replenish = row.boolean("auto_replenish");
  out.replenish_amount = optional_nano(row, "replenish_amount");
  out.low_balance_threshold = optional_nano(row, "low_balance_threshold");
  out.low_balance_armed = row.boolean("low_balance_armed");
  out.is_suspended = row.boolean("is_suspended");
  out.version = row.integer("version");
  out.created_at = row.time("created_at");
  out.updated_at = row.time("updated_at");
  return out;
}

bool roll_over(Account& account, core::Time now) {
  if (!account.resets_at || now < *account.resets_at) return false;
  const auto window = period_window(account.period, now);
  ++account.period_no;
  account.period_start = window.start;
  account.resets_at = window.end;
  account.settled = account.leased = {};
  account.tokens_settled = account.tokens_leased = 0;
  account.low_balance_armed = true;
  if (account.auto_replenish && account.limit) account.limit = account.replenish_amount;
  return true;
}

LedgerEntry entry_for(const Account& account, const core::Clock& clock, core::Random& random) {
  LedgerEntry out;
  out.id = core::Uuid::v7(clock, random);
  out.account_id = account.id;
  out.limit_after = account.limit;
  out.settled_after = account.settled;
  out.token_limit_after = account.token_limit;
  out.tokens_settled_after = account.tokens_settled;
  out.created_at = clock.now();
  return out;
}

void write_entry(storage::Transaction& tx, const Account& account, const LedgerEntry& entry) {
  tx.exec(
      "insert into ledger_entry (platform_id, account_id, entry_id, period_no, type, debit, credit, amount, "
      "tokens, calls, limit_after, settled_after, token_limit_after, tokens_settled_after, description, "
      "reason, "
      "metadata, created_at) values ($1::uuid, $2::uuid, $3::uuid, "
      "$4::bigint, $5, $6, $7, $8::bigint, $9::bigint, $10::int, $11::bigint, $12::bigint, $13::bigint, "
      "$14::bigint, $15, $16, $17::jsonb, assistiv_time($18::bigint))",
      {account.platform_id.str(), account.id.str(), entry.id.str(), std::to_string(account.period_no),
       entry.type, entry.debit, entry.credit, std::to_string(entry.amount.nanos),
       std::to_string(entry.tokens), std::to_string(entry.calls), nano_param(entry.limit_after),
       std::to_string(entry.settled_after.nanos), integer_param(entry.token_limit_after),
       std::to_string(entry.tokens_settled_after), entry.description, entry.reason, entry.metadata_json,
       ms_text(entry.created_at)});
}

void write_account(storage::Transaction& tx, Account& account, core::Time now) {
  ++account.version;
  account.updated_at = now;
  tx.exec(
      "update account set amount_limit = $3::bigint, settled = $4::bigint, leased = $5::bigint, "
      "token_limit = $6::bigint, tokens_settled = $7::bigint, tokens_leased = $8::bigint, period = $9, "
      "period_no = $10::bigint, period_start = assistiv_time($11::bigint), "
      "period_end = assistiv_time($12::bigint), auto_replenish = $13::boolean, "
      "replenish_amount = $14::bigint, low_balance_threshold = $15::bigint, low_balance_armed = "
      "$16::boolean, "
      "is_suspended = $17::boolean, version = $18::bigint, updated_at = assistiv_time($19::bigint) "
      "where platform_id = $1::uuid and account_id = $2::uuid",
      {account.platform_id.str(), account.id.str(), nano_param(account.limit),
       std::to_string(account.settled.nanos), std::to_string(account.leased.nanos),
       integer_param(account.token_limit), std::to_string(account.tokens_settled),
       std::to_string(account.tokens_leased), std::string(to_string(account.period)),
       std::to_string(account.period_no), ms_text(account.period_start),
       account.resets_at ? storage::Param(ms_text(*account.resets_at)) : std::nullopt,
       flag(account.auto_replenish), nano_param(account.replenish_amount),
       nano_param(account.low_balance_threshold), flag(account.low_balance_armed), flag(account.is_suspended),
       std::to_string(account.version), ms_text(now)});
  tx.notify(kAccountTopic, account_payload(account.platform_id, account.end_user_id));
}

void roll_over_row(storage::Transaction& tx, Account& account, const core::Clock& clock,
                   core::Random& random) {
  const auto before = account.limit;
  if (!roll_over(account, clock.now())) return;
  write_account(tx, account, clock.now());
  if (account.limit == before) return;
  auto entry = entry_for(account, clock, random);
  const bool more = *account.limit > *before;
  entry.type = "replenish";
  entry.debit = more ? "external" : "allowance";
  entry.credit = more ? "allowance" : "external";
  entry.amount = more ? *account.limit - *before : *before - *account.limit;
  entry.description = "New period";
  write_entry(tx, account, entry);
}

BudgetEvent event_of(BudgetEventType type, const Account& account, const LedgerEntry& entry) {
  return {.event_type = type,
          .created_at = entry.created_at,
          .platform_id = account.platform_id,
          .end_user_id = account.end_user_id.value(),
          .budget_id = account.id,
          .transaction_id = entry.id,
          .type = entry.type,
          .amount = entry.amount,
          .tokens = entry.tokens,
          .max_after = entry.limit_after,
          .used_after = entry.settled_after,
          .remaining_after = entry.remaining_after(),
          .reason = entry.reason,
          .metadata_json = entry.metadata_json};
}

bool crossed_low_balance(Account& account) {
  const auto left = account.remaining();
  if (!account.low_balance_armed || !account.low_balance_threshold || !left) return false;
  if (*left >= *account.low_balance_threshold) return false;
  account.low_balance_armed = false;
  return true;
}

}  // namespace assistiv::billing
