#pragma once
// Cron expressions over wall-clock time. Pure: time zones are applied by who knows them (cron_store.h).
//
// Five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday), each "*", a
// number, a range "a-b", with "/step", or a list of these; names JAN..DEC and SUN..SAT; or @hourly, @daily,
// @midnight, @weekly, @monthly, @yearly, @annually. When both days are restricted, either may match (POSIX
// crontab).
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace assistiv::agents {

// Minutes since 1970-01-01 00:00 on the wall's clock, as if it were UTC.
using WallMinute = std::int64_t;

class CronSchedule {
 public:
  // Throws InvalidArgument with the field "/schedule" for what is none, and for what never comes.
  static CronSchedule parse(std::string_view text);

  // The first match after `minute`; nothing within the next eight years.
  std::optional<WallMinute> next(WallMinute minute) const;
  // Every hour matches: the schedule counts real hours, not the hands of the clock.
  bool every_hour() const { return every_hour_; }

 private:
  bool matches_day(std::int64_t day) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;    // 1..31
  std::bitset<13> months_;  // 1..12
  std::bitset<7> weekdays_;
  bool any_day_ = false, any_weekday_ = false, every_hour_ = false;
};

}  // namespace assistiv::agents
