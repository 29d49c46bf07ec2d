#include "billing/lease_store.h"

#include <algorithm>
#include <tuple>

#include "billing/account_rows.h"
#include "core/error.h"

namespace assistiv::billing {

namespace {

constexpr char kEpochEnded[] = "epoch_ended";

std::string text_of(std::int64_t value) {
  return std::to_string(value);
}

LeaseRow lease_of(const storage::Row& row) {
  return {row.id<core::PlatformId>("platform_id"), row.id<AccountId>("account_id"), row.integer("period_no"),
          row.integer("amount"), row.integer("tokens")};
}

std::vector<LeaseRow> leases_of(const storage::Result& rows) {
  std::vector<LeaseRow> out;
  for (const auto row : rows) out.push_back(lease_of(row));
  return out;
}

std::vector<Account> lock_payer(storage::Transaction& tx, const TakeRequest& request) {
  const std::string which =
      request.with_wallet ? "(kind = 'wallet' or end_user_id = $2::uuid)" : "end_user_id = $2::uuid";
  const auto& end_user = request.end_user_id;
  const auto rows =
      tx.exec("select " + account_columns() + " from account where platform_id = $1::uuid and " + which +
                  " order by account_id for no key update",
              {request.platform_id.str(), end_user ? storage::Param(end_user->str()) : std::nullopt});
  std::vector<Account> out;
  for (const auto row : rows) out.push_back(account_of(row));
  return out;
}

std::optional<Account> lock_account(storage::Transaction& tx, const LeaseRow& lease) {
  const auto rows = tx.exec("select " + account_columns() +
                                " from account where platform_id = $1::uuid and account_id = $2::uuid for no "
                                "key update",
                            {lease.platform_id.str(), lease.account_id.str()});
  return rows.empty() ? std::nullopt : std::optional(account_of(rows[0]));
}

struct Grant {
  bool fits = true;
  std::int64_t amount = 0;
};

Grant grant_of(const std::optional<std::int64_t>& limit, std::int64_t used, std::int64_t need,
               std::int64_t want, int share_percent) {
  if (!limit) return {};
  const auto left = *limit - used;
  if (need > std::max<std::int64_t>(left, 0)) return {false, 0};
  return {true, std::max(need, std::min(want, left / 100 * share_percent))};
}

Taken plan(const Account& account, const Take& take, int share_percent) {
  const auto limit = account.limit ? std::optional(account.limit->nanos) : std::nullopt;
  const auto money =
      grant_of(limit, account.settled.nanos + account.leased.nanos, take.need, take.want, share_percent);
  const auto tokens = grant_of(account.token_limit, account.tokens_settled + account.tokens_leased,
                               take.tokens_need, take.tokens_want, share_percent);
  return {account, money.amount, tokens.amount, money.fits, tokens.fits};
}

void add_lease(storage::Transaction& tx, std::int64_t epoch, const LeaseRow& row, core::Time now) {
  tx.exec(
      "insert into account_lease (platform_id, account_id, epoch, period_no, amount, tokens, updated_at) "
      "values ($1::uuid, $2::uuid, $3::bigint, $4::bigint, $5::bigint, $6::bigint, "
      "assistiv_time($7::bigint)) "
      "on conflict (platform_id, account_id, epoch, period_no) do update set "
      "amount = account_lease.amount + excluded.amount, tokens = account_lease.tokens + excluded.tokens, "
      "updated_at = excluded.updated_at",
      {row.platform_id.str(), row.account_id.str(), text_of(epoch), text_of(row.period_no),
       text_of(row.amount), text_of(row.tokens), ms_text(now)});
}

// The guarded update: the row is locked and planned on, and the guard stands all the same.
void commit_taken(storage::Transaction& tx, std::int64_t epoch, Taken& taken, core::Time now) {
  if (taken.amount == 0 && taken.tokens == 0) return;
  auto& account = taken.account;
  const auto rows = tx.exec(
      "update account set leased = leased + $3::bigint, tokens_leased = tokens_leased + $4::bigint, "
      "updated_at = assistiv_time($5::bigint) where platform_id = $1::uuid and account_id = $2::uuid "
      "and (amount_limit is null or settled + leased + $3::bigint <= amount_limit) "
      "and (token_limit is null or tokens_settled + tokens_leased + $4::bigint <= token_limit) "
      "and not is_suspended",
      {account.platform_id.str(), account.id.str(), text_of(taken.amount), text_of(taken.tokens),
       ms_text(now)});
  if (rows.affected() != 1) throw core::internal("a lease that was planned under the lock did not fit");
  account.leased.nanos += taken.amount;
  account.tokens_leased += taken.tokens;
  add_lease(tx, epoch, {account.platform_id, account.id, account.period_no, taken.amount, taken.tokens}, now);
}

void write_reconciled(storage::Transaction& tx, Account& account, const LeaseRow& lease, std::int64_t epoch,
                      const core::Clock& clock, core::Random& random) {
  if (lease.amount == 0 && lease.tokens == 0) return;
  auto entry = entry_for(account, clock, random);
  entry.type = "reconcile";
  entry.debit = "leased";
  entry.credit = "allowance";
  entry.amount = {lease.amount};
  entry.tokens = lease.tokens;
  entry.description = "Node " + text_of(epoch) + " did not return: what it had leased was given back";
  write_entry(tx, account, entry);
}

}  // namespace

core::Error epoch_ended() {
  return core::Error(core::ErrorKind::Unavailable, "The server is settling its accounts. Try again.")
      .with_code(kEpochEnded)
      .with_retry_after(std::chrono::seconds(1))
      .with_detail("this node's epoch has ended");
}

bool is_epoch_ended(const core::Error& error) {
  return error.code() == kEpochEnded;
}

void require_live(storage::Transaction& tx, std::int64_t epoch) {
  const auto rows = tx.exec(
      "select from ledger_node where epoch = $1::bigint and state = 'live' for key share", {text_of(epoch)});
  if (rows.empty()) throw epoch_ended();
}

std::int64_t LeaseStore::register_node(storage::Transaction& tx, const core::Uuid& journal,
                                       std::chrono::milliseconds expiry) const {
  const auto epoch =
      tx.exec(
            "insert into ledger_node (journal_id, state, started_at, heartbeat_at, expires_at) values "
            "($1::uuid, 'live', clock_timestamp(), clock_timestamp(), "
            "clock_timestamp() + $2::bigint * interval '1 millisecond') returning epoch",
            {journal.str(), text_of(expiry.count())})[0]
          .integer("epoch");
  move_leases(tx, journal, epoch);
  return epoch;
}

std::vector<LeaseRow> LeaseStore::inherit(storage::Transaction& tx, const core::Uuid& journal,
                                          std::int64_t epoch) const {
  require_live(tx, epoch);
  return move_leases(tx, journal, epoch);
}

std::vector<LeaseRow> LeaseStore::move_leases(storage::Transaction& tx, const core::Uuid& journal,
                                              std::int64_t epoch) const {
  const auto old = tx.exec(
      "select epoch from ledger_node where journal_id = $1::uuid and state = 'live' and epoch <> $2::bigint "
      "order by epoch for update",
      {journal.str(), text_of(epoch)});
  std::vector<LeaseRow> out;
  for (const auto node : old) {
    const auto from = text_of(node.integer("epoch"));
    const auto moved = leases_of(tx.exec(
        "delete from account_lease where epoch = $1::bigint returning platform_id, account_id, period_no, "
        "amount, tokens",
        {from}));
    for (const auto& row : moved) add_lease(tx, epoch, row, clock_.now());
    tx.exec("update ledger_node set state = 'closed' where epoch = $1::bigint", {from});
    out.insert(out.end(), moved.begin(), moved.end());
  }
  return out;
}

std::vector<LeaseRow> LeaseStore::leases(storage::Transaction& tx, std::int64_t epoch) const {
  return leases_of(
      tx.exec("select platform_id, account_id, period_no, amount, tokens from account_lease where epoch = "
              "$1::bigint",
              {text_of(epoch)}));
}

bool LeaseStore::heartbeat(storage::Transaction& tx, std::int64_t epoch,
                           std::chrono::milliseconds expiry) const {
  return tx.exec(
               "update ledger_node set heartbeat_at = clock_timestamp(), "
               "expires_at = clock_timestamp() + $2::bigint * interval '1 millisecond' "
               "where epoch = $1::bigint and state = 'live'",
               {text_of(epoch), text_of(expiry.count())})
             .affected() == 1;
}

void LeaseStore::close_node(storage::Transaction& tx, std::int64_t epoch) const {
  tx.exec("select from ledger_node where epoch = $1::bigint for update", {text_of(epoch)});
  tx.exec("delete from account_lease where epoch = $1::bigint and amount = 0 and tokens = 0",
          {text_of(epoch)});
  // A lease that is left (a hold that ended too late to be settled) waits for the expiry.
  tx.exec(
      "update ledger_node set state = 'closed' where epoch = $1::bigint and state = 'live' and not exists "
      "(select from account_lease where epoch = $1::bigint)",
      {text_of(epoch)});
}

std::vector<std::int64_t> LeaseStore::reclaim_expired(storage::Transaction& tx) const {
  const auto rows = tx.exec(
      "select epoch from ledger_node where state = 'live' and expires_at < clock_timestamp() order by epoch "
      "limit 8 for update skip locked");
  std::vector<std::int64_t> out;
  for (const auto row : rows) out.push_back(row.integer("epoch"));
  for (const auto epoch : out) reclaim(tx, epoch);
  return out;
}

void LeaseStore::reclaim(storage::Transaction& tx, std::int64_t epoch) const {
  tx.exec("update ledger_node set state = 'fenced' where epoch = $1::bigint", {text_of(epoch)});
  auto rows = leases_of(tx.exec(
      "delete from account_lease where epoch = $1::bigint returning platform_id, account_id, period_no, "
      "amount, tokens",
      {text_of(epoch)}));
  std::sort(rows.begin(), rows.end(), [](const LeaseRow& a, const LeaseRow& b) {
    return std::tie(a.platform_id, a.account_id) < std::tie(b.platform_id, b.account_id);
  });
  for (const auto& lease : rows) {
    auto account = lock_account(tx, lease);
    if (!account) continue;
    if (account->period_no == lease.period_no) {
      account->leased.nanos -= lease.amount;
      account->tokens_leased -= lease.tokens;
    }
    write_account(tx, *account, clock_.now());
    write_reconciled(tx, *account, lease, epoch, clock_, random_);
  }
}

TakeResult LeaseStore::take(storage::Transaction& tx, const TakeRequest& request) const {
  require_live(tx, request.epoch);
  auto accounts = lock_payer(tx, request);
  const auto is_wallet = [](const Account& account) { return account.kind == AccountKind::Wallet; };
  if (request.with_wallet && std::none_of(accounts.begin(), accounts.end(), is_wallet)) {
    AccountStore(clock_, random_, nullptr).wallet(tx, request.platform_id);
    accounts = lock_payer(tx, request);
  }
  TakeResult out;
  bool suspended = false;
  for (auto& account : accounts) {
    roll_over_row(tx, account, clock_, random_);
    suspended = suspended || account.is_suspended;
    const auto& wanted = is_wallet(account) ? request.wallet : request.budget;
    auto taken = plan(account, wanted, request.share_percent);
    if (is_wallet(account)) {
      out.wallet = std::move(taken);
    } else {
      out.budget = std::move(taken);
    }
  }
  const auto fits = [](const Taken& taken) { return taken.amount_fits && taken.tokens_fit; };
  out.granted = !suspended && fits(out.wallet) && (!out.budget || fits(*out.budget));
  if (!out.granted) {
    out.wallet.amount = 0;
    if (out.budget) out.budget->amount = out.budget->tokens = 0;
    if (request.recall && !suspended) {
      const bool wallet_short = !fits(out.wallet);
      tx.notify(kRecallTopic,
                account_payload(request.platform_id, wallet_short ? std::nullopt : request.end_user_id));
    }
    return out;
  }
  commit_taken(tx, request.epoch, out.wallet, clock_.now());
  if (out.budget) commit_taken(tx, request.epoch, *out.budget, clock_.now());
  return out;
}

void LeaseStore::give_back(storage::Transaction& tx, std::int64_t epoch, std::vector<LeaseRow> rows) const {
  require_live(tx, epoch);
  std::sort(rows.begin(), rows.end(), [](const LeaseRow& a, const LeaseRow& b) {
    return std::tie(a.platform_id, a.account_id) < std::tie(b.platform_id, b.account_id);
  });
  for (const auto& row : rows) {
    const auto account = lock_account(tx, row);
    if (!account) continue;  // gone with its platform or end user, and the lease with it
    const auto lease = tx.exec(
        "update account_lease set amount = amount - $5::bigint, tokens = tokens - $6::bigint, "
        "updated_at = assistiv_time($7::bigint) where platform_id = $1::uuid and account_id = $2::uuid and "
        "epoch = $3::bigint and period_no = $4::bigint",
        {row.platform_id.str(), row.account_id.str(), text_of(epoch), text_of(row.period_no),
         text_of(row.amount), text_of(row.tokens), ms_text(clock_.now())});
    if (lease.affected() == 0 || account->period_no != row.period_no) continue;
    tx.exec(
        "update account set leased = leased - $3::bigint, tokens_leased = tokens_leased - $4::bigint, "
        "updated_at = assistiv_time($5::bigint) where platform_id = $1::uuid and account_id = $2::uuid",
        {row.platform_id.str(), row.account_id.str(), text_of(row.amount), text_of(row.tokens),
         ms_text(clock_.now())});
  }
}

}  // namespace assistiv::billing
