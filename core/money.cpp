#include "core/money.h"

#include "core/error.h"

namespace assistiv::core {

namespace {

constexpr std::int64_t kNanosPerUsd = 1'000'000'000;
constexpr int kFractionDigits = 9;

[[noreturn]] void out_of_range() {
  throw bad_request("the amount is out of range");
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The digits of `text` as a number; empty on anything but digits or on overflow.
std::optional<std::int64_t> digits(std::string_view text) {
  std::int64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c) || __builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, c - '0', &value)) {
      return {};
    }
  }
  return value;
}

}  // namespace

NanoUsd operator+(NanoUsd a, NanoUsd b) {
  NanoUsd sum;
  if (__builtin_add_overflow(a.nanos, b.nanos, &sum.nanos)) out_of_range();
  return sum;
}

NanoUsd operator-(NanoUsd a, NanoUsd b) {
  NanoUsd difference;
  if (__builtin_sub_overflow(a.nanos, b.nanos, &difference.nanos)) out_of_range();
  return difference;
}

std::optional<NanoUsd> parse_usd(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const auto point = text.find('.');
  const auto whole = text.substr(0, point);
  auto fraction = std::string(point == std::string_view::npos ? "" : text.substr(point + 1));
  if (whole.empty() || fraction.size() > kFractionDigits) return {};
  if (point != std::string_view::npos && fraction.empty()) return {};
  fraction.resize(kFractionDigits, '0');
  const auto dollars = digits(whole);
  const auto nanos = digits(fraction);
  std::int64_t total = 0;
  if (!dollars || !nanos || __builtin_mul_overflow(*dollars, kNanosPerUsd, &total) ||
      __builtin_add_overflow(total, *nanos, &total)) {
    return {};
  }
  return NanoUsd{negative ? -total : total};
}

std::string format_usd(NanoUsd amount) {
  const bool negative = amount.nanos < 0;
  // Unsigned, because the least int64 has no positive twin.
  const auto size =
      negative ? 0 - static_cast<std::uint64_t>(amount.nanos) : static_cast<std::uint64_t>(amount.nanos);
  auto fraction = std::to_string(size % kNanosPerUsd);
  fraction.insert(0, kFractionDigits - fraction.size(), '0');
  while (fraction.size() > 2 && fraction.back() == '0') fraction.pop_back();
  return (negative ? "-" : "") + std::to_string(size / kNanosPerUsd) + "." + fraction;
}

}  // namespace assistiv::core
