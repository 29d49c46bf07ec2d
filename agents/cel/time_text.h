#pragma once
// Points in time and durations: their text and their range. Both are counted in nanoseconds.
#include <optional>
#include <string>
#include <string_view>

#include "agents/cel/value.h"

namespace assistiv::agents::cel {

__extension__ using Nanos = __int128;
inline constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

Nanos nanos_of(const Value& time);  // of a Timestamp since 1970, of a Duration
// An Error outside of the years 1 to 9999.
Value timestamp_of(Nanos nanos);
// An Error beyond 2^63 nanoseconds, some 292 years.
Value duration_of(Nanos nanos);

// RFC 3339 with up to nine digits of a second, any offset; an Error for other text.
Value parse_timestamp(std::string_view text);
// "1h30m", "-1.5s", "250ms", "10us", "5ns"; an Error for other text.
Value parse_duration(std::string_view text);
std::string format_timestamp(const Value& timestamp);  // in UTC: "2026-11-22T01:02:03.5Z"
std::string format_duration(const Value& duration);    // "5400s", "-1.5s"

}  // namespace assistiv::agents::cel
