#include "mcp/remote/remote_result.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::mcp {
namespace {

using core::Json;

Json shaped(const Json& result, const JsonSchema* output = nullptr, RemoteResultLimits limits = {}) {
  return core::parse_json(shape_remote_result("Wiki", result, output, limits).result_json);
}

Json text(const std::string& words) {
  return {{"type", "text"}, {"text", words}};
}

TEST(RemoteResult, known_content_passes_cleaned) {
  const Json out = shaped({{"content",
                            {text("a\u202eb"),
                             {{"type", "image"}, {"data", "aGk="}, {"mimeType", "image/png"}},
                             {{"type", "resource_link"}, {"uri", "wiki://1"}, {"name", "One"}},
                             {{"type", "resource"}, {"resource", {{"uri", "wiki://2"}, {"text", "two"}}}}}},
                           {"_meta", {{"secret", 1}}}});
  EXPECT_EQ(out["content"].size(), 4u);
  EXPECT_EQ(out["content"][0]["text"], "ab");
  EXPECT_EQ(out["content"][1]["data"], "aGk=");
  EXPECT_EQ(out["content"][3]["resource"]["text"], "two");
  EXPECT_EQ(out["isError"], false);
  EXPECT_FALSE(out.contains("_meta"));
}

TEST(RemoteResult, links_that_would_run_something_are_left_out) {
  for (const char* uri : {"javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x"}) {
    const Json out = shaped({{"content",
                              {{{"type", "resource_link"}, {"uri", uri}, {"name", "One"}},
                               {{"type", "resource"}, {"resource", {{"uri", uri}, {"text", "two"}}}}}}});
    ASSERT_EQ(out["content"].size(), 1u) << uri;
    EXPECT_NE(out["content"][0]["text"].get<std::string>().find("left out"), std::string::npos);
  }
}

TEST(RemoteResult, what_is_unknown_or_broken_is_left_out_and_said) {
  const Json out = shaped({{"content",
                            {{{"type", "video"}, {"data", "x"}},
                             {{"type", "image"}, {"data", "not base64!"}, {"mimeType", "image/png"}},
                             {{"type", "image"}, {"data", "aGk="}, {"mimeType", "nonsense"}},
                             "text",
                             {{"type", "resource"}}}}});
  ASSERT_EQ(out["content"].size(), 1u);
  EXPECT_NE(out["content"][0]["text"].get<std::string>().find("left out"), std::string::npos);
}

TEST(RemoteResult, a_giant_result_is_cut) {
  Json blocks = Json::array();
  for (int i = 0; i < 500; ++i) blocks.push_back(text(std::string(1000, 'x') + "\u00e9"));
  const Json out = shaped({{"content", blocks}});
  EXPECT_LE(out["content"].size(), 101u);
  EXPECT_LT(core::dump_json(out).size(), 40'000u);
  EXPECT_NE(out["content"].back()["text"].get<std::string>().find("left out"), std::string::npos);
  const Json one =
      shaped({{"content", {text(std::string(9, 'x') + "\u00e9")}}}, nullptr, {.text_bytes_max = 10});
  EXPECT_EQ(one["content"][0]["text"], std::string(9, 'x'));
}

TEST(RemoteResult, structured_content_must_be_what_was_declared) {
  const auto schema = JsonSchema::compile(
      {{"type", "object"}, {"required", {"n"}}, {"properties", {{"n", {{"type", "integer"}}}}}});
  const Json good = shaped({{"structuredContent", {{"n", 1}}}}, schema.schema.get());
  EXPECT_EQ(good["structuredContent"]["n"], 1);
  EXPECT_EQ(good["content"][0]["text"], R"({"n":1})") << "clients that read only text get it, too";
  EXPECT_EQ(shaped({{"structuredContent", {{"n", "x"}}}}, schema.schema.get())["isError"], true);
  EXPECT_EQ(shaped({{"content", {text("hi")}}}, schema.schema.get())["isError"], true);
  const Json big = {{"structuredContent", {{"n", 1}, {"s", std::string(50'000, 'x')}}}};
  EXPECT_EQ(shaped(big, schema.schema.get())["isError"], true);
  EXPECT_FALSE(shaped(big).contains("structuredContent"));
}

TEST(RemoteResult, errors_of_the_tool_stay_errors) {
  const Json result = {
      {"isError", true}, {"content", {text("no such page")}}, {"structuredContent", {{"n", 1}}}};
  const auto out = shape_remote_result("Wiki", result, nullptr);
  EXPECT_EQ(out.outcome, ExecutionOutcome::ToolError);
  EXPECT_EQ(out.code, "upstream");
  const Json shown = core::parse_json(out.result_json);
  EXPECT_EQ(shown["content"][0]["text"], "no such page");
  EXPECT_FALSE(shown.contains("structuredContent"));
}

TEST(RemoteResult, junk_does_not_break_it) {
  EXPECT_EQ(shaped(Json::object())["content"], Json::array());
  EXPECT_EQ(shaped({{"content", "text"}, {"isError", "yes"}})["isError"], false);
  EXPECT_EQ(shaped({{"content", {text("x")}}, {"structuredContent", "text"}}).contains("structuredContent"),
            false);
}

}  // namespace
}  // namespace assistiv::mcp
