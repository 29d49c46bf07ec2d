#include "mcp/tools/in_flight.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace assistiv::mcp {
namespace {

const core::PlatformId kPlatform = core::PlatformId::of("018f0000-0000-7000-8000-000000000001");
const core::EndUserId kAnn = core::EndUserId::of("018f0000-0000-7000-8000-000000000002");
const core::EndUserId kBob = core::EndUserId::of("018f0000-0000-7000-8000-000000000003");

TEST(InFlight, gives_each_end_user_its_own_seats) {
  InFlight in_flight(2);
  const auto first = in_flight.enter(kPlatform, kAnn);
  const auto second = in_flight.enter(kPlatform, kAnn);
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(in_flight.enter(kPlatform, kAnn));
  EXPECT_TRUE(in_flight.enter(kPlatform, kBob));
}

TEST(InFlight, takes_back_a_seat_when_its_call_ends) {
  InFlight in_flight(1);
  {
    const auto seat = in_flight.enter(kPlatform, kAnn);
    EXPECT_TRUE(seat);
    EXPECT_FALSE(in_flight.enter(kPlatform, kAnn));
  }
  EXPECT_TRUE(in_flight.enter(kPlatform, kAnn));
}

TEST(InFlight, a_seat_that_was_moved_is_given_back_once) {
  InFlight in_flight(1);
  {
    auto seat = in_flight.enter(kPlatform, kAnn);
    const InFlight::Seat moved = std::move(*seat);
    seat.reset();
    EXPECT_FALSE(in_flight.enter(kPlatform, kAnn));
  }
  EXPECT_TRUE(in_flight.enter(kPlatform, kAnn));
}

TEST(InFlight, an_app_has_seats_of_its_own) {
  InFlight in_flight(1);
  const auto any = in_flight.enter(kPlatform, kAnn);
  auto wiki = in_flight.enter(kPlatform, kAnn, "own_wiki", 1);
  EXPECT_TRUE(any && wiki);
  EXPECT_FALSE(in_flight.enter(kPlatform, kAnn, "own_wiki", 1));
  EXPECT_TRUE(in_flight.enter(kPlatform, kAnn, "notes", 1));
  EXPECT_TRUE(in_flight.enter(kPlatform, kBob, "own_wiki", 1));
  wiki.reset();
  EXPECT_TRUE(in_flight.enter(kPlatform, kAnn, "own_wiki", 1));
}

TEST(InFlight, never_lets_more_in_than_allowed) {
  InFlight in_flight(3);
  std::atomic<int> inside = 0, most = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 2000; ++i) {
          const auto seat = in_flight.enter(kPlatform, kAnn);
          if (!seat) continue;
          const int now = ++inside;
          for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
          }
          --inside;
        }
      });
    }
  }
  EXPECT_LE(most, 3);
  EXPECT_TRUE(in_flight.enter(kPlatform, kAnn));
}

}  // namespace
}  // namespace assistiv::mcp
