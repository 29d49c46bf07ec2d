#include <optional>

#include "support/eventually.h"
#include "support/ledger_fixture.h"

namespace assistiv::test {
namespace {

using billing::BudgetPeriod;

struct AccountStoreTest : LedgerTest {
  template <class F>
  auto tx(F work) {
    return io_.run(database_.db().run(storage::Scope::tenant(platform_), std::move(work)));
  }
  billing::MoneyResult debit(std::int64_t nanos) {
    const auto id = budget().id;
    std::optional<billing::MoneyResult> out;
    EXPECT_TRUE(test::eventually([&] {  // nodes give back what they leased when they are asked
      out = tx(
          [=, this](storage::Transaction& tx) { return accounts_.debit(tx, platform_, id, {nanos}, 0, {}); });
      return out.has_value();
    }));
    return out.value();
  }
  std::vector<billing::LedgerEntry> entries(int page = 1, int limit = 100) {
    const auto id = budget().id;
    return tx([=, this](storage::Transaction& tx) {
      return accounts_.entries(tx, platform_, id, page, limit).items;
    });
  }
  template <class F>
  core::Error error_of(F call) {
    try {
      call();
    } catch (const core::Error& error) {
      return error;
    }
    ADD_FAILURE() << "did not throw";
    return core::internal("nothing was thrown");
  }
};

TEST_F(AccountStoreTest, opens_a_budget_with_its_entry) {
  const auto account = open_budget(500);
  EXPECT_EQ(account.limit->nanos, 500);
  const auto found = entries();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].type, "opening");
  EXPECT_EQ(found[0].amount.nanos, 500);
  EXPECT_EQ(error_of([&] { open_budget(1); }).kind(), core::ErrorKind::Conflict);
  expect_balanced();
}

TEST_F(AccountStoreTest, refuses_a_budget_that_caps_nothing_or_replenishes_nothing) {
  EXPECT_EQ(error_of([&] { open_budget(billing::NewBudget{}); }).field(), "limit");
  EXPECT_EQ(error_of([&] { open_budget(0); }).field(), "limit");
  billing::NewBudget input;
  input.limit = core::NanoUsd{1};
  input.auto_replenish = true;
  EXPECT_EQ(error_of([&] { open_budget(input); }).field(), "replenish_amount");
}

TEST_F(AccountStoreTest, debits_what_remains_and_no_more) {
  open_budget(100);
  EXPECT_EQ(debit(60).entry.settled_after.nanos, 60);
  EXPECT_EQ(error_of([&] { debit(41); }).code(), "insufficient_balance");
  debit(40);
  EXPECT_EQ(budget().remaining()->nanos, 0);
  expect_balanced();
}

TEST_F(AccountStoreTest, debits_what_a_node_has_leased_and_does_not_use) {
  top_up_wallet(1000);
  open_budget(1000);
  hold(ledger(), 5)->settle(costs(5));
  auto held = hold(ledger(), 5);
  flush(ledger());
  ASSERT_GT(budget().leased.nanos, 5);
  debit(990);
  EXPECT_EQ(budget().settled.nanos, 995);
  held->settle(costs(5));
  flush(ledger());
  EXPECT_EQ(budget().remaining()->nanos, 0);
  expect_balanced();
}

TEST_F(AccountStoreTest, writes_down_what_a_patch_changed) {
  open_budget(100);
  patch_budget({.limit = core::NanoUsd{70}, .is_suspended = true});
  patch_budget({.is_suspended = false});
  std::vector<std::string> types;
  for (const auto& entry : entries()) types.push_back(entry.type);
  EXPECT_EQ(types, (std::vector<std::string>{"unsuspended", "suspended", "adjustment", "opening"}));
  EXPECT_EQ(entries(2, 2).front().debit, "allowance");
  EXPECT_EQ(events_.take(), (std::vector<std::string>{"budget.suspended", "budget.unsuspended"}));
  EXPECT_EQ(budget().limit->nanos, 70);
  expect_balanced();
}

TEST_F(AccountStoreTest, shows_a_new_period_before_anything_was_written) {
  billing::NewBudget input;
  input.limit = core::NanoUsd{100};
  input.period = BudgetPeriod::Monthly;
  open_budget(input);
  debit(60);
  clock_.advance(std::chrono::days(32));
  EXPECT_EQ(budget().settled.nanos, 0);
  EXPECT_EQ(budget().period_no, 1);
  top_up_budget(5);
  EXPECT_EQ(budget().limit->nanos, 105);
  expect_balanced();
}

TEST_F(AccountStoreTest, counts_days_and_months_in_utc) {
  const auto at = [](const char* text) { return core::parse_time(text).value(); };
  const auto day = billing::period_window(BudgetPeriod::Daily, at("2026-03-01T23:59:59.999Z"));
  EXPECT_EQ(day.start, at("2026-03-01T00:00:00Z"));
  EXPECT_EQ(day.end, at("2026-03-02T00:00:00Z"));
  const auto month = billing::period_window(BudgetPeriod::Monthly, at("2026-12-31T10:00:00Z"));
  EXPECT_EQ(month.start, at("2026-12-01T00:00:00Z"));
  EXPECT_EQ(month.end, at("2027-01-01T00:00:00Z"));
  EXPECT_FALSE(billing::period_window(BudgetPeriod::OneTime, at("2026-12-31T10:00:00Z")).end);
}

TEST_F(AccountStoreTest, belongs_to_one_platform) {
  const auto mine = open_budget(100);
  platform_ = make_platform();
  const auto error = error_of([&] {
    tx([&](storage::Transaction& tx) { return accounts_.top_up(tx, platform_, mine.id, {5}, 0, {}); });
  });
  EXPECT_EQ(error.kind(), core::ErrorKind::NotFound);
}

}  // namespace
}  // namespace assistiv::test
