#include "billing/price.h"

#include <algorithm>
#include <limits>

namespace assistiv::billing {

namespace {

// Two products of 63-bit numbers and a little more fit into 128 unsigned bits.
__extension__ using Wide = unsigned __int128;

constexpr Wide kPerMillion = 1'000'000;

Wide wide(std::int64_t value) {
  return value <= 0 ? 0 : static_cast<Wide>(value);
}

// Every rate after the fallbacks of price.h.
struct FullRates {
  Wide input, cache_read, cache_write_5m, cache_write_1h, input_audio, input_image;
  Wide output, reasoning, output_audio, output_image;
  Wide request;
};

FullRates full_rates(const Rates& rates) {
  const std::int64_t input = rates.input.value_or(0);
  const std::int64_t output = rates.output.value_or(0);
  const std::int64_t write_5m = rates.cache_write_5m.value_or(input);
  return {
      .input = wide(input),
      .cache_read = wide(rates.cache_read.value_or(input)),
      .cache_write_5m = wide(write_5m),
      .cache_write_1h = wide(rates.cache_write_1h.value_or(write_5m)),
      .input_audio = wide(rates.input_audio.value_or(input)),
      .input_image = wide(rates.input_image.value_or(input)),
      .output = wide(output),
      .reasoning = wide(rates.reasoning.value_or(output)),
      .output_audio = wide(rates.output_audio.value_or(output)),
      .output_image = wide(rates.output_image.value_or(output)),
      .request = wide(rates.request.value_or(0)),
  };
}

void overlay_rate(std::optional<std::int64_t>& below, const std::optional<std::int64_t>& above) {
  if (above) below = above;
}

void overlay(Rates& below, const Rates& above) {
  overlay_rate(below.input, above.input);
  overlay_rate(below.output, above.output);
  overlay_rate(below.cache_read, above.cache_read);
  overlay_rate(below.cache_write_5m, above.cache_write_5m);
  overlay_rate(below.cache_write_1h, above.cache_write_1h);
  overlay_rate(below.input_audio, above.input_audio);
  overlay_rate(below.input_image, above.input_image);
  overlay_rate(below.reasoning, above.reasoning);
  overlay_rate(below.output_audio, above.output_audio);
  overlay_rate(below.output_image, above.output_image);
  overlay_rate(below.request, above.request);
}

// Takes a part out of what is left of its whole, at its rate.
Wide take(Wide& left, const std::optional<std::int64_t>& part, Wide rate) {
  const Wide tokens = std::min(left, wide(part.value_or(0)));
  left -= tokens;
  return tokens * rate;
}

// Nano-USD times a million -> nano-USD, up; a sum past the range is its end, which no balance can hold.
core::NanoUsd round_up(Wide sum) {
  const Wide nanos = sum / kPerMillion + (sum % kPerMillion == 0 ? 0 : 1);
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  return {nanos > static_cast<Wide>(kMax) ? kMax : static_cast<std::int64_t>(nanos)};
}

Wide dearest(std::initializer_list<Wide> rates) {
  return std::max(rates);
}

Wide bound_at(const FullRates& rates, std::int64_t input_max, std::int64_t output_max) {
  const Wide input = dearest({rates.input, rates.cache_read, rates.cache_write_5m, rates.cache_write_1h,
                              rates.input_audio, rates.input_image});
  const Wide output = dearest({rates.output, rates.reasoning, rates.output_audio, rates.output_image});
  return wide(input_max) * input + wide(output_max) * output + rates.request * kPerMillion;
}

}  // namespace

Rates rates_at(const Price& price, std::int64_t input_tokens) {
  Rates rates = price.base;
  for (const auto& tier : price.tiers) {
    if (input_tokens > tier.input_over) overlay(rates, tier.rates);
  }
  return rates;
}

core::NanoUsd cost_of(const Price& price, const core::Usage& usage) {
  const std::int64_t input_tokens = usage.input.value_or(0);
  const FullRates rates = full_rates(rates_at(price, input_tokens));
  Wide input = wide(input_tokens);
  Wide output = wide(usage.output.value_or(0));
  Wide sum = rates.request * kPerMillion;
  sum += take(input, usage.cache_read, rates.cache_read);
  sum += take(input, usage.cache_write_5m, rates.cache_write_5m);
  sum += take(input, usage.cache_write_1h, rates.cache_write_1h);
  sum += take(input, usage.input_audio, rates.input_audio);
  sum += take(input, usage.input_image, rates.input_image);
  sum += input * rates.input;
  sum += take(output, usage.reasoning, rates.reasoning);
  sum += take(output, usage.output_audio, rates.output_audio);
  sum += take(output, usage.output_image, rates.output_image);
  sum += output * rates.output;
  return round_up(sum);
}

core::NanoUsd cost_bound(const Price& price, std::int64_t input_max, std::int64_t output_max) {
  // A cheaper tier above does not make a call below it cheaper: every tier that can be reached counts.
  Wide bound = bound_at(full_rates(price.base), input_max, output_max);
  for (const auto& tier : price.tiers) {
    if (input_max <= tier.input_over) break;
    bound =
        std::max(bound, bound_at(full_rates(rates_at(price, tier.input_over + 1)), input_max, output_max));
  }
  return round_up(bound);
}

}  // namespace assistiv::billing
