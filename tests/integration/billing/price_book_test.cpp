#include "billing/price_book.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/random.h"
#include "storage/notifier.h"
#include "support/edge_test.h"
#include "support/manual_clock.h"
#include "support/run_task.h"
#include "support/test_database.h"

namespace assistiv::billing {
namespace {

struct PriceBookTest : testing::Test {
  test::IoThread io;
  test::TestDatabase database;
  test::ManualClock clock;
  core::SystemRandom random;
  PriceBook book{database.db(), clock, random};

  NewPrice price(const std::string& model, std::int64_t input, std::optional<std::int64_t> from_ms = 0) {
    NewPrice out;
    out.provider = "acme";
    out.model = model;
    if (from_ms) out.valid_from = core::from_epoch_ms(*from_ms);
    out.base.input = input;
    out.base.output = 7;
    return out;
  }
  PriceChanges put(const std::string& source, std::vector<NewPrice> prices) {
    return io.run(book.put(source, std::move(prices)));
  }
  std::int64_t input_of(const std::string& model) {
    const auto found = book.find("acme", model, clock.now());
    return found ? *found->base.input : -1;
  }
};

TEST_F(PriceBookTest, comes_with_prices_once) {
  book.load();
  EXPECT_TRUE(book.find("openai", "gpt-4o-mini", clock.now()));
  const auto before = io.run(book.list({.source = "builtin"})).total;
  EXPECT_EQ(before, static_cast<std::int64_t>(builtin_prices().size()));
  database.exec("delete from price where model = 'gpt-4o-mini'");
  book.load();
  EXPECT_EQ(io.run(book.list({.source = "builtin"})).total, before - 1)
      << "what the operator removed is back";
  EXPECT_FALSE(book.find("openai", "gpt-4o-mini", clock.now()));
}

TEST_F(PriceBookTest, keeps_every_field_of_a_row) {
  NewPrice full = price("m", 1);
  full.base = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  full.tiers = {{100, {12, 13, {}, {}, {}, {}, {}, {}, {}, {}, {}}}};
  put("litellm", {full});
  const auto found = book.find("acme", "m", clock.now());
  ASSERT_TRUE(found);
  EXPECT_EQ(rates_json(found->base), rates_json(full.base));
  EXPECT_EQ(tiers_json(found->tiers), tiers_json(full.tiers));
  EXPECT_EQ(found->source, "litellm");
  EXPECT_TRUE(core::Uuid::parse(found->id));
}

TEST_F(PriceBookTest, a_correction_supersedes_and_keeps_what_was_billed_with) {
  put("litellm", {price("m", 1)});
  const std::string old_id = book.find("acme", "m", clock.now())->id;
  const auto changes = put("litellm", {price("m", 2), price("n", 3)});
  EXPECT_EQ(changes.superseded, 1);
  EXPECT_EQ(changes.added, 1);
  EXPECT_EQ(input_of("m"), 2);
  const auto rows =
      database.exec("select rates->>'input' as input from price where price_id = $1::uuid", {old_id});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].text("input"), "0.000000001");
  EXPECT_EQ(io.run(book.list({.provider = "acme"})).total, 2);
}

TEST_F(PriceBookTest, an_import_repeated_changes_nothing) {
  put("litellm", {price("m", 1, std::nullopt)});
  clock.advance(std::chrono::hours(24));
  const auto again = put("litellm", {price("m", 1, std::nullopt)});
  EXPECT_EQ(again.unchanged, 1);
  EXPECT_EQ(again.added + again.superseded, 0);
  EXPECT_EQ(put("litellm", {price("m", 2, std::nullopt)}).added, 1) << "a new price from now on";
  const auto yesterday = clock.now() - std::chrono::hours(1);
  EXPECT_EQ(*book.find("acme", "m", yesterday)->base.input, 1) << "the past keeps its price";
  EXPECT_EQ(input_of("m"), 2);
}

TEST_F(PriceBookTest, the_operators_own_price_stands_against_imports) {
  put("admin", {price("m", 1)});
  EXPECT_EQ(put("genai-prices", {price("m", 2)}).kept, 1);
  EXPECT_EQ(input_of("m"), 1);
  EXPECT_EQ(put("admin", {price("m", 3)}).superseded, 1);
  EXPECT_EQ(input_of("m"), 3);
}

TEST_F(PriceBookTest, takes_the_first_of_several_with_one_key) {
  EXPECT_EQ(put("litellm", {price("m", 1), price("m", 2)}).added, 1);
  EXPECT_EQ(input_of("m"), 1);
}

TEST_F(PriceBookTest, stores_a_large_catalogue) {
  std::vector<NewPrice> many;
  for (int i = 0; i < 1200; ++i) many.push_back(price("m" + std::to_string(i), i + 1));
  EXPECT_EQ(put("litellm", many).added, 1200);
  EXPECT_EQ(input_of("m1199"), 1200);
  const auto page = io.run(book.list({.provider = "acme", .page = 3, .limit = 500}));
  EXPECT_EQ(page.total, 1200);
  EXPECT_EQ(page.prices.size(), 200u);
}

TEST_F(PriceBookTest, other_nodes_hear_of_a_change) {
  PriceBook other(database.db(), clock, random);
  other.load();
  storage::Notifier notifier(database.url());
  notifier.subscribe(
      [&other](std::string_view topic, std::string_view payload) { other.on_notify(topic, payload); });
  other.start(io.executor());
  notifier.start();
  put("admin", {price("m", 5)});
  EXPECT_TRUE(test::eventually([&] { return other.find("acme", "m", clock.now()) != nullptr; }));
  notifier.stop();
  other.stop();
}

}  // namespace
}  // namespace assistiv::billing
