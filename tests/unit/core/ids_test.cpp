#include "core/ids.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <unordered_set>

#include "core/random.h"

namespace assistiv::core {
namespace {

class FixedClock final : public Clock {
 public:
  explicit FixedClock(std::int64_t ms) : ms_(ms) {}
  Time now() const override { return from_epoch_ms(ms_); }

 private:
  std::int64_t ms_;
};

class ConstantRandom final : public Random {
 public:
  explicit ConstantRandom(std::uint8_t value) : value_(value) {}
  void fill(std::span<std::uint8_t> out) override { std::fill(out.begin(), out.end(), value_); }

 private:
  std::uint8_t value_;
};

// The example of RFC 9562 appendix A.6 has this time; version and variant bits replace random ones.
TEST(Uuid, version_7_has_the_layout_of_the_rfc) {
  const FixedClock clock(0x017F22E279B0);
  ConstantRandom ones(0xFF);
  ConstantRandom zeros(0x00);
  EXPECT_EQ(Uuid::v7(clock, ones).str(), "017f22e2-79b0-7fff-bfff-ffffffffffff");
  EXPECT_EQ(Uuid::v7(clock, zeros).str(), "017f22e2-79b0-7000-8000-000000000000");
}

TEST(Uuid, later_ones_sort_after_earlier_ones) {
  SystemRandom random;
  EXPECT_LT(Uuid::v7(FixedClock(1000), random), Uuid::v7(FixedClock(1001), random));
  EXPECT_LT(Uuid::v7(FixedClock(1000), random).str(), Uuid::v7(FixedClock(1001), random).str());
}

TEST(Uuid, reads_either_case_and_prints_lower_case) {
  const auto uuid = Uuid::parse("017F22E2-79B0-7CC3-98C4-DC0C0C07398F");
  ASSERT_TRUE(uuid);
  EXPECT_EQ(uuid->str(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

TEST(Uuid, refuses_every_other_shape) {
  for (const char* text : {"", "017f22e279b07cc398c4dc0c0c07398f", "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
                           "017f22e2-79b0-7cc3-98c4-dc0c0c07398g", "{017f22e2-79b0-7cc3-98c4-dc0c0c0739}",
                           "017f22e2-79b0-7cc3-98c4dc-0c0c07398f", "-17f22e2-79b0-7cc3-98c4-dc0c0c07398f"}) {
    EXPECT_FALSE(Uuid::parse(text)) << text;
  }
}

TEST(Id, made_from_real_randomness_do_not_repeat) {
  const FixedClock clock(1);
  SystemRandom random;
  std::unordered_set<KeyId, IdHash> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(KeyId::make(clock, random)).second);
}

TEST(RandomText, has_the_asked_size_and_alphabet) {
  ConstantRandom random(0xFF);
  EXPECT_EQ(random_hex(random, 4), "ffffffff");
  EXPECT_EQ(random_token(random, 3), "____");
  SystemRandom system;
  EXPECT_NE(random_token(system, 32), random_token(system, 32));
  EXPECT_EQ(random_token(system, 32).size(), 43u);
}

}  // namespace
}  // namespace assistiv::core
