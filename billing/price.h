#pragma once
// What a model costs: dated price rows, and the two sums made of one.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/money.h"
#include "core/usage.h"

namespace assistiv::billing {

// Nano-USD per million units; an absent rate falls back as said. (USD 2.50 per million tokens =
// 2'500'000'000.)
struct Rates {
  std::optional<std::int64_t> input;
  std::optional<std::int64_t> output;
  std::optional<std::int64_t> cache_read;      // else input
  std::optional<std::int64_t> cache_write_5m;  // else input
  std::optional<std::int64_t> cache_write_1h;  // else cache_write_5m
  std::optional<std::int64_t> input_audio;     // else input
  std::optional<std::int64_t> input_image;     // else input
  std::optional<std::int64_t> reasoning;       // else output
  std::optional<std::int64_t> output_audio;    // else output
  std::optional<std::int64_t> output_image;    // else output
  std::optional<std::int64_t> request;         // nano-USD per request (not per million); else 0
};

// A call whose input has more than `input_over` tokens costs these rates, the whole of it (tiers are cliffs).
// A rate that a tier leaves out is the one below it: of the tier before, else of the base.
struct Tier {
  std::int64_t input_over = 0;
  Rates rates;
};

// Immutable and shared; one row of table `price` (billing/price_store.h).
struct Price {
  std::string id;        // of the row, kept on the usage row so that a bill can be computed again
  std::string provider;  // slug: "openai"
  std::string model;     // as the provider names it; a "*" at its end stands for any rest
  core::Time valid_from;
  Rates base;
  std::vector<Tier> tiers;  // rising thresholds
  std::string source;       // "builtin", "genai-prices", "litellm", "models.dev", "admin"
};
using PricePtr = std::shared_ptr<const Price>;

// The rates of a call with this many input tokens, its tiers applied; fallbacks are not.
Rates rates_at(const Price& price, std::int64_t input_tokens);

// What the call costs: exact rational arithmetic in 128 bits, summed first, then rounded up once to a
// nano-USD. Parts larger than their whole are cut to it. Absent counts are 0.
core::NanoUsd cost_of(const Price& price, const core::Usage& usage);

// The most that a call with at most these tokens can cost, whatever is cached, reasoned or heard, and
// whichever tier it lands in. Never less than cost_of of any usage within the bounds.
core::NanoUsd cost_bound(const Price& price, std::int64_t input_max, std::int64_t output_max);

}  // namespace assistiv::billing
