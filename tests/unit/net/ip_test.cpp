#include "net/ip.h"

#include <gtest/gtest.h>

namespace assistiv::net {
namespace {

TEST(IpAddress, prints_what_it_read) {
  for (const char* text : {"1.2.3.4", "0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1"})
    EXPECT_EQ(IpAddress::parse(text)->text(), text);
  EXPECT_EQ(IpAddress::parse("::ffff:1.2.3.4")->text(), "1.2.3.4");
  EXPECT_EQ(*IpAddress::parse("::ffff:1.2.3.4"), *IpAddress::parse("1.2.3.4"));
  EXPECT_EQ(IpAddress::parse("1.2.3.4")->v4(), 0x01020304U);
}

TEST(IpAddress, reads_canonical_text_only) {
  for (const std::string& text :
       {std::string(), std::string("1.2.3"), std::string("1.2.3.04"), std::string("1.2.3.256"),
        std::string("0x1.2.3.4"), std::string("1.2.3.4\0", 8), std::string("::1%lo"), std::string("[::1]"),
        std::string("g::"), std::string(100, '1')})
    EXPECT_FALSE(IpAddress::parse(text)) << text;
}

bool contains(std::string_view network, std::string_view address) {
  return IpNetwork::parse(network)->contains(*IpAddress::parse(address));
}

TEST(IpNetwork, contains_by_prefix) {
  EXPECT_TRUE(contains("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.1"));
  EXPECT_TRUE(contains("172.16.0.0/12", "172.31.255.255"));
  EXPECT_FALSE(contains("172.16.0.0/12", "172.32.0.0"));
  EXPECT_TRUE(contains("192.0.2.7", "192.0.2.7"));
  EXPECT_FALSE(contains("192.0.2.7", "192.0.2.8"));
  EXPECT_TRUE(contains("0.0.0.0/0", "8.8.8.8"));
  EXPECT_FALSE(contains("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(contains("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(contains("::/0", "1.2.3.4"));
}

TEST(IpNetwork, refuses_malformed_text) {
  for (const char* text :
       {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0/8", "host/8"})
    EXPECT_FALSE(IpNetwork::parse(text)) << text;
}

}  // namespace
}  // namespace assistiv::net
