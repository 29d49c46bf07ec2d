// What a point in time and a duration consist of.
#include <chrono>
#include <optional>

#include "agents/cel/functions.h"
#include "agents/cel/time_text.h"
#include "agents/cel/time_zone.h"

namespace assistiv::agents::cel {

namespace {

enum class Field { Year, Month, DayOfYear, DayOfMonth, Date, DayOfWeek, Hours, Minutes, Seconds };

std::int64_t read_field(Field field, std::int64_t local) {
  const auto days =
      std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(std::chrono::seconds(local)));
  const std::chrono::year_month_day date(days);
  const std::int64_t second = local - days.time_since_epoch().count() * std::int64_t{86400};
  const auto day = static_cast<std::int64_t>(static_cast<unsigned>(date.day()));
  switch (field) {
    case Field::Year:
      return static_cast<int>(date.year());
    case Field::Month:
      return static_cast<std::int64_t>(static_cast<unsigned>(date.month())) - 1;
    case Field::DayOfYear:
      return (days - std::chrono::sys_days(date.year() / std::chrono::January / 1)).count();
    case Field::DayOfMonth:
      return day - 1;
    case Field::Date:
      return day;
    case Field::DayOfWeek:
      return static_cast<std::int64_t>(std::chrono::weekday(days).c_encoding());
    case Field::Hours:
      return second / 3600;
    case Field::Minutes:
      return second / 60 % 60;
    case Field::Seconds:
      return second % 60;
  }
  return 0;
}

template <Field field>
Value time_field(Memory& memory, Arguments args) {
  std::int64_t local = args[0].integer;
  if (args.size() == 2) {
    memory.charge(20);
    const auto offset = zone_offset(args[1].str(), local);
    if (!offset) return Value::error(Code::InvalidArgument, "There is no such time zone.");
    local += *offset;
  }
  return Value::of_int(read_field(field, local));
}
Value time_milliseconds(Memory&, Arguments args) {
  return Value::of_int(args[0].nanos() / 1'000'000);
}

template <std::int64_t unit>
Value whole_units(Memory&, Arguments args) {
  return Value::of_int(args[0].integer / unit);
}

constexpr Overload kTimeFunctions[] = {
    {"getFullYear", true, "t", 'i', time_field<Field::Year>},
    {"getFullYear", true, "ts", 'i', time_field<Field::Year>},
    {"getMonth", true, "t", 'i', time_field<Field::Month>},
    {"getMonth", true, "ts", 'i', time_field<Field::Month>},
    {"getDayOfYear", true, "t", 'i', time_field<Field::DayOfYear>},
    {"getDayOfYear", true, "ts", 'i', time_field<Field::DayOfYear>},
    {"getDayOfMonth", true, "t", 'i', time_field<Field::DayOfMonth>},
    {"getDayOfMonth", true, "ts", 'i', time_field<Field::DayOfMonth>},
    {"getDate", true, "t", 'i', time_field<Field::Date>},
    {"getDate", true, "ts", 'i', time_field<Field::Date>},
    {"getDayOfWeek", true, "t", 'i', time_field<Field::DayOfWeek>},
    {"getDayOfWeek", true, "ts", 'i', time_field<Field::DayOfWeek>},
    {"getHours", true, "t", 'i', time_field<Field::Hours>},
    {"getHours", true, "ts", 'i', time_field<Field::Hours>},
    {"getMinutes", true, "t", 'i', time_field<Field::Minutes>},
    {"getMinutes", true, "ts", 'i', time_field<Field::Minutes>},
    {"getSeconds", true, "t", 'i', time_field<Field::Seconds>},
    {"getSeconds", true, "ts", 'i', time_field<Field::Seconds>},
    {"getMilliseconds", true, "t", 'i', time_milliseconds},
    {"getMilliseconds", true, "ts", 'i', time_milliseconds},
    {"getHours", true, "r", 'i', whole_units<3600>},
    {"getMinutes", true, "r", 'i', whole_units<60>},
    {"getSeconds", true, "r", 'i', whole_units<1>},
    {"getMilliseconds", true, "r", 'i', time_milliseconds},
};

}  // namespace

bool is_time_zone(std::string_view name) {
  return zone_offset(name, 0).has_value();
}

std::span<const Overload> time_functions() {
  return kTimeFunctions;
}

}  // namespace assistiv::agents::cel
