#include "agents/cel/time_text.h"

#include <charconv>
#include <chrono>
#include <system_error>

namespace assistiv::agents::cel {

namespace {

constexpr std::int64_t kFirstSecond = -62'135'596'800;  // 0001-01-01T00:00:00Z
constexpr std::int64_t kLastSecond = 253'402'300'799;   // 9999-12-31T23:59:59Z

Value bad_time() {
  return Value::error(Code::InvalidArgument, "This is no point in time as RFC 3339 writes it.");
}
Value bad_duration() {
  return Value::error(Code::InvalidArgument, "This is no duration like \"1h30m\" or \"1.5s\".");
}

// Takes exactly `count` digits from the front of `text`.
std::optional<int> take_digits(std::string_view& text, std::size_t count) {
  int out = 0;
  if (text.size() < count) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + count, out);
  if (error != std::errc() || end != text.data() + count || text.front() == '-') return std::nullopt;
  text.remove_prefix(count);
  return out;
}

bool take_char(std::string_view& text, std::string_view any) {
  if (text.empty() || any.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// The digits after a decimal point as nanoseconds; empty for none or more than nine.
std::optional<std::int32_t> take_fraction(std::string_view& text) {
  std::int32_t out = 0;
  int count = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), ++count) {
    if (count == 9) return std::nullopt;
    out = out * 10 + (text.front() - '0');
  }
  if (count == 0) return std::nullopt;
  for (; count < 9; ++count) out *= 10;
  return out;
}

// "Z" or "+05:30" as seconds east of Greenwich.
std::optional<int> take_offset(std::string_view& text) {
  if (take_char(text, "Zz")) return 0;
  const bool west = !text.empty() && text.front() == '-';
  if (!take_char(text, "+-")) return std::nullopt;
  const auto hours = take_digits(text, 2);
  if (!hours || *hours > 23 || !take_char(text, ":")) return std::nullopt;
  const auto minutes = take_digits(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  const int seconds = *hours * 3600 + *minutes * 60;
  return west ? -seconds : seconds;
}

std::string two_digits(int value) {
  std::string out = std::to_string(value);
  return out.size() < 2 ? "0" + out : out;
}

// ".5" for half a second; nothing for none.
std::string fraction_text(std::int64_t nanos) {
  if (nanos == 0) return {};
  std::string digits = std::to_string(nanos);
  digits.insert(0, 9 - digits.size(), '0');
  while (digits.back() == '0') digits.pop_back();
  return "." + digits;
}

std::int64_t unit_nanos(std::string_view& text) {
  constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {{"ns", 1},
                                                                  {"us", 1'000},
                                                                  {"\u00b5s", 1'000},
                                                                  {"ms", 1'000'000},
                                                                  {"s", kNanosPerSecond},
                                                                  {"m", 60 * kNanosPerSecond},
                                                                  {"h", 3600 * kNanosPerSecond}};
  for (const auto& [name, nanos] : kUnits) {
    if (!text.starts_with(name)) continue;
    text.remove_prefix(name.size());
    return nanos;
  }
  return 0;
}

}  // namespace

Nanos nanos_of(const Value& time) {
  return Nanos{time.integer} * kNanosPerSecond + time.nanos();
}

Value timestamp_of(Nanos nanos) {
  Nanos seconds = nanos / kNanosPerSecond;
  Nanos rest = nanos % kNanosPerSecond;
  if (rest < 0) {
    rest += kNanosPerSecond;
    --seconds;
  }
  if (seconds < kFirstSecond || seconds > kLastSecond) {
    return Value::error(Code::Overflow, "A point in time lies in the years 1 to 9999.");
  }
  return Value::time(Kind::Timestamp, static_cast<std::int64_t>(seconds), static_cast<std::int32_t>(rest));
}

Value duration_of(Nanos nanos) {
  if (nanos > INT64_MAX || nanos < INT64_MIN) {
    return Value::error(Code::Overflow, "A duration has at most 292 years.");
  }
  return Value::time(Kind::Duration, static_cast<std::int64_t>(nanos / kNanosPerSecond),
                     static_cast<std::int32_t>(nanos % kNanosPerSecond));
}

Value parse_timestamp(std::string_view text) {
  const auto year = take_digits(text, 4);
  if (!year || !take_char(text, "-")) return bad_time();
  const auto month = take_digits(text, 2);
  if (!month || !take_char(text, "-")) return bad_time();
  const auto day = take_digits(text, 2);
  if (!day || !take_char(text, "Tt ")) return bad_time();
  const auto hour = take_digits(text, 2);
  if (!hour || !take_char(text, ":")) return bad_time();
  const auto minute = take_digits(text, 2);
  if (!minute || !take_char(text, ":")) return bad_time();
  const auto second = take_digits(text, 2);
  if (!second || *hour > 23 || *minute > 59 || *second > 59) return bad_time();
  std::int32_t nanos = 0;
  if (take_char(text, ".")) {
    const auto fraction = take_fraction(text);
    if (!fraction) return bad_time();
    nanos = *fraction;
  }
  const auto offset = take_offset(text);
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!offset || !text.empty() || !date.ok()) return bad_time();
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const std::int64_t seconds = days * 86400 + *hour * 3600 + *minute * 60 + *second - *offset;
  return timestamp_of(Nanos{seconds} * kNanosPerSecond + nanos);
}

Value parse_duration(std::string_view text) {
  const bool negative = !text.empty() && text.front() == '-';
  take_char(text, "+-");
  if (text == "0") return duration_of(0);
  if (text.empty()) return bad_duration();
  Nanos total = 0;
  while (!text.empty()) {
    std::int64_t count = 0;
    std::int32_t fraction = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    const bool has_count = error == std::errc() && text.front() != '-';
    if (!has_count && text.front() != '.') return bad_duration();
    if (has_count) text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (take_char(text, ".")) {
      const auto digits = take_fraction(text);
      if (!digits) return bad_duration();
      fraction = *digits;
    }
    const std::int64_t unit = unit_nanos(text);
    if (unit == 0) return bad_duration();
    total += Nanos{count} * unit + Nanos{fraction} * unit / kNanosPerSecond;
    if (total > Nanos{INT64_MAX} * 2) break;  // too long, whatever follows
  }
  return duration_of(negative ? -total : total);
}

std::string format_timestamp(const Value& timestamp) {
  const auto days = std::chrono::floor<std::chrono::days>(
      std::chrono::sys_seconds(std::chrono::seconds(timestamp.integer)));
  const std::chrono::year_month_day date(days);
  const auto second = static_cast<int>(timestamp.integer - days.time_since_epoch().count() * 86400LL);
  std::string year = std::to_string(static_cast<int>(date.year()));
  year.insert(0, 4 - year.size(), '0');
  return year + "-" + two_digits(static_cast<int>(static_cast<unsigned>(date.month()))) + "-" +
         two_digits(static_cast<int>(static_cast<unsigned>(date.day()))) + "T" + two_digits(second / 3600) +
         ":" + two_digits(second / 60 % 60) + ":" + two_digits(second % 60) +
         fraction_text(timestamp.nanos()) + "Z";
}

std::string format_duration(const Value& duration) {
  const bool negative = duration.integer < 0 || duration.nanos() < 0;
  const std::int64_t seconds = duration.integer < 0 ? -duration.integer : duration.integer;
  const std::int64_t nanos = duration.nanos() < 0 ? -std::int64_t{duration.nanos()} : duration.nanos();
  return (negative ? "-" : "") + std::to_string(seconds) + fraction_text(nanos) + "s";
}

}  // namespace assistiv::agents::cel
