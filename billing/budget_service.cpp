#include "billing/budget_service.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::billing {

namespace {

using core::Json;
using storage::Scope;
using storage::Transaction;

template <class T>
Json cap_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// The account store's names for faulty input, as the bodies of the routes have them.
std::string member_of(const std::string& field) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> names = {
      {{"limit", "/max_usd"},
       {"token_limit", "/max_tokens"},
       {"amount", "/amount_usd"},
       {"tokens", "/tokens"},
       {"replenish_amount", "/replenish_amount"},
       {"low_balance_threshold", "/low_balance_threshold"}}};
  for (const auto& [store, body] : names) {
    if (field == store) return std::string(body);
  }
  return field;
}

template <class F>
auto with_members(F work) -> decltype(work()) {
  try {
    return work();
  } catch (const core::Error& error) {
    if (error.field().empty()) throw;
    throw core::Error(error).with_field(member_of(error.field()));
  }
}

MoneyNote note_of(const BudgetMovement& movement) {
  return {movement.description, movement.reason, movement.metadata_json};
}

MoneyReply moved(const MoneyResult& result) {
  Json view = budget_json(result.account);
  view["transaction"] = budget_entry_json(result.entry);
  return {201, core::dump_json(view), false};
}

core::Error no_budget() {
  return core::not_found("This end user has no budget.");
}

}  // namespace

Json budget_json(const Account& budget) {
  return {{"id", budget.id.str()},
          {"platform_id", budget.platform_id.str()},
          {"end_user_id", budget.end_user_id ? Json(budget.end_user_id->str()) : Json(nullptr)},
          {"max_usd", usd_or_null(budget.limit)},
          {"used_usd", core::format_usd(budget.settled)},
          {"remaining_usd", usd_or_null(budget.remaining())},
          {"held_usd", core::format_usd(budget.leased)},
          {"max_tokens", cap_or_null(budget.token_limit)},
          {"used_tokens", budget.tokens_settled},
          {"remaining_tokens", cap_or_null(budget.tokens_remaining())},
          {"period", to_string(budget.period)},
          {"period_start", core::format_time(budget.period_start)},
          {"resets_at", budget.resets_at ? Json(core::format_time(*budget.resets_at)) : Json(nullptr)},
          {"auto_replenish", budget.auto_replenish},
          {"replenish_amount", usd_or_null(budget.replenish_amount)},
          {"low_balance_threshold", usd_or_null(budget.low_balance_threshold)},
          {"is_active", true},
          {"is_suspended", budget.is_suspended},
          {"created_at", core::format_time(budget.created_at)},
          {"updated_at", core::format_time(budget.updated_at)}};
}

Json budget_entry_json(const LedgerEntry& entry) {
  return {{"transaction_id", entry.id.str()},
          {"budget_id", entry.account_id.str()},
          {"type", entry.type},
          {"direction", direction_of(entry)},
          {"amount_usd", core::format_usd(entry.amount)},
          {"tokens", entry.tokens},
          {"calls", entry.calls},
          {"max_usd_after", usd_or_null(entry.limit_after)},
          {"used_usd_after", core::format_usd(entry.settled_after)},
          {"remaining_usd_after", usd_or_null(entry.remaining_after())},
          {"max_tokens_after", cap_or_null(entry.token_limit_after)},
          {"used_tokens_after", entry.tokens_settled_after},
          {"description", entry.description},
          {"reason", cap_or_null(entry.reason)},
          {"metadata", core::try_parse_json(entry.metadata_json).value_or(Json::object())},
          {"created_at", core::format_time(entry.created_at)}};
}

Account BudgetService::found(Transaction& tx, core::PlatformId platform, core::EndUserId end_user) const {
  auto budget = world_.accounts.budget(tx, platform, end_user);
  if (!budget) throw no_budget();
  return std::move(*budget);
}

void BudgetService::trail(Transaction& tx, const Actor& actor, const std::string& event,
                          const MoneyResult& result) const {
  const auto& account = result.account;
  world_.audit.append(tx, account.platform_id,
                      audit_event(actor, event, account.end_user_id, account.id.str(),
                                  {{"transaction_id", result.entry.id.str()},
                                   {"type", result.entry.type},
                                   {"direction", direction_of(result.entry)},
                                   {"amount_usd", core::format_usd(result.entry.amount)},
                                   {"tokens", result.entry.tokens},
                                   {"max_usd", usd_or_null(account.limit)},
                                   {"max_tokens", cap_or_null(account.token_limit)},
                                   {"period", to_string(account.period)},
                                   {"is_suspended", account.is_suspended}}));
}

core::Task<Json> BudgetService::get(core::PlatformId platform, core::EndUserId end_user) {
  co_return co_await world_.database.run(
      Scope::tenant(platform),
      [this, platform, end_user](Transaction& tx) { return budget_json(found(tx, platform, end_user)); });
}

core::Task<JsonPage> BudgetService::transactions(core::PlatformId platform, core::EndUserId end_user,
                                                 ListRequest page) {
  co_return co_await world_.database.run(
      Scope::tenant(platform), [this, platform, end_user, page](Transaction& tx) {
        const auto budget = found(tx, platform, end_user);
        const auto entries = world_.accounts.entries(tx, platform, budget.id, page.page, page.limit);
        Json rows = Json::array();
        for (const auto& entry : entries.items) rows.push_back(budget_entry_json(entry));
        return JsonPage{core::dump_json(rows), entries.total};
      });
}

core::Task<MoneyReply> BudgetService::create(core::PlatformId platform, core::EndUserId end_user,
                                             NewBudget input, MoneyWrite write) {
  co_return co_await world_.database.run(
      Scope::tenant(platform), [this, platform, end_user, input, write](Transaction& tx) {
        return once_.once(tx, platform, write.key, [&] {
          const auto result =
              with_members([&] { return world_.accounts.create_budget(tx, platform, end_user, input); });
          trail(tx, write.actor, "budget.created", result);
          return MoneyReply{201, core::dump_json(budget_json(result.account)), false};
        });
      });
}

void BudgetService::open_default(Transaction& tx, core::PlatformId platform, core::EndUserId end_user,
                                 core::NanoUsd limit, const Actor& actor) const {
  NewBudget input;
  input.limit = limit;
  input.period = BudgetPeriod::Monthly;
  MoneyNote note;
  note.description = "Default budget of the platform";
  trail(tx, actor, "budget.created", world_.accounts.create_budget(tx, platform, end_user, input, note));
}

core::Task<MoneyReply> BudgetService::patch(core::PlatformId platform, core::EndUserId end_user,
                                            AccountPatch patch, std::optional<std::string> reason,
                                            MoneyWrite write) {
  co_return co_await world_.database.run(
      Scope::tenant(platform), [this, platform, end_user, patch, reason, write](Transaction& tx) {
        return once_.once(tx, platform, write.key, [&] {
          const auto before = found(tx, platform, end_user);
          MoneyNote note;
          note.reason = reason;
          const auto result =
              with_members([&] { return world_.accounts.patch(tx, platform, before.id, patch, note); });
          const bool flipped = before.is_suspended != result.account.is_suspended;
          const char* event = !flipped                      ? "budget.updated"
                              : result.account.is_suspended ? "budget.suspended"
                                                            : "budget.unsuspended";
          trail(tx, write.actor, event, result);
          return MoneyReply{200, core::dump_json(budget_json(result.account)), false};
        });
      });
}

core::Task<MoneyReply> BudgetService::top_up(core::PlatformId platform, core::EndUserId end_user,
                                             BudgetMovement movement, MoneyWrite write) {
  co_return co_await world_.database.run(
      Scope::tenant(platform), [this, platform, end_user, movement, write](Transaction& tx) {
        return once_.once(tx, platform, write.key, [&] {
          const auto budget = found(tx, platform, end_user);
          const auto result = with_members([&] {
            return world_.accounts.top_up(tx, platform, budget.id, movement.amount, movement.tokens,
                                          note_of(movement));
          });
          trail(tx, write.actor, "budget.topped_up", result);
          return moved(result);
        });
      });
}

std::optional<MoneyReply> BudgetService::take_out(Transaction& tx, core::PlatformId platform,
                                                  core::EndUserId end_user, const BudgetMovement& movement,
                                                  const MoneyWrite& write) const {
  const auto budget = found(tx, platform, end_user);
  const auto result = with_members([&] {
    return world_.accounts.debit(tx, platform, budget.id, movement.amount, movement.tokens,
                                 note_of(movement));
  });
  if (!result) return std::nullopt;
  trail(tx, write.actor, "budget.debited", *result);
  return moved(*result);
}

core::Task<MoneyReply> BudgetService::debit(core::PlatformId platform, core::EndUserId end_user,
                                            BudgetMovement movement, MoneyWrite write) {
  const auto attempt = [this, platform, end_user, movement, write] {
    return world_.database.run(
        Scope::tenant(platform), [this, platform, end_user, movement, write](Transaction& tx) {
          return once_.once_if_possible(tx, platform, write.key,
                                        [&] { return take_out(tx, platform, end_user, movement, write); });
        });
  };
  co_return co_await until_given_back(attempt);
}

}  // namespace assistiv::billing
