#include "billing/settle_store.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "billing/account_rows.h"
#include "billing/usage_row_store.h"
#include "core/error.h"
#include "storage/text_array.h"

namespace assistiv::billing {

namespace {

constexpr char kSettleLate[] = "settle_late";

using AccountKey = std::pair<core::PlatformId, AccountId>;

std::string_view entry_type_of(const std::string& request_type) {
  if (request_type == "mcp_tool") return "mcp_usage";
  if (request_type == "agent") return "agent_usage";
  return "llm_usage";
}

// The calls of one account, one period and one kind of use: one entry.
struct Group {
  std::string_view type;
  std::int64_t cost = 0;
  std::int64_t tokens = 0;
  std::int64_t calls = 0;
  std::string model;
  std::vector<std::size_t> members;  // indices of calls
  std::int64_t unpaid = 0;
};

// (platform, account, period, type) in the order in which accounts are locked.
using GroupKey = std::tuple<core::PlatformId, AccountId, std::int64_t, std::string_view>;
using Groups = std::map<GroupKey, Group>;

struct Lease {
  std::int64_t amount = 0;
  std::int64_t tokens = 0;
  std::int64_t paid = 0;
  std::int64_t tokens_paid = 0;
};

struct Plan {
  std::map<AccountKey, Account> accounts;
  std::map<std::tuple<core::PlatformId, AccountId, std::int64_t>, Lease> leases;
  std::vector<std::pair<AccountKey, LedgerEntry>> entries;
  std::vector<std::int64_t> entry_periods;
};

void add_to(Groups& groups, const SettledCall& call, std::size_t index, const HoldLevel& level) {
  const auto type = entry_type_of(call.hold.facts.request_type);
  auto& group = groups[{call.hold.payer.platform_id, level.account, level.period_no, type}];
  group.type = type;
  group.cost += call.cost;
  group.tokens += call.tokens;
  ++group.calls;
  group.model = call.hold.facts.model;
  group.members.push_back(index);
}

Groups groups_of(const std::vector<SettledCall>& calls, const std::vector<bool>& write) {
  Groups out;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (!write[i] || (calls[i].cost == 0 && calls[i].tokens == 0)) continue;
    add_to(out, calls[i], i, calls[i].hold.wallet);
    if (calls[i].hold.budget) add_to(out, calls[i], i, *calls[i].hold.budget);
  }
  return out;
}

struct KeyArrays {
  storage::TextArray platforms, accounts;
};

KeyArrays keys_of(const Groups& groups) {
  KeyArrays out;
  std::optional<AccountKey> last;
  for (const auto& [key, group] : groups) {
    const AccountKey account{std::get<0>(key), std::get<1>(key)};
    if (account == last) continue;
    out.platforms.add(account.first.str());
    out.accounts.add(account.second.str());
    last = account;
  }
  return out;
}

// Everybody locks accounts in this order.
void lock_accounts(storage::Transaction& tx, std::int64_t epoch, const Groups& groups, Plan& plan) {
  if (groups.empty()) return;
  auto keys = keys_of(groups);
  const auto platforms = keys.platforms.take();
  const auto accounts = keys.accounts.take();
  for (const auto row : tx.exec("select " + account_columns() +
                                    " from account where (platform_id, account_id) in (select * from "
                                    "unnest($1::uuid[], $2::uuid[])) order by platform_id, account_id for no "
                                    "key update",
                                {platforms, accounts})) {
    auto account = account_of(row);
    plan.accounts.emplace(AccountKey{account.platform_id, account.id}, std::move(account));
  }
  for (const auto row :
       tx.exec("select platform_id, account_id, period_no, amount, tokens from account_lease "
               "where epoch = $3::bigint and (platform_id, account_id) in (select * from "
               "unnest($1::uuid[], $2::uuid[]))",
               {platforms, accounts, std::to_string(epoch)})) {
    plan.leases[{row.id<core::PlatformId>("platform_id"), row.id<AccountId>("account_id"),
                 row.integer("period_no")}] = {row.integer("amount"), row.integer("tokens")};
  }
}

// How much of `due` the lease and, beyond it, the account can pay. Moves both.
std::int64_t pay(std::int64_t due, bool limited, bool current, std::int64_t limit, std::int64_t& settled,
                 std::int64_t& leased, std::int64_t& lease, std::int64_t& lease_paid) {
  if (!limited) {
    if (current) settled += due;
    return due;
  }
  const auto from_lease = std::min(due, lease);
  lease -= from_lease;
  lease_paid += from_lease;
  auto paid = from_lease;
  if (current) {
    leased -= from_lease;
    settled += from_lease;
    const auto late = std::clamp<std::int64_t>(limit - settled - leased, 0, due - from_lease);
    settled += late;
    paid += late;
  }
  return paid;
}

LedgerEntry usage_entry(const Account& account, const Group& group, std::int64_t cost, std::int64_t tokens,
                        const core::Clock& clock, core::Random& random) {
  auto entry = entry_for(account, clock, random);
  entry.type = std::string(group.type);
  entry.debit = "allowance";
  entry.credit = "spent";
  entry.amount = {cost};
  entry.tokens = tokens;
  entry.calls = group.calls;
  entry.description =
      group.calls == 1 ? group.model + ": " + std::to_string(group.tokens) + " tokens"
                       : std::to_string(group.calls) + " calls, " + std::to_string(group.tokens) + " tokens";
  return entry;
}

class Planner {
 public:
  Planner(Plan& plan, const core::Clock& clock, core::Random& random)
      : plan_(plan), clock_(clock), random_(random) {}

  void group(const GroupKey& key, Group& group) {
    const AccountKey account_key{std::get<0>(key), std::get<1>(key)};
    const auto period = std::get<2>(key);
    const auto found = plan_.accounts.find(account_key);
    if (found == plan_.accounts.end()) return;  // a budget that went with its end user
    auto& account = found->second;
    auto& lease = plan_.leases[{account_key.first, account_key.second, period}];
    const bool current = account.period_no == period;
    const auto paid =
        pay(group.cost, account.limit.has_value(), current, account.limit ? account.limit->nanos : 0,
            account.settled.nanos, account.leased.nanos, lease.amount, lease.paid);
    const bool counts_tokens = account.token_limit.has_value();
    const auto tokens =
        pay(counts_tokens ? group.tokens : 0, counts_tokens, current, account.token_limit.value_or(0),
            account.tokens_settled, account.tokens_leased, lease.tokens, lease.tokens_paid);
    add(account_key, usage_entry(account, group, paid, tokens, clock_, random_), period);
    group.unpaid = group.cost - paid;
    if (group.unpaid == 0) return;
    auto off = usage_entry(account, group, group.unpaid, 0, clock_, random_);
    off.type = "write_off";
    off.debit = "operator";
    off.calls = 0;
    add(account_key, std::move(off), period);
  }

 private:
  void add(const AccountKey& key, LedgerEntry entry, std::int64_t period) {
    plan_.entries.emplace_back(key, std::move(entry));
    plan_.entry_periods.push_back(period);
  }
  Plan& plan_;
  const core::Clock& clock_;
  core::Random& random_;
};

void write_accounts(storage::Transaction& tx, const Plan& plan, core::Time now) {
  storage::TextArray platforms, ids, settled, leased, tokens_settled, tokens_leased, armed;
  for (const auto& [key, account] : plan.accounts) {
    platforms.add(account.platform_id.str());
    ids.add(account.id.str());
    settled.add(std::to_string(account.settled.nanos));
    leased.add(std::to_string(account.leased.nanos));
    tokens_settled.add(std::to_string(account.tokens_settled));
    tokens_leased.add(std::to_string(account.tokens_leased));
    armed.add(account.low_balance_armed ? "true" : "false");
  }
  tx.exec(
      "update account a set settled = f.s, leased = f.l, tokens_settled = f.ts, tokens_leased = f.tl, "
      "low_balance_armed = f.armed, updated_at = assistiv_time($8::bigint) from unnest($1::uuid[], "
      "$2::uuid[], "
      "$3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::boolean[]) f(p, a, s, l, ts, tl, armed) "
      "where a.platform_id = f.p and a.account_id = f.a",
      {platforms.take(), ids.take(), settled.take(), leased.take(), tokens_settled.take(),
       tokens_leased.take(), armed.take(), ms_text(now)});
}

void write_leases(storage::Transaction& tx, std::int64_t epoch, const Plan& plan, core::Time now) {
  storage::TextArray platforms, ids, periods, amounts, tokens;
  bool any = false;
  for (const auto& [key, lease] : plan.leases) {
    if (lease.paid == 0 && lease.tokens_paid == 0) continue;
    any = true;
    platforms.add(std::get<0>(key).str());
    ids.add(std::get<1>(key).str());
    periods.add(std::to_string(std::get<2>(key)));
    amounts.add(std::to_string(lease.paid));
    tokens.add(std::to_string(lease.tokens_paid));
  }
  if (!any) return;
  tx.exec(
      "update account_lease l set amount = l.amount - f.m, tokens = l.tokens - f.t, "
      "updated_at = assistiv_time($6::bigint) from unnest($1::uuid[], $2::uuid[], $3::bigint[], "
      "$4::bigint[], "
      "$5::bigint[]) f(p, a, n, m, t) where l.platform_id = f.p and l.account_id = f.a and l.period_no = f.n "
      "and l.epoch = $7::bigint",
      {platforms.take(), ids.take(), periods.take(), amounts.take(), tokens.take(), ms_text(now),
       std::to_string(epoch)});
}

void write_entries(storage::Transaction& tx, const Plan& plan, std::int64_t batch) {
  storage::TextArray platforms, accounts, ids, periods, types, debits, amounts, tokens, calls, limits,
      settled, token_limits, tokens_settled, descriptions, times;
  const auto add_optional = [](storage::TextArray& out, const std::optional<std::int64_t>& value) {
    value ? out.add(std::to_string(*value)) : out.add_null();
  };
  for (std::size_t i = 0; i < plan.entries.size(); ++i) {
    const auto& [key, entry] = plan.entries[i];
    platforms.add(key.first.str());
    accounts.add(key.second.str());
    ids.add(entry.id.str());
    periods.add(std::to_string(plan.entry_periods[i]));
    types.add(entry.type);
    debits.add(entry.debit);
    amounts.add(std::to_string(entry.amount.nanos));
    tokens.add(std::to_string(entry.tokens));
    calls.add(std::to_string(entry.calls));
    add_optional(limits, entry.limit_after ? std::optional(entry.limit_after->nanos) : std::nullopt);
    settled.add(std::to_string(entry.settled_after.nanos));
    add_optional(token_limits, entry.token_limit_after);
    tokens_settled.add(std::to_string(entry.tokens_settled_after));
    descriptions.add(entry.description);
    times.add(ms_text(entry.created_at));
  }
  tx.exec(
      "insert into ledger_entry (platform_id, account_id, entry_id, period_no, type, debit, credit, amount, "
      "tokens, calls, batch, limit_after, settled_after, token_limit_after, tokens_settled_after, "
      "description, "
      "created_at) select f.p, f.a, f.id, f.n, f.type, f.debit, 'spent', f.amount, f.tokens, f.calls, "
      "$16::bigint, f.l, f.s, f.tl, f.ts, f.d, assistiv_time(f.at) from unnest($1::uuid[], $2::uuid[], "
      "$3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::int[], "
      "$10::bigint[], "
      "$11::bigint[], $12::bigint[], $13::bigint[], $14::text[], $15::bigint[]) "
      "f(p, a, id, n, type, debit, amount, tokens, calls, l, s, tl, ts, d, at)",
      {platforms.take(), accounts.take(), ids.take(), periods.take(), types.take(), debits.take(),
       amounts.take(), tokens.take(), calls.take(), limits.take(), settled.take(), token_limits.take(),
       tokens_settled.take(), descriptions.take(), times.take(), std::to_string(batch)});
}

void record_events(storage::Transaction& tx, Plan& plan, BudgetEventSink* events) {
  std::map<AccountKey, const LedgerEntry*> last;
  for (const auto& [key, entry] : plan.entries) {
    last[key] = &entry;
    const auto& account = plan.accounts.at(key);
    const bool debit = entry.credit == "spent" && entry.debit == "allowance" && entry.amount.nanos > 0;
    if (debit && events && account.end_user_id && events->wants(key.first, BudgetEventType::Debited))
      events->record(tx, event_of(BudgetEventType::Debited, account, entry));
  }
  for (const auto& [key, entry] : last) {
    auto& account = plan.accounts.at(key);
    if (crossed_low_balance(account) && events && account.end_user_id)
      events->record(tx, event_of(BudgetEventType::LowBalance, account, *entry));
  }
}

// What a wallet could not pay is taken off its calls, the last ones first.
std::vector<UsageRow> rows_of(const std::vector<SettledCall>& calls, const std::vector<bool>& write,
                              const Groups& groups, const Plan& plan) {
  std::map<std::size_t, std::int64_t> unbilled;
  for (const auto& [key, group] : groups) {
    const auto found = plan.accounts.find({std::get<0>(key), std::get<1>(key)});
    if (found == plan.accounts.end() || found->second.kind != AccountKind::Wallet) continue;
    auto left = group.unpaid;
    for (auto it = group.members.rbegin(); it != group.members.rend() && left > 0; ++it) {
      const auto part = std::min(left, calls[*it].cost);
      unbilled[*it] = part;
      left -= part;
    }
  }
  std::vector<UsageRow> out;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (!write[i]) continue;
    const auto found = unbilled.find(i);
    out.push_back({&calls[i], found == unbilled.end() ? 0 : found->second});
  }
  return out;
}

// Careful: which calls are new, and whose platform still exists.
std::vector<bool> new_calls(storage::Transaction& tx, const std::vector<SettledCall>& calls,
                            SettleResult& result) {
  auto known = existing_usage(tx, calls);
  const auto wallets = wallets_of(tx, calls);
  std::vector<bool> out(calls.size(), false);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const std::pair hold{calls[i].hold.epoch, calls[i].hold.seq};
    const auto [found, inserted] = known.emplace(usage_key(calls[i]), hold);
    if (!inserted) {
      result.clash[i] = found->second != hold;
      continue;
    }
    out[i] = wallets.contains(calls[i].hold.payer.platform_id.str());
  }
  return out;
}

core::Error settle_late() {
  return core::Error(core::ErrorKind::Internal, "Internal error.")
      .with_code(kSettleLate)
      .with_detail("a lease does not cover its calls");
}

bool missing_wallet(const Groups& groups, const Plan& plan, const std::vector<SettledCall>& calls) {
  return std::any_of(groups.begin(), groups.end(), [&](const auto& item) {
    const auto& [key, group] = item;
    const bool wallet = calls[group.members.front()].hold.wallet.account == std::get<1>(key);
    return wallet && !plan.accounts.contains({std::get<0>(key), std::get<1>(key)});
  });
}

}  // namespace

bool is_settle_late(const core::Error& error) {
  return error.code() == kSettleLate;
}

SettleResult SettleStore::settle(storage::Transaction& tx, std::int64_t epoch,
                                 const std::vector<SettledCall>& calls, SettleMode mode) const {
  const bool careful = mode == SettleMode::Careful;
  require_live(tx, epoch);
  SettleResult out;
  out.written.assign(calls.size(), true);
  out.clash.assign(calls.size(), false);
  if (careful) out.written = new_calls(tx, calls, out);
  auto groups = groups_of(calls, out.written);
  Plan plan;
  const auto batch = tx.exec("select nextval('ledger_batch') batch")[0].integer("batch");
  // Rows first, accounts last: the accounts stay locked for the shortest time. Careful needs to know first
  // what of the rows can be paid.
  if (!careful) insert_usage_rows(tx, rows_of(calls, out.written, {}, plan), batch);
  lock_accounts(tx, epoch, groups, plan);
  if (!careful && missing_wallet(groups, plan, calls)) throw settle_late();
  Planner planner(plan, clock_, random_);
  for (auto& [key, group] : groups) {
    planner.group(key, group);
    if (group.unpaid > 0 && !careful) throw settle_late();
    out.written_off += group.unpaid;
  }
  if (careful) insert_usage_rows(tx, rows_of(calls, out.written, groups, plan), batch);
  if (plan.entries.empty()) return out;
  record_events(tx, plan, events_);
  write_accounts(tx, plan, clock_.now());
  write_leases(tx, epoch, plan, clock_.now());
  write_entries(tx, plan, batch);
  for (const auto& [key, lease] : plan.leases) {
    if (lease.paid == 0 && lease.tokens_paid == 0) continue;
    out.paid.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), lease.paid, lease.tokens_paid});
  }
  return out;
}

}  // namespace assistiv::billing
