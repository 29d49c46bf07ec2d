// LangChain's messages and HTTP nodes as they go out, and answers as they come back.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "agents/effects/chat_reply.h"
#include "agents/effects/chat_request.h"
#include "agents/effects/http_request.h"
#include "agents/effects/tool_calls.h"
#include "mcp/tools/tool_result.h"

namespace assistiv::agents {
namespace {

using core::Json;
using inference::MediaPart;
using inference::Role;
using inference::TextPart;
using inference::ThinkingPart;
using inference::ToolCallPart;
using inference::ToolResultPart;

inference::Request request_of(Json messages, Json params = Json::object()) {
  ModelCall call;
  call.messages = std::move(messages);
  call.params = std::move(params);
  return chat_request(call);
}

template <class T>
const T& part(const inference::Request& request, std::size_t message, std::size_t at = 0) {
  return std::get<T>(request.messages.at(message).parts.at(at));
}

std::string field_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const core::Error& error) {
    return std::string(core::error_code(error.kind()));
  }
  return "";
}

TEST(ChatRequest, keeps_roles_calls_and_their_answers) {
  const auto request = request_of(
      {{{"type", "system"}, {"content", "Be brief."}},
       {{"type", "human"}, {"content", "Look."}, {"name", "ada"}},
       {{"type", "ai"},
        {"content", ""},
        {"tool_calls", {{{"id", "c1"}, {"name", "notes_get"}, {"args", {{"id", 7}}}, {"type", "tool_call"}}}},
        {"invalid_tool_calls", {{{"id", "c2"}, {"name", "notes_get"}, {"args", "{\"id\":"}}}}},
       {{"type", "tool"}, {"tool_call_id", "c1"}, {"name", "notes_get"}, {"content", "seven"}},
       {{"type", "tool"}, {"tool_call_id", "c2"}, {"content", "no"}, {"status", "error"}},
       {{"type", "ai"}, {"content", ""}}});
  ASSERT_EQ(request.messages.size(), 5U) << "an empty answer is not sent back";
  EXPECT_EQ(request.messages[0].role, Role::System);
  EXPECT_EQ(request.messages[1].name, "ada");
  EXPECT_EQ(part<ToolCallPart>(request, 2).arguments, R"({"id":7})");
  EXPECT_EQ(part<ToolCallPart>(request, 2, 1).arguments, "{}") << "no provider takes half a JSON back";
  EXPECT_EQ(request.messages[3].role, Role::User);
  EXPECT_EQ(part<ToolResultPart>(request, 3).call_id, "c1");
  EXPECT_EQ(std::get<TextPart>(part<ToolResultPart>(request, 3).parts.at(0)).text, "seven");
  EXPECT_TRUE(part<ToolResultPart>(request, 4).is_error);
}

TEST(ChatRequest, takes_images_in_every_form_that_clients_have) {
  const std::vector<Json> forms = {
      {{"type", "image_url"}, {"image_url", {{"url", "data:image/png;base64,QUJD"}}}},
      {{"type", "image_url"}, {"image_url", "data:image/png;base64,QUJD"}},
      {{"type", "image"}, {"source_type", "base64"}, {"data", "QUJD"}, {"mime_type", "image/png"}},
      {{"type", "image"}, {"base64", "QUJD"}, {"mime_type", "image/png"}},
      {{"type", "image"}, {"source", {{"type", "base64"}, {"media_type", "image/png"}, {"data", "QUJD"}}}}};
  for (const auto& form : forms) {
    const auto request =
        request_of({{{"type", "human"}, {"content", {{{"type", "text"}, {"text", "?"}}, form}}}});
    const auto& media = part<MediaPart>(request, 0, 1);
    EXPECT_EQ(media.data, "QUJD") << form;
    EXPECT_EQ(media.media_type, "image/png") << form;
  }
  const auto linked = request_of(
      {{{"type", "human"}, {"content", {{{"type", "image"}, {"url", "https://a.example/b.png"}}}}}});
  EXPECT_EQ(part<MediaPart>(linked, 0).url, "https://a.example/b.png");
  EXPECT_EQ(field_of([] {
              request_of({{{"type", "human"}, {"content", {{{"type", "hologram"}}}}}});
            }),
            "bad_request");
}

TEST(ChatRequest, takes_parameters_and_refuses_what_is_the_nodes_own) {
  const auto request =
      request_of({{{"type", "human"}, {"content", "x"}}},
                 {{"temperature", 0.5}, {"max_output_tokens", 99}, {"stop", "END"}, {"seed", 4}});
  EXPECT_EQ(request.temperature, 0.5);
  EXPECT_EQ(request.max_output_tokens, 99);
  EXPECT_EQ(request.stop, std::vector<std::string>{"END"});
  EXPECT_EQ(request.seed, 4);
  for (const char* name : {"n", "stream", "model", "messages", "tools"}) {
    EXPECT_EQ(field_of([&] { request_of(Json::array(), {{name, 2}}); }), "bad_request") << name;
  }
  EXPECT_EQ(field_of([] { request_of(Json::array(), {{"temperature", "hot"}}); }), "bad_request");
}

TEST(ChatRequest, tools_go_out_under_the_name_that_the_model_answers_with) {
  ModelCall call;
  call.tools = {{"n", "get", "Gets.", {{"type", "object"}}, SideEffect::None, "notes_get"}};
  call.response_schema = {{"type", "object"}};
  const auto request = chat_request(call);
  ASSERT_EQ(request.tools.size(), 1U);
  EXPECT_EQ(request.tools[0].name, "notes_get");
  EXPECT_EQ(request.response_format->schema, call.response_schema);
}

TEST(ChatReply, thoughts_go_back_to_the_provider_that_signed_them) {
  inference::Reply reply;
  reply.choices.emplace_back();
  ThinkingPart thought;
  thought.text = "hm";
  thought.signature = "proof";
  thought.signed_by = inference::DialectId::Anthropic;
  reply.choices[0].message.parts = {thought, TextPart{"Yes.", nullptr}};
  auto message = ai_message("m1", reply, {});
  EXPECT_EQ(message["content"][1], (Json{{"type", "text"}, {"text", "Yes."}}));
  const auto again = request_of(Json::array({message}));
  EXPECT_EQ(part<ThinkingPart>(again, 0).signature, "proof");
  EXPECT_EQ(part<ThinkingPart>(again, 0).text, "hm");
  EXPECT_EQ(part<TextPart>(again, 0, 1).text, "Yes.");
}

TEST(ChatReply, says_what_was_used_and_which_calls_cannot_be_read) {
  inference::Reply reply;
  reply.model = "served";
  reply.choices.emplace_back();
  reply.choices[0].finish = inference::Finish::ToolCalls;
  reply.choices[0].message.parts = {ToolCallPart{"c1", "get", R"({"a":1})", "", nullptr},
                                    ToolCallPart{"", "get", "", "", nullptr},
                                    ToolCallPart{"c3", "get", R"({"a":)", "", nullptr}};
  inference::TurnFacts facts;
  facts.provider = "one";
  facts.usage.input = 10;
  facts.usage.output = 5;
  facts.usage.cache_read = 4;
  const auto message = ai_message("m1", reply, facts);
  EXPECT_EQ(message["tool_calls"][0],
            (Json{{"id", "c1"}, {"name", "get"}, {"args", {{"a", 1}}}, {"type", "tool_call"}}));
  EXPECT_EQ(message["tool_calls"][1]["args"], Json::object());
  EXPECT_NE(message["tool_calls"][1]["id"], "");
  EXPECT_EQ(message["invalid_tool_calls"][0]["args"], R"({"a":)");
  EXPECT_EQ(message["usage_metadata"], (Json{{"input_tokens", 10},
                                             {"output_tokens", 5},
                                             {"total_tokens", 15},
                                             {"input_token_details", {{"cache_read", 4}}}}));
  EXPECT_EQ(message["response_metadata"],
            (Json{{"model_name", "served"}, {"model_provider", "one"}, {"finish_reason", "tool_calls"}}));
}

TEST(ChatReply, pieces_make_the_message_that_is_kept) {
  ReplyCollector collector("m1");
  const std::vector<inference::StreamEvent> events = {
      inference::StreamStart{"r1", "served", 1, {}},
      inference::PartStart{0, TextPart{}},
      inference::TextDelta{0, "Hel"},
      inference::TextDelta{0, "lo"},
      inference::PartEnd{0},
      inference::PartStart{1, ToolCallPart{"c1", "get", "", "", nullptr}},
      inference::ArgumentsDelta{1, R"({"a")"},
      inference::ArgumentsDelta{1, ":1}"},
      inference::FinishEvent{inference::Finish::ToolCalls, "", ""}};
  std::string text, arguments;
  std::vector<Json> names;
  for (const auto& event : events) {
    const auto piece = collector.take(event);
    if (piece.is_null()) continue;
    EXPECT_EQ(piece["type"], "AIMessageChunk");
    EXPECT_EQ(piece["id"], "m1");
    text += piece["content"].get<std::string>();
    for (const auto& chunk : piece["tool_call_chunks"]) {
      arguments += chunk["args"].get<std::string>();
      if (!chunk["name"].is_null()) names.push_back(chunk["name"]);
      EXPECT_EQ(chunk["index"], 1);
    }
  }
  const auto whole = ai_message("m1", collector.reply(), {});
  EXPECT_EQ(whole["content"], text);
  EXPECT_EQ(whole["content"], "Hello");
  EXPECT_EQ(whole["tool_calls"][0]["args"].dump(), arguments);
  EXPECT_EQ(names, std::vector<Json>{"get"});
  EXPECT_EQ(collector.last_piece({})["response_metadata"]["finish_reason"], "tool_calls");
}

TEST(HttpRequestOfNode, carries_query_body_and_the_acts_key) {
  HttpCall call;
  call.act.idempotency_key = "key-1";
  call.method = "POST";
  call.url = "https://api.acme.example/things?a=1#x";
  call.headers = {{"X-Team", "blue"}};
  call.query = {{"q", "a b&c"}, {"tag", {"x", "y"}}, {"n", 3}, {"none", nullptr}};
  call.body = {{"k", "v"}};
  call.max_bytes = 100;
  const auto request = outbound_request(call, "00-trace");
  EXPECT_EQ(request.url, "https://api.acme.example/things?a=1&n=3&q=a%20b%26c&tag=x&tag=y");
  EXPECT_EQ(request.allowed_hosts, std::vector<std::string>{"api.acme.example"});
  EXPECT_EQ(request.headers.get("content-type"), "application/json");
  EXPECT_EQ(request.headers.get("idempotency-key"), "key-1");
  EXPECT_EQ(request.headers.get("traceparent"), "00-trace");
  EXPECT_EQ(request.body, R"({"k":"v"})");
  EXPECT_EQ(request.response_bytes_max, 100U);
  call.method = "GET";
  EXPECT_FALSE(outbound_request(call, "").headers.get("idempotency-key"));
}

TEST(HttpRequestOfNode, a_template_cannot_add_headers_or_lines) {
  HttpCall call;
  call.method = "GET";
  call.url = "https://api.acme.example/a";
  call.headers = {{"x-a", "b\r\nhost: evil.example"}};
  EXPECT_EQ(field_of([&] { outbound_request(call, ""); }), "bad_request");
  call.headers.clear();
  call.url = "https://api.acme.example/a b";
  EXPECT_EQ(field_of([&] { outbound_request(call, ""); }), "bad_request");
}

TEST(ToolAnswerOfRun, asks_for_what_the_end_user_must_do) {
  mcp::ToolCallResult result;
  result.outcome = mcp::ToolOutcome::ToolError;
  result.code = "approval_required";
  result.result_json =
      mcp::error_result("approval_required", "waits", {{"approval_id", "a1"}, {"expires_at", "soon"}});
  auto answer = tool_answer(result, "notes");
  EXPECT_EQ(answer.kind, ToolAnswer::Kind::Approve);
  EXPECT_EQ(answer.ask, (Json{{"app", "notes"},
                              {"code", "approval_required"},
                              {"message", "waits"},
                              {"approval_id", "a1"},
                              {"expires_at", "soon"}}));
  result.outcome = mcp::ToolOutcome::NotConnected;
  result.code = "not_connected";
  result.connect_url = "https://c.example/1";
  EXPECT_EQ(tool_answer(result, "notes").kind, ToolAnswer::Kind::Connect);
  EXPECT_EQ(tool_answer(result, "notes").ask["connect_url"], "https://c.example/1");
  result.outcome = mcp::ToolOutcome::InputRequired;
  EXPECT_TRUE(tool_answer(result, "notes").is_error);
}

TEST(ToolAnswerOfRun, cuts_what_is_too_long_at_a_character) {
  mcp::ToolCallResult result;
  std::string text;
  while (text.size() < 300'000) text += "\xc3\xa4";
  result.result_json = mcp::structured_result(Json{{"text", text}}, text);
  const auto answer = tool_answer(result, "notes");
  EXPECT_LT(answer.text.size(), 270'000U);
  EXPECT_NO_THROW((void)Json(answer.text).dump()) << "no character is cut in two";
  EXPECT_NE(answer.text.find("bytes more]"), std::string::npos);
  EXPECT_TRUE(answer.json.is_null());
}

}  // namespace
}  // namespace assistiv::agents
