#include "core/json_read.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace assistiv::core {
namespace {

std::string parse_fault(std::string_view text, int depth_max = 64) {
  try {
    parse_json(text, depth_max);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::InvalidArgument);
    EXPECT_FALSE(try_parse_json(text, depth_max)) << text;
    return e.message();
  }
  EXPECT_TRUE(try_parse_json(text, depth_max)) << text;
  return "";
}

// What a read throws: the field's pointer and the message.
template <class Read>
std::pair<std::string, std::string> read_fault(const Read& read) {
  try {
    read();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::InvalidArgument);
    return {e.field(), e.message()};
  }
  return {"none", ""};
}

TEST(ParseJson, finds_a_key_that_occurs_twice_however_many_there_are) {
  for (const int keys : {2, 15, 16, 17, 18, 100}) {
    std::string members;
    for (int i = 0; i < keys; ++i) members += "\"k" + std::to_string(i) + "\":{\"k0\":1},";
    const auto object = [&](const std::string& last) { return "{" + members + "\"" + last + "\":1}"; };
    EXPECT_TRUE(try_parse_json(object("other")).has_value()) << keys;
    EXPECT_TRUE(try_parse_json("[" + object("other") + "," + object("other") + "]").has_value()) << keys;
    EXPECT_FALSE(try_parse_json(object("k0")).has_value()) << keys;
    EXPECT_FALSE(try_parse_json(object("k" + std::to_string(keys - 1))).has_value()) << keys;
  }
}

TEST(ParseJson, reads_every_type) {
  const Json value = parse_json(R"({"a":[1,-2,3.5,true,false,null,"x"],"b":{"c":18446744073709551615}})");
  EXPECT_EQ(value["a"].size(), 7u);
  EXPECT_EQ(value["b"]["c"].get<std::uint64_t>(), UINT64_MAX);
  EXPECT_EQ(parse_json(" 1 "), 1);
}

TEST(ParseJson, refuses_duplicate_keys_at_any_depth) {
  EXPECT_NE(parse_fault(R"({"a":1,"a":2})").find("\"a\" occurs twice"), std::string::npos);
  EXPECT_NE(parse_fault(R"([{"x":{"b":1,"b":1}}])").find("\"b\" occurs twice"), std::string::npos);
  EXPECT_NE(parse_fault("{\"a\":1,\"\\u0061\":2}"), "");
  EXPECT_EQ(parse_fault(R"([{"a":1},{"a":2}])"), "");
  EXPECT_EQ(parse_fault(R"({"a":{"a":1}})"), "");
}

TEST(ParseJson, refuses_more_levels_than_allowed) {
  EXPECT_EQ(parse_fault("[[[]]]", 3), "");
  EXPECT_NE(parse_fault("[[[[]]]]", 3).find("deeper than 3"), std::string::npos);
  EXPECT_NE(parse_fault(std::string(1'000'000, '[')), "");
  EXPECT_NE(parse_fault(R"({"a":{"a":{"a":{}}}})", 3), "");
}

TEST(ParseJson, names_the_position_of_a_fault) {
  EXPECT_NE(parse_fault(R"({"a":1,})").find("near byte 8"), std::string::npos) << parse_fault(R"({"a":1,})");
}

TEST(ParseJson, refuses_what_json_does_not_know) {
  for (const char* text :
       {"",        " ",           "{",   "[1,]", "{'a':1}", "{\"a\"}",  "nul",
        "01",      "+1",          ".5",  "1.",   "NaN",     "1e999",    "\"\t\"",
        "\"\\x\"", "\"\\ud800\"", "1 2", "[] x", "// c\n1", "\"\xff\"", "\"\xed\xa0\x80\""}) {
    EXPECT_NE(parse_fault(text), "") << text;
  }
}

// nlohmann's own parser is the oracle: the same values, the same refusals.
TEST(ParseJson, reads_what_nlohmann_reads) {
  for (const std::string text : {"0",
                                 "-0",
                                 "7",
                                 "-7",
                                 "9223372036854775807",
                                 "9223372036854775808",
                                 "-9223372036854775808",
                                 "-9223372036854775809",
                                 "18446744073709551616",
                                 "1e2",
                                 "1E+2",
                                 "-1.5e-3",
                                 "0.1",
                                 "1e-400",
                                 "-0.0",
                                 "0e0",
                                 "1e",
                                 "1e+",
                                 "-",
                                 "--1",
                                 "0x1",
                                 "1.e1",
                                 "Infinity",
                                 "true",
                                 "tru",
                                 "trueX",
                                 "false",
                                 "null",
                                 "\"\"",
                                 "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                                 "\"\\u00e9\\u20AC\\ud83d\\ude00\"",
                                 "\"\\ud83d\"",
                                 "\"\\ude00\"",
                                 "\"\\ud83dx\"",
                                 "\"\\ud83d\\u0041\"",
                                 "\"\\u12\"",
                                 "\"\\u12g4\"",
                                 "\"\\u+123\"",
                                 "\"\\u0000\"",
                                 "\"\\",
                                 "\"",
                                 "\"\x7f\"",
                                 "\"a\nb\"",
                                 "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
                                 "\"\xc0\xaf\"",
                                 "\"\xf4\x90\x80\x80\"",
                                 "\"\xe2\x82\"",
                                 "\xef\xbb\xbf[]",
                                 "\xef\xbb[]",
                                 "[]",
                                 "[ ]",
                                 "{}",
                                 "{ }",
                                 "[1, 2 ,3]",
                                 "[,]",
                                 "[1 2]",
                                 "[1",
                                 "{\"a\" : {\"b\":[{}]}}",
                                 "{\"a\":1",
                                 "{\"a\",1}",
                                 "{,}",
                                 "{\"a\":}",
                                 "{a:1}",
                                 "\t\r\n [\t]\r\n",
                                 "\v[]",
                                 "[]]",
                                 "{}{}",
                                 "/**/1"}) {
    const auto expected = Json::parse(text, nullptr, false);
    const auto read = try_parse_json(text);
    ASSERT_EQ(read.has_value(), !expected.is_discarded()) << text;
    if (!read) continue;
    EXPECT_EQ(*read, expected) << text;
    EXPECT_EQ(read->type(), expected.type()) << text;
    EXPECT_EQ(read->dump(), expected.dump()) << text;
  }
}

TEST(DumpJson, is_compact_and_replaces_invalid_utf8) {
  EXPECT_EQ(dump_json({{"b", 1}, {"a", {1, 2}}}), R"({"a":[1,2],"b":1})");
  EXPECT_EQ(dump_json(Json("a\xff")), "\"a\xef\xbf\xbd\"");
}

TEST(JsonReader, refuses_what_is_no_object) {
  const Json list = Json::array();
  EXPECT_EQ(read_fault([&] { JsonReader{list}; }).first, "");
  EXPECT_EQ(read_fault([&] { JsonReader(list, "/a/0"); }).first, "/a/0");
}

TEST(JsonReader, treats_null_as_absent) {
  const Json body = {{"a", nullptr}, {"b", ""}};
  const JsonReader reader(body);
  EXPECT_FALSE(reader.has("a"));
  EXPECT_FALSE(reader.has("c"));
  EXPECT_TRUE(reader.has("b"));
  EXPECT_EQ(reader.optional_string("a"), std::nullopt);
  EXPECT_EQ(reader.object("a"), nullptr);
  EXPECT_TRUE(reader.strings("a").empty());
}

TEST(JsonReader, names_the_faulty_member_with_an_escaped_pointer) {
  const Json body = {{"a/b~c", 1}};
  const JsonReader reader(body, "/list/2");
  EXPECT_EQ(read_fault([&] { reader.string("a/b~c"); }).first, "/list/2/a~1b~0c");
}

TEST(JsonReader, checks_strings) {
  const Json body = {{"s", "abc"}, {"n", 1}, {"nul", std::string("a\0b", 3)}};
  const JsonReader reader(body);
  EXPECT_EQ(reader.string("s", 3, 3), "abc");
  EXPECT_EQ(read_fault([&] { reader.string("s", 4); }).first, "/s");
  EXPECT_EQ(read_fault([&] { reader.string("s", 0, 2); }).first, "/s");
  EXPECT_EQ(read_fault([&] { reader.string("n"); }).first, "/n");
  EXPECT_EQ(read_fault([&] { reader.string("nul"); }).first, "/nul");
  EXPECT_EQ(read_fault([&] { reader.string("missing"); }).second, "\"missing\" is required.");
}

TEST(JsonReader, checks_integers_and_booleans) {
  const Json body = parse_json(R"({"i":5,"f":5.0,"big":9223372036854775808,"neg":-3,"b":true,"s":"1"})");
  const JsonReader reader(body);
  EXPECT_EQ(reader.optional_integer("i", 5, 5), 5);
  EXPECT_EQ(reader.optional_integer("neg", -3, 0), -3);
  EXPECT_EQ(reader.optional_integer("absent", 0, 1), std::nullopt);
  for (const char* name : {"f", "big", "neg", "b", "s"}) {
    EXPECT_EQ(read_fault([&] { reader.optional_integer(name, 0, INT64_MAX); }).first,
              std::string("/") + name);
  }
  EXPECT_EQ(reader.optional_bool("b"), true);
  EXPECT_EQ(read_fault([&] { reader.optional_bool("i"); }).first, "/i");
}

TEST(JsonReader, checks_choices_and_lists_them) {
  const Json body = {{"mode", "x"}};
  const JsonReader reader(body);
  const auto [field, message] = read_fault([&] { reader.choice("mode", {"all", "none"}); });
  EXPECT_EQ(field, "/mode");
  EXPECT_NE(message.find("all, none"), std::string::npos);
}

TEST(JsonReader, checks_lists_of_strings) {
  const Json body = {{"ok", {"a", "b"}}, {"mixed", {"a", 1}}, {"text", "a"}, {"nul", {std::string("\0", 1)}}};
  const JsonReader reader(body);
  EXPECT_EQ(reader.strings("ok"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read_fault([&] { reader.strings("ok", 1); }).first, "/ok");
  EXPECT_EQ(read_fault([&] { reader.strings("ok", 2, 0); }).first, "/ok");
  EXPECT_EQ(read_fault([&] { reader.strings("mixed"); }).first, "/mixed");
  EXPECT_EQ(read_fault([&] { reader.strings("text"); }).first, "/text");
  EXPECT_EQ(read_fault([&] { reader.strings("nul"); }).first, "/nul");
}

TEST(JsonReader, refuses_members_that_are_not_listed) {
  const Json body = {{"a", 1}, {"b", 2}};
  const JsonReader reader(body);
  EXPECT_EQ(read_fault([&] { reader.only({"a", "b"}); }).first, "none");
  EXPECT_EQ(read_fault([&] { reader.only({"a"}); }).first, "/b");
}

}  // namespace
}  // namespace assistiv::core
