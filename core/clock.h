#pragma once
// Time as an argument. Wall time is UTC with millisecond meaning; durations are measured on the steady clock.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace assistiv::core {

using Time = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
};

// The machine's clock. Constructed in main and in tests that need it, nowhere else.
class SystemClock final : public Clock {
 public:
  Time now() const override;
};

// RFC 3339 in UTC with milliseconds, e.g. 2026-11-21T05:38:00.000Z.
std::string format_time(Time time);
// Reads RFC 3339 with any offset and up to nine fraction digits; empty on anything else.
std::optional<Time> parse_time(std::string_view text);
// Seconds since the epoch and back, for tokens and HTTP headers.
std::int64_t to_epoch_seconds(Time time);
Time from_epoch_ms(std::int64_t ms);
std::int64_t to_epoch_ms(Time time);

}  // namespace assistiv::core
