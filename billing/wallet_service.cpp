#include "billing/wallet_service.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "core/async.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::billing {

namespace {

using core::Json;
using storage::Scope;
using storage::Transaction;

constexpr int kTakeOutTries = 20;
constexpr std::chrono::milliseconds kTakeOutPause{100};

MoneyNote note_of(const WalletMovement& movement, bool correction) {
  return {movement.description, movement.reason, movement.metadata_json, correction};
}

MoneyReply moved(int status, const MoneyResult& result) {
  Json view = wallet_json(result.account);
  view["transaction"] = wallet_entry_json(result.entry);
  return {status, core::dump_json(view), false};
}

Json movement_details(const MoneyResult& result) {
  return {{"transaction_id", result.entry.id.str()},
          {"direction", direction_of(result.entry)},
          {"amount_usd", core::format_usd(result.entry.amount)},
          {"balance_after", usd_or_null(result.entry.remaining_after())}};
}

}  // namespace

core::Task<MoneyReply> until_given_back(std::function<core::Task<std::optional<MoneyReply>>()> attempt) {
  for (int tries = 0; tries < kTakeOutTries; ++tries) {
    auto reply = co_await attempt();
    if (reply) co_return std::move(*reply);
    co_await core::sleep_for(kTakeOutPause);
  }
  throw core::conflict("Calls under way hold what this would take. Try again when they have ended.")
      .with_code("balance_held");
}

Json usd_or_null(const std::optional<core::NanoUsd>& amount) {
  return amount ? Json(core::format_usd(*amount)) : Json(nullptr);
}

std::string direction_of(const LedgerEntry& entry) {
  if (entry.amount.nanos == 0 && entry.tokens == 0) return "none";
  if (entry.credit == "allowance") return "in";
  return entry.debit == "operator" ? "none" : "out";
}

Json wallet_json(const Account& wallet) {
  return {{"id", wallet.id.str()},
          {"platform_id", wallet.platform_id.str()},
          {"balance", usd_or_null(wallet.remaining())},
          {"held", core::format_usd(wallet.leased)},
          {"currency", "usd"},
          {"low_balance_threshold", usd_or_null(wallet.low_balance_threshold)},
          {"is_active", !wallet.is_suspended},
          {"created_at", core::format_time(wallet.created_at)},
          {"updated_at", core::format_time(wallet.updated_at)}};
}

Json wallet_entry_json(const LedgerEntry& entry) {
  return {{"id", entry.id.str()},
          {"type", entry.type},
          {"direction", direction_of(entry)},
          {"amount", core::format_usd(entry.amount)},
          {"balance_after", usd_or_null(entry.remaining_after())},
          {"calls", entry.calls},
          {"description", entry.description},
          {"reason", entry.reason ? Json(*entry.reason) : Json(nullptr)},
          {"metadata", core::try_parse_json(entry.metadata_json).value_or(Json::object())},
          {"created_at", core::format_time(entry.created_at)}};
}

core::Task<Json> WalletService::get(core::PlatformId platform) {
  co_return co_await world_.database.run(Scope::tenant(platform), [this, platform](Transaction& tx) {
    const auto wallet = world_.accounts.wallet(tx, platform);
    Json view = wallet_json(wallet);
    Json recent = Json::array();
    for (const auto& entry : world_.accounts.entries(tx, platform, wallet.id, 1, kRecent).items) {
      recent.push_back(wallet_entry_json(entry));
    }
    view["recent_transactions"] = std::move(recent);
    return view;
  });
}

core::Task<JsonPage> WalletService::transactions(core::PlatformId platform, ListRequest page) {
  co_return co_await world_.database.run(Scope::tenant(platform), [this, platform, page](Transaction& tx) {
    const auto wallet = world_.accounts.wallet(tx, platform);
    const auto found = world_.accounts.entries(tx, platform, wallet.id, page.page, page.limit);
    Json rows = Json::array();
    for (const auto& entry : found.items) rows.push_back(wallet_entry_json(entry));
    return JsonPage{core::dump_json(rows), found.total};
  });
}

MoneyReply WalletService::put_in(Transaction& tx, core::PlatformId platform, const WalletMovement& movement,
                                 const MoneyWrite& write, Movement kind) const {
  const bool correction = kind == Movement::Correction;
  const auto wallet = world_.accounts.wallet(tx, platform);
  const auto result =
      world_.accounts.top_up(tx, platform, wallet.id, movement.amount, 0, note_of(movement, correction));
  const char* event = correction ? "wallet.adjusted" : "wallet.topped_up";
  world_.audit.append(tx, platform,
                      audit_event(write.actor, event, {}, wallet.id.str(), movement_details(result)));
  return moved(201, result);
}

std::optional<MoneyReply> WalletService::take_out(Transaction& tx, core::PlatformId platform,
                                                  const WalletMovement& movement,
                                                  const MoneyWrite& write) const {
  const auto wallet = world_.accounts.wallet(tx, platform);
  const core::NanoUsd amount{-movement.amount.nanos};
  const auto result = world_.accounts.debit(tx, platform, wallet.id, amount, 0, note_of(movement, true));
  if (!result) return std::nullopt;
  world_.audit.append(
      tx, platform,
      audit_event(write.actor, "wallet.adjusted", {}, wallet.id.str(), movement_details(*result)));
  return moved(201, *result);
}

core::Task<MoneyReply> WalletService::top_up(core::PlatformId platform, WalletMovement movement,
                                             MoneyWrite write) {
  co_return co_await world_.database.run(
      Scope::tenant(platform), [this, platform, movement, write](Transaction& tx) {
        return once_.once(tx, platform, write.key,
                          [&] { return put_in(tx, platform, movement, write, Movement::Payment); });
      });
}

core::Task<MoneyReply> WalletService::adjust(core::PlatformId platform, WalletMovement movement,
                                             MoneyWrite write) {
  const auto attempt = [this, platform, movement, write] {
    return world_.database.run(Scope::tenant(platform), [this, platform, movement, write](Transaction& tx) {
      return once_.once_if_possible(tx, platform, write.key, [&]() -> std::optional<MoneyReply> {
        if (movement.amount.nanos < 0) return take_out(tx, platform, movement, write);
        return put_in(tx, platform, movement, write, Movement::Correction);
      });
    });
  };
  co_return co_await until_given_back(attempt);
}

core::Task<MoneyReply> WalletService::patch(core::PlatformId platform, WalletPatch patch, MoneyWrite write) {
  co_return co_await world_.database.run(
      Scope::tenant(platform), [this, platform, patch, write](Transaction& tx) {
        return once_.once(tx, platform, write.key, [&] {
          const auto wallet = world_.accounts.wallet(tx, platform);
          AccountPatch change;
          change.low_balance_threshold = patch.low_balance_threshold;
          change.clear_low_balance_threshold = patch.clear_low_balance_threshold;
          const auto result = world_.accounts.patch(tx, platform, wallet.id, change);
          world_.audit.append(
              tx, platform,
              audit_event(write.actor, "wallet.updated", {}, wallet.id.str(),
                          {{"low_balance_threshold", usd_or_null(result.account.low_balance_threshold)}}));
          return MoneyReply{200, core::dump_json(wallet_json(result.account)), false};
        });
      });
}

}  // namespace assistiv::billing
