// The books against each other: accounts are the cache, entries and usage rows the truth.
#include "billing/ledger.h"
#include "storage/database.h"

namespace assistiv::billing {

namespace {

constexpr char kVerify[] =
    "select a.account_id, a.kind, coalesce(a.amount_limit, 0) amount_limit, a.settled, a.leased, "
    "a.amount_limit is null or a.amount_limit = e.allowance limit_ok, "
    "a.token_limit is null or a.token_limit = e.token_allowance token_limit_ok, "
    "a.settled = e.spent and (a.token_limit is null or a.tokens_settled = e.tokens_spent) settled_ok, "
    "a.leased = l.amount and a.tokens_leased = l.tokens leased_ok, "
    "e.used, e.written_off, u.cost usage_cost, "
    "a.amount_limit is null or a.settled + a.leased <= greatest(a.amount_limit, e.allowance_max) "
    "within_limit "
    "from account a "
    "cross join lateral (select "
    "  coalesce(sum(amount) filter (where debit = 'external' and credit = 'allowance'), 0)::bigint "
    "  - coalesce(sum(amount) filter (where debit = 'allowance' and credit = 'external'), 0)::bigint "
    "allowance, "
    "  coalesce(sum(tokens) filter (where debit = 'external' and credit = 'allowance'), 0)::bigint "
    "  - coalesce(sum(tokens) filter (where debit = 'allowance' and credit = 'external'), 0)::bigint "
    "  token_allowance, "
    "  coalesce(max(limit_after), 0) allowance_max, "
    "  coalesce(sum(amount) filter (where debit = 'allowance' and credit = 'spent' and period_no = "
    "  a.period_no), 0)::bigint spent, "
    "  coalesce(sum(tokens) filter (where debit = 'allowance' and credit = 'spent' and period_no = "
    "  a.period_no), 0)::bigint tokens_spent, "
    "  coalesce(sum(amount) filter (where type in ('llm_usage', 'mcp_usage', 'agent_usage')), 0)::bigint "
    "used, "
    "  coalesce(sum(amount) filter (where type = 'write_off'), 0)::bigint written_off "
    "  from ledger_entry where platform_id = a.platform_id and account_id = a.account_id) e "
    "cross join lateral (select coalesce(sum(amount), 0)::bigint amount, coalesce(sum(tokens), 0)::bigint "
    "  tokens from account_lease where platform_id = a.platform_id and account_id = a.account_id "
    "  and period_no = a.period_no) l "
    "cross join lateral (select coalesce(sum(cost + unbilled), 0)::bigint cost from usage_row "
    "  where platform_id = a.platform_id and (a.kind = 'wallet' or budget_id = a.account_id)) u "
    "where a.platform_id = $1::uuid order by a.kind desc, a.account_id";

AccountReport report_of(const storage::Row& row) {
  AccountReport out;
  out.account_id = row.text("account_id");
  out.kind = row.text("kind");
  out.limit_ok = row.boolean("limit_ok") && row.boolean("token_limit_ok");
  out.settled_ok = row.boolean("settled_ok");
  out.leased_ok = row.boolean("leased_ok");
  out.within_limit = row.boolean("within_limit");
  out.limit = row.integer("amount_limit");
  out.settled = row.integer("settled");
  out.leased = row.integer("leased");
  out.entries = row.integer("used");
  out.usage = row.integer("usage_cost");
  out.written_off = row.integer("written_off");
  out.usage_ok = out.entries + out.written_off == out.usage;
  return out;
}

LedgerReport read_report(storage::Transaction& tx, core::PlatformId platform) {
  LedgerReport out;
  // One statement: one snapshot, whatever is committed meanwhile.
  for (const auto row : tx.exec(kVerify, {platform.str()})) {
    out.accounts.push_back(report_of(row));
    const auto& account = out.accounts.back();
    out.balanced = out.balanced && account.limit_ok && account.settled_ok && account.leased_ok &&
                   account.usage_ok && account.within_limit;
  }
  return out;
}

}  // namespace

core::Task<LedgerReport> verify_ledger(storage::Database* database, core::PlatformId platform) {
  co_return co_await database->run(storage::Scope::tenant(platform), [platform](storage::Transaction& tx) {
    return read_report(tx, platform);
  });
}

core::Task<std::vector<core::PlatformId>> ledger_platforms(storage::Database* database) {
  co_return co_await database->run(storage::Scope::system(), [](storage::Transaction& tx) {  // all of them
    std::vector<core::PlatformId> out;
    for (const auto row : tx.exec("select platform_id from account where kind = 'wallet' order by 1")) {
      out.push_back(row.id<core::PlatformId>("platform_id"));
    }
    return out;
  });
}

}  // namespace assistiv::billing
