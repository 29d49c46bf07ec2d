#include "agents/store/cron_schedule.h"

#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <span>
#include <vector>

#include "core/error.h"

namespace assistiv::agents {

namespace {

constexpr std::size_t kTextMax = 256;
constexpr int kDaysMax = 8 * 366;  // from one leap day to the next over a year that has none, as 2100
constexpr int kMinutesOfDay = 24 * 60;

constexpr std::string_view kMonths[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                        "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::string_view kWeekdays[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

constexpr std::pair<std::string_view, std::string_view> kMacros[] = {
    {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}};

[[noreturn]] void no_schedule(const std::string& why) {
  throw core::bad_request("This is no cron expression: " + why + ".", "/schedule");
}

struct Field {
  const char* name;
  int min, max;
  std::span<const std::string_view> names;
  int first_name;  // the number of names[0]
};

const Field kFields[] = {{"minute", 0, 59, {}, 0},
                         {"hour", 0, 23, {}, 0},
                         {"day of the month", 1, 31, {}, 0},
                         {"month", 1, 12, kMonths, 1},
                         {"day of the week", 0, 7, kWeekdays, 0}};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (true) {
    const auto end = text.find(separator);
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

bool same_name(std::string_view text, std::string_view name) {
  if (text.size() != name.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (std::toupper(static_cast<unsigned char>(text[i])) != name[i]) return false;
  return true;
}

int number(std::string_view text, const Field& field) {
  for (std::size_t i = 0; i < field.names.size(); ++i)
    if (same_name(text, field.names[i])) return field.first_name + static_cast<int>(i);
  int out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || out < field.min ||
      out > field.max)
    no_schedule(std::string("the ") + field.name + " is out of its range");
  return out;
}

int step_of(std::string_view text, const Field& field) {
  int out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || out < 1 || out > field.max)
    no_schedule(std::string("the step of the ") + field.name + " is out of its range");
  return out;
}

// One of a list's parts: "*", "a", "a-b", each with "/step"; "a/step" goes to the field's end.
void mark(std::string_view part, const Field& field, std::bitset<64>& into) {
  const auto slash = part.find('/');
  const int step = slash == std::string_view::npos ? 1 : step_of(part.substr(slash + 1), field);
  const auto range = part.substr(0, slash);
  int from = field.min, to = field.max;
  if (range != "*") {
    const auto dash = range.find('-');
    from = number(range.substr(0, dash), field);
    if (dash != std::string_view::npos) {
      to = number(range.substr(dash + 1), field);
    } else if (slash == std::string_view::npos) {
      to = from;
    }
    if (to < from) no_schedule(std::string("a range of the ") + field.name + " ends before it begins");
  }
  for (int i = from; i <= to; i += step) into.set(static_cast<std::size_t>(i));
}

std::bitset<64> read(std::string_view text, const Field& field) {
  std::bitset<64> out;
  for (const auto part : split(text, ',')) mark(part, field, out);
  return out;
}

template <std::size_t N>
std::bitset<N> narrow(const std::bitset<64>& bits) {
  std::bitset<N> out;
  for (std::size_t i = 0; i < N; ++i) out[i] = bits[i];
  return out;
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (const auto word : split(text, ' '))
    if (!word.empty()) out.push_back(word);
  return out;
}

}  // namespace

CronSchedule CronSchedule::parse(std::string_view text) {
  if (text.size() > kTextMax) no_schedule("it is too long");
  for (const auto& [name, meaning] : kMacros)
    if (text == name) text = meaning;
  const auto fields = words(text);
  if (fields.size() != 5) no_schedule("it has five fields");
  CronSchedule out;
  std::array<std::bitset<64>, 5> bits;
  for (std::size_t i = 0; i < 5; ++i) bits[i] = read(fields[i], kFields[i]);
  if (bits[4][7]) bits[4].set(0);
  out.minutes_ = narrow<60>(bits[0]);
  out.hours_ = narrow<24>(bits[1]);
  out.days_ = narrow<32>(bits[2]);
  out.months_ = narrow<13>(bits[3]);
  out.weekdays_ = narrow<7>(bits[4]);
  out.any_day_ = fields[2].starts_with("*");
  out.any_weekday_ = fields[4].starts_with("*");
  out.every_hour_ = out.hours_.all();
  if (!out.next(0)) no_schedule("no day is ever like this");
  return out;
}

bool CronSchedule::matches_day(std::int64_t day) const {
  const std::chrono::sys_days date{std::chrono::days(day)};
  const std::chrono::year_month_day parts{date};
  if (!months_[static_cast<unsigned>(parts.month())]) return false;
  const bool day_matches = days_[static_cast<unsigned>(parts.day())];
  const bool weekday_matches = weekdays_[std::chrono::weekday(date).c_encoding()];
  if (any_day_ || any_weekday_) return day_matches && weekday_matches;
  return day_matches || weekday_matches;
}

std::optional<WallMinute> CronSchedule::next(WallMinute minute) const {
  ++minute;
  std::int64_t day = minute / kMinutesOfDay;
  auto from = minute % kMinutesOfDay;
  for (int i = 0; i <= kDaysMax; ++i, ++day, from = 0) {
    if (!matches_day(day)) continue;
    for (auto at = from; at < kMinutesOfDay; ++at)
      if (hours_[static_cast<std::size_t>(at / 60)] && minutes_[static_cast<std::size_t>(at % 60)])
        return day * kMinutesOfDay + at;
  }
  return {};
}

}  // namespace assistiv::agents
