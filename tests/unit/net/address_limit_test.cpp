#include "net/address_limit.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace assistiv::net {
namespace {

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

TEST(AddressLimitTest, gives_seats_back) {
  AddressLimit limit(2, {});
  auto first = limit.enter(ip("192.0.2.1"));
  {
    const auto second = limit.enter(ip("192.0.2.1"));
    EXPECT_TRUE(second.has_value());
    EXPECT_FALSE(limit.enter(ip("192.0.2.1")).has_value());
    EXPECT_TRUE(limit.enter(ip("192.0.2.2")).has_value()) << "another client has its own";
  }
  EXPECT_TRUE(limit.enter(ip("192.0.2.1")).has_value());
  first.reset();
  EXPECT_EQ(limit.addresses(), 0u) << "nothing is kept of who has gone";
}

TEST(AddressLimitTest, counts_an_ipv6_client_by_its_network) {
  AddressLimit limit(1, {});
  const auto seat = limit.enter(ip("2001:db8:0:1::1"));
  EXPECT_FALSE(limit.enter(ip("2001:db8:0:1::2")).has_value());
  EXPECT_TRUE(limit.enter(ip("2001:db8:0:2::1")).has_value());
}

TEST(AddressLimitTest, leaves_some_uncounted) {
  AddressLimit limit(1, {"127.0.0.0/8", "::1"});
  std::vector<std::optional<AddressLimit::Seat>> seats;
  for (const auto* address : {"127.0.0.1", "127.0.0.1", "::1", "::1"}) {
    seats.push_back(limit.enter(ip(address)));
    EXPECT_TRUE(seats.back().has_value()) << address;
  }
  EXPECT_EQ(limit.addresses(), 0u);
  EXPECT_THROW(AddressLimit(1, {"localhost"}), core::Error);
}

TEST(AddressLimitTest, is_off_at_zero) {
  AddressLimit limit(0, {});
  const auto a = limit.enter(ip("192.0.2.1")), b = limit.enter(ip("192.0.2.1"));
  EXPECT_TRUE(a && b);
}

}  // namespace
}  // namespace assistiv::net
