#include "support/money_fixture.h"

namespace assistiv::billing {
namespace {

struct Wallet : MoneyTest {
  WalletMovement movement(std::string_view amount, std::string description = "") {
    return {usd(amount), std::move(description), {}, "{}"};
  }
};

TEST_F(Wallet, starts_empty_and_shows_its_newest_transactions) {
  EXPECT_EQ(wallet()["balance"], "0.00");
  for (int i = 1; i <= 7; ++i) {
    run(wallets_.top_up(platform_, movement("0.000000001", "no " + std::to_string(i)), write()));
  }
  const auto view = wallet();
  EXPECT_EQ(view["balance"], "0.000000007");
  EXPECT_EQ(view["currency"], "usd");
  ASSERT_EQ(view["recent_transactions"].size(), 5u);
  EXPECT_EQ(view["recent_transactions"][0]["description"], "no 7");
  EXPECT_EQ(view["recent_transactions"][0]["balance_after"], "0.000000007");
  const auto page = run(wallets_.transactions(platform_, {2, 5}));
  EXPECT_EQ(page.total, 7);
  EXPECT_EQ(core::parse_json(page.rows).size(), 2u);
}

TEST_F(Wallet, is_adjusted_both_ways_but_not_below_zero) {
  run(wallets_.top_up(platform_, movement("10"), write()));
  EXPECT_EQ(json(run(wallets_.adjust(platform_, movement("-4"), write())))["balance"], "6.00");
  const auto up = json(run(wallets_.adjust(platform_, movement("1.5"), write())));
  EXPECT_EQ(up["balance"], "7.50");
  EXPECT_EQ(up["transaction"]["direction"], "in");
  // The books tell what came in from what was corrected.
  const auto rows = core::parse_json(run(wallets_.transactions(platform_, {1, 5})).rows);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["type"], "adjustment");
  EXPECT_EQ(rows[1]["type"], "adjustment");
  EXPECT_EQ(rows[1]["direction"], "out");
  EXPECT_EQ(rows[2]["type"], "top_up");
  const auto error = error_of([&] { run(wallets_.adjust(platform_, movement("-8"), write())); });
  EXPECT_EQ(error.kind(), core::ErrorKind::Conflict);
  EXPECT_EQ(wallet()["balance"], "7.50");
}

TEST_F(Wallet, refuses_an_amount_of_nothing) {
  EXPECT_EQ(error_of([&] { run(wallets_.top_up(platform_, movement("0"), write())); }).kind(),
            core::ErrorKind::InvalidArgument);
  EXPECT_EQ(error_of([&] { run(wallets_.top_up(platform_, movement("-1"), write())); }).kind(),
            core::ErrorKind::InvalidArgument);
}

TEST_F(Wallet, keeps_a_threshold_until_it_is_cleared) {
  run(wallets_.patch(platform_, {usd("1"), false}, write()));
  EXPECT_EQ(wallet()["low_balance_threshold"], "1.00");
  run(wallets_.patch(platform_, {{}, true}, write()));
  EXPECT_TRUE(wallet()["low_balance_threshold"].is_null());
}

TEST_F(Wallet, belongs_to_one_platform) {
  const auto other = make_platform();
  run(wallets_.top_up(platform_, movement("10"), write("same-key")));
  run(wallets_.top_up(other, movement("1"), write("same-key")));
  EXPECT_EQ(run(wallets_.get(other))["balance"], "1.00");
  const auto nobody = core::PlatformId::make(clock_, random_);
  EXPECT_EQ(error_of([&] { run(wallets_.get(nobody)); }).kind(), core::ErrorKind::NotFound);
}

TEST_F(Wallet, leaves_a_trail_of_who_did_what) {
  run(wallets_.top_up(platform_, movement("10"), write()));
  run(wallets_.adjust(platform_, movement("-1"), write()));
  EXPECT_EQ(audit_events(), (std::vector<std::string>{"wallet.adjusted", "wallet.topped_up"}));
  const auto entry = run(audit_.list(platform_, {.limit = 1})).entries.at(0);
  EXPECT_EQ(entry.event.actor_kind, "platform");
  EXPECT_EQ(entry.event.request_id, "request-1");
  EXPECT_EQ(core::parse_json(entry.event.details_json)["amount_usd"], "1.00");
}

}  // namespace
}  // namespace assistiv::billing
