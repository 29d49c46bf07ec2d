// The modern protocol, 2026-07-28: every row of its status and code table.
#include <gtest/gtest.h>

#include "core/error.h"
#include "support/mcp_world.h"

namespace assistiv::test {
namespace {

constexpr const char* kVersionKey = "io.modelcontextprotocol/protocolVersion";
constexpr const char* kCapabilitiesKey = "io.modelcontextprotocol/clientCapabilities";

void expect_fault(const McpReply& reply, int status, int code) {
  EXPECT_EQ(reply.status, status);
  ASSERT_FALSE(reply.streamed());
  EXPECT_EQ(reply.error_code(), code) << reply.body;
}

TEST(Modern, discovers_versions_capabilities_and_identity) {
  McpWorld world;
  const auto reply = world.modern("server/discover");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("content-type"), "application/json");
  const Json result = reply.json().at("result");
  EXPECT_EQ(result.at("supportedVersions").front(), kModern);
  EXPECT_EQ(result.at("resultType"), "complete");
  EXPECT_TRUE(result.at("capabilities").contains("tools"));
  EXPECT_FALSE(result.at("capabilities").contains("prompts")) << "only what there is";
  EXPECT_EQ(result.at("cacheScope"), "private");
  EXPECT_TRUE(result.at("ttlMs").is_number_unsigned());
  EXPECT_EQ(result.at("_meta").at("io.modelcontextprotocol/serverInfo").at("name"), "assistiv");
}

TEST(Modern, lists_tools_as_they_were_serialized_and_for_the_caller_only) {
  McpWorld world;
  world.tools.set_list({"one", "two"}, "e");
  const Json result = world.modern("tools/list").json().at("result");
  EXPECT_EQ(result.at("tools").size(), 2u);
  EXPECT_EQ(result.at("tools")[1].at("name"), "two");
  EXPECT_EQ(result.at("cacheScope"), "private");
  EXPECT_EQ(result.at("resultType"), "complete");
}

TEST(Modern, shows_icons_of_tools_and_of_the_server_once) {
  McpWorld world({.server_icons = {{.src = "https://mcp.example/i.svg"}}});
  world.tools.set_list({"one", "two"}, "e", R"([{"src":"https://mcp.example/a.svg"}])");
  const auto server_of = [](const Json& result) {
    return result.at("_meta").at("io.modelcontextprotocol/serverInfo");
  };
  const Json discovered = world.modern("server/discover").json().at("result");
  EXPECT_EQ(server_of(discovered).at("icons"), Json::parse(R"([{"src":"https://mcp.example/i.svg"}])"));
  EXPECT_EQ(server_of(discovered).at("name"), "assistiv");
  EXPECT_EQ(discovered.at("cacheScope"), "private");
  const Json listed = world.modern("tools/list").json().at("result");
  for (const auto& tool : listed.at("tools"))
    EXPECT_EQ(tool.at("icons")[0].at("src"), "https://mcp.example/a.svg");
  EXPECT_FALSE(server_of(listed).contains("icons")) << "not with every answer";
}

TEST(Modern, pages_lists_and_refuses_a_made_up_cursor) {
  McpWorld world({.list_page_size = 2});
  world.tools.set_list({"a", "b", "c"}, "e");
  const Json first = world.modern("tools/list").json().at("result");
  EXPECT_EQ(first.at("tools").size(), 2u);
  const Json second = world.modern("tools/list", {{"cursor", first.at("nextCursor")}}).json().at("result");
  EXPECT_EQ(second.at("tools").size(), 1u);
  EXPECT_FALSE(second.contains("nextCursor"));
  expect_fault(world.modern("tools/list", {{"cursor", "made-up"}}), 200, -32602);
}

TEST(Modern, calls_a_tool_and_adds_what_the_era_asks_for) {
  McpWorld world;
  world.tools.add("echo", [](mcp::CallContext, Json arguments) -> core::Task<mcp::ToolCallResult> {
    co_return text_answer(arguments.at("say").get<std::string>());
  });
  const auto reply = world.modern("tools/call", {{"name", "echo"}, {"arguments", {{"say", "hello"}}}});
  EXPECT_FALSE(reply.streamed()) << "nothing was said before the result";
  const Json result = reply.json().at("result");
  EXPECT_EQ(result.at("content")[0].at("text"), "hello");
  EXPECT_EQ(result.at("resultType"), "complete");
  EXPECT_TRUE(result.at("_meta").contains("io.modelcontextprotocol/serverInfo"));
  EXPECT_EQ(reply.header("mcp-session-id"), "");
}

TEST(Modern, missing_meta_is_400_invalid_params) {
  McpWorld world;
  const Fields headers = {{"mcp-protocol-version", kModern}, {"mcp-method", "tools/list"}};
  const Json bare = {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "tools/list"}};
  expect_fault(world.post(bare, headers), 400, -32602);
  for (const char* key : {kVersionKey, kCapabilitiesKey}) {
    Json message = world.modern_message("tools/list", Json::object());
    message["params"]["_meta"].erase(key);
    const auto reply = world.post(message, headers);
    expect_fault(reply, 400, -32602);
    EXPECT_EQ(reply.json().at("id"), 1);
    EXPECT_NE(reply.json().at("error").at("message").get<std::string>().find(key), std::string::npos);
  }
}

TEST(Modern, headers_that_are_missing_or_differ_are_400_header_mismatch) {
  McpWorld world;
  const Json call = {{"name", "echo"}};
  expect_fault(world.modern("tools/list", {}, {{"mcp-protocol-version", "-"}}), 400, -32020);
  expect_fault(world.modern("tools/list", {}, {{"mcp-protocol-version", "2025-11-25"}}), 400, -32020);
  expect_fault(world.modern("tools/list", {}, {{"mcp-method", "-"}}), 400, -32020);
  expect_fault(world.modern("tools/list", {}, {{"mcp-method", "TOOLS/LIST"}}), 400, -32020);
  expect_fault(world.modern("tools/call", call, {{"mcp-name", "-"}}), 400, -32020);
  expect_fault(world.modern("tools/call", call, {{"mcp-name", "other"}}), 400, -32020);
  expect_fault(world.modern("tools/call", call, {{"mcp-name", "=?base64?!!?="}}), 400, -32020);
  expect_fault(world.modern("tools/call", call, {{"mcp-name", "echo"}, {"Mcp-Name", "other"}}), 400, -32020);
}

TEST(Modern, a_header_may_carry_its_value_in_base64) {
  McpWorld world;
  world.tools.add(
      "echo", [](mcp::CallContext, Json) -> core::Task<mcp::ToolCallResult> { co_return text_answer("ok"); });
  EXPECT_TRUE(world.modern("tools/call", {{"name", "echo"}}, {{"mcp-name", "=?base64?ZWNobw==?="}})
                  .json()
                  .contains("result"));
}

TEST(Modern, mirrored_arguments_are_compared_with_their_headers) {
  McpWorld world;
  world.tools.add(
      "echo", [](mcp::CallContext, Json) -> core::Task<mcp::ToolCallResult> { co_return text_answer("ok"); });
  world.tools.mirror("echo", {{{"region"}, "Region"}});
  const Json params = {{"name", "echo"}, {"arguments", {{"region", "eu"}}}};
  EXPECT_TRUE(world.modern("tools/call", params, {{"mcp-param-region", "eu"}}).json().contains("result"));
  expect_fault(world.modern("tools/call", params, {{"mcp-param-region", "us"}}), 400, -32020);
  const auto missing =
      world.node.send(McpWorld::request("POST", world.modern_message("tools/call", params).dump(),
                                        {{"mcp-protocol-version", kModern},
                                         {"mcp-method", "tools/call"},
                                         {"mcp-name", "echo"},
                                         {"accept", "application/json"}}),
                      world.caller);
  expect_fault(missing, 400, -32020);
}

TEST(Modern, an_unknown_version_is_400_and_names_the_known_ones) {
  McpWorld world;
  for (const char* version : {"2099-01-01", "2025-11-25", ""}) {
    const auto reply = world.modern("tools/list", {{"_meta", {{kVersionKey, version}}}},
                                    {{"mcp-protocol-version", version}});
    if (std::string(version).empty()) continue;
    expect_fault(reply, 400, -32022);
    const Json data = reply.json().at("error").at("data");
    EXPECT_EQ(data.at("requested"), version);
    EXPECT_EQ(data.at("supported"),
              world.modern("server/discover").json().at("result").at("supportedVersions"));
  }
}

TEST(Modern, unknown_and_removed_methods_are_404) {
  McpWorld world;
  for (const char* method : {"initialize", "ping", "logging/setLevel", "resources/subscribe",
                             "resources/unsubscribe", "prompts/list", "no/such"}) {
    expect_fault(world.modern(method), 404, -32601);
  }
}

TEST(Modern, batches_and_responses_are_400_invalid_request) {
  McpWorld world;
  const Fields headers = {{"mcp-protocol-version", kModern}};
  expect_fault(world.post(Json::array({world.modern_message("tools/list", Json::object())}), headers), 400,
               -32600);
  expect_fault(world.post({{"jsonrpc", "2.0"}, {"id", 1}, {"result", Json::object()}}, headers), 400, -32600);
}

TEST(Modern, takes_a_notification_with_202) {
  McpWorld world;
  const auto reply = world.post({{"jsonrpc", "2.0"}, {"method", "notifications/anything"}},
                                {{"mcp-protocol-version", kModern}});
  EXPECT_EQ(reply.status, 202);
  EXPECT_EQ(reply.body, "");
}

TEST(Modern, an_unknown_tool_is_invalid_params) {
  McpWorld world;
  expect_fault(world.modern("tools/call", {{"name", "nope"}}), 200, -32602);
  const Json no_name = world.modern_message("tools/call", Json::object());
  expect_fault(world.post(no_name, {{"mcp-protocol-version", kModern}, {"mcp-method", "tools/call"}}), 200,
               -32602);
  expect_fault(world.modern("tools/call", {{"name", "echo"}, {"arguments", Json::array()}}), 200, -32602);
}

TEST(Modern, a_bad_log_level_is_invalid_params) {
  McpWorld world;
  expect_fault(world.modern("tools/list", {{"_meta", {{"io.modelcontextprotocol/logLevel", "loud"}}}}), 200,
               -32602);
}

TEST(Modern, a_failing_tool_is_a_result_and_a_crash_is_an_internal_error) {
  McpWorld world;
  world.tools.add("fails", [](mcp::CallContext, Json) -> core::Task<mcp::ToolCallResult> {
    mcp::ToolCallResult result;
    result.outcome = mcp::ToolOutcome::ToolError;
    result.result_json = R"({"content":[],"isError":true})";
    co_return result;
  });
  world.tools.add("crashes", [](mcp::CallContext, Json) -> core::Task<mcp::ToolCallResult> {
    throw core::internal("a private detail");
    co_return mcp::ToolCallResult{};
  });
  EXPECT_TRUE(world.modern("tools/call", {{"name", "fails"}}).json().at("result").at("isError").get<bool>());
  const auto crash = world.modern("tools/call", {{"name", "crashes"}});
  expect_fault(crash, 200, -32603);
  EXPECT_EQ(crash.body.find("private"), std::string::npos);
  EXPECT_NE(crash.body.find("req_test"), std::string::npos);
}

TEST(Modern, get_and_delete_are_405) {
  McpWorld world;
  for (const auto& reply :
       {world.get({{"mcp-protocol-version", kModern}}), world.del({{"mcp-protocol-version", kModern}})}) {
    EXPECT_EQ(reply.status, 405);
    EXPECT_EQ(reply.header("allow"), "POST");
  }
}

TEST(Modern, ignores_a_session_id) {
  McpWorld world;
  EXPECT_TRUE(world.modern("tools/list", {}, {{"mcp-session-id", "whatever"}}).json().contains("result"));
}

TEST(Modern, answers_as_an_event_when_nothing_else_is_taken) {
  McpWorld world;
  const auto reply = world.modern("tools/list", {}, {{"accept", "text/event-stream"}});
  EXPECT_EQ(reply.header("content-type"), "text/event-stream");
  EXPECT_EQ(reply.header("x-accel-buffering"), "no");
  EXPECT_TRUE(reply.json().contains("result"));
  EXPECT_TRUE(reply.events->ended());
}

TEST(Modern, echoes_64_bit_and_fractional_ids) {
  McpWorld world;
  for (const char* id : {"9223372036854775807", "18446744073709551615", "1.50", "\"text\""}) {
    std::string body = world.modern_message("tools/list", Json::object()).dump();
    body.replace(body.find("\"id\":1"), 6, "\"id\":" + std::string(id));
    const auto reply =
        world.post_text(body, {{"mcp-protocol-version", kModern}, {"mcp-method", "tools/list"}});
    EXPECT_NE(reply.body.find("\"id\":" + std::string(id) + ","), std::string::npos) << reply.body;
  }
}

}  // namespace
}  // namespace assistiv::test
