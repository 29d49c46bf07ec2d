#include "billing/price_import.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "billing/price_book.h"
#include "core/error.h"

namespace assistiv::billing {
namespace {

ImportedPrices read(CatalogueFormat format, std::string_view text) {
  return import_prices(format, parse_catalogue(text));
}

const NewPrice* find(const ImportedPrices& imported, const std::string& provider, const std::string& model,
                     std::optional<core::Time> from = {}) {
  for (const auto& price : imported.prices) {
    if (price.provider == provider && price.model == model && (!from || price.valid_from == from))
      return &price;
  }
  return nullptr;
}

TEST(LiteLlm, reads_dollars_per_token) {
  const auto got = read(CatalogueFormat::LiteLlm, R"({
    "sample_spec": {"litellm_provider": "one of ...", "input_cost_per_token": 0.0},
    "gpt-4o-mini": {"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 128000,
      "input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07, "cache_read_input_token_cost": 7.5e-08,
      "supports_vision": true, "input_cost_per_token_priority": 2.5e-07},
    "xai/grok-4": {"litellm_provider": "xai", "input_cost_per_token": 3e-06, "output_cost_per_token": 0.000015},
    "claude-x": {"litellm_provider": "anthropic", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
      "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
      "input_cost_per_token_above_200k_tokens": 6e-06, "output_cost_per_token_above_200k_tokens": 2.25e-05,
      "cache_read_input_token_cost_above_200k_tokens": null}})");
  EXPECT_EQ(got.faults_total, 0);
  ASSERT_EQ(got.prices.size(), 3);
  const auto* mini = find(got, "openai", "gpt-4o-mini");
  ASSERT_TRUE(mini);
  EXPECT_EQ(mini->base.input, 150'000'000);
  EXPECT_EQ(mini->base.output, 600'000'000);
  EXPECT_EQ(mini->base.cache_read, 75'000'000);
  EXPECT_FALSE(mini->valid_from);
  EXPECT_TRUE(find(got, "xai", "grok-4")) << "the provider is no part of its own name of a model";
  const auto* claude = find(got, "anthropic", "claude-x");
  ASSERT_TRUE(claude);
  EXPECT_EQ(claude->base.cache_write_5m, 3'750'000'000);
  EXPECT_EQ(claude->base.cache_write_1h, 6'000'000'000);
  ASSERT_EQ(claude->tiers.size(), 1);
  EXPECT_EQ(claude->tiers[0].input_over, 200'000);
  EXPECT_EQ(claude->tiers[0].rates.output, 22'500'000'000);
  EXPECT_FALSE(claude->tiers[0].rates.cache_read);
}

TEST(LiteLlm, reports_rows_it_cannot_read_and_takes_the_others) {
  const auto got = read(CatalogueFormat::LiteLlm, R"({
    "a": {"litellm_provider": "p", "input_cost_per_token": -1e-6},
    "b": {"input_cost_per_token": 1e-6}, "c": 5,
    "whisper": {"litellm_provider": "openai", "input_cost_per_second": 0.0001},
    "ok": {"litellm_provider": "gemini", "input_cost_per_token": 1e-6}})");
  ASSERT_EQ(got.prices.size(), 1);
  EXPECT_EQ(got.prices[0].provider, "google");
  EXPECT_EQ(got.faults_total, 4);
  ASSERT_EQ(got.faults.size(), 4);
  EXPECT_EQ(got.faults[0].row, "a");
}

TEST(GenaiPrices, reads_names_dates_and_tiers) {
  const auto got = read(CatalogueFormat::GenaiPrices, R"([{"id": "x-ai", "models": [
    {"id": "grok-9", "match": {"or": [{"equals": "grok-9"}, {"starts_with": "grok-9-"},
       {"regex": "^x-ai/grok-9\\.1-\\d{8}$"}]},
     "prices": [{"prices": {"input_mtok": {"base": 2, "tiers": [{"start": 199999, "price": 4}]}, "output_mtok": 6.5,
                            "web_searches_kcount": 10}},
                {"constraint": {"type": "start_date", "start_date": "2026-07-30"},
                 "prices": {"input_mtok": 1, "output_mtok": 3, "requests_kcount": 5}}]}]}])");
  const auto start = *core::parse_time("2026-07-30T00:00:00Z");
  const auto* old = find(got, "xai", "grok-9", core::from_epoch_ms(0));
  ASSERT_TRUE(old);
  EXPECT_EQ(old->base.input, 2'000'000'000);
  EXPECT_EQ(old->base.output, 6'500'000'000);
  ASSERT_EQ(old->tiers.size(), 1);
  EXPECT_EQ(old->tiers[0].input_over, 199'999);
  EXPECT_EQ(old->tiers[0].rates.input, 4'000'000'000);
  const auto* now = find(got, "xai", "grok-9-*", start);
  ASSERT_TRUE(now);
  EXPECT_EQ(now->base.request, 5'000'000) << "five dollars per thousand requests";
  EXPECT_TRUE(find(got, "xai", "x-ai/grok-9.1-*", start));
  EXPECT_EQ(got.faults_total, 1) << "the regular expression is taken for its beginning, and that is said";
}

TEST(GenaiPrices, reports_units_that_calls_do_not_have) {
  const auto got = read(CatalogueFormat::GenaiPrices, R"([{"id": "openai", "models": [
    {"id": "whisper", "match": {"equals": "whisper"}, "prices": {"audio_hours": 3}},
    {"id": "free", "match": {"equals": "free"}, "prices": {}},
    {"id": "night", "match": {"equals": "night"}, "prices": [{"constraint": {"type": "time_of_date",
      "start_time": "00:30:00Z", "end_time": "16:30:00Z"}, "prices": {"input_mtok": 1}}]}]}, {"id": 5}, 7])");
  EXPECT_TRUE(got.prices.empty());
  EXPECT_EQ(got.faults_total, 5);
}

TEST(ModelsDev, reads_dollars_per_million) {
  const auto got = read(CatalogueFormat::ModelsDev, R"({
    "google": {"name": "Google", "models": {"gemini-2.5-pro": {"id": "gemini-2.5-pro", "limit": {"context": 1048576},
      "cost": {"input": 1.25, "output": 10, "cache_read": 0.31, "context_over_200k": {"input": 2.5, "output": 15}}}}},
    "xai": {"models": {"grok-5": {"cost": {"input": 2, "output": 6, "reasoning": 7,
      "tiers": [{"input": 4, "output": 12, "tier": {"type": "context", "size": 199999}}]}},
      "free": {"name": "no cost"}}}})");
  const auto* pro = find(got, "google", "gemini-2.5-pro");
  ASSERT_TRUE(pro);
  EXPECT_EQ(pro->base.cache_read, 310'000'000);
  ASSERT_EQ(pro->tiers.size(), 1);
  EXPECT_EQ(pro->tiers[0].input_over, 200'000);
  const auto* grok = find(got, "xai", "grok-5");
  ASSERT_TRUE(grok);
  EXPECT_EQ(grok->base.reasoning, 7'000'000'000);
  ASSERT_EQ(grok->tiers.size(), 1);
  EXPECT_EQ(grok->tiers[0].input_over, 199'999);
  EXPECT_EQ(grok->tiers[0].rates.output, 12'000'000'000);
  EXPECT_EQ(got.faults_total, 1);
}

TEST(Import, refuses_another_shape_and_bounds_the_size) {
  for (const auto format :
       {CatalogueFormat::LiteLlm, CatalogueFormat::GenaiPrices, CatalogueFormat::ModelsDev}) {
    EXPECT_THROW(read(format, "5"), core::Error);
    EXPECT_THROW(read(format, "\"x\""), core::Error);
  }
  nlohmann::json many = nlohmann::json::object();
  for (int i = 0; i < 20'002; ++i) {
    many["m" + std::to_string(i)] = {{"litellm_provider", "p"}, {"input_cost_per_token", 1U}};
  }
  EXPECT_THROW(import_prices(CatalogueFormat::LiteLlm, many), core::Error);
  nlohmann::json faulty = nlohmann::json::object();
  for (int i = 0; i < 500; ++i) faulty["m" + std::to_string(i)] = i;
  const auto got = import_prices(CatalogueFormat::LiteLlm, faulty);
  EXPECT_EQ(got.faults_total, 500);
  EXPECT_EQ(got.faults.size(), 100);
}

Price row(std::string model, std::string from, std::int64_t input) {
  Price out;
  out.provider = "openai";
  out.model = std::move(model);
  out.valid_from = *core::parse_time(from + "T00:00:00Z");
  out.base.input = input;
  return out;
}

TEST(PriceSnapshot, prefers_names_then_the_longest_beginning_then_the_latest_start) {
  const PriceSnapshot book({row("gpt-5", "2026-01-01", 1), row("gpt-5", "2026-06-01", 2),
                            row("gpt-5*", "2026-01-01", 3), row("gpt-5-nano-*", "2026-01-01", 4),
                            row("*", "2025-01-01", 5)});
  const auto input = [&book](std::string_view provider, std::string_view model, std::string date) {
    const auto price = book.find(provider, model, *core::parse_time(date + "T00:00:00Z"));
    return price ? *price->base.input : -1;
  };
  EXPECT_EQ(input("openai", "gpt-5", "2026-05-31"), 1);
  EXPECT_EQ(input("openai", "gpt-5", "2026-06-01"), 2) << "a start counts from its first moment";
  EXPECT_EQ(input("openai", "GPT-5", "2026-06-01"), 2);
  EXPECT_EQ(input("openai", "gpt-5-pro", "2026-06-01"), 3);
  EXPECT_EQ(input("openai", "gpt-5-nano-2026", "2026-06-01"), 4);
  EXPECT_EQ(input("openai", "gpt-5", "2025-12-31"), 5) << "a name that has not begun leaves the beginnings";
  EXPECT_EQ(input("openai", "o9", "2024-12-31"), -1);
  EXPECT_EQ(input("anthropic", "gpt-5", "2026-06-01"), -1);
}

}  // namespace
}  // namespace assistiv::billing
