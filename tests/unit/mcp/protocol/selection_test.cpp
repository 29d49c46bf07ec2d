// Which tools a client asks for by the URL or by headers: how it is read, and how long it holds in both eras.
#include "mcp/protocol/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/mcp_world.h"

namespace assistiv::test {
namespace {

using mcp::ToolSelection;
using ::testing::HasSubstr;

mcp::SelectionReading read(std::string_view query, Fields headers = {}) {
  core::HttpHeaders all;
  for (auto& [name, value] : headers) all.add(name, value);
  return mcp::read_selection(mcp::read_head(all), query);
}

ToolSelection read_well(std::string_view query, Fields headers = {}) {
  const auto reading = read(query, std::move(headers));
  EXPECT_EQ(reading.fault, "");
  return reading.selection ? *reading.selection : ToolSelection{};
}

TEST(Selection, is_none_unless_it_is_asked_for) {
  EXPECT_EQ(read("").selection, nullptr);
  EXPECT_EQ(read("trace=1&tools=&readonly=false").selection, nullptr);
  EXPECT_EQ(read("", {{"X-MCP-Readonly", "false"}}).selection, nullptr);
}

TEST(Selection, is_read_alike_from_the_url_and_from_headers) {
  const ToolSelection wanted{.search = true,
                             .tools = {"a", "b"},
                             .toolsets = {"github", "slack:messages"},
                             .read_only = true,
                             .result_tokens_max = 1500};
  EXPECT_EQ(
      read_well("tools=b,%20search,a,a&toolsets=slack%3Amessages,github&readonly=1&max_result_tokens=1500"),
      wanted);
  EXPECT_EQ(read_well("", {{"x-mcp-tools", "b, search ,a"},
                           {"X-MCP-Toolsets", "slack:messages,github"},
                           {"X-MCP-Readonly", "true"},
                           {"X-MCP-Max-Result-Tokens", "1500"}}),
            wanted);
  EXPECT_EQ(read_well("tools=a", {{"X-MCP-Toolsets", "github"}}),
            (ToolSelection{.tools = {"a"}, .toolsets = {"github"}}));
  EXPECT_EQ(read_well("tools=a", {{"X-MCP-Tools", "a"}}), (ToolSelection{.tools = {"a"}}));
}

TEST(Selection, is_refused_when_it_says_two_things_or_nothing_that_can_be_read) {
  const std::string many = "tools=" + std::string(300, ',') + [] {
    std::string out;
    for (int i = 0; i < 300; ++i) out += "t" + std::to_string(i) + ",";
    return out;
  }();
  for (const std::string& query :
       {std::string("tools=a&tools=b"), std::string("readonly=yes"), std::string("max_result_tokens=599"),
        std::string("max_result_tokens=-1"), std::string("max_result_tokens=1e9"), std::string("tools=%zz"),
        std::string("tools=%E2%80%AE"), "tools=" + std::string(129, 'a'), many}) {
    const auto reading = read(query);
    EXPECT_NE(reading.fault, "") << query;
    EXPECT_EQ(reading.selection, nullptr);
  }
  EXPECT_THAT(read("tools=a", {{"X-MCP-Tools", "b"}}).fault, HasSubstr("X-MCP-Tools"));
}

// A tool that tells which selection its call came with.
class SelectionOfCalls : public testing::Test {
 protected:
  SelectionOfCalls() {
    world.tools.add("tell", [](mcp::CallContext context, Json) -> core::Task<mcp::ToolCallResult> {
      co_return text_answer("told:" + mcp::selection_text(context.selection));
    });
  }
  McpReply post(const Json& message, Fields headers, std::string query) {
    auto request = McpWorld::request("POST", message.dump(), std::move(headers));
    request.query = std::move(query);
    return world.node.send(std::move(request), world.caller);
  }
  static std::string told(const McpReply& reply) {
    return reply.json().at("result").at("content")[0].at("text").get<std::string>();
  }
  Json legacy_call() {
    return {{"jsonrpc", "2.0"}, {"id", ++id_}, {"method", "tools/call"}, {"params", {{"name", "tell"}}}};
  }
  Json initialize() {
    return {{"jsonrpc", "2.0"},
            {"id", ++id_},
            {"method", "initialize"},
            {"params", {{"protocolVersion", kLegacy}, {"capabilities", Json::object()}}}};
  }

  McpWorld world;

 private:
  int id_ = 0;
};

TEST_F(SelectionOfCalls, is_that_of_the_request_where_there_is_no_session) {
  EXPECT_EQ(told(post(legacy_call(), {}, "readonly=true")),
            "told:" + mcp::selection_text(std::make_shared<ToolSelection>(ToolSelection{.read_only = true})));
  EXPECT_EQ(told(post(legacy_call(), {}, "")), "told:");
  const Json params = {{"name", "tell"}, {"arguments", Json::object()}};
  EXPECT_THAT(told(world.modern("tools/call", params, {{"x-mcp-tools", "tell"}})), HasSubstr("[\"tell\"]"));
  EXPECT_EQ(told(world.modern("tools/call", params)), "told:");
}

TEST_F(SelectionOfCalls, is_that_of_initialize_in_a_legacy_session) {
  const auto begun = post(initialize(), {}, "tools=tell&max_result_tokens=700");
  ASSERT_EQ(begun.status, 200) << begun.body;
  const Fields session = {{"mcp-session-id", begun.header("mcp-session-id")},
                          {"mcp-protocol-version", kLegacy}};
  const std::string first = told(post(legacy_call(), session, ""));
  EXPECT_THAT(first, HasSubstr("700"));
  EXPECT_EQ(told(post(legacy_call(), session, "readonly=true")), first) << "a later wish changes nothing";
}

TEST_F(SelectionOfCalls, names_what_it_does_not_know_before_anything_runs) {
  const auto refused = post(initialize(), {}, "tools=tell,nothing_such");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.error_code(), -32602);
  EXPECT_THAT(refused.body, HasSubstr("nothing_such"));
  EXPECT_EQ(refused.header("mcp-session-id"), "");
  const auto modern = world.modern("tools/list", Json::object(), {{"x-mcp-tools", "nothing_such"}});
  EXPECT_EQ(modern.status, 400);
  EXPECT_EQ(modern.error_code(), -32602);
  EXPECT_EQ(post(legacy_call(), {}, "readonly=perhaps").status, 400);
}

}  // namespace
}  // namespace assistiv::test
