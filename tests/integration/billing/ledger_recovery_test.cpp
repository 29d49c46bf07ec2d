// Nodes that die, stop answering, or share a budget that is too small.
#include <fstream>

#include "support/ledger_fixture.h"

namespace assistiv::test {
namespace {

using billing::HoldPtr;

core::Task<> spend(billing::LedgerNode* ledger, std::vector<billing::AdmissionRequest> requests,
                   std::int64_t cost, std::atomic<int>* admitted) {
  for (auto& request : requests) {
    auto admission = co_await ledger->admit(std::move(request));
    auto* hold = std::get_if<HoldPtr>(&admission);
    if (!hold) continue;
    ++*admitted;
    co_await core::sleep_for(std::chrono::milliseconds(1));
    billing::Settlement settlement;
    settlement.cost = {cost};
    (*hold)->settle(settlement);
  }
}

struct LedgerRecovery : LedgerTest {
  // Leases are taken from a node that is silent for so long.
  static billing::LedgerOptions short_lived() {
    billing::LedgerOptions options;
    options.admit_for = std::chrono::milliseconds(400);
    options.lease_expiry = std::chrono::milliseconds(800);
    return options;
  }
  void expire_every_node() {
    database_.exec(
        "update ledger_node set expires_at = clock_timestamp() - interval '1 second' where state = 'live'");
  }
  template <class F>
  void until(F condition) {
    for (int i = 0; i < 2000 && !condition(); ++i) io_.run(core::sleep_for(std::chrono::milliseconds(10)));
    ASSERT_TRUE(condition());
  }
  std::int64_t settled() { return wallet().settled.nanos; }
};

TEST_F(LedgerRecovery, two_nodes_spend_a_tiny_budget_to_the_end_and_not_beyond) {
  top_up_wallet(kUsd);
  open_budget(1000);
  const auto a = start();
  const auto b = start();
  std::atomic<int> admitted{0};
  std::vector<std::future<void>> callers;
  for (int i = 0; i < 20; ++i) {
    std::vector<billing::AdmissionRequest> requests;
    for (int n = 0; n < 20; ++n) requests.push_back(call(20));
    callers.push_back(io_.start(spend((i % 2 ? a : b)->ledger.get(), std::move(requests), 10, &admitted)));
  }
  for (auto& caller : callers) caller.get();
  flush(*a->ledger);
  flush(*b->ledger);
  EXPECT_EQ(budget().settled.nanos, admitted * 10);
  // What a call of 20 does not fit any more is all that may be left, after 400 calls that wanted 4,000.
  EXPECT_LT(budget().remaining()->nanos, 20);
  EXPECT_GE(budget().remaining()->nanos, 0);
  expect_balanced();
}

TEST_F(LedgerRecovery, a_killed_node_loses_no_settlement_and_strands_no_hold) {
  top_up_wallet(kUsd);
  open_budget(kUsd);
  billing::LedgerOptions slow;
  slow.settle_interval = std::chrono::hours(1);  // only the journal has what ended
  auto dying = start(slow);
  hold(*dying->ledger, 100)->settle(costs(11));
  hold(*dying->ledger, 100)->settle(costs(22));
  hold(*dying->ledger, 100)->settle(costs(33));
  auto open = hold(*dying->ledger, 100);
  EXPECT_EQ(settled(), 0);
  dying.reset();
  open.reset();  // too late: a dead process settles nothing

  const auto next = start();
  EXPECT_EQ(settled(), 11 + 22 + 33 + 10);
  EXPECT_EQ(rows("select cost from usage_row where outcome = 'lost'")[0].integer("cost"), 10);
  EXPECT_EQ(wallet().leased.nanos, 0);
  EXPECT_EQ(budget().leased.nanos, 0);
  expect_balanced();
}

TEST_F(LedgerRecovery, a_recovery_that_is_repeated_bills_nothing_twice) {
  top_up_wallet(kUsd);
  auto dying = start();
  hold(*dying->ledger, 100)->settle(costs(60));
  auto open = hold(*dying->ledger, 100);
  flush(*dying->ledger);
  dying.reset();
  open.reset();
  const auto copy = directory_ + ".copy";
  std::filesystem::copy(directory_, copy, std::filesystem::copy_options::recursive);
  start()->ledger->stop();
  EXPECT_EQ(settled(), 70);
  std::filesystem::remove_all(directory_);
  std::filesystem::rename(copy, directory_);
  start()->ledger->stop();
  EXPECT_EQ(settled(), 70);
  EXPECT_EQ(wallet().leased.nanos, 0);
  expect_balanced();
}

TEST_F(LedgerRecovery, a_torn_record_at_the_end_of_the_journal_is_no_call) {
  top_up_wallet(kUsd);
  auto dying = start();
  auto open = hold(*dying->ledger, 100);
  dying.reset();
  open.reset();
  for (const auto& file : std::filesystem::directory_iterator(directory_)) {
    if (file.path().extension() != ".journal") continue;
    std::ofstream(file.path(), std::ios::app | std::ios::binary) << std::string("\x40\0\0\0half", 8);
  }
  const auto next = start();
  EXPECT_EQ(count("usage_row"), 1);
  expect_balanced();
}

TEST_F(LedgerRecovery, a_live_node_finishes_the_journal_of_a_dead_neighbour) {
  top_up_wallet(kUsd);
  auto dying = start(short_lived());
  const auto alive = start(short_lived());
  auto open = hold(*dying->ledger, 100);
  dying.reset();
  open.reset();
  until([&] { return settled() == 10; });
  until([&] { return wallet().leased.nanos == 0; });
  expect_balanced();
}

TEST_F(LedgerRecovery, a_node_that_never_returns_gives_back_with_an_entry_that_shows) {
  top_up_wallet(1000);
  auto far = short_lived();
  far.journal_directory = directory_ + "/elsewhere";  // another machine's disk
  auto lost = start(far);
  auto open = hold(*lost->ledger, 700);
  lost.reset();
  open.reset();
  const auto alive = start(short_lived());
  until([&] { return wallet().leased.nanos == 0; });
  EXPECT_EQ(rows("select amount from ledger_entry where type = 'reconcile'")[0].integer("amount"), 700);
  EXPECT_EQ(count("ledger_node where state = 'fenced'"), 1);
  EXPECT_TRUE(hold(*alive->ledger, 1000));
  expect_balanced();
}

TEST_F(LedgerRecovery, a_node_that_was_fenced_begins_anew_and_its_calls_are_billed) {
  top_up_wallet(1000);
  const auto paused = start();
  auto held = hold(*paused->ledger, 700);
  expire_every_node();
  const auto other = start(short_lived());
  until([&] { return count("ledger_node where state = 'fenced'") == 1; });
  held->settle(costs(600));
  flush(*paused->ledger);
  EXPECT_EQ(settled(), 600);
  hold(*paused->ledger, 400)->settle(costs(400));
  flush(*paused->ledger);
  EXPECT_EQ(settled(), 1000);
  expect_balanced();
}

TEST_F(LedgerRecovery, what_a_fenced_node_spent_beyond_the_limit_is_written_off_and_not_overspent) {
  top_up_wallet(1000);
  const auto paused = start();
  auto held = hold(*paused->ledger, 700);
  expire_every_node();
  const auto other = start(short_lived());
  until([&] { return count("ledger_node where state = 'fenced'") == 1; });
  hold(*other->ledger, 800)->settle(costs(800));
  other->ledger->stop();  // what it leased ahead of its next calls is back: 200 are left for the late one
  held->settle(costs(600));
  flush(*paused->ledger);
  EXPECT_EQ(settled(), 1000);
  const auto late = rows("select cost, unbilled from usage_row where cost <> 800")[0];
  EXPECT_EQ(late.integer("cost"), 200);
  EXPECT_EQ(late.integer("unbilled"), 400);
  EXPECT_EQ(rows("select amount from ledger_entry where type = 'write_off'")[0].integer("amount"), 400);
  expect_balanced();
}

TEST_F(LedgerRecovery, a_database_that_comes_back_gets_everything) {
  top_up_wallet(kUsd);
  hold(ledger(), 100)->settle(costs(1));
  flush(ledger());
  for (int i = 0; i < 50; ++i) {
    auto held = hold(ledger(), 100);
    if (i % 10 == 0) {
      database_.exec_as_superuser(
          "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid "
          "<> "
          "pg_backend_pid()");
    }
    held->settle(costs(2));
  }
  flush(ledger());
  EXPECT_EQ(settled(), 101);
  EXPECT_EQ(count("usage_row"), 51);
  ledger().stop();
  EXPECT_EQ(wallet().leased.nanos, 0);
  expect_balanced();
}

TEST_F(LedgerRecovery, calls_of_a_deleted_platform_stop_nothing) {
  top_up_wallet(kUsd);
  auto orphaned = hold(ledger(), 100);
  const auto gone = platform_;
  platform_ = make_platform();
  user_ = make_end_user();
  top_up_wallet(kUsd);
  database_.exec("delete from platform where platform_id = $1::uuid", {gone.str()});
  orphaned->settle(costs(100));
  hold(ledger(), 100)->settle(costs(5));
  flush(ledger());
  EXPECT_EQ(settled(), 5);
  EXPECT_EQ(count("usage_row"), 1);
}

TEST_F(LedgerRecovery, the_books_cannot_be_changed_behind_the_ledger) {
  top_up_wallet(1000);
  hold(ledger(), 100)->settle(costs(60));
  flush(ledger());
  for (const auto* sql :
       {"update ledger_entry set amount = 0", "delete from ledger_entry", "truncate ledger_entry",
        "update usage_row set cost = 0", "delete from usage_row", "delete from account where kind = 'wallet'",
        "update account set settled = 1001", "update account set settled = 0, leased = 1001"}) {
    EXPECT_THROW(database_.exec(sql), core::Error) << sql;
  }
  database_.exec("update account set settled = 61");
  EXPECT_FALSE(verify().balanced);
}

}  // namespace
}  // namespace assistiv::test
