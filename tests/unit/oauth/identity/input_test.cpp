#include "oauth/identity/input.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "core/error.h"
#include "oauth/identity/page.h"

namespace assistiv::oauth {
namespace {

// The field of the refusal; "accepted" when there was none.
std::string refused_field(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& e) {
    EXPECT_EQ(e.kind(), core::ErrorKind::InvalidArgument);
    return e.field();
  }
  return "accepted";
}

TEST(Input, counts_characters_and_not_bytes) {
  EXPECT_EQ(checked_text("äöü", 3, 3, "/name"), "äöü");
  EXPECT_EQ(refused_field([] { checked_text("äöü", 1, 2, "/name"); }), "/name");
  EXPECT_EQ(refused_field([] { checked_text("", 1, 2, "/name"); }), "/name");
}

TEST(Input, refuses_text_that_the_database_or_a_log_cannot_hold) {
  for (const auto& text : {std::string("a\0b", 3), std::string("a\nb"), std::string("\x7f"),
                           std::string("\xff"), std::string("\xc3"), std::string("a\u0085b"),
                           std::string("a\u202eb"), std::string("a\u2066b"), std::string("\u2069")}) {
    EXPECT_EQ(refused_field([&] { checked_text(text, 1, 10, "/name"); }), "/name");
  }
}

TEST(Input, takes_objects_and_nothing_else) {
  EXPECT_EQ(checked_object(R"( { "a" : [ 1, {"b": null} ] } )", 100, "/settings"), R"({"a":[1,{"b":null}]})");
  for (const auto& text : {"", "[]", "null", "1", "{", "{} {}", R"({"a":1,"a":2})"}) {
    EXPECT_EQ(refused_field([&] { checked_object(text, 100, "/settings"); }), "/settings") << text;
  }
}

TEST(Input, bounds_objects_in_size_and_depth) {
  EXPECT_EQ(refused_field([] { checked_object(R"({"a":"0123456789"})", 10, "/metadata"); }), "/metadata");
  std::string deep = "1";
  for (int i = 0; i < 40; ++i) deep = R"({"a":)" + deep + "}";
  EXPECT_EQ(refused_field([&] { checked_object(deep, 10000, "/metadata"); }), "/metadata");
}

TEST(Input, refuses_nul_in_keys_and_values) {
  EXPECT_EQ(refused_field([] { checked_object(R"({"a":["\u0000"]})", 100, "/metadata"); }), "/metadata");
  EXPECT_EQ(refused_field([] { checked_object(R"({"\u0000":1})", 100, "/metadata"); }), "/metadata");
  EXPECT_EQ(refused_field([] { checked_object(R"({"a":"\\u0000"})", 100, "/metadata"); }), "accepted");
}

TEST(Input, merges_as_rfc_7396_says) {
  EXPECT_EQ(
      merged_object(R"({"a":{"b":1,"c":2},"d":3})", R"({"a":{"b":null,"e":4},"d":[5]})", 100, "/settings"),
      R"({"a":{"c":2,"e":4},"d":[5]})");
}

TEST(Input, bounds_the_merged_object_too) {
  EXPECT_EQ(refused_field([] { merged_object(R"({"a":"12345"})", R"({"b":"12345"})", 20, "/settings"); }),
            "/settings");
}

TEST(PageRequest, is_bounded) {
  EXPECT_EQ(refused_field([] { PageRequest{.page = 0}.check(); }), "page");
  EXPECT_EQ(refused_field([] { PageRequest{.page = 1'000'001}.check(); }), "page");
  EXPECT_EQ(refused_field([] { PageRequest{.limit = 0}.check(); }), "limit");
  EXPECT_EQ(refused_field([] { PageRequest{.limit = 101}.check(); }), "limit");
  EXPECT_EQ((PageRequest{.page = 3, .limit = 20}.offset()), "40");
}

}  // namespace
}  // namespace assistiv::oauth
