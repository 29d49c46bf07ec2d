#include "core/clock.h"

#include <array>
#include <cstdio>

namespace assistiv::core {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::milliseconds;

Time SystemClock::now() const {
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

std::string format_time(Time time) {
  const auto day = floor<days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 40> out{};
  const int n = std::snprintf(out.data(), out.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", int(date.year()),
                              unsigned(date.month()), unsigned(date.day()), int(clock.hours().count()),
                              int(clock.minutes().count()), int(clock.seconds().count()),
                              int(clock.subseconds().count()));
  return {out.data(), static_cast<std::size_t>(n)};
}

namespace {

// Reads exactly `count` digits at `pos` and moves on.
std::optional<int> digits(std::string_view text, std::size_t& pos, std::size_t count) {
  if (pos + count > text.size()) return {};
  int value = 0;
  for (std::size_t i = 0; i < count; ++i, ++pos) {
    if (text[pos] < '0' || text[pos] > '9') return {};
    value = value * 10 + (text[pos] - '0');
  }
  return value;
}

bool eat(std::string_view text, std::size_t& pos, char wanted) {
  if (pos >= text.size() || text[pos] != wanted) return false;
  ++pos;
  return true;
}

// Fraction digits as milliseconds; what is finer is cut off.
std::optional<int> fraction_ms(std::string_view text, std::size_t& pos) {
  if (!eat(text, pos, '.')) return 0;
  int ms = 0;
  int scale = 100;
  const std::size_t start = pos;
  for (; pos < text.size() && text[pos] >= '0' && text[pos] <= '9'; ++pos, scale /= 10)
    ms += scale * (text[pos] - '0');
  if (pos == start || pos - start > 9) return {};
  return ms;
}

std::optional<int> offset_minutes(std::string_view text, std::size_t& pos) {
  if (eat(text, pos, 'Z') || eat(text, pos, 'z')) return 0;
  const int sign = eat(text, pos, '+') ? 1 : eat(text, pos, '-') ? -1 : 0;
  if (sign == 0) return {};
  const auto hours = digits(text, pos, 2);
  if (!hours || !eat(text, pos, ':')) return {};
  const auto minutes = digits(text, pos, 2);
  if (!minutes || *hours > 23 || *minutes > 59) return {};
  return sign * (*hours * 60 + *minutes);
}

}  // namespace

std::optional<Time> parse_time(std::string_view text) {
  std::size_t pos = 0;
  const auto year = digits(text, pos, 4);
  if (!year || !eat(text, pos, '-')) return {};
  const auto month = digits(text, pos, 2);
  if (!month || !eat(text, pos, '-')) return {};
  const auto day = digits(text, pos, 2);
  if (!day || !(eat(text, pos, 'T') || eat(text, pos, 't') || eat(text, pos, ' '))) return {};
  const auto hour = digits(text, pos, 2);
  if (!hour || !eat(text, pos, ':')) return {};
  const auto minute = digits(text, pos, 2);
  if (!minute || !eat(text, pos, ':')) return {};
  const auto second = digits(text, pos, 2);
  if (!second || *hour > 23 || *minute > 59 || *second > 60) return {};
  const auto ms = fraction_ms(text, pos);
  const auto offset = ms ? offset_minutes(text, pos) : std::nullopt;
  if (!offset || pos != text.size()) return {};
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(unsigned(*month)),
                                         std::chrono::day(unsigned(*day))};
  if (!date.ok()) return {};
  return Time(std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(*hour) +
              std::chrono::minutes(*minute - *offset) + std::chrono::seconds(*second) + milliseconds(*ms));
}

std::int64_t to_epoch_seconds(Time time) {
  return floor<std::chrono::seconds>(time).time_since_epoch().count();
}
Time from_epoch_ms(std::int64_t ms) {
  return Time(milliseconds(ms));
}
std::int64_t to_epoch_ms(Time time) {
  return time.time_since_epoch().count();
}

}  // namespace assistiv::core
