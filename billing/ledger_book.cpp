#include "billing/ledger_book.h"

#include <algorithm>
#include <utility>

#include "core/money.h"

namespace assistiv::billing {

namespace {

// An end user without a budget is asked for again after that, should a notice be lost.
constexpr std::chrono::seconds kAbsentFor{5};
// A slice is to last about a second: a busy database may take some tenths of one to give the next.
constexpr std::chrono::milliseconds kBusy{1'000};
constexpr std::chrono::seconds kQuiet{4};
constexpr std::int64_t kFirstSlice = 64;  // bounds; never more than slice_percent of what is left
constexpr std::int64_t kGrowth = 4;
constexpr std::int64_t kSliceMax = std::int64_t{1} << 50;

std::int64_t adapted(std::int64_t slice, std::int64_t bound, Steady::duration since) {
  const auto first = bound > kSliceMax / kFirstSlice ? kSliceMax : bound * kFirstSlice;
  if (slice == 0 || since > kQuiet) return first;
  return since < kBusy ? std::min(slice * kGrowth, kSliceMax) : std::max(slice / 2, first);
}

Refusal refusal(Refusal::Level level, std::string code, std::string message, const Account& account,
                std::int64_t requested) {
  const bool tokens = level == Refusal::Level::TokenBudget;
  Refusal out{.level = level, .code = std::move(code), .message = std::move(message)};
  out.limit = tokens ? account.token_limit.value_or(0) : account.limit.value_or(core::NanoUsd{}).nanos;
  out.spent = tokens ? account.tokens_settled : account.settled.nanos;
  out.held = tokens ? account.tokens_leased : account.leased.nanos;
  out.requested = requested;
  out.resets_at = account.resets_at;
  return out;
}

std::string usd(std::int64_t nanos) {
  return core::format_usd({nanos});
}

std::string until(const Account& account) {
  return account.resets_at ? " It resets at " + core::format_time(*account.resets_at) + "." : "";
}

Refusal wallet_refusal(const Account& account, std::int64_t bound) {
  return refusal(Refusal::Level::Wallet, "wallet_insufficient",
                 "The platform's wallet has USD " + usd(account.remaining()->nanos) + " (USD " +
                     usd(account.leased.nanos) + " of it held); this call may cost up to USD " + usd(bound) +
                     ". Top the wallet up.",
                 account, bound);
}

Refusal budget_refusal(const Account& account, std::int64_t bound) {
  return refusal(Refusal::Level::Budget, "budget_exceeded",
                 "The end user's budget of USD " + usd(account.limit->nanos) + " has USD " +
                     usd(account.remaining()->nanos) + " left (USD " + usd(account.leased.nanos) +
                     " of it held); this call may cost up to USD " + usd(bound) + "." + until(account),
                 account, bound);
}

Refusal token_refusal(const Account& account, std::int64_t bound) {
  return refusal(Refusal::Level::TokenBudget, "budget_exceeded",
                 "The end user's budget of " + std::to_string(*account.token_limit) + " tokens has " +
                     std::to_string(*account.tokens_remaining()) + " left (" +
                     std::to_string(account.tokens_leased) + " of them held); this call may use up to " +
                     std::to_string(bound) + "." + until(account),
                 account, bound);
}

}  // namespace

bool AccountState::usable(core::Time now, Steady::time_point steady) const {
  if (!seen || stale) return false;
  if (!account) return steady - seen_at < kAbsentFor;
  return !account->is_suspended && (!account->resets_at || now < *account->resets_at);
}

Take AccountState::missing(std::int64_t bound, std::int64_t token_bound) const {
  Take out;
  const bool money = !account || account->limit.has_value();
  const bool tokens = !account || account->token_limit.has_value();
  if (money) out.need = std::max<std::int64_t>(bound - free_money(), 0);
  if (tokens) out.tokens_need = std::max<std::int64_t>(token_bound - free_tokens(), 0);
  if (out.need > 0) out.want = slice;
  if (out.tokens_need > 0) out.tokens_want = tokens_slice;
  return out;
}

void AccountState::apply(const Taken& taken, std::uint64_t changes_before, Steady::time_point now) {
  if (lease && lease->period_no != taken.account.period_no) old.push_back(std::exchange(lease, nullptr));
  if (!lease || lease->account != taken.account.id) {
    lease = std::make_shared<LeaseState>();
    lease->account = taken.account.id;
    lease->period_no = taken.account.period_no;
  }
  lease->money.amount += taken.amount;
  lease->tokens.amount += taken.tokens;
  account = taken.account;
  seen = true;
  stale = changes != changes_before;
  seen_at = now;
  if (taken.amount > 0 || taken.tokens > 0) taken_at = now;
  if (!taken.amount_fits || !taken.tokens_fit) short_at = now;
}

void AccountState::apply_absent(std::uint64_t changes_before, Steady::time_point now) {
  if (lease) old.push_back(std::exchange(lease, nullptr));
  account.reset();
  seen = true;
  stale = changes != changes_before;
  seen_at = now;
}

void AccountState::strip(core::PlatformId platform, std::vector<LeaseRow>& out) {
  auto all = old;
  if (lease) all.push_back(lease);
  for (const auto& each : all) {
    const auto money = std::max<std::int64_t>(each->money.free(), 0);
    const auto tokens = std::max<std::int64_t>(each->tokens.free(), 0);
    if (money == 0 && tokens == 0) continue;
    each->money.amount -= money;
    each->tokens.amount -= tokens;
    out.push_back({platform, each->account, each->period_no, money, tokens});
  }
  std::erase_if(old, [](const auto& each) { return !each->in_use(); });
}

bool AccountState::in_use() const {
  return (lease && lease->in_use()) ||
         std::any_of(old.begin(), old.end(), [](const auto& each) { return each->in_use(); });
}

void AccountState::adapt_slices(std::int64_t bound, std::int64_t token_bound, Steady::time_point now) {
  slice = adapted(slice, bound, now - taken_at);
  tokens_slice = adapted(tokens_slice, token_bound, now - taken_at);
}

AccountState* Book::budget(const std::optional<core::EndUserId>& end_user) {
  return end_user ? &budgets[*end_user] : nullptr;
}

std::vector<std::shared_ptr<core::AsyncEvent>> Book::take_waiters() {
  return std::exchange(waiters, {});
}

HeldLease hold_from(AccountState& state, std::int64_t bound, std::int64_t token_bound) {
  const auto& account = *state.account;
  HeldLease out{state.lease, {account.id, account.period_no, 0, 0}};
  if (account.limit) out.level.amount = bound;
  if (account.token_limit) out.level.tokens = token_bound;
  out.lease->money.held += out.level.amount;
  out.lease->tokens.held += out.level.tokens;
  return out;
}

void undo_hold(const HeldLease& held) {
  if (!held.lease) return;
  held.lease->money.held -= held.level.amount;
  held.lease->tokens.held -= held.level.tokens;
}

void end_hold(const HeldLease& held, std::int64_t cost, std::int64_t tokens) {
  if (!held.lease) return;
  undo_hold(held);
  held.lease->money.pending += std::min(cost, held.level.amount);
  held.lease->tokens.pending += std::min(tokens, held.level.tokens);
}

void end_pending(const HeldLease& held, std::int64_t cost, std::int64_t tokens) {
  if (!held.lease) return;
  held.lease->money.pending -= std::min(cost, held.level.amount);
  held.lease->tokens.pending -= std::min(tokens, held.level.tokens);
}

std::optional<Refusal> hopeless(const AccountState& wallet, const AccountState* budget,
                                const AdmissionRequest& request) {
  const auto bound = request.bound.nanos;
  if (wallet.account) {
    if (wallet.account->is_suspended) {
      return refusal(Refusal::Level::Wallet, "wallet_suspended", "The platform's wallet is suspended.",
                     *wallet.account, bound);
    }
    if (bound > 0 && wallet.account->remaining()->nanos < bound)
      return wallet_refusal(*wallet.account, bound);
  }
  if (!budget || !budget->account) return {};
  const auto& account = *budget->account;
  if (account.is_suspended) {
    return refusal(Refusal::Level::Budget, "budget_suspended", "The end user's budget is suspended.", account,
                   bound);
  }
  if (bound > 0 && account.limit && account.remaining()->nanos < bound) return budget_refusal(account, bound);
  if (request.token_bound > 0 && account.token_limit && *account.tokens_remaining() < request.token_bound) {
    return token_refusal(account, request.token_bound);
  }
  return {};
}

Refusal refusal_of(const AccountState& wallet, const AccountState* budget, const AdmissionRequest& request) {
  if (auto certain = hopeless(wallet, budget, request)) return *std::move(certain);
  const auto missing = [&](const AccountState& state) {
    return state.missing(request.bound.nanos, request.token_bound);
  };
  if (budget && budget->account) {
    const auto& account = *budget->account;
    const auto need = missing(*budget);
    const auto left = account.limit ? account.limit->nanos - account.settled.nanos - account.leased.nanos : 0;
    if (account.limit && need.need > left) return budget_refusal(account, request.bound.nanos);
    const auto tokens_left =
        account.token_limit ? *account.token_limit - account.tokens_settled - account.tokens_leased : 0;
    if (account.token_limit && need.tokens_need > tokens_left) {
      return token_refusal(account, request.token_bound);
    }
  }
  return wallet_refusal(*wallet.account, request.bound.nanos);
}

}  // namespace assistiv::billing
