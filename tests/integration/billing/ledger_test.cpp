#include "support/ledger_fixture.h"

namespace assistiv::test {
namespace {

using billing::CallOutcome;
using billing::Refusal;

TEST_F(LedgerTest, refuses_a_new_platform_until_its_wallet_is_topped_up) {
  const auto refused = refusal(ledger(), kCent);
  EXPECT_EQ(refused.code, "wallet_insufficient");
  EXPECT_EQ(refused.level, Refusal::Level::Wallet);
  EXPECT_EQ(refused.limit, 0);
  EXPECT_EQ(refused.requested, kCent);
  top_up_wallet(kUsd);
  hold(ledger(), kCent)->settle(costs(3));
  flush(ledger());
  EXPECT_EQ(wallet().settled.nanos, 3);
  EXPECT_EQ(wallet().remaining()->nanos, kUsd - 3);
  expect_balanced();
}

TEST_F(LedgerTest, takes_every_call_from_both_levels) {
  top_up_wallet(kUsd);
  open_budget(10 * kCent);
  for (int i = 0; i < 50; ++i) hold(ledger(), kCent / 10)->settle(costs(kCent / 20));
  flush(ledger());
  EXPECT_EQ(wallet().settled.nanos, 50 * (kCent / 20));
  EXPECT_EQ(budget().settled.nanos, 50 * (kCent / 20));
  EXPECT_EQ(count("usage_row where budget_id is not null"), 50);
  expect_balanced();
}

TEST_F(LedgerTest, names_the_level_that_is_short_with_its_numbers) {
  top_up_wallet(kUsd);
  billing::NewBudget input;
  input.limit = core::NanoUsd{5 * kCent};
  input.period = billing::BudgetPeriod::Daily;
  open_budget(input);
  auto first = hold(ledger(), 3 * kCent);
  const auto refused = refusal(ledger(), 4 * kCent);
  EXPECT_EQ(refused.code, "budget_exceeded");
  EXPECT_EQ(refused.level, Refusal::Level::Budget);
  EXPECT_EQ(refused.limit, 5 * kCent);
  EXPECT_EQ(refused.spent, 0);
  EXPECT_GE(refused.held, 3 * kCent);
  EXPECT_EQ(refused.resets_at, budget().resets_at);
  // None of the levels kept what the refused call asked for.
  first->settle(costs(kCent));
  EXPECT_TRUE(hold(ledger(), 4 * kCent));
}

TEST_F(LedgerTest, admits_what_fits_the_rest_exactly) {
  top_up_wallet(100);
  hold(ledger(), 40)->settle(costs(30));
  flush(ledger());
  EXPECT_EQ(refusal(ledger(), 71).code, "wallet_insufficient");
  hold(ledger(), 70)->settle(costs(70));
  flush(ledger());
  EXPECT_EQ(wallet().remaining()->nanos, 0);
  EXPECT_EQ(refusal(ledger(), 1).spent, 100);
  expect_balanced();
}

TEST_F(LedgerTest, admits_the_rest_to_the_last_nano_while_other_nodes_hold_leases_of_it) {
  billing::LedgerOptions keeping;
  keeping.return_idle = std::chrono::hours(1);  // nobody gives anything back unless it is asked to
  keeping.refuse_after = std::chrono::seconds(20);
  top_up_wallet(2000);
  open_budget(1000);
  std::vector<Process> others;
  for (int i = 0; i < 3; ++i) {
    others.push_back(start(keeping));
    hold(*others.back()->ledger, 10)->settle(costs(10));
    flush(*others.back()->ledger);
  }
  EXPECT_GT(budget().leased.nanos, 0);
  EXPECT_GT(wallet().leased.nanos, 0);
  const auto last = start(keeping);
  EXPECT_EQ(refusal(*last->ledger, 971).code, "budget_exceeded");
  hold(*last->ledger, 970)->settle(costs(970));
  flush(*last->ledger);
  EXPECT_EQ(budget().remaining()->nanos, 0);
  EXPECT_EQ(refusal(*others[0]->ledger, 1).code, "budget_exceeded");
  expect_balanced();
}

TEST_F(LedgerTest, waits_for_a_call_that_ends_soon) {
  top_up_wallet(100);
  billing::LedgerOptions patient;
  patient.refuse_after = std::chrono::seconds(20);
  process_ = start(patient);
  auto first = hold(ledger(), 100);
  auto second = io_.start(ledger().admit(call(100)));
  first->settle(costs(0));
  EXPECT_TRUE(std::holds_alternative<billing::HoldPtr>(second.get()));
}

struct Exit {
  CallOutcome outcome;
  std::int64_t cost;
  std::string name;
};

TEST_F(LedgerTest, writes_one_row_for_every_way_a_call_ends) {
  top_up_wallet(kUsd);
  open_budget(kUsd);
  const std::vector<Exit> exits = {
      {CallOutcome::Success, 50, "success"},          {CallOutcome::UpstreamError, 0, "upstream_error"},
      {CallOutcome::StreamError, 40, "stream_error"}, {CallOutcome::Truncated, 41, "truncated"},
      {CallOutcome::ClientGone, 42, "client_gone"},   {CallOutcome::Timeout, 43, "timeout"},
      {CallOutcome::Blocked, 44, "blocked"},          {CallOutcome::CacheHit, 0, "cache_hit"},
  };
  std::int64_t sum = 0;
  for (const auto& exit : exits) {
    hold(ledger(), 100)->settle(costs(exit.cost, exit.outcome));
    sum += exit.cost;
  }
  hold(ledger(), 100).reset();  // nobody settled it: lost, at its lost_cost
  flush(ledger());
  for (const auto& exit : exits) {
    const auto found = rows("select cost from usage_row where outcome = '" + exit.name + "'");
    ASSERT_EQ(found.size(), 1u) << exit.name;
    EXPECT_EQ(found[0].integer("cost"), exit.cost) << exit.name;
  }
  EXPECT_EQ(rows("select cost from usage_row where outcome = 'lost'")[0].integer("cost"), 10);
  EXPECT_EQ(wallet().settled.nanos, sum + 10);
  EXPECT_EQ(budget().settled.nanos, sum + 10);
  expect_balanced();
}

TEST_F(LedgerTest, keeps_every_fact_of_a_call_on_its_row) {
  top_up_wallet(kUsd);
  auto request = call(1000);
  request.facts.attempt = 2;
  request.facts.tag = "it's {a} \"tag\"";
  request.facts.key_id = "key-1";
  request.facts.run_id = "run-1";
  request.facts.stream = true;
  const auto price = std::make_shared<billing::Price>();
  price->id = "price-1";
  request.price = price;
  auto settlement = costs(77);
  settlement.usage = {.input = 10, .output = 0, .cache_read = 3, .reasoning = 0};
  settlement.status = 200;
  settlement.error = "bad \xff byte";
  settlement.upstream_request_id = "up-1";
  settlement.latency = std::chrono::milliseconds(120);
  settlement.first_token = std::chrono::milliseconds(30);
  auto admission = admit(ledger(), request);
  std::get<billing::HoldPtr>(admission)->settle(settlement);
  flush(ledger());
  const auto row = rows("select * from usage_row")[0];
  EXPECT_EQ(row.text("tag"), request.facts.tag);
  EXPECT_EQ(row.integer("attempt"), 2);
  EXPECT_EQ(row.text("end_user_id"), user_.str());
  EXPECT_TRUE(row.is_null("budget_id"));
  EXPECT_EQ(row.text("key_id"), "key-1");
  EXPECT_EQ(row.text("run_id"), "run-1");
  EXPECT_EQ(row.text("price_id"), "price-1");
  EXPECT_TRUE(row.boolean("stream"));
  EXPECT_EQ(row.integer("input_tokens"), 10);
  EXPECT_EQ(row.integer("output_tokens"), 0);
  EXPECT_EQ(row.integer("cache_read_tokens"), 3);
  EXPECT_TRUE(row.is_null("cache_write_5m_tokens"));
  EXPECT_EQ(row.integer("reasoning_tokens"), 0);
  EXPECT_EQ(row.text("error"), "bad ? byte");
  EXPECT_EQ(row.text("upstream_request_id"), "up-1");
  EXPECT_EQ(row.integer("latency_ms"), 120);
  EXPECT_EQ(row.integer("first_token_ms"), 30);
}

TEST_F(LedgerTest, settles_once_and_never_above_the_bound) {
  top_up_wallet(kUsd);
  auto held = hold(ledger(), 100);
  held->settle(costs(150));
  held->settle(costs(90));
  held.reset();
  flush(ledger());
  EXPECT_EQ(wallet().settled.nanos, 100);
  EXPECT_EQ(count("usage_row"), 1);
  expect_balanced();
}

TEST_F(LedgerTest, bills_one_attempt_of_a_request_once_whoever_settles_it_again) {
  top_up_wallet(kUsd);
  const auto a = start();
  const auto b = start();
  const auto request = call(100);
  auto first = admit(*a->ledger, request);
  auto second = admit(*b->ledger, request);
  std::get<billing::HoldPtr>(first)->settle(costs(60));
  flush(*a->ledger);
  std::get<billing::HoldPtr>(second)->settle(costs(70));
  hold(*b->ledger, 100)->settle(costs(1));  // in the same batch as the clash
  flush(*b->ledger);
  EXPECT_EQ(wallet().settled.nanos, 61);
  expect_balanced();
  b->ledger->stop();
  a->ledger->stop();
  EXPECT_EQ(wallet().leased.nanos, 0);
}

TEST_F(LedgerTest, needs_no_money_for_a_free_call_but_keeps_its_row) {
  hold(ledger(), 0)->settle(costs(0));
  flush(ledger());
  EXPECT_EQ(count("usage_row"), 1);
  EXPECT_EQ(count("ledger_entry"), 0);
  open_budget(100);
  patch_budget({.is_suspended = true});
  EXPECT_EQ(refusal(ledger(), 0).code, "budget_suspended");
}

TEST_F(LedgerTest, lets_calls_under_way_end_after_a_suspension) {
  top_up_wallet(kUsd);
  open_budget(1000);
  auto held = hold(ledger(), 100);
  patch_budget({.is_suspended = true});
  EXPECT_EQ(refusal(ledger(), 1).code, "budget_suspended");
  held->settle(costs(80));
  flush(ledger());
  EXPECT_EQ(budget().settled.nanos, 80);
  patch_budget({.is_suspended = false});
  EXPECT_TRUE(hold(ledger(), 100));
  expect_balanced();
}

TEST_F(LedgerTest, spends_no_more_than_a_lowered_limit) {
  top_up_wallet(kUsd);
  open_budget(1000);
  hold(ledger(), 100)->settle(costs(100));
  flush(ledger());
  patch_budget({.limit = core::NanoUsd{150}});
  EXPECT_EQ(refusal(ledger(), 51).code, "budget_exceeded");
  hold(ledger(), 50)->settle(costs(50));
  flush(ledger());
  patch_budget({.limit = core::NanoUsd{20}});
  EXPECT_EQ(refusal(ledger(), 1).code, "budget_exceeded");
  expect_balanced();
}

TEST_F(LedgerTest, caps_tokens_beside_money) {
  top_up_wallet(kUsd);
  billing::NewBudget input;
  input.token_limit = 1000;
  open_budget(input);
  hold(ledger(), 100, 600)->settle(costs(10, CallOutcome::Success, 500));
  flush(ledger());
  EXPECT_EQ(budget().tokens_settled, 500);
  EXPECT_EQ(budget().settled.nanos, 10);
  const auto refused = refusal(ledger(), 100, 501);
  EXPECT_EQ(refused.level, Refusal::Level::TokenBudget);
  EXPECT_EQ(refused.limit, 1000);
  EXPECT_EQ(refused.spent, 500);
  hold(ledger(), 100, 500)->settle(costs(10, CallOutcome::Success, 500));
  flush(ledger());
  EXPECT_EQ(budget().tokens_remaining(), 0);
  EXPECT_FALSE(budget().remaining());
  expect_balanced();
}

TEST_F(LedgerTest, opens_a_new_period_at_midnight_and_bills_older_calls_to_the_old_one) {
  top_up_wallet(kUsd);
  billing::NewBudget input;
  input.limit = core::NanoUsd{100};
  input.period = billing::BudgetPeriod::Daily;
  input.auto_replenish = true;
  input.replenish_amount = core::NanoUsd{80};
  open_budget(input);
  auto old = hold(ledger(), 100);
  EXPECT_EQ(refusal(ledger(), 1).code, "budget_exceeded");
  clock_.advance(std::chrono::hours(24));
  auto fresh = hold(ledger(), 80);
  old->settle(costs(90));
  fresh->settle(costs(70));
  flush(ledger());
  EXPECT_EQ(budget().settled.nanos, 70);
  EXPECT_EQ(budget().limit->nanos, 80);
  EXPECT_EQ(
      rows("select amount from ledger_entry where period_no = 0 and type = 'llm_usage' and account_id = '" +
           budget().id.str() + "'")[0]
          .integer("amount"),
      90);
  EXPECT_EQ(wallet().settled.nanos, 160);
  expect_balanced();
}

TEST_F(LedgerTest, says_once_that_a_balance_is_low_until_it_is_topped_up) {
  top_up_wallet(kUsd);
  billing::NewBudget input;
  input.limit = core::NanoUsd{100};
  input.low_balance_threshold = core::NanoUsd{50};
  open_budget(input);
  const auto spend = [&](std::int64_t nanos) {
    events_.take();
    hold(ledger(), nanos)->settle(costs(nanos));
    flush(ledger());
    return events_.take();
  };
  using List = std::vector<std::string>;
  EXPECT_EQ(spend(40), List{"budget.debited"});
  EXPECT_EQ(spend(20), (List{"budget.debited", "budget.low_balance"}));
  EXPECT_EQ(spend(10), List{"budget.debited"});
  top_up_budget(100);
  EXPECT_EQ(spend(60), List{"budget.debited"});
  EXPECT_EQ(spend(60), (List{"budget.debited", "budget.low_balance"}));
}

TEST_F(LedgerTest, tells_of_every_entry_that_debited_a_budget) {
  top_up_wallet(kUsd);
  open_budget(kUsd);
  billing::LedgerOptions together;
  together.settle_interval = std::chrono::seconds(1);
  process_ = start(together);
  hold(ledger(), 10)->settle(costs(10));
  flush(ledger());
  events_.take();
  // Two kinds of use in one batch are two entries.
  auto first = hold(ledger(), 20);
  auto run = call(30);
  run.facts.request_type = "agent";
  auto second = std::get<billing::HoldPtr>(admit(ledger(), run));
  first->settle(costs(20));
  second->settle(costs(30));
  flush(ledger());
  EXPECT_EQ(events_.take(), (std::vector<std::string>{"budget.debited", "budget.debited"}));
}

TEST_F(LedgerTest, tells_what_could_still_be_held) {
  top_up_wallet(1000);
  EXPECT_EQ(io_.run(ledger().available(payer())), core::NanoUsd{1000});
  open_budget(300);
  ledger().account_changed(platform_, user_);
  EXPECT_EQ(io_.run(ledger().available(payer())), core::NanoUsd{300});
  const auto held = hold(ledger(), 200);
  EXPECT_EQ(io_.run(ledger().available(payer())), core::NanoUsd{100});
}

TEST_F(LedgerTest, applies_a_new_budget_on_other_nodes) {
  top_up_wallet(kUsd);
  const auto other = start();
  hold(*other->ledger, 100)->settle(costs(100));  // now it knows that there is no budget
  open_budget(10);
  // The notice takes a moment.
  for (int i = 0; i < 2000; ++i) {
    auto admission = admit(*other->ledger, call(100));
    if (std::holds_alternative<Refusal>(admission)) return;
    std::get<billing::HoldPtr>(admission)->settle(costs(0));
    io_.run(core::sleep_for(std::chrono::milliseconds(10)));
  }
  FAIL() << "the other node never saw the budget";
}

TEST_F(LedgerTest, stops_admitting_when_the_journal_is_full) {
  top_up_wallet(kUsd);
  billing::LedgerOptions options;
  options.journal_bytes_max = 100;
  process_ = start(options);
  const auto held = hold(ledger(), 10);
  try {
    admit(ledger(), call(10));
    FAIL() << "admitted";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::Unavailable);
    EXPECT_TRUE(error.retry_after());
  }
}

TEST_F(LedgerTest, returns_everything_at_the_end) {
  top_up_wallet(kUsd);
  open_budget(kUsd / 2);
  hold(ledger(), 100)->settle(costs(70));
  ledger().stop();
  EXPECT_EQ(wallet().leased.nanos, 0);
  EXPECT_EQ(budget().leased.nanos, 0);
  EXPECT_EQ(wallet().settled.nanos, 70);
  EXPECT_EQ(count("ledger_node where state = 'closed'"), 1);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
  EXPECT_THROW(admit(ledger(), call(1)), core::Error);
}

TEST_F(LedgerTest, gives_back_what_nobody_uses) {
  top_up_wallet(kUsd);
  billing::LedgerOptions options;
  options.return_idle = std::chrono::milliseconds(1);
  process_ = start(options);
  hold(ledger(), 100)->settle(costs(100));
  flush(ledger());
  for (int i = 0; i < 1000 && wallet().leased.nanos > 0; ++i)
    io_.run(core::sleep_for(std::chrono::milliseconds(10)));
  EXPECT_EQ(wallet().leased.nanos, 0);
  expect_balanced();
}

TEST_F(LedgerTest, keeps_holds_on_the_disk_when_asked_to) {
  top_up_wallet(kUsd);
  billing::LedgerOptions options;
  options.fsync_interval = std::chrono::milliseconds(1);
  process_ = start(options);
  for (int i = 0; i < 5; ++i) hold(ledger(), 100)->settle(costs(1));
  flush(ledger());
  EXPECT_EQ(wallet().settled.nanos, 5);
}

}  // namespace
}  // namespace assistiv::test
