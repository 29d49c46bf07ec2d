#include "mcp/tools/tool_result.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::mcp {
namespace {

TEST(ToolResult, an_error_says_its_code_in_text_and_has_no_structured_content) {
  const auto result =
      core::parse_json(error_result("denied", "Not \"allowed\".", {{"rule", "platform_policy"}}));
  EXPECT_EQ(result["isError"], true);
  EXPECT_FALSE(result.contains("structuredContent"));
  ASSERT_EQ(result["content"].size(), 1u);
  EXPECT_EQ(result["content"][0]["type"], "text");
  const auto error = core::parse_json(result["content"][0]["text"].get<std::string>())["error"];
  EXPECT_EQ(error["code"], "denied");
  EXPECT_EQ(error["message"], "Not \"allowed\".");
  EXPECT_EQ(error["rule"], "platform_policy");
}

TEST(ToolResult, a_success_carries_structure_and_text) {
  const auto result = core::parse_json(structured_result({{"item", 1}}, "one"));
  EXPECT_EQ(result["isError"], false);
  EXPECT_EQ(result["structuredContent"]["item"], 1);
  EXPECT_EQ(result["content"][0]["text"], "one");
}

}  // namespace
}  // namespace assistiv::mcp
