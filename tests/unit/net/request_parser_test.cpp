// The incremental side of the parser; what it refuses is tested over sockets
// (integration/net/edge_requests_test.cpp).
#include "net/request_parser.h"

#include <gtest/gtest.h>

namespace assistiv::net {
namespace {

using State = RequestParser::State;

// Feeds the bytes in two pieces as a connection does: what is not consumed comes again with the rest.
RequestParser parse_split(const std::string& bytes, std::size_t at, std::string* rest) {
  RequestParser parser{RequestLimits{}};
  std::string pending = bytes.substr(0, at);
  pending.erase(0, parser.feed(pending));
  pending += bytes.substr(at);
  pending.erase(0, parser.feed(pending));
  *rest = pending;
  return parser;
}

TEST(RequestParser, gives_the_same_request_for_each_split) {
  for (const std::string& bytes :
       {std::string("POST /p?q HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhelloREST"),
        std::string("\r\nPOST /p?q HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: 1\r\n\r\nREST")}) {
    for (std::size_t at = 0; at < bytes.size() - 4; ++at) {
      std::string rest;
      auto parser = parse_split(bytes, at, &rest);
      ASSERT_EQ(parser.state(), State::Complete) << at << " " << parser.refusal().message;
      EXPECT_EQ(parser.request().method, "POST");
      EXPECT_EQ(parser.request().path, "/p");
      EXPECT_EQ(parser.request().query, "q");
      EXPECT_EQ(parser.request().headers.get("x-a"), "1");
      EXPECT_EQ(parser.request().body, "hello");
      EXPECT_EQ(rest, "REST");
    }
  }
}

TEST(RequestParser, takes_a_chunked_body_byte_by_byte) {
  for (const std::string& body : {std::string("0\r\n\r\n"), std::string("5\r\nhello\r\n0\r\nT: 1\r\n\r\n")}) {
    const auto bytes = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body;
    RequestParser parser{RequestLimits{}};
    std::string pending;
    for (const char byte : bytes) {
      ASSERT_NE(parser.state(), State::Complete);
      pending += byte;
      pending.erase(0, parser.feed(pending));
    }
    EXPECT_EQ(parser.state(), State::Complete) << body;
    EXPECT_EQ(parser.request().body, body.size() > 5 ? "hello" : "");
  }
}

TEST(RequestParser, refuses_the_same_for_each_split) {
  const std::string bytes = "GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n folded\r\n\r\n";
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string rest;
    EXPECT_EQ(parse_split(bytes, at, &rest).state(), State::Refused) << at;
  }
}

TEST(RequestParser, refuses_early_what_can_never_become_a_request) {
  RequestParser parser{RequestLimits{}};
  parser.feed("\x16\x03\x01");
  EXPECT_EQ(parser.state(), State::Refused);
  EXPECT_EQ(parser.refusal().status, 400);
}

TEST(RequestParser, waits_for_more_of_a_head_that_is_fine_so_far) {
  RequestParser parser{RequestLimits{}};
  EXPECT_EQ(parser.feed("GET / HTTP/1.1\r\nHo"), 0U);
  EXPECT_EQ(parser.state(), State::Head);
}

TEST(RequestParser, knows_whether_the_connection_goes_on) {
  const auto keep_alive = [](const std::string& bytes) {
    RequestParser parser{RequestLimits{}};
    parser.feed(bytes);
    EXPECT_EQ(parser.state(), State::Complete);
    return parser.keep_alive();
  };
  EXPECT_TRUE(keep_alive("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_FALSE(keep_alive("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, CLOSE\r\n\r\n"));
  EXPECT_FALSE(keep_alive("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keep_alive("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

}  // namespace
}  // namespace assistiv::net
