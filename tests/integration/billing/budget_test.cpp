#include "support/money_fixture.h"

namespace assistiv::billing {
namespace {

struct Budget : MoneyTest {
  // By name: the clock stands still, so their ids have no order.
  std::vector<std::string> messages() {
    std::vector<std::string> out;
    for (const auto row : database_.exec("select event_type from webhook_message order by event_type"))
      out.push_back(row.text("event_type"));
    return out;
  }
};

TEST_F(Budget, caps_usd_tokens_or_both) {
  NewBudget input;
  input.limit = usd("2.5");
  input.token_limit = 1000;
  input.period = BudgetPeriod::Monthly;
  const auto made = json(run(budgets_.create(platform_, user_, input, write())));
  EXPECT_EQ(made["max_usd"], "2.50");
  EXPECT_EQ(made["remaining_usd"], "2.50");
  EXPECT_EQ(made["max_tokens"], 1000);
  EXPECT_EQ(made["period"], "monthly");
  EXPECT_EQ(made["period_start"], "2027-01-01T00:00:00.000Z");
  EXPECT_EQ(made["resets_at"], "2027-02-01T00:00:00.000Z");
  EXPECT_EQ(error_of([&] { run(budgets_.create(platform_, user_, input, write())); }).kind(),
            core::ErrorKind::Conflict);
}

TEST_F(Budget, names_the_member_that_is_wrong) {
  NewBudget nothing;
  EXPECT_EQ(error_of([&] { run(budgets_.create(platform_, user_, nothing, write())); }).field(), "/max_usd");
  NewBudget replenished;
  replenished.limit = usd("1");
  replenished.auto_replenish = true;
  EXPECT_EQ(error_of([&] { run(budgets_.create(platform_, user_, replenished, write())); }).field(),
            "/replenish_amount");
  open_budget("1");
  EXPECT_EQ(error_of([&] {
              run(budgets_.top_up(platform_, user_, {{}, 5, "", {}, "{}"}, write("k")));
            }).field(),
            "/tokens");
}

TEST_F(Budget, is_not_there_for_strangers) {
  const auto other = make_platform();
  open_budget();
  EXPECT_EQ(error_of([&] { run(budgets_.get(other, user_)); }).kind(), core::ErrorKind::NotFound);
  EXPECT_EQ(error_of([&] { run(budgets_.top_up(other, user_, move("1"), write("k"))); }).kind(),
            core::ErrorKind::NotFound);
  const auto theirs = make_end_user(other);
  NewBudget input;
  input.limit = usd("1");
  EXPECT_EQ(error_of([&] { run(budgets_.create(platform_, theirs, input, write())); }).kind(),
            core::ErrorKind::NotFound);
}

TEST_F(Budget, counts_what_is_put_in_and_taken_out) {
  open_budget("10");
  EXPECT_EQ(json(run(budgets_.top_up(platform_, user_, move("5"), write("t"))))["remaining_usd"], "15.00");
  const auto out = json(run(budgets_.debit(platform_, user_, move("15"), write("d"))));
  EXPECT_EQ(out["remaining_usd"], "0.00");
  EXPECT_EQ(out["transaction"]["type"], "debit");
  EXPECT_EQ(out["transaction"]["used_usd_after"], "15.00");
  EXPECT_EQ(error_of([&] { run(budgets_.debit(platform_, user_, move("0.000000001"), write("e"))); }).code(),
            "insufficient_balance");
  const auto page = run(budgets_.transactions(platform_, user_, {1, 20}));
  EXPECT_EQ(page.total, 3);
  const auto rows = core::parse_json(page.rows);
  EXPECT_EQ(rows[0]["type"], "debit");
  EXPECT_EQ(rows[1]["type"], "top_up");
  EXPECT_EQ(rows[2]["type"], "opening");
}

TEST_F(Budget, begins_anew_at_the_boundary_of_its_period) {
  NewBudget input;
  input.limit = usd("1");
  input.period = BudgetPeriod::Daily;
  input.auto_replenish = true;
  input.replenish_amount = usd("3");
  run(budgets_.create(platform_, user_, input, write()));
  run(budgets_.debit(platform_, user_, move("1"), write("d")));
  clock_.advance(std::chrono::hours(24));
  const auto view = budget();
  EXPECT_EQ(view["used_usd"], "0.00");
  EXPECT_EQ(view["max_usd"], "3.00");
}

TEST_F(Budget, tells_of_each_flip_of_its_suspension_once) {
  hook();
  open_budget();
  AccountPatch patch;
  for (const bool suspended : {true, true, false}) {
    patch.is_suspended = suspended;
    run(budgets_.patch(platform_, user_, patch, std::string("because"), write()));
    EXPECT_EQ(budget()["is_suspended"], suspended);
  }
  EXPECT_EQ(messages(), (std::vector<std::string>{"budget.suspended", "budget.unsuspended"}));
  EXPECT_EQ(audit_events().front(), "budget.unsuspended");
}

TEST_F(Budget, tells_once_when_it_gets_low_and_again_after_a_top_up) {
  hook();
  open_budget("10", "5");
  for (const auto* key : {"1", "2", "3"}) run(budgets_.debit(platform_, user_, move("2"), write(key)));
  run(budgets_.debit(platform_, user_, move("1"), write("4")));
  EXPECT_EQ(messages(), (std::vector<std::string>{"budget.low_balance"}));
  run(budgets_.top_up(platform_, user_, move("5"), write("5")));
  run(budgets_.debit(platform_, user_, move("4"), write("6")));
  EXPECT_EQ(messages(),
            (std::vector<std::string>{"budget.low_balance", "budget.low_balance", "budget.topped_up"}));
}

TEST_F(Budget, tells_nothing_of_a_change_that_did_not_happen) {
  hook({"budget.debited", "budget.topped_up"});
  open_budget("1");
  error_of([&] { run(budgets_.debit(platform_, user_, move("2"), write("k"))); });
  EXPECT_TRUE(messages().empty());
  run(budgets_.debit(platform_, user_, move("1"), write("k")));
  run(budgets_.debit(platform_, user_, move("1"), write("k")));  // replayed
  EXPECT_EQ(messages(), (std::vector<std::string>{"budget.debited"}));
}

TEST_F(Budget, default_is_monthly_and_part_of_the_callers_transaction) {
  const auto user = make_end_user(platform_);
  EXPECT_THROW(database_.db().execute(storage::Scope::tenant(platform_),
                                      [&](storage::Transaction& tx) {
                                        budgets_.open_default(tx, platform_, user, usd("2"), {});
                                        throw core::conflict("rolled back");
                                      }),
               core::Error);
  EXPECT_EQ(error_of([&] { run(budgets_.get(platform_, user)); }).kind(), core::ErrorKind::NotFound);
  database_.db().execute(storage::Scope::tenant(platform_), [&](storage::Transaction& tx) {
    budgets_.open_default(tx, platform_, user, usd("2"), {});
  });
  const auto view = run(budgets_.get(platform_, user));
  EXPECT_EQ(view["max_usd"], "2.00");
  EXPECT_EQ(view["period"], "monthly");
}

}  // namespace
}  // namespace assistiv::billing
