#pragma once
// Money is a signed 64-bit count of nano-USD (1e-9 USD), never a float. The range is +-9.2 billion USD.
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace assistiv::core {

struct NanoUsd {
  std::int64_t nanos = 0;
  auto operator<=>(const NanoUsd&) const = default;
};

// Checked: a sum outside the range throws Error{InvalidArgument}.
NanoUsd operator+(NanoUsd a, NanoUsd b);
NanoUsd operator-(NanoUsd a, NanoUsd b);

// Reads a plain decimal ("12", "0.000000150"): no exponent, at most nine digits after the point; empty on
// anything else. Negative only with a leading "-".
std::optional<NanoUsd> parse_usd(std::string_view text);
// The shortest decimal with at least two digits after the point: "1.50", "0.000002", "-0.10".
std::string format_usd(NanoUsd amount);

}  // namespace assistiv::core
