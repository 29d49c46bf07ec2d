// The pieces that make results: pointers, cleaned text, shapes, budgets.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "mcp/connectors/clean_text.h"
#include "mcp/connectors/paging.h"
#include "mcp/connectors/pointer.h"
#include "mcp/connectors/result.h"
#include "mcp/connectors/shape.h"

namespace assistiv::mcp {
namespace {

using nlohmann::json;

TEST(Pointer, follows_objects_and_arrays) {
  const json document = {{"a/b", {{{"~", 1}}, nullptr}}};
  EXPECT_EQ(*Pointer::parse("/a~1b/0/~0")->find(document), 1);
  EXPECT_EQ(Pointer::parse("/a~1b/2")->find(document), nullptr);
  EXPECT_EQ(Pointer::parse("/a~1b/x")->find(document), nullptr);
  EXPECT_EQ(Pointer::parse("/a~1b/0/~0/deeper")->find(document), nullptr);
  EXPECT_NE(Pointer::parse("/a~1b/1")->find(document), nullptr);
  EXPECT_EQ(Pointer::parse("/a~1b/1")->find_value(document), nullptr);
  EXPECT_EQ(Pointer::parse("")->find(document), &document);
  EXPECT_FALSE(Pointer::parse("a"));
  EXPECT_FALSE(Pointer::parse("/a~2"));
}

TEST(CleanText, keeps_what_people_see) {
  const std::string text =
      "Gr\u00fc\u00dfe \u4f60\u597d\n\tcode\r\n\U0001F468\u200D\U0001F469 \u2764\uFE0F\u200D\U0001F525 "
      "\u0645\u06CC\u200C\u062E";
  EXPECT_EQ(clean_text(text), text);
}

TEST(CleanText, drops_what_people_do_not_see) {
  EXPECT_EQ(clean_text(std::string("a\0b\x1b[31mc\x7f", 10)), "ab[31mc");
  EXPECT_EQ(clean_text("a\u200bb\u202ec\u2066d\ufeffe\u00adf\u2060g\u0085h"), "abcdefgh");
  EXPECT_EQ(clean_text("x\U000E0041\U000E0042y"), "xy") << "tags spell ASCII invisibly";
  EXPECT_EQ(clean_text("a\u200d\u200cb"), "ab") << "a joiner after ASCII";
  EXPECT_EQ(clean_text("\u00e9\u200d\u200d\u200cz"), "\u00e9\u200dz") << "a run of joiners spells bits";
  EXPECT_EQ(clean_text("\u2764\ufe0f\ufe01\ufe02z"), "\u2764\ufe0fz");
}

TEST(CleanText, drops_bytes_that_are_no_utf8) {
  EXPECT_EQ(clean_text("a\xff\xc0\xafz\xe2\x82"), "az");
  EXPECT_EQ(clean_text("\xed\xa0\x80q\xf4\x90\x80\x80"), "q");
  EXPECT_EQ(clip_text("\u00e9\u00e9\u00e9", 2), "\u00e9\u00e9\u2026");
  EXPECT_EQ(clip_text("abc", 3), "abc");
  EXPECT_EQ(clip_text("abc", 0), "abc");
}

ShapeField field(std::string name, ShapeField::Type type, const char* from) {
  ShapeField out;
  out.name = std::move(name);
  out.type = type;
  out.from = *Pointer::parse(from);
  return out;
}

json text_of(const std::string& content, json arguments, std::size_t clip = 0) {
  auto one = field("t", ShapeField::Type::Text, "/c");
  one.start_line = "from";
  one.end_line = "to";
  one.clip = clip;
  Shape shape{{one}};
  return apply_shape(shape, {{"c", core::base64_encode(content)}}, arguments, {})["t"];
}

TEST(ShapeText, gives_the_chosen_lines_and_their_numbers) {
  EXPECT_EQ(text_of("a\nb\nc", json::object()),
            (json{{"text", "a\nb\nc"}, {"start_line", 1}, {"end_line", 3}, {"total_lines", 3}}));
  EXPECT_EQ(text_of("a\nb\nc\n", {{"from", 2}, {"to", 2}}),
            (json{{"text", "b\n"}, {"start_line", 2}, {"end_line", 2}, {"total_lines", 3}}));
  EXPECT_EQ(text_of("a\nb\n", {{"from", 9}}), (json{{"text", ""}, {"total_lines", 2}}));
  EXPECT_EQ(text_of("a\nb\n", {{"from", 2}, {"to", 1}}), (json{{"text", ""}, {"total_lines", 2}}));
}

TEST(ShapeText, stops_at_a_whole_line_when_it_gets_long) {
  const json cut = text_of("1234\n1234\n1234\n", json::object(), 11);
  EXPECT_EQ(cut["text"], "1234\n1234\n");
  EXPECT_EQ(cut["end_line"], 2);
  EXPECT_EQ(cut["total_lines"], 3);
  const json one_line = text_of(std::string(1000, 'x'), json::object(), 100);
  EXPECT_LT(one_line["text"].get<std::string>().size(), 100u);
  EXPECT_EQ(one_line["end_line"], 1);
}

TEST(ShapeText, does_not_show_binary) {
  EXPECT_EQ(text_of(std::string("a\0b", 3), json::object()), (json{{"binary", true}}));
  EXPECT_EQ(text_of("\xff\xfe", json::object()), (json{{"binary", true}}));
}

TEST(Shrink, cuts_the_longest_parts_until_it_fits) {
  json value = {{"id", 7}, {"body", std::string(5000, 'x')}, {"list", json::array()}};
  for (int i = 0; i < 500; ++i) value["list"].push_back(i);
  EXPECT_TRUE(shrink_to(value, 1000));
  EXPECT_LE(value.dump().size(), 1000u);
  EXPECT_EQ(value["id"], 7);
  EXPECT_FALSE(shrink_to(value, 1000));
}

TEST(Shrink, keeps_text_valid) {
  json value = {{"body", json(std::string())}};
  std::string body;
  for (int i = 0; i < 2000; ++i) body += "\u20ac";
  value["body"] = body;
  shrink_to(value, 1000);
  EXPECT_TRUE(core::is_valid_utf8(value["body"].get<std::string>()));
}

TEST(TakeItems, always_gives_one_item) {
  ResultPlan plan;
  auto shape = std::make_shared<Shape>();
  shape->fields.push_back(field("t", ShapeField::Type::String, "/t"));
  plan.shape = shape;
  const json page = {{{"t", std::string(3000, 'a')}}, {{"t", "b"}}};
  json items = json::array();
  const auto taken = take_items(plan, page, json::object(), {}, {0, 10, 500}, items);
  EXPECT_EQ(items.size(), 1u);
  EXPECT_EQ(taken.used, 1);
  EXPECT_TRUE(taken.truncated);
  EXPECT_LE(items.dump().size(), 510u);
}

TEST(NextLink, reads_link_headers) {
  EXPECT_EQ(next_link("<https://a/x?page=2>; rel=\"next\", <https://a/x?page=9>; rel=\"last\""),
            "https://a/x?page=2");
  EXPECT_EQ(next_link("<https://a/x?page=1>; rel=\"prev\", <https://a/x?page=3>; title=\"t\"; rel=next"),
            "https://a/x?page=3");
  EXPECT_EQ(next_link("<https://a/x>; rel=\"prev\""), "");
  EXPECT_EQ(next_link("<broken"), "");
  EXPECT_EQ(next_link(""), "");
}

}  // namespace
}  // namespace assistiv::mcp
