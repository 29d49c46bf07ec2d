#include <future>
#include <vector>

#include "support/money_fixture.h"

namespace assistiv::billing {
namespace {

struct Idempotency : MoneyTest {
  Idempotency() { open_budget("10"); }
};

TEST_F(Idempotency, the_same_request_again_gives_the_first_reply_and_moves_nothing) {
  const auto first = run(budgets_.top_up(platform_, user_, move("5"), write("k1")));
  EXPECT_FALSE(first.replayed);
  EXPECT_EQ(json(first)["max_usd"], "15.00");
  run(budgets_.top_up(platform_, user_, move("1"), write()));  // the balance has moved on since
  const auto again = run(budgets_.top_up(platform_, user_, move("5"), write("k1")));
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.status, first.status);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(budget()["max_usd"], "16.00");
}

TEST_F(Idempotency, the_same_key_with_another_request_is_a_conflict) {
  run(budgets_.top_up(platform_, user_, move("5"), write("k1")));
  const auto error =
      error_of([&] { run(budgets_.top_up(platform_, user_, move("6"), write("k1", "other"))); });
  EXPECT_EQ(error.kind(), core::ErrorKind::Conflict);
  EXPECT_EQ(error.field(), "Idempotency-Key");
  EXPECT_EQ(budget()["max_usd"], "15.00");
}

TEST_F(Idempotency, concurrent_requests_with_one_key_move_once) {
  std::vector<std::future<MoneyReply>> replies;
  for (int i = 0; i < 16; ++i) {
    replies.push_back(io_.start(budgets_.debit(platform_, user_, move("1"), write("race"))));
  }
  int fresh = 0;
  std::string body;
  for (auto& reply : replies) {
    const auto got = reply.get();
    fresh += got.replayed ? 0 : 1;
    if (body.empty()) body = got.body;
    EXPECT_EQ(got.body, body);
  }
  EXPECT_EQ(fresh, 1);
  EXPECT_EQ(budget()["used_usd"], "1.00");
  EXPECT_EQ(count("ledger_entry where type = 'debit'"), 1);
}

TEST_F(Idempotency, a_write_that_was_rolled_back_frees_its_key) {
  const auto error = error_of([&] { run(budgets_.debit(platform_, user_, move("11"), write("k1"))); });
  EXPECT_EQ(error.code(), "insufficient_balance");
  EXPECT_EQ(count("idempotency_key"), 0);
  // The same key works once there is enough, and for another amount too: nothing was done under it.
  run(budgets_.top_up(platform_, user_, move("5"), write("k2")));
  EXPECT_FALSE(run(budgets_.debit(platform_, user_, move("11"), write("k1"))).replayed);
  EXPECT_EQ(budget()["used_usd"], "11.00");
}

TEST_F(Idempotency, one_waits_for_the_other_and_takes_over_when_it_is_rolled_back) {
  const IdempotencyStore store(clock_);
  const IdempotencyKey key{"platform", "k1", "f"};
  std::promise<void> claimed, finish;
  auto holder = std::async(std::launch::async, [&] {
    database_.db().execute(storage::Scope::tenant(platform_), [&](storage::Transaction& tx) {
      store.once(tx, platform_, key, [&]() -> MoneyReply {
        claimed.set_value();
        finish.get_future().wait();
        throw core::conflict("rolled back");
      });
    });
  });
  claimed.get_future().wait();
  auto second = std::async(std::launch::async, [&] {
    MoneyReply out;
    database_.db().execute(storage::Scope::tenant(platform_), [&](storage::Transaction& tx) {
      out = store.once(tx, platform_, key, [] { return MoneyReply{201, "second", false}; });
    });
    return out;
  });
  finish.set_value();
  EXPECT_THROW(holder.get(), core::Error);
  const auto reply = second.get();
  EXPECT_FALSE(reply.replayed);
  EXPECT_EQ(reply.body, "second");
}

TEST_F(Idempotency, callers_and_platforms_do_not_share_keys) {
  const IdempotencyStore store(clock_);
  const auto other = make_platform();
  const auto use = [&](core::PlatformId platform, const std::string& caller) {
    MoneyReply out;
    database_.db().execute(storage::Scope::tenant(platform), [&](storage::Transaction& tx) {
      out = store.once(tx, platform, IdempotencyKey{caller, "k", "f"}, [] {
        return MoneyReply{200, "x", false};
      });
    });
    return out.replayed;
  };
  EXPECT_FALSE(use(platform_, "platform"));
  EXPECT_FALSE(use(platform_, "operator"));
  EXPECT_FALSE(use(other, "platform"));
  EXPECT_TRUE(use(platform_, "platform"));
}

TEST_F(Idempotency, keys_are_forgotten_after_their_retention) {
  run(budgets_.top_up(platform_, user_, move("1"), write("k1")));
  clock_.advance(IdempotencyStore::kRetention - std::chrono::seconds(1));
  EXPECT_TRUE(run(budgets_.top_up(platform_, user_, move("1"), write("k1"))).replayed);
  clock_.advance(std::chrono::seconds(2));
  EXPECT_FALSE(run(budgets_.top_up(platform_, user_, move("1"), write("k1"))).replayed);
  clock_.advance(IdempotencyStore::kRetention + std::chrono::seconds(1));
  run(worker_.sweep());
  EXPECT_EQ(count("idempotency_key"), 0);
}

TEST_F(Idempotency, creating_and_changing_a_budget_can_be_repeated_too) {
  const auto other = make_end_user(platform_);
  NewBudget input;
  input.limit = usd("3");
  EXPECT_FALSE(run(budgets_.create(platform_, other, input, write("c"))).replayed);
  EXPECT_TRUE(run(budgets_.create(platform_, other, input, write("c"))).replayed);
  AccountPatch patch;
  patch.is_suspended = true;
  EXPECT_FALSE(run(budgets_.patch(platform_, other, patch, {}, write("p"))).replayed);
  EXPECT_TRUE(run(budgets_.patch(platform_, other, patch, {}, write("p"))).replayed);
}

}  // namespace
}  // namespace assistiv::billing
