#include "core/clock.h"

#include <gtest/gtest.h>

namespace assistiv::core {
namespace {

std::int64_t ms_of(std::string_view text) {
  const auto time = parse_time(text);
  EXPECT_TRUE(time) << text;
  return time ? to_epoch_ms(*time) : -1;
}

TEST(Time, is_printed_in_utc_with_milliseconds) {
  EXPECT_EQ(format_time(from_epoch_ms(0)), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_time(from_epoch_ms(1709164799999)), "2024-02-28T23:59:59.999Z");
  EXPECT_EQ(format_time(from_epoch_ms(-1)), "1969-12-31T23:59:59.999Z");
}

TEST(Time, is_read_with_any_offset_and_fraction) {
  EXPECT_EQ(ms_of("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(ms_of("1970-01-01t00:00:01.5z"), 1500);
  EXPECT_EQ(ms_of("1970-01-01 02:00:00+02:00"), 0);
  EXPECT_EQ(ms_of("1969-12-31T18:30:00-05:30"), 0);
  EXPECT_EQ(ms_of("1970-01-01T00:00:00.123456789Z"), 123);
  EXPECT_EQ(ms_of("2024-02-29T00:00:00Z"), 1709164800000);
  EXPECT_EQ(ms_of("2016-12-31T23:59:60Z"), ms_of("2017-01-01T00:00:00Z"));
}

TEST(Time, survives_being_printed_and_read) {
  for (const std::int64_t ms : {0LL, 1LL, 951782400000LL, 1763703600001LL, 4102444799999LL}) {
    EXPECT_EQ(ms_of(format_time(from_epoch_ms(ms))), ms);
  }
}

TEST(Time, refuses_what_is_not_rfc_3339) {
  for (const char* text :
       {"", "2024", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z",
        "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:61Z", "2024-01-01T00:00:00",
        "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.1234567890Z", "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+0100", "2024-01-01T00:00:00Zx", " 2024-01-01T00:00:00Z", "24-01-01T00:00:00Z"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

TEST(Time, seconds_are_rounded_down) {
  EXPECT_EQ(to_epoch_seconds(from_epoch_ms(1999)), 1);
  EXPECT_EQ(to_epoch_seconds(from_epoch_ms(-1)), -1);
}

}  // namespace
}  // namespace assistiv::core
