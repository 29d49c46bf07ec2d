#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mcp/protocol/header_mirror.h"
#include "mcp/protocol/paging.h"
#include "mcp/protocol/request_head.h"

namespace assistiv::mcp {
namespace {

RequestHead head_of(core::HttpHeaders& headers) {
  return read_head(headers);
}

int guard_status(const HostGuard& guard, std::string host, std::string origin = {}) {
  core::HttpHeaders headers;
  if (!host.empty()) headers.add("Host", host);
  if (!origin.empty()) headers.add("Origin", origin);
  const auto fault = guard.check(head_of(headers));
  return fault ? fault->status : 200;
}

TEST(RequestHead, finds_headers_in_any_case_and_trims_them) {
  core::HttpHeaders headers;
  headers.add("MCP-METHOD", "  tools/list\t");
  headers.add("mcp-Session-id", "abc");
  const auto head = head_of(headers);
  EXPECT_EQ(head.method, "tools/list");
  EXPECT_EQ(head.session_id, "abc");
  EXPECT_EQ(head.ambiguous, "");
}

TEST(RequestHead, calls_repeated_headers_ambiguous_when_they_differ) {
  core::HttpHeaders headers;
  headers.add("mcp-name", "a");
  headers.add("Mcp-Name", "a");
  EXPECT_EQ(head_of(headers).ambiguous, "");
  headers.add("mcp-name", "b");
  EXPECT_EQ(head_of(headers).ambiguous, "mcp-name");
}

TEST(Accept, is_read_leniently) {
  const auto both = [](std::optional<std::string_view> text) {
    const auto accepts = read_accept(text);
    return accepts.json && accepts.events;
  };
  EXPECT_TRUE(both(std::nullopt));
  EXPECT_TRUE(both(""));
  EXPECT_TRUE(both("*/*"));
  EXPECT_TRUE(both("text/html, */*;q=0.8"));
  EXPECT_TRUE(both("Application/JSON;charset=utf-8 , text/event-stream"));
  EXPECT_TRUE(read_accept("application/json").json);
  EXPECT_FALSE(read_accept("application/json").events);
  EXPECT_FALSE(read_accept("text/event-stream").json);
  EXPECT_FALSE(read_accept("text/event-stream;q=0").events);
  EXPECT_TRUE(read_accept("text/event-stream;q=0.5").events);
  EXPECT_FALSE(read_accept("text/html").json);
}

TEST(HostGuard, allows_the_public_host_and_loopback_and_nobody_else) {
  const HostGuard guard({"mcp.example.com", "api.example.com:8443"}, {"https://app.example.com"});
  EXPECT_EQ(guard_status(guard, "mcp.example.com"), 200);
  EXPECT_EQ(guard_status(guard, "MCP.example.com:443"), 200);
  EXPECT_EQ(guard_status(guard, "api.example.com:8443"), 200);
  EXPECT_EQ(guard_status(guard, "api.example.com:1"), 403);
  EXPECT_EQ(guard_status(guard, "localhost:3000"), 200);
  EXPECT_EQ(guard_status(guard, "[::1]:3000"), 200);
  EXPECT_EQ(guard_status(guard, "127.0.0.1"), 200);
  for (const char* host :
       {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:80.evil", ""}) {
    EXPECT_EQ(guard_status(guard, host), 403) << host;
  }
}

TEST(HostGuard, refuses_a_foreign_origin_even_with_a_good_host) {
  const HostGuard guard({"mcp.example.com"}, {"https://app.example.com"});
  EXPECT_EQ(guard_status(guard, "mcp.example.com", "https://app.example.com"), 200);
  EXPECT_EQ(guard_status(guard, "mcp.example.com", "http://localhost:5173"), 200);
  for (const char* origin : {"null", "https://evil.example", "http://app.example.com",
                             "https://app.example.com.evil", "http://localhost.evil", "file://localhost"}) {
    EXPECT_EQ(guard_status(guard, "mcp.example.com", origin), 403) << origin;
  }
}

TEST(HostGuard, allows_every_host_when_told_so) {
  EXPECT_EQ(guard_status(HostGuard({"*"}, {}), "anything.example"), 200);
}

TEST(HeaderValue, decodes_base64_strictly) {
  EXPECT_EQ(decode_header_value("plain value"), "plain value");
  EXPECT_EQ(decode_header_value("=?base64?SGVsbG8sIOS4lueVjA==?="), "Hello, \xe4\xb8\x96\xe7\x95\x8c");
  EXPECT_EQ(decode_header_value("=?BASE64?SGk=?="), "=?BASE64?SGk=?=");
  EXPECT_EQ(decode_header_value("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="), "=?base64?literal?=");
  for (const char* bad :
       {"=?base64?SGk?=", "=?base64?S Gk=?=", "=?base64?!!?=", "=?base64?/w==?=", "caf\xc3\xa9", "a\x01"}) {
    EXPECT_FALSE(decode_header_value(bad)) << bad;
  }
}

std::optional<Fault> mirror_fault(const core::Json& arguments,
                                  std::vector<std::pair<std::string, std::string>> fields) {
  static const std::vector<MirroredArgument> mirrored = {
      {{"region"}, "Region"}, {{"page", "size"}, "Size"}, {{"deep"}, "Deep"}};
  core::HttpHeaders headers;
  for (auto& [name, value] : fields) headers.add(name, value);
  return check_mirrored_arguments(headers, mirrored, arguments);
}

TEST(MirroredArguments, must_be_repeated_exactly) {
  EXPECT_FALSE(mirror_fault({{"region", "eu"}}, {{"MCP-PARAM-REGION", " eu "}}));
  EXPECT_FALSE(mirror_fault({{"region", "h\xc3\xa9"}}, {{"mcp-param-region", "=?base64?aMOp?="}}));
  EXPECT_FALSE(mirror_fault({{"page", {{"size", 42}}}}, {{"mcp-param-size", "42.0"}}));
  EXPECT_FALSE(mirror_fault({{"deep", true}}, {{"mcp-param-deep", "true"}}));
  EXPECT_FALSE(mirror_fault({{"region", nullptr}}, {}));
  EXPECT_FALSE(mirror_fault(core::Json(), {}));
  EXPECT_EQ(mirror_fault({{"region", "eu"}}, {})->code, kHeaderMismatch);
  EXPECT_EQ(mirror_fault({{"region", "eu"}}, {{"mcp-param-region", "us"}})->status, 400);
  EXPECT_TRUE(mirror_fault({{"region", "eu"}}, {{"mcp-param-region", "=?base64?ZXU?="}}));
  EXPECT_TRUE(mirror_fault({{"page", {{"size", 42}}}}, {{"mcp-param-size", "43"}}));
  EXPECT_TRUE(mirror_fault({{"deep", true}}, {{"mcp-param-deep", "True"}}));
  EXPECT_TRUE(mirror_fault(core::Json::object(), {{"mcp-param-region", "eu"}}));
}

TEST(Paging, walks_a_list_and_refuses_foreign_cursors) {
  const auto first = page_of(nullptr, 5, "etag", 2);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->last, 2u);
  const core::Json next = {{"cursor", first->next_cursor}};
  const auto second = page_of(&next, 5, "etag", 2);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->first, 2u);
  const core::Json last_cursor = {{"cursor", second->next_cursor}};
  const auto last = page_of(&last_cursor, 5, "etag", 2);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->first, 4u);
  EXPECT_EQ(last->next_cursor, "");
  EXPECT_FALSE(page_of(&next, 5, "another", 2)) << "the list has changed";
  EXPECT_FALSE(page_of(&next, 2, "etag", 2)) << "past the end";
  for (const core::Json& bad : {core::Json("made-up"), core::Json(""), core::Json(7), core::Json("LTE6")}) {
    const core::Json params = {{"cursor", bad}};
    EXPECT_FALSE(page_of(&params, 5, "etag", 2)) << bad;
  }
}

}  // namespace
}  // namespace assistiv::mcp
