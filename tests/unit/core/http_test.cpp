#include "core/http.h"

#include <gtest/gtest.h>

namespace assistiv::core {
namespace {

TEST(HttpHeaders, compares_names_without_case_and_keeps_duplicates_in_order) {
  HttpHeaders headers;
  headers.add("X-One", "1");
  headers.add("x-one", "2");
  EXPECT_EQ(headers.get("X-ONE"), "1");
  EXPECT_EQ(headers.count("x-One"), 2u);
  EXPECT_EQ(headers.get("x-two"), std::nullopt);
}

TEST(HttpHeaders, set_replaces_every_duplicate) {
  HttpHeaders headers;
  headers.add("a", "1");
  headers.add("A", "2");
  headers.set("a", "3");
  EXPECT_EQ(headers.count("A"), 1u);
  EXPECT_EQ(headers.get("A"), "3");
  headers.remove("a");
  EXPECT_TRUE(headers.fields().empty());
}

TEST(HttpReply, carries_its_content_type) {
  EXPECT_EQ(json_reply(201, "{}").headers.get("Content-Type"), "application/json");
  EXPECT_EQ(text_reply(200, "x").headers.get("content-type"), "text/plain; charset=utf-8");
}

TEST(SseEvent, writes_fields_in_order_and_ends_with_a_blank_line) {
  EXPECT_EQ(sse_event("x"), "data: x\n\n");
  EXPECT_EQ(sse_event("x", "7", "message", 1500), "id: 7\nevent: message\nretry: 1500\ndata: x\n\n");
  EXPECT_EQ(sse_event("", "7"), "id: 7\ndata: \n\n");
}

// WHATWG HTML 9.2.6: a line ends with CR LF, LF or CR.
TEST(SseEvent, splits_data_at_every_kind_of_line_end) {
  EXPECT_EQ(sse_event("a\nb"), "data: a\ndata: b\n\n");
  EXPECT_EQ(sse_event("a\r\nb\rc"), "data: a\ndata: b\ndata: c\n\n");
  EXPECT_EQ(sse_event("a\n"), "data: a\ndata: \n\n");
}

TEST(Cookie, is_found_by_its_exact_name) {
  HttpHeaders headers;
  headers.add("Cookie", "a=1; bb=2;c=x=y");
  headers.add("cookie", "d=4");
  EXPECT_EQ(cookie(headers, "a"), "1");
  EXPECT_EQ(cookie(headers, "c"), "x=y");
  EXPECT_EQ(cookie(headers, "d"), "4");
  EXPECT_EQ(cookie(headers, "b"), "");
  EXPECT_EQ(cookie(headers, "A"), "");
}

TEST(Cookie, takes_the_first_of_equal_names) {
  HttpHeaders headers;
  headers.add("cookie", "a=1; a=2");
  EXPECT_EQ(cookie(headers, "a"), "1");
}

}  // namespace
}  // namespace assistiv::core
