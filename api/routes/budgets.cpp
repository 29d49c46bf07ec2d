#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "api/wire/money.h"
#include "billing/budget_service.h"
#include "core/json_read.h"

namespace assistiv::api {

namespace {

constexpr std::int64_t kBudgetTokensMax = std::int64_t{1} << 53;  // what every JSON client can read

std::optional<billing::BudgetPeriod> budget_period(const core::JsonReader& body) {
  const auto text = body.optional_string("period");
  return text ? billing::budget_period_of(*text) : std::nullopt;
}

billing::BudgetMovement budget_movement(const Call& call) {
  const core::JsonReader body(*call.body);
  billing::BudgetMovement out;
  out.amount = optional_usd(call, "amount_usd").value_or(core::NanoUsd{});
  out.tokens = body.optional_integer("tokens", 1, kBudgetTokensMax).value_or(0);
  out.description = body.optional_string("description", 0, 500).value_or("");
  out.reason = body.optional_string("reason", 0, 500);
  out.metadata_json = object_text(call, "metadata");
  return out;
}

// An end user who has no budget is told so before a header that is missing.
core::Task<billing::MoneyWrite> keyed_write(Services* s, const Call* call) {
  auto write = money_write(*call);
  if (!write.key) {
    co_await s->budgets->get(call->platform_id(), end_user_param(*call));
    billing::throw_key_required();
  }
  co_return write;
}

core::Task<core::HttpReply> create_budget(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  billing::NewBudget input;
  input.limit = optional_usd(call, "max_usd");
  input.token_limit = body.optional_integer("max_tokens", 1, kBudgetTokensMax);
  input.period = budget_period(body).value_or(billing::BudgetPeriod::OneTime);
  input.auto_replenish = body.optional_bool("auto_replenish").value_or(false);
  input.replenish_amount = optional_usd(call, "replenish_amount");
  input.low_balance_threshold = optional_usd(call, "low_balance_threshold");
  co_return money_reply(
      co_await s->budgets->create(call.platform_id(), end_user_param(call), input, money_write(call)));
}

core::Task<core::HttpReply> get_budget(Services* s, Call call) {
  co_return data_reply(200, co_await s->budgets->get(call.platform_id(), end_user_param(call)));
}

core::Task<core::HttpReply> patch_budget(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  billing::AccountPatch patch;
  patch.limit = optional_usd(call, "max_usd");
  patch.token_limit = body.optional_integer("max_tokens", 0, kBudgetTokensMax);
  patch.period = budget_period(body);
  patch.auto_replenish = body.optional_bool("auto_replenish");
  patch.replenish_amount = optional_usd(call, "replenish_amount");
  patch.low_balance_threshold = optional_usd(call, "low_balance_threshold");
  patch.clear_low_balance_threshold =
      call.body->contains("low_balance_threshold") && !patch.low_balance_threshold;
  patch.is_suspended = body.optional_bool("is_suspended");
  co_return money_reply(co_await s->budgets->patch(call.platform_id(), end_user_param(call), patch,
                                                   body.optional_string("reason", 0, 500),
                                                   money_write(call)));
}

core::Task<core::HttpReply> top_up_budget(Services* s, Call call) {
  auto write = co_await keyed_write(s, &call);
  co_return money_reply(co_await s->budgets->top_up(call.platform_id(), end_user_param(call),
                                                    budget_movement(call), std::move(write)));
}

core::Task<core::HttpReply> debit_budget(Services* s, Call call) {
  auto write = co_await keyed_write(s, &call);
  co_return money_reply(co_await s->budgets->debit(call.platform_id(), end_user_param(call),
                                                   budget_movement(call), std::move(write)));
}

core::Task<core::HttpReply> list_budget_transactions(Services* s, Call call) {
  const auto page =
      co_await s->budgets->transactions(call.platform_id(), end_user_param(call), list_request(call));
  co_return page_reply(page, call);
}

core::Task<core::HttpReply> get_my_budget(Services* s, Call call) {
  co_return data_reply(200,
                       co_await s->budgets->get(call.principal->platform_id, *call.principal->end_user_id));
}

Route budget_route(std::string method, std::string path, std::string operation, std::string summary) {
  Route out;
  out.method = std::move(method);
  out.path = "/v1/platforms/{platform_id}/end-users/{end_user_id}/budget" + path;
  out.access = Access::Platform;
  out.scope = "management";
  out.operation_id = std::move(operation);
  out.tag = "Budgets";
  out.summary = std::move(summary);
  out.reply_schema = "Budget";
  return out;
}

void add_movement_routes(RouteTable& table, Services& services) {
  auto topup = budget_route("POST", "/topup", "topUpBudget", "Raise the cap. Needs an Idempotency-Key.");
  topup.body_schema = "BudgetTopup";
  topup.success = 201;
  topup.idempotency = Idempotency::Needed;
  topup.reply_schema = "BudgetMoved";
  topup.handle = with_services(services, top_up_budget);
  table.push_back(topup);
  auto debit = budget_route("POST", "/debit", "debitBudget", "Spend by hand. Needs an Idempotency-Key.");
  debit.body_schema = "BudgetDebit";
  debit.success = 201;
  debit.idempotency = Idempotency::Needed;
  debit.reply_schema = "BudgetMoved";
  debit.handle = with_services(services, debit_budget);
  table.push_back(debit);
}

}  // namespace

void add_budget_routes(RouteTable& table, Services& services) {
  auto create = budget_route("POST", "", "createBudget", "Give an end user a budget.");
  create.body_schema = "BudgetCreate";
  create.success = 201;
  create.idempotency = Idempotency::Taken;
  create.handle = with_services(services, create_budget);
  table.push_back(create);
  auto read = budget_route("GET", "", "getBudget", "Read an end user's budget.");
  read.handle = with_services(services, get_budget);
  table.push_back(read);
  auto patch = budget_route("PATCH", "", "updateBudget", "Change or suspend a budget.");
  patch.body_schema = "BudgetPatch";
  patch.idempotency = Idempotency::Taken;
  patch.handle = with_services(services, patch_budget);
  table.push_back(patch);
  add_movement_routes(table, services);
  auto list =
      budget_route("GET", "/transactions", "listBudgetTransactions", "What moved the budget, newest first.");
  list.paginated = true;
  list.reply_schema = "BudgetTransaction";
  list.handle = with_services(services, list_budget_transactions);
  table.push_back(list);
  table.push_back({.method = "GET",
                   .path = "/v1/me/budget",
                   .access = Access::EndUser,
                   .scope = "",
                   .operation_id = "getMyBudget",
                   .tag = "Me",
                   .summary = "The caller's own budget; answers while it is suspended too.",
                   .reply_schema = "Budget",
                   .handle = with_services(services, get_my_budget)});
}

}  // namespace assistiv::api
