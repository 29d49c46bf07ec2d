#include "mcp/schema/json_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mcp/schema/json_order.h"
#include "mcp/schema/uri.h"

namespace assistiv::mcp {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::vector<SchemaFault> check(const json& schema, const json& value, Formats formats = Formats::Annotate) {
  const auto compiled = JsonSchema::compile(schema, formats);
  EXPECT_NE(compiled.schema, nullptr) << describe(compiled.faults);
  return compiled.schema == nullptr ? compiled.faults : compiled.schema->check(value);
}

std::vector<SchemaFault> compile_faults(const json& schema, SchemaLimits limits = {}) {
  auto compiled = JsonSchema::compile(schema, Formats::Annotate, limits);
  EXPECT_EQ(compiled.schema == nullptr, !compiled.faults.empty());
  return compiled.faults;
}

const json kIssue = json::parse(R"({
  "type": "object", "additionalProperties": false, "required": ["owner", "repo"],
  "properties": {
    "owner": {"type": "string", "minLength": 1, "maxLength": 100},
    "repo": {"type": "string", "maxLength": 100},
    "state": {"enum": ["open", "closed"]},
    "labels": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    "limit": {"type": "integer", "minimum": 1, "maximum": 100}}})");

TEST(JsonSchema, names_every_fault_with_a_pointer_and_what_to_do) {
  const auto faults =
      check(kIssue, {{"owner", ""}, {"state", "shut"}, {"labels", {"a", 1}}, {"limit", 101}, {"x", 1}});
  const std::string words = describe(faults);
  EXPECT_EQ(faults.size(), 6u);
  EXPECT_THAT(words, HasSubstr("/repo is required"));
  EXPECT_THAT(words, HasSubstr("/owner must have at least 1 characters"));
  EXPECT_THAT(words, HasSubstr(R"(/state must be one of "open", "closed")"));
  EXPECT_THAT(words, HasSubstr("/labels/1 must be a string"));
  EXPECT_THAT(words, HasSubstr("/limit must be at most 100"));
  EXPECT_THAT(words, HasSubstr("/x is unknown; known: labels, limit, owner, repo, state"));
}

TEST(JsonSchema, escapes_names_in_pointers) {
  const auto faults = check({{"additionalProperties", false}}, {{"a/b~c", 1}});
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].pointer, "/a~1b~0c");
}

TEST(JsonSchema, says_what_the_closest_alternative_wants) {
  const json schema = json::parse(R"({"anyOf": [{"required": ["a", "b", "c"]}, {"required": ["id"]}]})");
  const auto faults = check(schema, json::object());
  ASSERT_EQ(faults.size(), 2u);
  EXPECT_THAT(faults[0].message, HasSubstr("none of the 2 allowed forms"));
  EXPECT_EQ(faults[1].pointer, "/id");
}

TEST(JsonSchema, reports_at_most_the_limit_of_faults) {
  json value = json::array();
  for (int i = 0; i < 100; ++i) value.push_back("text");
  EXPECT_EQ(check({{"items", {{"type", "integer"}}}}, value).size(), SchemaLimits().faults_max);
}

TEST(JsonSchema, refuses_other_documents_without_fetching) {
  const auto faults =
      compile_faults({{"properties", {{"a", {{"$ref", "https://example.com/schema.json"}}}}}});
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].pointer, "/properties/a/$ref");
  EXPECT_THAT(faults[0].message, HasSubstr("never fetched"));
}

TEST(JsonSchema, refuses_patterns_without_linear_time) {
  for (const char* pattern : {"(?=a)b", "(?<!a)b", "(a)\\1", "("}) {
    const auto faults = compile_faults({{"pattern", pattern}});
    ASSERT_EQ(faults.size(), 1u) << pattern;
    EXPECT_EQ(faults[0].pointer, "/pattern");
  }
  EXPECT_EQ(compile_faults({{"pattern", std::string(2000, 'a')}}).size(), 1u);
}

TEST(JsonSchema, matches_a_hostile_pattern_in_linear_time) {
  const auto faults = check({{"pattern", "^(a+)+$"}}, json(std::string(50'000, 'a') + "!"));
  EXPECT_EQ(faults.size(), 1u);
}

TEST(JsonSchema, understands_ecma_spellings_of_patterns) {
  EXPECT_TRUE(check({{"pattern", "^\\u00e9(?<n>x)$"}}, json("\u00e9x")).empty());
  EXPECT_TRUE(check({{"pattern", "^\\p{Uppercase_Letter}$"}}, json("\u00c9")).empty());
  EXPECT_FALSE(check({{"pattern", "^\\P{L}$"}}, json("a")).empty());
  EXPECT_TRUE(check({{"pattern", "^\\\\p{2}$"}}, json("\\pp")).empty());
}

TEST(JsonSchema, refuses_malformed_keywords_with_their_place) {
  const std::pair<json, std::string> cases[] = {
      {{{"type", "text"}}, "/type"},
      {{{"type", {"string", 1}}}, "/type"},
      {{{"minimum", "1"}}, "/minimum"},
      {{{"multipleOf", 0}}, "/multipleOf"},
      {{{"maxLength", -1}}, "/maxLength"},
      {{{"maxLength", 1.5}}, "/maxLength"},
      {{{"required", {"a", "a"}}}, "/required"},
      {{{"required", "a"}}, "/required"},
      {{{"properties", json::array()}}, "/properties"},
      {{{"items", json::array()}}, "/items"},
      {{{"allOf", json::array()}}, "/allOf"},
      {{{"enum", "a"}}, "/enum"},
      {{{"uniqueItems", 1}}, "/uniqueItems"},
      {{{"$ref", 1}}, "/$ref"},
      {{{"$id", "#part"}}, "/$id"},
      {{{"$schema", "http://json-schema.org/draft-04/schema#"}}, "/$schema"},
      {{{"properties", {{"a/b", 3}}}}, "/properties/a~1b"},
      {json(3), ""},
  };
  for (const auto& [schema, pointer] : cases) {
    const auto faults = compile_faults(schema);
    ASSERT_FALSE(faults.empty()) << schema;
    EXPECT_EQ(faults[0].pointer, pointer) << schema << " " << faults[0].message;
  }
}

TEST(JsonSchema, gives_up_on_endless_references) {
  const auto faults =
      check(json::parse(R"({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}})"), 1);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].message, "is too complex to check");
}

TEST(JsonSchema, gives_up_on_exponential_work) {
  json defs = {{"s0", {{"type", "integer"}}}};
  for (int i = 1; i < 40; ++i) {
    const json ref = {{"$ref", "#/$defs/s" + std::to_string(i - 1)}};
    defs["s" + std::to_string(i)] = {{"allOf", {ref, ref}}};
  }
  const auto faults = check({{"$ref", "#/$defs/s39"}, {"$defs", defs}}, 1);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].message, "is too complex to check");
}

// 3 to the power of 8 times the same part, over the same megabyte.
TEST(JsonSchema, gives_up_on_looking_at_a_long_text_again_and_again) {
  for (const json& part : {json{{"pattern", "[wx][xz]{3}y"}}, json{{"minLength", 1}}}) {
    json defs = {{"s0", part}};
    for (int i = 1; i <= 8; ++i) {
      const json ref = {{"$ref", "#/$defs/s" + std::to_string(i - 1)}};
      defs["s" + std::to_string(i)] = {{"allOf", {ref, ref, ref}}};
    }
    const json schema = {{"$ref", "#/$defs/s8"}, {"$defs", defs}};
    EXPECT_TRUE(check(schema, std::string(1000, 'x') + "y").empty());
    const auto faults = check(schema, std::string(1'000'000, 'x') + "y");
    ASSERT_EQ(faults.size(), 1u) << part;
    EXPECT_EQ(faults[0].message, "is too complex to check");
  }
}

TEST(JsonSchema, refuses_a_schema_past_its_limits) {
  json deep = json::object();
  for (int i = 0; i < 200; ++i) deep = {{"not", deep}};
  EXPECT_FALSE(compile_faults(deep).empty());
  json wide = json::object();
  for (int i = 0; i < 50; ++i) wide["properties"]["p" + std::to_string(i)] = true;
  SchemaLimits limits;
  limits.nodes_max = 20;
  EXPECT_FALSE(compile_faults(wide, limits).empty());
}

TEST(JsonSchema, checks_a_tree_of_the_depth_that_json_may_have) {
  const json schema =
      json::parse(R"({"$dynamicAnchor": "n", "properties": {"next": {"$dynamicRef": "#n"}}})");
  json value = json::object();
  for (int i = 0; i < 60; ++i) value = {{"next", value}};
  EXPECT_TRUE(check(schema, value).empty());
}

TEST(JsonSchema, asserts_formats_only_when_told) {
  const std::pair<const char*, std::pair<const char*, const char*>> cases[] = {
      {"date-time", {"2026-01-31T09:30:00Z", "yesterday"}},
      {"date", {"2026-01-31", "2026-02-31"}},
      {"uri", {"https://example.com/a?b#c", "/relative"}},
      {"email", {"a@example.com", "a@"}},
      {"uuid", {"01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d"}}};
  for (const auto& [format, values] : cases) {
    EXPECT_TRUE(check({{"format", format}}, json(values.second)).empty());
    EXPECT_TRUE(check({{"format", format}}, json(values.first), Formats::Assert).empty()) << format;
    EXPECT_FALSE(check({{"format", format}}, json(values.second), Formats::Assert).empty()) << format;
  }
  EXPECT_TRUE(check({{"format", "colour"}}, json("x"), Formats::Assert).empty());
}

TEST(JsonOrder, tells_big_integers_from_their_neighbours) {
  const json big = 9007199254740993;
  EXPECT_NE(compare_json(big, json(9007199254740992.0)), 0);
  EXPECT_EQ(compare_json(json(1), json(1.0)), 0);
  EXPECT_NE(compare_json(json(1), json(true)), 0);
  EXPECT_LT(compare_json(json(-1), json(UINT64_MAX)), 0);
  EXPECT_TRUE(is_multiple_of(json(0.0075), json(0.0001)));
  EXPECT_FALSE(is_multiple_of(json(0.00751), json(0.0001)));
  EXPECT_FALSE(is_multiple_of(json(1e308), json(0.123456789)));
  EXPECT_TRUE(is_multiple_of(json(UINT64_MAX), json(5)));
}

// RFC 3986 section 5.4.
TEST(UriReference, resolves_the_examples_of_the_rfc) {
  const std::pair<const char*, const char*> cases[] = {{"g:h", "g:h"},
                                                       {"g", "http://a/b/c/g"},
                                                       {"./g", "http://a/b/c/g"},
                                                       {"g/", "http://a/b/c/g/"},
                                                       {"/g", "http://a/g"},
                                                       {"//g", "http://g"},
                                                       {"?y", "http://a/b/c/d;p?y"},
                                                       {"g?y", "http://a/b/c/g?y"},
                                                       {"", "http://a/b/c/d;p?q"},
                                                       {";x", "http://a/b/c/;x"},
                                                       {".", "http://a/b/c/"},
                                                       {"..", "http://a/b/"},
                                                       {"../g", "http://a/b/g"},
                                                       {"../..", "http://a/"},
                                                       {"../../../g", "http://a/g"},
                                                       {"/../g", "http://a/g"},
                                                       {"g.", "http://a/b/c/g."},
                                                       {"./g/.", "http://a/b/c/g/"},
                                                       {"g/./h", "http://a/b/c/g/h"},
                                                       {"g/../h", "http://a/b/c/h"}};
  for (const auto& [reference, absolute] : cases) {
    EXPECT_EQ(resolve_uri("http://a/b/c/d;p?q", reference).absolute, absolute) << reference;
  }
  EXPECT_EQ(resolve_uri("http://a/b", "#s").fragment, "s");
}

}  // namespace
}  // namespace assistiv::mcp
