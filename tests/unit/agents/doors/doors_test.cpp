#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "agents/doors/a2a_shapes.h"
#include "agents/doors/agent_door.h"
#include "agents/doors/answer_stream.h"
#include "agents/doors/mcp_shapes.h"
#include "agents/doors/model_door.h"
#include "agents/doors/model_messages.h"
#include "core/error.h"
#include "support/graph_builder.h"

namespace assistiv::agents {
namespace {

using core::Json;
using test::GraphBuilder;

GraphPtr talker() {
  LlmNode said;
  said.messages = std::string("messages");
  GraphBuilder graph;
  graph.key("messages", Reducer::Messages).key("category").node("answer", said).node("second", said);
  Node sort;
  sort.id = "sort";
  sort.body = said;
  const auto names = [] {
    cel::Declarations out;
    out.add("result", cel::Type::dyn());
    return out;
  }();
  sort.write.emplace_back("category", cel::Template::compile("${result.text}", names));
  return graph.node(sort).build();
}

GraphPtr counter(const char* type) {
  GraphBuilder graph;
  graph.key("n");
  graph.raw().state.front().schema = {{"type", type}};
  graph.raw().input_schema = {{"type", "object"}};
  return graph.build();
}

RunEvent event(std::int64_t seq, std::string node, const std::string& text) {
  RunEvent out;
  out.seq = seq;
  out.method = "messages";
  out.node = std::move(node);
  out.data = {{"type", seq == 0 ? "AIMessageChunk" : "ai"}, {"id", "m"}, {"content", text}};
  return out;
}

Json interrupts(const Json& value) {
  return {{"task", Json::array({{{"id", "i1"}, {"value", value}}})}};
}

TEST(McpTool, RequiresWhatTheInputRequires) {
  const auto required = [](const Graph& graph) {
    return tool_definition(Agent{}, graph)["inputSchema"].value("required", Json());
  };
  EXPECT_EQ(required(*counter("integer")), Json());
  GraphBuilder graph;
  graph.key("messages", Reducer::Messages).key("owner").key("repo");
  graph.raw().input_schema = {{"type", "object"}, {"required", {"messages", "owner"}}};
  EXPECT_EQ(required(*graph.build()), (Json{"message", "owner"}));
}

TEST(McpTool, AsksForAPlainAnswerInAFormOfOneMember) {
  const auto waiting = waiting_of(
      interrupts({{"type", "approval"}, {"prompt", "Who?"}, {"response_schema", {{"type", "string"}}}}));
  mcp::ClientAbilities client;
  client.elicitation_form = true;
  const auto asked = input_requests(waiting, client);
  ASSERT_TRUE(asked);
  EXPECT_EQ((*asked)["i1"]["params"]["requestedSchema"]["properties"]["answer"], (Json{{"type", "string"}}));
  const Json said = {{"i1", {{"action", "accept"}, {"content", {{"answer", "me"}}}}}};
  EXPECT_EQ(answers_of_responses(waiting, said), (Json{{"i1", "me"}}));
}

TEST(DoorInput, MessagesGoWhereTheGraphTakesThem) {
  const Json said = Json::array({{{"type", "human"}, {"content", "hi"}}});
  EXPECT_EQ(input_of_messages(*talker(), said), Json({{"messages", said}}));
  EXPECT_EQ(input_of_messages(*counter("string"), said), Json({{"n", "hi"}}));
  const Json object = Json::array({{{"type", "human"}, {"content", R"({"n": 2})"}}});
  EXPECT_EQ(input_of_messages(*counter("integer"), object), Json({{"n", 2}}));
  EXPECT_THROW(input_of_messages(*counter("integer"), said), core::Error);
}

TEST(DoorInput, CanonicalMessagesBecomeLangchains) {
  inference::Message user{.role = inference::Role::User,
                          .parts = {inference::TextPart{.text = "look", .cache_control = nullptr}}};
  user.parts.push_back(inference::MediaPart{.media_type = "image/png", .data = "AAAA"});
  inference::Message said{
      .role = inference::Role::Assistant,
      .parts = {inference::ToolCallPart{.id = "c", .name = "f", .arguments = "{\"a\":1}"}}};
  inference::ToolResultPart result;
  result.call_id = "c";
  result.parts.emplace_back(inference::TextPart{.text = "done", .cache_control = nullptr});
  const auto out = langchain_messages({user, said, {.role = inference::Role::User, .parts = {result}}});
  EXPECT_EQ(out[0]["content"][1]["image_url"]["url"], "data:image/png;base64,AAAA");
  EXPECT_EQ(out[1]["tool_calls"][0]["args"], Json({{"a", 1}}));
  EXPECT_EQ(out[2]["tool_call_id"], "c");
  EXPECT_EQ(newest_messages(out).size(), 1U);
  user.parts.push_back(inference::MediaPart{.kind = inference::MediaPart::Kind::Document, .data = "AAAA"});
  EXPECT_THROW(langchain_messages({user}), core::Error);
}

TEST(DoorAnswers, WhatIsSaidWhileAThreadWaitsIsTheAnswer) {
  const auto one = waiting_of(interrupts({{"type", "approval"}, {"prompt", "Go?"}}));
  EXPECT_EQ(text_of_waiting(one), "Go?");
  EXPECT_EQ(answer_of_text(one, "yes"), "yes");
  EXPECT_EQ(answer_of_text(one, R"({"ok": true})"), Json({{"ok", true}}));
  auto two = one;
  two.push_back(one.front());
  two.back().id = "i2";
  EXPECT_THROW(answer_of_text(two, "yes"), core::Error);
  EXPECT_EQ(answer_of_text(two, R"({"i1": 1, "i2": 2})"), Json({{"i1", 1}, {"i2", 2}}));
}

TEST(DoorAnswers, AFailedRunIsNoErrorThatClientsRepeat) {
  agents::Run run;
  run.status = "error";
  run.error = {{"error", "limit_cost"}, {"message", "too dear"}};
  EXPECT_EQ(error_of_run(run, {})->kind(), core::ErrorKind::PaymentRequired);
  run.error = {{"error", "upstream"}, {"message", "broken"}};
  EXPECT_EQ(error_of_run(run, {})->kind(), core::ErrorKind::Unprocessable);
  run.status = "interrupted";
  EXPECT_EQ(error_of_run(run, Json::object())->code(), "cancelled");
  EXPECT_FALSE(error_of_run(run, interrupts("x")));
}

TEST(AnswerStream, ShowsWhatIsSaidIntoTheConversation) {
  AnswerStream stream(*talker());
  EXPECT_EQ(stream.feed(event(0, "sort", "bug")), "");
  EXPECT_EQ(stream.feed(event(0, "answer", "Let me ")), "Let me ");
  EXPECT_EQ(stream.feed(event(0, "second", "Meanwhile")), "");  // one at a time
  EXPECT_EQ(stream.feed(event(1, "answer", "Let me look.")), "look.");
  EXPECT_EQ(stream.feed(event(0, "answer", "Done.")), "\n\nDone.");
  EXPECT_EQ(stream.feed(event(2, "answer", "Done.")), "");
  EXPECT_EQ(stream.finish("Done."), "");
  EXPECT_EQ(stream.finish("Another."), "\n\nAnother.");
}

TEST(ModelDoor, AResponseNamesItsThread) {
  const auto run = RunId::of("0190a1b2-0000-7000-8000-000000000001");
  const auto thread = ThreadId::of("0190a1b2-0000-7000-8000-000000000002");
  EXPECT_EQ(thread_of_response(response_id(run, thread)), thread);
  EXPECT_FALSE(thread_of_response("resp_agent_0190"));
  EXPECT_FALSE(thread_of_response("resp_other"));
}

// What is read of a temporary that has gone shows under the address sanitizer and in the release build.
TEST(McpDoor, ArgumentsBecomeTheInputThatTheGraphTakes) {
  EXPECT_EQ(input_of_arguments(*counter("integer"), {{"n", 20}, {"other", 1}}), Json({{"n", 20}}));
  EXPECT_EQ(input_of_arguments(*counter("integer"), Json::object()), Json::object());
  const Json said = Json::array({{{"type", "human"}, {"content", "hi"}}});
  EXPECT_EQ(input_of_arguments(*talker(), {{"message", "hi"}, {"category", "letters"}}),
            Json({{"messages", said}, {"category", "letters"}}));
  EXPECT_THROW(input_of_arguments(*talker(), {{"category", "letters"}}), core::Error);
}

TEST(McpDoor, AsksOnlyWhatTheClientCanBeAsked) {
  const auto approval = waiting_of(interrupts({{"type", "tool_approval"}, {"tool", "send"}}));
  const auto sign_in =
      waiting_of(interrupts({{"type", "connection_required"}, {"ask", {{"url", "https://a.example/c"}}}}));
  const mcp::ClientAbilities none, form{.elicitation_form = true}, link{.elicitation_url = true};
  EXPECT_FALSE(input_requests(approval, none));
  EXPECT_FALSE(input_requests(sign_in, form));
  EXPECT_EQ((*input_requests(approval, form))["i1"]["params"]["mode"], "form");
  EXPECT_EQ((*input_requests(sign_in, link))["i1"]["params"]["url"], "https://a.example/c");
  EXPECT_EQ(answers_of_responses(approval, {{"i1", {{"action", "decline"}}}})["i1"]["approved"], false);
  EXPECT_TRUE(answers_of_responses(sign_in, {{"i1", {{"action", "decline"}}}}).empty());
  EXPECT_TRUE(declined_sign_in(sign_in, {{"i1", {{"action", "cancel"}}}}));
}

TEST(A2a, AStateForEachWayThatARunStands) {
  agents::Run run;
  const auto state = [&](const char* status, const Json& open = Json::object()) {
    run.status = status;
    return a2a::state_of(run, open);
  };
  EXPECT_EQ(state("pending"), "TASK_STATE_SUBMITTED");
  EXPECT_EQ(state("running"), "TASK_STATE_WORKING");
  EXPECT_EQ(state("success"), "TASK_STATE_COMPLETED");
  EXPECT_EQ(state("timeout"), "TASK_STATE_FAILED");
  EXPECT_EQ(state("interrupted"), "TASK_STATE_CANCELED");
  EXPECT_EQ(state("interrupted", interrupts({{"type", "approval"}})), "TASK_STATE_INPUT_REQUIRED");
  EXPECT_EQ(state("interrupted", interrupts({{"type", "connection_required"}})), "TASK_STATE_AUTH_REQUIRED");
}

}  // namespace
}  // namespace assistiv::agents
