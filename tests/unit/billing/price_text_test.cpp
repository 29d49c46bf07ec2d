#include "billing/price_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "billing/price_book.h"
#include "core/error.h"

namespace assistiv::billing {
namespace {

TEST(ParseScaled, reads_decimals_exactly) {
  EXPECT_EQ(parse_scaled("2.50", kFromUsdPerMillion), 2'500'000'000);
  EXPECT_EQ(parse_scaled("1.5e-07", kFromUsdPerToken), 150'000'000);
  EXPECT_EQ(parse_scaled("1.5E-7", kFromUsdPerToken), 150'000'000);
  EXPECT_EQ(parse_scaled("0.00000015", kFromUsdPerToken), 150'000'000);
  EXPECT_EQ(parse_scaled("3e+0", kFromUsdPerMillion), 3'000'000'000);
  EXPECT_EQ(parse_scaled("0", kFromUsdPerToken), 0);
  EXPECT_EQ(parse_scaled("0.0e-300", kFromUsdPerToken), 0);
  EXPECT_EQ(parse_scaled("007", 0), 7);
}

TEST(ParseScaled, keeps_what_a_double_would_lose) {
  EXPECT_EQ(parse_scaled("9007199.254740993", kFromUsdPerMillion), 9'007'199'254'740'993);
}

TEST(ParseScaled, rounds_digits_past_the_unit_to_the_nearest) {
  EXPECT_EQ(parse_scaled("1.2500000000000001e-06", kFromUsdPerToken), 1'250'000'000);
  EXPECT_EQ(parse_scaled("0.5", 0), 1);
  EXPECT_EQ(parse_scaled("0.49", 0), 0);
  EXPECT_EQ(parse_scaled("0.04", 0), 0);
}

TEST(ParseScaled, refuses_everything_else) {
  for (const auto* text : {"", "-1", "+1", ".5", "5.", "1e", "1e-", "1e5x", "0x10", "1,5", " 1", "nan", "inf",
                           "1e999999999999", "1e500", "99999999999999999999", "9e18"}) {
    EXPECT_EQ(parse_scaled(text, kFromUsdPerMillion), std::nullopt) << text;
  }
  EXPECT_EQ(parse_scaled(std::string(1000, '9'), 0), std::nullopt);
}

TEST(ParseCatalogue, leaves_fractions_as_their_text) {
  const auto json = parse_catalogue(R"({"a":1.5e-07,"b":[2,0.1],"c":"x"})");
  EXPECT_EQ(json["a"], "1.5e-07");
  EXPECT_EQ(json["b"][0], 2);
  EXPECT_EQ(json["b"][1], "0.1");
}

TEST(ParseCatalogue, refuses_faulty_and_deep_text) {
  EXPECT_THROW(parse_catalogue("{"), core::Error);
  EXPECT_THROW(parse_catalogue("\"\xff\""), core::Error);
  EXPECT_THROW(parse_catalogue(std::string(100, '[') + std::string(100, ']')), core::Error);
}

TEST(RatesJson, comes_back_as_it_went) {
  Rates rates;
  rates.input = 2'500'000'000;
  rates.cache_write_1h = 1;
  rates.request = 5'000'000;
  const auto json = rates_json(rates);
  EXPECT_EQ(json,
            nlohmann::json({{"input", "2.50"}, {"cache_write_1h", "0.000000001"}, {"request", "0.005"}}));
  const Rates back = parse_rates(json, "");
  EXPECT_EQ(back.input, rates.input);
  EXPECT_EQ(back.cache_write_1h, rates.cache_write_1h);
  EXPECT_EQ(back.request, rates.request);
  EXPECT_EQ(back.output, std::nullopt);
}

std::string field_of(const nlohmann::json& prices) {
  try {
    parse_prices(prices, "/prices");
  } catch (const core::Error& error) {
    return error.field();
  }
  return "accepted";
}

TEST(ParsePrices, names_the_faulty_place) {
  using J = nlohmann::json;
  const J good = {{"provider", "p"}, {"model", "m"}, {"rates", {{"input", "1"}}}};
  EXPECT_EQ(field_of(J::array({good})), "accepted");
  J bad = good;
  bad["rates"]["input"] = 1.5;
  EXPECT_EQ(field_of(J::array({good, bad})), "/prices/1/rates/input");
  bad = good;
  bad["rates"]["inptu"] = "1";
  EXPECT_EQ(field_of(J::array({bad})), "/prices/0/rates/inptu");
  bad = good;
  bad["tiers"] = {{{"input_over", 10}, {"rates", J::object()}}, {{"input_over", 10}, {"rates", J::object()}}};
  EXPECT_EQ(field_of(J::array({bad})), "/prices/0/tiers/1/input_over");
  bad = good;
  bad["valid_from"] = "tomorrow";
  EXPECT_EQ(field_of(J::array({bad})), "/prices/0/valid_from");
}

TEST(UnknownPriceCeiling, is_the_platforms_setting) {
  EXPECT_EQ(unknown_price_ceiling(nlohmann::json::object()), nullptr);
  EXPECT_EQ(unknown_price_ceiling({{"unknown_price_ceiling", nullptr}}), nullptr);
  const auto price =
      unknown_price_ceiling({{"unknown_price_ceiling", {{"input", "15"}, {"output", "75.00"}}}});
  ASSERT_TRUE(price);
  EXPECT_EQ(price->base.input, 15'000'000'000);
  EXPECT_EQ(price->base.output, 75'000'000'000);
  EXPECT_THROW(unknown_price_ceiling({{"unknown_price_ceiling", {{"input", "15"}}}}), core::Error);
  EXPECT_THROW(unknown_price_ceiling({{"unknown_price_ceiling", 5}}), core::Error);
}

TEST(BuiltinPrices, can_be_read_and_know_the_common_models) {
  std::vector<Price> rows;
  for (const auto& price : builtin_prices()) {
    rows.push_back({"", price.provider, price.model, *price.valid_from, price.base, price.tiers, "builtin"});
  }
  const PriceSnapshot book(std::move(rows));
  const auto now = *core::parse_time("2026-11-21T00:00:00Z");
  for (const auto& [provider, model] :
       {std::pair("openai", "gpt-4o-mini"), std::pair("openai", "gpt-5"),
        std::pair("openai", "text-embedding-3-small"), std::pair("anthropic", "claude-sonnet-4-5-20250929"),
        std::pair("anthropic", "claude-3-5-haiku-latest"), std::pair("google", "gemini-2.5-pro"),
        std::pair("google", "gemini-embedding-001"), std::pair("xai", "grok-4")}) {
    EXPECT_TRUE(book.find(provider, model, now)) << provider << "/" << model;
  }
  EXPECT_FALSE(book.find("openai", "gpt-nonsense", now));
}

}  // namespace
}  // namespace assistiv::billing
