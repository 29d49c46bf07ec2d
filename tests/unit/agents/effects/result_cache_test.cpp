#include "agents/effects/result_cache.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "support/manual_clock.h"

namespace assistiv::agents {
namespace {

TEST(ResultCache, forgets_what_is_too_old_too_large_or_not_asked_for) {
  test::ManualClock clock;
  ResultCache cache(clock, {.entries_max = 2, .bytes_max = 1000, .entry_bytes_max = 600});
  cache.put("a", {{"n", 1}}, std::chrono::seconds(10));
  cache.put("b", {{"n", 2}}, std::chrono::seconds(100));
  EXPECT_EQ(cache.find("a"), core::Json({{"n", 1}}));
  cache.put("c", {{"n", 3}}, std::chrono::seconds(100));
  EXPECT_FALSE(cache.find("b"));  // longest ago
  EXPECT_TRUE(cache.find("a"));
  clock.advance(std::chrono::seconds(10));
  EXPECT_FALSE(cache.find("a"));
  cache.put("large", std::string(600, 'x'), std::chrono::seconds(100));
  EXPECT_FALSE(cache.find("large"));
  cache.put("d", std::string(500, 'x'), std::chrono::seconds(100));
  cache.put("e", std::string(500, 'x'), std::chrono::seconds(100));
  EXPECT_EQ(cache.entries(), 1U);
  EXPECT_LE(cache.bytes(), 1000U);
  EXPECT_TRUE(cache.find("e"));
  cache.put("e", 1, std::chrono::seconds(100));
  EXPECT_EQ(cache.find("e"), core::Json(1));
}

}  // namespace
}  // namespace assistiv::agents
