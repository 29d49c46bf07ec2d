// T17: what Pydantic and Zod write, in Google's subset.
#include "inference/gemini/schema.h"

#include "support/dialect_fixture.h"

namespace assistiv::inference::dialect_test {

namespace {

Json reduced(const char* schema) {
  const Json once = gemini_schema(Json::parse(schema));
  EXPECT_EQ(gemini_schema(once), once) << "reducing twice changes nothing";
  return once;
}

TEST(GeminiSchema, T17_inlines_the_references_of_pydantic_and_makes_optional_members_nullable) {
  EXPECT_EQ(reduced(R"({"$defs":{"Kind":{"enum":["a","b"],"title":"Kind","type":"string"}},
      "properties":{"kind":{"$ref":"#/$defs/Kind","description":"own"},
                    "note":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null,"title":"Note"},
                    "tags":{"items":{"type":"string"},"type":"array","uniqueItems":true}},
      "required":["tags","kind"],"title":"Model","type":"object","additionalProperties":false})"),
            Json::parse(R"({"title":"Model","type":"object","required":["tags","kind"],
      "propertyOrdering":["tags","kind","note"],
      "properties":{"kind":{"enum":["a","b"],"title":"Kind","type":"string","description":"own"},
                    "note":{"type":"string","nullable":true,"title":"Note"},
                    "tags":{"items":{"type":"string"},"type":"array"}}})"));
}

TEST(GeminiSchema, T17_stops_at_a_schema_that_holds_itself) {
  const Json out = reduced(R"({"$defs":{"Node":{"type":"object","properties":{"next":{"$ref":"#/$defs/Node"},
      "children":{"type":"array","items":{"$ref":"#/$defs/Node"}}}}},"$ref":"#/$defs/Node"})");
  EXPECT_EQ(out["properties"]["next"], Json::parse(R"({"type":"object"})"));
  EXPECT_EQ(out["properties"]["children"]["items"], Json::parse(R"({"type":"object"})"));
}

TEST(GeminiSchema, T17_merges_all_of) {
  EXPECT_EQ(reduced(R"({"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},
      {"properties":{"b":{"type":"integer"}},"required":["b","gone"]}]})"),
            Json::parse(R"({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}},
      "required":["a","b"],"propertyOrdering":["a","b"]})"));
}

TEST(GeminiSchema, T17_reads_type_lists_and_the_unions_of_zod) {
  EXPECT_EQ(reduced(R"({"type":["string","null"],"minLength":1})"),
            Json::parse(R"({"type":"string","nullable":true,"minLength":1})"));
  EXPECT_EQ(reduced(R"({"type":["string","integer"],"minLength":1,"minimum":2,"description":"d"})"),
            Json::parse(R"({"description":"d","anyOf":[{"type":"string","minLength":1},
      {"type":"integer","minimum":2}]})"));
  EXPECT_EQ(reduced(R"({"oneOf":[{"type":"object","properties":{"kind":{"const":"a"}}},{"const":null}]})"),
            Json::parse(R"({"type":"object","nullable":true,
      "properties":{"kind":{"type":"string","enum":["a"]}}})"));
}

TEST(GeminiSchema, keeps_enums_of_strings_and_tells_of_the_others_in_the_description) {
  EXPECT_EQ(reduced(R"({"enum":["a",null]})"),
            Json::parse(R"({"type":"string","enum":["a"],"nullable":true})"));
  EXPECT_EQ(reduced(R"({"type":"integer","enum":[1,2]})"),
            Json::parse(R"({"type":"integer","description":"One of: 1, 2."})"));
}

TEST(GeminiSchema, keeps_only_what_google_knows) {
  EXPECT_EQ(reduced(R"({"type":"object","$schema":"x","patternProperties":{},"properties":{
      "at":{"type":"string","format":"date-time"},"mail":{"type":"string","format":"email"},
      "any":{},"list":{"type":"array"},"pair":{"type":"array","prefixItems":[{"type":"string"}]}}})"),
            Json::parse(R"({"type":"object","properties":{
      "at":{"type":"string","format":"date-time"},"mail":{"type":"string"},"any":{"type":"object"},
      "list":{"type":"array","items":{"type":"object"}},"pair":{"type":"array","items":{"type":"string"}}}})"));
}

TEST(GeminiSchema, survives_what_is_no_schema) {
  EXPECT_EQ(reduced("true"), Json::parse(R"({"type":"object"})"));
  EXPECT_EQ(reduced(R"({"$ref":"#/nowhere"})"), Json::parse(R"({"type":"object"})"));
  EXPECT_EQ(reduced(R"({"$ref":7,"type":3,"anyOf":{},"enum":"x","properties":[],"required":5,"items":9})"),
            Json::parse(R"({"type":"object"})"));
  Json deep = {{"type", "string"}};
  for (int i = 0; i < 300; ++i) deep = {{"type", "array"}, {"items", std::move(deep)}};
  EXPECT_TRUE(gemini_schema(deep).is_object());
}

TEST(GeminiSchema, reads_googles_own_form_back) {
  EXPECT_EQ(json_schema_of_gemini(Json::parse(R"({"type":"OBJECT","properties":{"n":{"type":"STRING",
      "nullable":true,"minLength":"2"}},"propertyOrdering":["n"]})")),
            Json::parse(R"({"type":"object","properties":{"n":{"type":["string","null"],"minLength":2}}})"));
}

}  // namespace

}  // namespace assistiv::inference::dialect_test
