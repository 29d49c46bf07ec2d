#pragma once
// Prices as text: decimal numbers that never pass through a double, and the shape of rates on the wire and in
// the table.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "billing/price.h"
#include "core/json.h"

namespace assistiv::billing {

// A price before it is stored.
struct NewPrice {
  std::string provider;                  // our slug
  std::string model;                     // may end in "*"
  std::optional<core::Time> valid_from;  // nothing: from the time of the writing on
  Rates base;
  std::vector<Tier> tiers;
};

// Powers of ten between a published unit and ours (nano-USD per million).
inline constexpr int kFromUsdPerMillion = 9;
inline constexpr int kFromUsdPerToken = 15;

// A decimal, also with an exponent ("2.50", "1.5e-07"), times 10^shift; digits past the unit are rounded to
// the nearest. Empty for anything that is no number, negative, or past the range.
std::optional<std::int64_t> parse_scaled(std::string_view text, int shift);

// JSON whose numbers with a fraction or an exponent stay text: 1.5e-07 becomes the string "1.5e-07". Throws
// Error{InvalidArgument}: not JSON, over 64 levels.
core::Json parse_catalogue(std::string_view text);

// {"input":"2.50","cache_read":"1.25",...}: USD per million tokens as decimal text, "request" USD per
// request; only what is set.
core::Json rates_json(const Rates& rates);
// Throws Error{InvalidArgument} with the field's JSON pointer.
Rates parse_rates(const core::Json& object, const std::string& path);
// [{"input_over":200000,"rates":{...}}]
core::Json tiers_json(const std::vector<Tier>& tiers);
// Thresholds must rise; at most 16 tiers.
std::vector<Tier> parse_tiers(const core::Json& array, const std::string& path);
// [{"provider","model","valid_from"?,"rates","tiers"?}]: what PUT takes and what we ship.
std::vector<NewPrice> parse_prices(const core::Json& array, const std::string& path);
// What makes two rows cost the same: SHA-256 of rates and tiers, hex.
std::string price_checksum(const Rates& base, const std::vector<Tier>& tiers);

// The price of a model that has none, as the platform's settings allow it:
// {"unknown_price_ceiling": {"input": "15.00", "output": "75.00"}}, USD per million tokens. Null when they
// allow none: refuse the call. Throws Error{InvalidArgument} when the setting is malformed.
PricePtr unknown_price_ceiling(const core::Json& settings);

}  // namespace assistiv::billing
