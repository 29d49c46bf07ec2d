#include <nlohmann/json.hpp>

#include "api/config.h"
#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "api/wire/money.h"
#include "billing/wallet_service.h"
#include "core/json_read.h"

namespace assistiv::api {

namespace {

billing::WalletMovement wallet_movement(const Call& call) {
  const core::JsonReader body(*call.body);
  return {required_usd(call, "amount"), body.optional_string("description", 0, 500).value_or(""),
          body.optional_string("reason", 0, 500), object_text(call, "metadata")};
}

core::Task<core::HttpReply> get_wallet(Services* s, Call call) {
  co_return data_reply(200, co_await s->wallets->get(call.platform_id()));
}

core::Task<core::HttpReply> list_wallet_transactions(Services* s, Call call) {
  const auto page = co_await s->wallets->transactions(call.platform_id(), list_request(call));
  co_return page_reply(page, call);
}

core::Task<core::HttpReply> top_up_wallet(Services* s, Call call) {
  co_return money_reply(
      co_await s->wallets->top_up(call.platform_id(), wallet_movement(call), money_write(call)));
}

core::Task<core::HttpReply> adjust_wallet(Services* s, Call call) {
  co_return money_reply(
      co_await s->wallets->adjust(call.platform_id(), wallet_movement(call), money_write(call)));
}

core::Task<core::HttpReply> patch_wallet(Services* s, Call call) {
  billing::WalletPatch patch;
  patch.low_balance_threshold = optional_usd(call, "low_balance_threshold");
  patch.clear_low_balance_threshold = !patch.low_balance_threshold;
  co_return money_reply(co_await s->wallets->patch(call.platform_id(), patch, money_write(call)));
}

}  // namespace

void add_wallet_routes(RouteTable& table, Services& services) {
  const std::string base = "/v1/platforms/{platform_id}/wallet";
  table.push_back({.method = "GET",
                   .path = base,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "getWallet",
                   .tag = "Wallet",
                   .summary = "The platform's balance and its newest transactions.",
                   .reply_schema = "Wallet",
                   .handle = with_services(services, get_wallet)});
  table.push_back({.method = "PATCH",
                   .path = base,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "updateWallet",
                   .tag = "Wallet",
                   .summary = "Change the wallet's low_balance_threshold; null clears it.",
                   .body_schema = "WalletPatch",
                   .reply_schema = "Wallet",
                   .idempotency = Idempotency::Taken,
                   .handle = with_services(services, patch_wallet)});
  table.push_back({.method = "GET",
                   .path = base + "/transactions",
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "listWalletTransactions",
                   .tag = "Wallet",
                   .summary = "What moved the balance, newest first.",
                   .paginated = true,
                   .reply_schema = "WalletTransaction",
                   .handle = with_services(services, list_wallet_transactions)});
  // Real money comes in through whoever runs the server, unless the setting says otherwise.
  const bool by_platform = services.config.platform_wallet_topup;
  table.push_back({.method = "POST",
                   .path = base + "/topup",
                   .access = by_platform ? Access::Platform : Access::Operator,
                   .scope = by_platform ? "management" : "",
                   .operation_id = "topUpWallet",
                   .tag = "Wallet",
                   .summary = "Pay into the wallet. Takes an Idempotency-Key.",
                   .body_schema = "WalletTopup",
                   .success = 201,
                   .reply_schema = "WalletMoved",
                   .idempotency = Idempotency::Taken,
                   .handle = with_services(services, top_up_wallet)});
  table.push_back({.method = "POST",
                   .path = base + "/adjust",
                   .access = Access::Operator,
                   .scope = "",
                   .operation_id = "adjustWallet",
                   .tag = "Wallet",
                   .summary = "Correct the balance by hand, up or down. Takes an Idempotency-Key.",
                   .body_schema = "WalletAdjust",
                   .success = 201,
                   .reply_schema = "WalletMoved",
                   .idempotency = Idempotency::Taken,
                   .handle = with_services(services, adjust_wallet)});
}

}  // namespace assistiv::api
