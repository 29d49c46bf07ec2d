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

}  // namespace assistiv::billing
