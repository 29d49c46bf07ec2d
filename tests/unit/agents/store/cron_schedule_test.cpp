#include "agents/store/cron_schedule.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/clock.h"
#include "core/error.h"

namespace assistiv::agents {
namespace {

WallMinute at(const std::string& text) {
  return core::to_epoch_ms(core::parse_time(text + ":00Z").value()) / 60'000;
}

std::string shown(std::optional<WallMinute> minute) {
  return minute ? core::format_time(core::from_epoch_ms(*minute * 60'000)).substr(0, 16) : "never";
}

// The first three after 2026-11-22 01:30, a Sunday.
std::vector<std::string> three(const std::string& text) {
  const auto schedule = CronSchedule::parse(text);
  std::vector<std::string> out;
  auto minute = at("2026-11-22T01:30");
  for (int i = 0; i < 3; ++i) {
    const auto next = schedule.next(minute);
    out.push_back(shown(next));
    if (!next) break;
    minute = *next;
  }
  return out;
}

using Times = std::vector<std::string>;

TEST(CronScheduleTest, ListsRangesAndSteps) {
  EXPECT_EQ(three("* * * * *"), (Times{"2026-11-22T01:31", "2026-11-22T01:32", "2026-11-22T01:33"}));
  EXPECT_EQ(three("*/20 * * * *"), (Times{"2026-11-22T01:40", "2026-11-22T02:00", "2026-11-22T02:20"}));
  EXPECT_EQ(three("5,30-31 1 * * *"), (Times{"2026-11-22T01:31", "2026-11-23T01:05", "2026-11-23T01:30"}));
  EXPECT_EQ(three("0 9-17/4 * * *"), (Times{"2026-11-22T09:00", "2026-11-22T13:00", "2026-11-22T17:00"}));
  EXPECT_EQ(three("0 20/2 * * *"), (Times{"2026-11-22T20:00", "2026-11-22T22:00", "2026-11-23T20:00"}));
}

TEST(CronScheduleTest, DaysAndMonths) {
  EXPECT_EQ(three("0 0 * * 1-5"), (Times{"2026-11-23T00:00", "2026-11-24T00:00", "2026-11-25T00:00"}));
  EXPECT_EQ(three("0 0 * * 7"), (Times{"2026-11-29T00:00", "2026-12-06T00:00", "2026-12-13T00:00"}));
  EXPECT_EQ(three("0 0 * * sun"), three("0 0 * * 0"));
  EXPECT_EQ(three("0 0 31 * *"), (Times{"2026-12-31T00:00", "2027-01-31T00:00", "2027-03-31T00:00"}));
  EXPECT_EQ(three("0 12 1 jan,Jul *"), (Times{"2027-01-01T12:00", "2027-07-01T12:00", "2028-01-01T12:00"}));
  // Both days restricted: either will do.
  EXPECT_EQ(three("0 0 25 * MON"), (Times{"2026-11-23T00:00", "2026-11-25T00:00", "2026-11-30T00:00"}));
  EXPECT_EQ(three("0 0 29 2 *"), (Times{"2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"}));
  EXPECT_EQ(shown(CronSchedule::parse("0 0 29 2 *").next(at("2096-03-01T00:00"))), "2104-02-29T00:00");
}

TEST(CronScheduleTest, Macros) {
  EXPECT_EQ(three("@hourly"), three("0 * * * *"));
  EXPECT_EQ(three("@weekly"), (Times{"2026-11-29T00:00", "2026-12-06T00:00", "2026-12-13T00:00"}));
  EXPECT_TRUE(CronSchedule::parse("@hourly").every_hour());
  EXPECT_FALSE(CronSchedule::parse("0 2 * * *").every_hour());
}

TEST(CronScheduleTest, RefusesWhatIsNone) {
  for (const char* text :
       {"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
        "*/0 * * * *", "5-1 * * * *", "a * * * *", "1,,2 * * * *", "-1 * * * *", "1- * * * *", "*/61 * * * *",
        "0 0 31 2 *", "0 0 30 feb *", "@reboot", "99999999999 * * * *"}) {
    try {
      CronSchedule::parse(text);
      ADD_FAILURE() << text;
    } catch (const core::Error& e) {
      EXPECT_EQ(e.kind(), core::ErrorKind::InvalidArgument) << text;
      EXPECT_EQ(e.field(), "/schedule") << text;
    }
  }
  EXPECT_THROW(CronSchedule::parse(std::string(300, '*')), core::Error);
}

}  // namespace
}  // namespace assistiv::agents
