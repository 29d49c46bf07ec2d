// Calls that ask: by result in the modern protocol, by request in the legacy one.
#include <gtest/gtest.h>

#include "support/mcp_world.h"

namespace assistiv::test {
namespace {

using mcp::CallContext;
using mcp::ToolCallResult;
using mcp::ToolOutcome;

const Json kCanAsk = {{"elicitation", {{"form", Json::object()}}}};

ToolCallResult ask_name(std::string state) {
  ToolCallResult result;
  result.outcome = ToolOutcome::InputRequired;
  result.input_requests_json =
      R"({"name":{"method":"elicitation/create","params":{"message":"Name?","requestedSchema":{"type":"object","properties":{}}}}})";
  result.input_state = std::move(state);
  return result;
}

// Asks for a name, remembers a state, and greets.
core::Task<ToolCallResult> greet(CallContext context, Json) {
  if (context.input_state == "asked" && context.input_responses->contains("name")) {
    co_return text_answer("Hello " +
                          context.input_responses->at("name").at("content").at("name").get<std::string>());
  }
  co_return ask_name("asked");
}

Json answered(const Json& params, const Json& state) {
  Json out = params;
  out["inputResponses"] = {{"name", {{"action", "accept"}, {"content", {{"name", "Ada"}}}}}};
  if (!state.is_null()) out["requestState"] = state;
  return out;
}

class ModernInput : public testing::Test {
 protected:
  ModernInput() {
    world.tools.add("greet", greet);
    world.tools.add("other", greet);
  }
  Json ask(const Json& sent) { return world.modern("tools/call", sent, {}, kCanAsk).json(); }
  Json state() { return ask(params).at("result").at("requestState"); }
  int refusal(const Json& tampered) { return ask(tampered).at("error").at("code").get<int>(); }

  McpWorld world;
  const Json params = {{"name", "greet"}, {"arguments", {{"a", 1}}}};
};

TEST_F(ModernInput, is_asked_for_by_result_and_given_with_the_repeated_call) {
  const Json first = ask(params).at("result");
  EXPECT_EQ(first.at("resultType"), "input_required");
  EXPECT_EQ(first.at("inputRequests").at("name").at("method"), "elicitation/create");
  EXPECT_FALSE(first.contains("ttlMs"));
  const Json second = ask(answered(params, first.at("requestState"))).at("result");
  EXPECT_EQ(second.at("resultType"), "complete");
  EXPECT_EQ(second.at("content")[0].at("text"), "Hello Ada");
}

TEST_F(ModernInput, state_is_opaque_and_refused_when_changed) {
  const std::string sealed = state().get<std::string>();
  EXPECT_EQ(sealed.find("asked"), std::string::npos);
  std::string changed = sealed;
  changed[changed.size() / 2] = changed[changed.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_EQ(refusal(answered(params, changed)), -32602);
  for (const Json& bad : {Json(""), Json("made up"), Json(7), Json(sealed + "x")}) {
    EXPECT_EQ(refusal(answered(params, bad)), -32602) << bad;
  }
}

TEST_F(ModernInput, state_of_another_tool_or_other_arguments_is_refused) {
  const Json sealed = state();
  EXPECT_EQ(refusal(answered({{"name", "other"}, {"arguments", {{"a", 1}}}}, sealed)), -32602);
  EXPECT_EQ(refusal(answered({{"name", "greet"}, {"arguments", {{"a", 2}}}}, sealed)), -32602);
}

TEST_F(ModernInput, state_of_another_user_is_refused) {
  const Json repeated = answered(params, state());
  const auto as = [&](oauth::PrincipalPtr who, std::optional<std::string> app) {
    return world.node
        .send(McpWorld::request("POST", world.modern_message("tools/call", repeated, kCanAsk).dump(),
                                McpWorld::modern_headers("tools/call", repeated)),
              std::move(who), std::move(app))
        .json();
  };
  EXPECT_EQ(as(end_user(1, 2), {}).at("error").at("code"), -32602);
  EXPECT_EQ(as(end_user(2, 1), {}).at("error").at("code"), -32602);
  EXPECT_EQ(as(world.caller, "github").at("error").at("code"), -32602);
  EXPECT_TRUE(as(world.caller, {}).contains("result"));
}

TEST_F(ModernInput, state_expires) {
  const Json repeated = answered(params, state());
  world.clock.advance(std::chrono::hours(1));
  EXPECT_EQ(refusal(repeated), -32602);
}

TEST_F(ModernInput, state_is_good_at_another_replica) {
  mcp::MemorySessionStore sessions(world.clock, std::chrono::hours(24));
  McpNode replica(world.io, {}, {.tools = world.tools}, {sessions, *world.vault, world.clock, world.random});
  const Json repeated = answered(params, state());
  const auto reply =
      replica.send(McpWorld::request("POST", world.modern_message("tools/call", repeated, kCanAsk).dump(),
                                     McpWorld::modern_headers("tools/call", repeated)),
                   world.caller);
  EXPECT_EQ(reply.json().at("result").at("resultType"), "complete");
}

TEST_F(ModernInput, answers_of_no_known_form_are_refused) {
  Json bad = params;
  bad["inputResponses"] = 7;
  EXPECT_EQ(refusal(bad), -32602);
}

TEST_F(ModernInput, is_not_asked_for_what_the_client_cannot_do) {
  const auto reply = world.modern("tools/call", params);
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.error_code(), -32021);
  EXPECT_EQ(reply.json().at("error").at("data").at("requiredCapabilities"),
            (Json{{"elicitation", {{"form", Json::object()}}}}));
}

TEST(LegacyInput, is_asked_for_on_the_calls_stream_and_answered_by_a_post) {
  McpWorld world;
  world.tools.add("greet", greet);
  const auto session = world.open_session(kLegacy, {{"elicitation", Json::object()}});
  const auto reply = world.legacy("tools/call", {{"name", "greet"}}, session);
  ASSERT_TRUE(reply.streamed());
  const Json question = reply.events->next_message();
  EXPECT_EQ(question.at("method"), "elicitation/create");
  EXPECT_EQ(question.at("params").at("message"), "Name?");
  const Json answer = {{"jsonrpc", "2.0"},
                       {"id", question.at("id")},
                       {"result", {{"action", "accept"}, {"content", {{"name", "Ada"}}}}}};
  // Another session cannot answer it.
  const Json wrong = {{"jsonrpc", "2.0"}, {"id", question.at("id")}, {"result", {{"action", "decline"}}}};
  EXPECT_EQ(world.post(wrong, world.open_session()).status, 202);
  EXPECT_EQ(world.post(answer, session).status, 202);
  EXPECT_EQ(reply.json().at("result").at("content")[0].at("text"), "Hello Ada");
}

TEST(LegacyInput, an_error_of_the_client_is_told_to_the_model) {
  McpWorld world;
  world.tools.add("greet", greet);
  const auto session = world.open_session(kLegacy, {{"elicitation", Json::object()}});
  const auto reply = world.legacy("tools/call", {{"name", "greet"}}, session);
  const Json question = reply.events->next_message();
  world.post(
      {{"jsonrpc", "2.0"}, {"id", question.at("id")}, {"error", {{"code", -1}, {"message", "no screen"}}}},
      session);
  const Json result = reply.json().at("result");
  EXPECT_TRUE(result.at("isError").get<bool>());
  EXPECT_NE(result.at("content")[0].at("text").get<std::string>().find("no screen"), std::string::npos);
}

TEST(LegacyInput, is_a_tool_error_where_the_client_cannot_be_asked) {
  McpWorld world;
  world.tools.add("greet", greet);
  for (const Fields& headers : {world.open_session(), Fields{}}) {
    EXPECT_TRUE(world.legacy("tools/call", {{"name", "greet"}}, headers)
                    .json()
                    .at("result")
                    .at("isError")
                    .get<bool>());
  }
  auto no_stream = world.open_session(kLegacy, {{"elicitation", Json::object()}});
  no_stream.emplace_back("accept", "application/json");
  EXPECT_TRUE(world.legacy("tools/call", {{"name", "greet"}}, no_stream)
                  .json()
                  .at("result")
                  .at("isError")
                  .get<bool>());
}

TEST(LegacyInput, may_be_answered_at_another_node) {
  McpWorld world;
  world.tools.add("greet", greet);
  McpNode other(world.io, {}, {.tools = world.tools},
                {world.sessions, *world.vault, world.clock, world.random});
  const auto session = world.open_session(kLegacy, {{"elicitation", Json::object()}});
  const auto reply = world.legacy("tools/call", {{"name", "greet"}}, session);
  const Json question = reply.events->next_message();
  const Json answer = {{"jsonrpc", "2.0"},
                       {"id", question.at("id")},
                       {"result", {{"action", "accept"}, {"content", {{"name", "Grace"}}}}}};
  EXPECT_EQ(other.send(McpWorld::request("POST", answer.dump(), session), world.caller).status, 202);
  EXPECT_EQ(reply.json().at("result").at("content")[0].at("text"), "Hello Grace");
}

core::Task<ToolCallResult> not_connected(CallContext, Json) {
  ToolCallResult result;
  result.outcome = ToolOutcome::NotConnected;
  result.connect_url = "https://gw.example/connect/t";
  result.message = "Connect GitHub first.";
  result.code = "not_connected";
  result.result_json =
      R"({"content":[{"type":"text","text":"Open https://gw.example/connect/t"}],"structuredContent":{"code":"not_connected","connect_url":"https://gw.example/connect/t"},"isError":true})";
  co_return result;
}

class NotConnected : public testing::Test {
 protected:
  NotConnected() { world.tools.add("t", not_connected); }
  static void expect_link_in_result(const Json& result) {
    EXPECT_TRUE(result.at("isError").get<bool>());
    EXPECT_EQ(result.at("structuredContent").at("connect_url"), "https://gw.example/connect/t");
  }
  McpWorld world;
  const Json params = {{"name", "t"}};
  const Json can_open = {{"elicitation", {{"url", Json::object()}}}};
};

TEST_F(NotConnected, asks_a_modern_client_to_open_the_link) {
  const Json result = world.modern("tools/call", params, {}, can_open).json().at("result");
  EXPECT_EQ(result.at("resultType"), "input_required");
  const Json asked = result.at("inputRequests").at("connect");
  EXPECT_EQ(asked.at("method"), "elicitation/create");
  EXPECT_EQ(asked.at("params").at("mode"), "url");
  EXPECT_EQ(asked.at("params").at("url"), "https://gw.example/connect/t");
}

TEST_F(NotConnected, does_not_ask_again_after_a_refusal) {
  Json refused = params;
  for (const Json& action : {Json("decline"), Json(5), Json()}) {
    refused["inputResponses"] = {{"connect", {{"action", action}}}};
    expect_link_in_result(world.modern("tools/call", refused, {}, can_open).json().at("result"));
  }
}

TEST_F(NotConnected, is_an_error_with_the_link_in_2025_11_25) {
  const auto session = world.open_session(kLegacy, can_open);
  const auto reply = world.legacy("tools/call", params, session);
  EXPECT_EQ(reply.error_code(), -32042);
  const Json elicitation = reply.json().at("error").at("data").at("elicitations").at(0);
  EXPECT_EQ(elicitation.at("mode"), "url");
  EXPECT_EQ(elicitation.at("url"), "https://gw.example/connect/t");
  EXPECT_TRUE(elicitation.contains("elicitationId"));
  EXPECT_TRUE(elicitation.contains("message"));
}

TEST_F(NotConnected, is_a_tool_error_with_the_link_for_everybody_else) {
  expect_link_in_result(world.modern("tools/call", params).json().at("result"));
  expect_link_in_result(world.legacy("tools/call", params).json().at("result"));
  expect_link_in_result(
      world.legacy("tools/call", params, world.open_session("2025-06-18", can_open)).json().at("result"));
}

}  // namespace
}  // namespace assistiv::test
