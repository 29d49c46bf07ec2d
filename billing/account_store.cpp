#include "billing/account_store.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "billing/account_rows.h"
#include "core/error.h"

namespace assistiv::billing {

namespace {

constexpr int kEntriesMax = 100;
// A quarter of the range, so that a sum of a limit and a top-up is never out of it.
constexpr std::int64_t kMoneyMax = std::int64_t{1} << 61;

core::Error invalid(std::string field, std::string message) {
  return core::bad_request(std::move(message), std::move(field));
}

void check_amount(const std::optional<core::NanoUsd>& amount, std::int64_t min, const char* field) {
  if (amount && (amount->nanos < min || amount->nanos > kMoneyMax)) {
    throw invalid(field, min > 0 ? "The amount must be above zero." : "The amount must not be negative.");
  }
}

void check_tokens(const std::optional<std::int64_t>& tokens, std::int64_t min, const char* field) {
  if (tokens && (*tokens < min || *tokens > kMoneyMax)) {
    throw invalid(field, min > 0 ? "The tokens must be above zero." : "The tokens must not be negative.");
  }
}

std::optional<Account> locked(storage::Transaction& tx, core::PlatformId platform, AccountId id) {
  const auto rows =
      tx.exec("select " + account_columns() +
                  " from account where platform_id = $1::uuid and account_id = $2::uuid for no key update",
              {platform.str(), id.str()});
  return rows.empty() ? std::nullopt : std::optional(account_of(rows[0]));
}

Account need_locked(storage::Transaction& tx, core::PlatformId platform, AccountId id) {
  auto account = locked(tx, platform, id);
  if (!account) throw core::not_found("There is no such wallet or budget.");
  return *std::move(account);
}

constexpr std::string_view kEntryColumns =
    "entry_id, account_id, type, debit, credit, amount, tokens, calls, limit_after, settled_after, "
    "token_limit_after, tokens_settled_after, description, reason, metadata, assistiv_ms(created_at) "
    "created_at";

LedgerEntry entry_of(const storage::Row& row) {
  LedgerEntry out;
  out.id = core::Uuid::parse(row.text("entry_id")).value();
  out.account_id = row.id<AccountId>("account_id");
  out.type = row.text("type");
  out.debit = row.text("debit");
  out.credit = row.text("credit");
  out.amount = {row.integer("amount")};
  out.tokens = row.integer("tokens");
  out.calls = row.integer("calls");
  if (!row.is_null("limit_after")) out.limit_after = core::NanoUsd{row.integer("limit_after")};
  out.settled_after = {row.integer("settled_after")};
  if (!row.is_null("token_limit_after")) out.token_limit_after = row.integer("token_limit_after");
  out.tokens_settled_after = row.integer("tokens_settled_after");
  out.description = row.text("description");
  out.reason = row.optional_text("reason");
  out.metadata_json = row.optional_text("metadata").value_or("{}");
  out.created_at = row.time("created_at");
  return out;
}

LedgerEntry noted(LedgerEntry entry, std::string type, const char* debit, const char* credit,
                  const MoneyNote& note) {
  entry.type = std::move(type);
  entry.debit = debit;
  entry.credit = credit;
  entry.description = note.description;
  entry.reason = note.reason;
  entry.metadata_json = note.metadata_json;
  return entry;
}

void check_new(const NewBudget& input) {
  if (!input.limit && !input.token_limit) throw invalid("limit", "A budget caps USD, tokens, or both.");
  check_amount(input.limit, 1, "limit");
  check_tokens(input.token_limit, 1, "token_limit");
  check_amount(input.replenish_amount, 0, "replenish_amount");
  check_amount(input.low_balance_threshold, 0, "low_balance_threshold");
  if (input.auto_replenish && !input.replenish_amount) {
    throw invalid("replenish_amount", "auto_replenish needs a replenish_amount.");
  }
}

void check_patch(const AccountPatch& patch, const Account& account) {
  const bool wallet = account.kind == AccountKind::Wallet;
  if (wallet &&
      (patch.limit || patch.token_limit || patch.period || patch.auto_replenish || patch.replenish_amount)) {
    throw invalid("limit", "A wallet has no cap and no period: top it up.");
  }
  check_amount(patch.limit, 0, "limit");
  check_tokens(patch.token_limit, 0, "token_limit");
  check_amount(patch.replenish_amount, 0, "replenish_amount");
  check_amount(patch.low_balance_threshold, 0, "low_balance_threshold");
  const bool replenish = patch.auto_replenish.value_or(account.auto_replenish);
  if (replenish && !patch.replenish_amount && !account.replenish_amount) {
    throw invalid("replenish_amount", "auto_replenish needs a replenish_amount.");
  }
}

void change_settings(Account& account, const AccountPatch& patch, core::Time now) {
  if (patch.auto_replenish) account.auto_replenish = *patch.auto_replenish;
  if (patch.replenish_amount) account.replenish_amount = patch.replenish_amount;
  if (patch.low_balance_threshold || patch.clear_low_balance_threshold) {
    account.low_balance_threshold = patch.low_balance_threshold;
    account.low_balance_armed = true;
  }
  if (patch.period && *patch.period != account.period) {
    const auto window = period_window(*patch.period, now);
    account.period = *patch.period;
    ++account.period_no;
    account.period_start = window.start;
    account.resets_at = window.end;
    account.settled = account.leased = {};
    account.tokens_settled = account.tokens_leased = 0;
    account.low_balance_armed = true;
  }
}

// What moved the limits: "adjustment" entries, up and down apart, because an entry has one direction.
std::vector<LedgerEntry> limit_entries(Account& account, const AccountPatch& patch, const MoneyNote& note,
                                       const core::Clock& clock, core::Random& random) {
  const std::int64_t old_amount = account.limit ? account.limit->nanos : 0;
  const std::int64_t old_tokens = account.token_limit.value_or(0);
  if (patch.limit) account.limit = patch.limit;
  if (patch.token_limit) account.token_limit = patch.token_limit;
  const auto amount = (account.limit ? account.limit->nanos : 0) - old_amount;
  const auto tokens = account.token_limit.value_or(0) - old_tokens;
  if (amount > 0 || tokens > 0) account.low_balance_armed = true;
  std::vector<LedgerEntry> out;
  if (amount > 0 || tokens > 0) {
    out.push_back(noted(entry_for(account, clock, random), "adjustment", "external", "allowance", note));
    out.back().amount = {std::max<std::int64_t>(amount, 0)};
    out.back().tokens = std::max<std::int64_t>(tokens, 0);
  }
  if (amount < 0 || tokens < 0) {
    out.push_back(noted(entry_for(account, clock, random), "adjustment", "allowance", "external", note));
    out.back().amount = {std::max<std::int64_t>(-amount, 0)};
    out.back().tokens = std::max<std::int64_t>(-tokens, 0);
  }
  return out;
}

bool fits(const Account& account, std::int64_t amount, std::int64_t tokens) {
  return (!account.limit || account.settled.nanos + account.leased.nanos + amount <= account.limit->nanos) &&
         (!account.token_limit ||
          account.tokens_settled + account.tokens_leased + tokens <= *account.token_limit);
}

void check_move(const Account& account, core::NanoUsd amount, std::int64_t tokens) {
  check_amount(amount, 0, "amount");
  check_tokens(tokens, 0, "tokens");
  if (amount.nanos == 0 && tokens == 0) throw invalid("amount", "The amount must be above zero.");
  if (amount.nanos > 0 && !account.limit) throw invalid("amount", "This budget has no cap in USD.");
  if (tokens > 0 && !account.token_limit) throw invalid("tokens", "This budget has no cap in tokens.");
}

}  // namespace

std::string_view to_string(BudgetEventType type) {
  switch (type) {
    case BudgetEventType::ToppedUp:
      return "budget.topped_up";
    case BudgetEventType::Debited:
      return "budget.debited";
    case BudgetEventType::LowBalance:
      return "budget.low_balance";
    case BudgetEventType::Suspended:
      return "budget.suspended";
    case BudgetEventType::Unsuspended:
      return "budget.unsuspended";
  }
  return "budget.debited";
}

std::string BudgetEvent::event_id() const {
  return transaction_id.str() + ":" + std::string(to_string(event_type));
}

std::string_view to_string(BudgetPeriod period) {
  switch (period) {
    case BudgetPeriod::OneTime:
      return "one_time";
    case BudgetPeriod::Daily:
      return "daily";
    case BudgetPeriod::Monthly:
      return "monthly";
  }
  return "one_time";
}

std::optional<BudgetPeriod> budget_period_of(std::string_view text) {
  for (const auto period : {BudgetPeriod::OneTime, BudgetPeriod::Daily, BudgetPeriod::Monthly}) {
    if (text == to_string(period)) return period;
  }
  return {};
}

PeriodWindow period_window(BudgetPeriod period, core::Time now) {
  const auto day = std::chrono::floor<std::chrono::days>(now);
  switch (period) {
    case BudgetPeriod::OneTime:
      return {now, {}};
    case BudgetPeriod::Daily:
      return {core::Time(day), core::Time(day + std::chrono::days(1))};
    case BudgetPeriod::Monthly: {
      const std::chrono::year_month_day date(day);
      const auto month = date.year() / date.month();
      return {core::Time(std::chrono::sys_days(month / 1)),
              core::Time(std::chrono::sys_days((month + std::chrono::months(1)) / 1))};
    }
  }
  return {now, {}};
}

std::optional<core::NanoUsd> Account::remaining() const {
  return limit ? std::optional(*limit - settled) : std::nullopt;
}

std::optional<std::int64_t> Account::tokens_remaining() const {
  return token_limit ? std::optional(*token_limit - tokens_settled) : std::nullopt;
}

std::optional<core::NanoUsd> LedgerEntry::remaining_after() const {
  return limit_after ? std::optional(*limit_after - settled_after) : std::nullopt;
}

Account AccountStore::wallet(storage::Transaction& tx, core::PlatformId platform) const {
  const std::string select =
      "select " + account_columns() + " from account where platform_id = $1::uuid and kind = 'wallet'";
  auto rows = tx.exec(select, {platform.str()});
  if (rows.empty()) {
    tx.exec(
        "insert into account (platform_id, account_id, kind, amount_limit, period_start, created_at, "
        "updated_at) values ($1::uuid, $2::uuid, 'wallet', 0, assistiv_time($3::bigint), "
        "assistiv_time($3::bigint), assistiv_time($3::bigint)) "
        "on conflict (platform_id) where kind = 'wallet' do nothing",
        {platform.str(), AccountId::make(clock_, random_).str(), ms_text(clock_.now())});
    rows = tx.exec(select, {platform.str()});
  }
  return account_of(rows[0]);
}

std::optional<Account> AccountStore::budget(storage::Transaction& tx, core::PlatformId platform,
                                            core::EndUserId end_user) const {
  const auto rows =
      tx.exec("select " + account_columns() +
                  " from account where platform_id = $1::uuid and end_user_id = $2::uuid and kind = 'budget'",
              {platform.str(), end_user.str()});
  if (rows.empty()) return {};
  auto account = account_of(rows[0]);
  roll_over(account, clock_.now());
  return account;
}

MoneyResult AccountStore::create_budget(storage::Transaction& tx, core::PlatformId platform,
                                        core::EndUserId end_user, const NewBudget& input,
                                        const MoneyNote& note) const {
  check_new(input);
  const auto now = clock_.now();
  const auto window = period_window(input.period, now);
  const auto rows = tx.exec(
      "insert into account (platform_id, account_id, kind, end_user_id, amount_limit, token_limit, period, "
      "period_start, period_end, auto_replenish, replenish_amount, low_balance_threshold, created_at, "
      "updated_at) values ($1::uuid, $2::uuid, 'budget', $3::uuid, $4::bigint, $5::bigint, $6, "
      "assistiv_time($7::bigint), assistiv_time($8::bigint), $9::boolean, $10::bigint, $11::bigint, "
      "assistiv_time($12::bigint), assistiv_time($12::bigint)) "
      "on conflict (platform_id, end_user_id) where kind = 'budget' do nothing returning " +
          account_columns(),
      {platform.str(), AccountId::make(clock_, random_).str(), end_user.str(), nano_param(input.limit),
       input.token_limit ? storage::Param(std::to_string(*input.token_limit)) : std::nullopt,
       std::string(to_string(input.period)), ms_text(window.start),
       window.end ? storage::Param(ms_text(*window.end)) : std::nullopt,
       input.auto_replenish ? "true" : "false", nano_param(input.replenish_amount),
       nano_param(input.low_balance_threshold), ms_text(now)});
  if (rows.empty()) throw core::conflict("This end user has a budget. Change it, or top it up.");
  MoneyResult out{account_of(rows[0]), {}};
  out.entry = noted(entry_for(out.account, clock_, random_), "opening", "external", "allowance", note);
  out.entry.amount = input.limit.value_or(core::NanoUsd{});
  out.entry.tokens = input.token_limit.value_or(0);
  write_entry(tx, out.account, out.entry);
  tx.notify(kAccountTopic, account_payload(platform, end_user));
  return out;
}

MoneyResult AccountStore::top_up(storage::Transaction& tx, core::PlatformId platform, AccountId id,
                                 core::NanoUsd amount, std::int64_t tokens, const MoneyNote& note) const {
  auto account = need_locked(tx, platform, id);
  check_move(account, amount, tokens);
  roll_over_row(tx, account, clock_, random_);
  if (amount.nanos > 0) account.limit = *account.limit + amount;
  if (tokens > 0) account.token_limit = *account.token_limit + tokens;
  if ((account.limit && account.limit->nanos > kMoneyMax) || account.token_limit.value_or(0) > kMoneyMax) {
    throw invalid("amount", "The balance would be out of range.");
  }
  account.low_balance_armed = true;
  auto entry = noted(entry_for(account, clock_, random_), note.correction ? "adjustment" : "top_up",
                     "external", "allowance", note);
  entry.amount = amount;
  entry.tokens = tokens;
  write_account(tx, account, clock_.now());
  write_entry(tx, account, entry);
  if (account.end_user_id && events_)
    events_->record(tx, event_of(BudgetEventType::ToppedUp, account, entry));
  return {account, entry};
}

std::optional<MoneyResult> AccountStore::debit(storage::Transaction& tx, core::PlatformId platform,
                                               AccountId id, core::NanoUsd amount, std::int64_t tokens,
                                               const MoneyNote& note) const {
  auto account = need_locked(tx, platform, id);
  check_move(account, amount, tokens);
  roll_over_row(tx, account, clock_, random_);
  if (!fits(account, amount.nanos, tokens)) {
    auto without_leases = account;
    without_leases.leased = {};
    without_leases.tokens_leased = 0;
    if (!fits(without_leases, amount.nanos, tokens)) {
      throw core::conflict("The debit is more than what remains.").with_code("insufficient_balance");
    }
    tx.notify(kRecallTopic, account_payload(platform, account.end_user_id));
    return {};
  }
  account.settled = account.settled + amount;
  account.tokens_settled += tokens;
  const bool low = crossed_low_balance(account);
  auto entry = noted(entry_for(account, clock_, random_), note.correction ? "adjustment" : "debit",
                     "allowance", "spent", note);
  entry.amount = amount;
  entry.tokens = tokens;
  write_account(tx, account, clock_.now());
  write_entry(tx, account, entry);
  if (account.end_user_id && events_) {
    events_->record(tx, event_of(BudgetEventType::Debited, account, entry));
    if (low) events_->record(tx, event_of(BudgetEventType::LowBalance, account, entry));
  }
  return MoneyResult{account, entry};
}

MoneyResult AccountStore::patch(storage::Transaction& tx, core::PlatformId platform, AccountId id,
                                const AccountPatch& patch, const MoneyNote& note) const {
  auto account = need_locked(tx, platform, id);
  check_patch(patch, account);
  roll_over_row(tx, account, clock_, random_);
  change_settings(account, patch, clock_.now());
  auto entries = limit_entries(account, patch, note, clock_, random_);
  if (patch.is_suspended && *patch.is_suspended != account.is_suspended) {
    account.is_suspended = *patch.is_suspended;
    entries.push_back(noted(entry_for(account, clock_, random_),
                            account.is_suspended ? "suspended" : "unsuspended", "external", "allowance",
                            note));
  }
  if (entries.empty()) {
    entries.push_back(
        noted(entry_for(account, clock_, random_), "adjustment", "external", "allowance", note));
  }
  write_account(tx, account, clock_.now());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    write_entry(tx, account, entries[i]);
    const bool flip = entries[i].type == "suspended" || entries[i].type == "unsuspended";
    if (!flip || !account.end_user_id || !events_) continue;
    events_->record(tx,
                    event_of(account.is_suspended ? BudgetEventType::Suspended : BudgetEventType::Unsuspended,
                             account, entries[i]));
  }
  return {account, entries.front()};
}

EntryPage AccountStore::entries(storage::Transaction& tx, core::PlatformId platform, AccountId account,
                                int page, int limit) const {
  if (page < 1 || page > 1'000'000) throw invalid("page", "page must be 1 or more.");
  if (limit < 1 || limit > kEntriesMax) throw invalid("limit", "limit must be 1 to 100.");
  EntryPage out;
  out.total = tx.exec(
                    "select count(*) total from ledger_entry where platform_id = $1::uuid and "
                    "account_id = $2::uuid",
                    {platform.str(), account.str()})[0]
                  .integer("total");
  const auto offset = std::to_string(static_cast<std::int64_t>(page - 1) * limit);
  for (const auto row : tx.exec("select " + std::string(kEntryColumns) +
                                    " from ledger_entry where platform_id = $1::uuid and account_id = "
                                    "$2::uuid order by seq desc limit $3::int offset $4::bigint",
                                {platform.str(), account.str(), std::to_string(limit), offset})) {
    out.items.push_back(entry_of(row));
  }
  return out;
}

}  // namespace assistiv::billing
