#include "net/peer.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace assistiv::net {
namespace {

std::string client_of(std::string_view peer, const std::vector<std::string>& forwarded,
                      const std::vector<std::string>& trusted = {"127.0.0.1", "10.0.0.0/8"}) {
  core::HttpHeaders headers;
  for (const auto& value : forwarded) headers.add("X-Forwarded-For", value);
  return client_address(*IpAddress::parse(peer), headers, TrustedProxies(trusted)).text();
}

TEST(ClientAddress, is_the_peer_unless_the_peer_is_trusted) {
  EXPECT_EQ(client_of("203.0.113.5", {"1.1.1.1"}), "203.0.113.5");
  EXPECT_EQ(client_of("127.0.0.1", {"1.1.1.1"}, {}), "127.0.0.1");
}

TEST(ClientAddress, is_the_rightmost_hop_that_is_not_trusted) {
  EXPECT_EQ(client_of("127.0.0.1", {"1.1.1.1"}), "1.1.1.1");
  EXPECT_EQ(client_of("127.0.0.1", {"9.9.9.9, 1.1.1.1, 10.2.3.4"}), "1.1.1.1");
  EXPECT_EQ(client_of("127.0.0.1", {"9.9.9.9", "1.1.1.1", "10.2.3.4"}), "1.1.1.1");
  EXPECT_EQ(client_of("127.0.0.1", {"10.1.1.1, 10.2.2.2"}), "10.1.1.1");
  EXPECT_EQ(client_of("127.0.0.1", {}), "127.0.0.1");
}

TEST(ClientAddress, reads_ports_and_brackets) {
  EXPECT_EQ(client_of("127.0.0.1", {"1.1.1.1:4711"}), "1.1.1.1");
  EXPECT_EQ(client_of("127.0.0.1", {"[2001:db8::1]:4711"}), "2001:db8::1");
  EXPECT_EQ(client_of("127.0.0.1", {"2001:db8::1"}), "2001:db8::1");
}

TEST(ClientAddress, stops_at_what_is_no_address) {
  EXPECT_EQ(client_of("127.0.0.1", {"1.1.1.1, unknown"}), "127.0.0.1");
  EXPECT_EQ(client_of("127.0.0.1", {"1.1.1.1, evil, 10.2.3.4"}), "10.2.3.4");
  EXPECT_EQ(client_of("127.0.0.1", {""}), "127.0.0.1");
}

TEST(ClientAddress, takes_no_more_than_a_bounded_number_of_hops) {
  std::string hops = "1.1.1.1";
  for (int i = 0; i < 1000; ++i) hops += ",10.0.0.1";
  EXPECT_EQ(client_of("127.0.0.1", {hops}), "10.0.0.1");
}

TEST(TrustedProxies, name_the_entry_that_cannot_be_read) {
  try {
    TrustedProxies({"10.0.0.0/8", "proxy.example"});
    FAIL() << "took it";
  } catch (const core::Error& e) {
    EXPECT_NE(e.message().find("proxy.example"), std::string::npos);
  }
}

TEST(ForwardedSecure, reads_the_last_value) {
  const auto secure = [](const std::string& value) {
    core::HttpHeaders headers;
    headers.add("x-forwarded-proto", value);
    return forwarded_secure(headers);
  };
  EXPECT_TRUE(secure("https"));
  EXPECT_TRUE(secure("http, HTTPS"));
  EXPECT_FALSE(secure("https, http"));
  EXPECT_FALSE(secure(""));
  EXPECT_FALSE(forwarded_secure({}));
}

TEST(ValidRequestId, takes_8_to_64_plain_characters) {
  EXPECT_TRUE(valid_request_id("abc-DEF_1.2"));
  EXPECT_TRUE(valid_request_id(std::string(64, 'a')));
  for (const std::string& id : {std::string("short"), std::string(65, 'a'), std::string("has space"),
                                std::string("new\nline"), std::string("quote\"quote")})
    EXPECT_FALSE(valid_request_id(id)) << id;
}

std::string traceparent(const std::string& value) {
  core::HttpHeaders headers;
  headers.add("traceparent", value);
  return valid_traceparent(headers);
}

TEST(ValidTraceparent, passes_what_the_standard_allows) {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_EQ(traceparent(good), good);
  EXPECT_EQ(traceparent("cc" + good.substr(2) + "-what-comes-later"),
            "cc" + good.substr(2) + "-what-comes-later");
}

TEST(ValidTraceparent, drops_everything_else) {
  for (const char* value : {"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
                            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
                            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
                            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x"})
    EXPECT_EQ(traceparent(value), "") << value;
  core::HttpHeaders twice;
  twice.add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  twice.add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_EQ(valid_traceparent(twice), "");
}

}  // namespace
}  // namespace assistiv::net
