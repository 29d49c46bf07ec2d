// The Responses API's answers: from a provider, to a client, and one response over several turns.
#include "inference/openai_responses/response_object.h"
#include "inference/openai_responses/stream_encoder.h"
#include "support/dialect_fixture.h"

namespace assistiv::inference::dialect_test {

namespace {

namespace responses_reply {

const Dialect& responses() {
  return openai_responses_dialect();
}

std::vector<StreamEvent> fed(const std::vector<std::string>& chunks) {
  const auto decoder = responses().stream_decoder();
  std::vector<StreamEvent> out;
  for (const auto& chunk : chunks)
    for (auto& event : decoder->feed("", chunk)) out.push_back(std::move(event));
  for (auto& event : decoder->finish()) out.push_back(std::move(event));
  return out;
}

std::vector<std::string> types(const std::vector<Json>& sent) {
  std::vector<std::string> out;
  for (const auto& frame : sent) out.push_back(frame["type"].get<std::string>());
  return out;
}

// Sequence numbers without a gap, the event line equal to the type, and every item's id the same throughout.
void expect_consistent(const std::string& bytes) {
  std::int64_t sequence = 0;
  std::map<std::int64_t, std::string> ids;
  for (const auto& event : sse_events(bytes)) {
    const Json data = Json::parse(event.data);
    EXPECT_EQ(data["sequence_number"], sequence++);
    EXPECT_EQ(data["type"], event.type);
    if (!data.contains("output_index")) continue;
    const std::string id = data.contains("item") ? data["item"]["id"] : data["item_id"];
    const auto [at, fresh] = ids.emplace(data["output_index"].get<std::int64_t>(), id);
    EXPECT_EQ(at->second, id) << event.data;
    EXPECT_EQ(fresh, data["type"] == "response.output_item.added") << event.data;
  }
}

ToolCallPart call(std::string id, std::string name) {
  ToolCallPart out;
  out.id = std::move(id);
  out.name = std::move(name);
  return out;
}

std::optional<McpTool> mcp_tools(std::string_view name) {
  if (name == "s__search") return McpTool{"s", "search", false};
  if (name == "s__delete") return McpTool{"s", "delete", true};
  return {};
}

TEST(ResponsesReply, T3_T4_T5_a_providers_stream_with_reasoning_text_and_calls) {
  const auto out = gather(decode_stream(responses(), golden("openai_responses/reasoning_text_call.sse")));
  EXPECT_THAT(out.kinds, testing::ElementsAre("thinking", "text", "call", "call"));
  EXPECT_EQ(out.thinking, "Weighing\n\nDeciding");
  EXPECT_EQ(out.signature, "gAAA-enc");
  EXPECT_EQ(out.text, "Zürich 🌧");
  EXPECT_EQ(Json::parse(out.calls[0].arguments)["city"], "Zürich");
  EXPECT_EQ(out.calls[0].id, "call_A");
  EXPECT_EQ(out.calls[1].arguments, "");
  EXPECT_EQ(out.usage.input, 30);
  EXPECT_EQ(out.usage.cache_read, 16);
  EXPECT_EQ(out.usage.reasoning, 9);
  EXPECT_EQ(out.finish, Finish::ToolCalls);
  EXPECT_TRUE(out.ended);
}

TEST(ResponsesReply, T22_a_stream_decoded_and_encoded_says_the_same) {
  const auto events = decode_stream(responses(), golden("openai_responses/reasoning_text_call.sse"));
  const auto bytes = encode_stream(responses(), events);
  expect_consistent(bytes);
  const auto sent = frames(bytes);
  const Json& last = sent.back()["response"];
  EXPECT_EQ(last["status"], "completed");
  EXPECT_EQ(last["output"][0]["encrypted_content"], "gAAA-enc");
  EXPECT_EQ(last["output"][3]["arguments"], "{}") << "a call that never sent arguments";
  EXPECT_EQ(last["usage"]["total_tokens"], 55);
  const auto first = gather(events);
  const auto again = gather(decode_stream(responses(), bytes));
  EXPECT_EQ(again.text, first.text);
  EXPECT_EQ(again.thinking, first.thinking);
  EXPECT_EQ(again.signature, first.signature);
  EXPECT_EQ(again.calls[0].arguments, first.calls[0].arguments);
  EXPECT_EQ(again.usage.output, first.usage.output);
}

TEST(ResponsesReply, the_full_sequence_of_events_of_a_text) {
  const auto bytes = encode_stream(
      responses(), {StreamStart{}, PartStart{0, TextPart{}}, TextDelta{0, "a"}, TextDelta{0, "b"}, PartEnd{0},
                    FinishEvent{}, UsageEvent{{.input = 1, .output = 2}}, StreamEnd{}});
  expect_consistent(bytes);
  EXPECT_THAT(
      types(frames(bytes)),
      testing::ElementsAre("response.created", "response.in_progress", "response.output_item.added",
                           "response.content_part.added", "response.output_text.delta",
                           "response.output_text.delta", "response.output_text.done",
                           "response.content_part.done", "response.output_item.done", "response.completed"));
  EXPECT_EQ(frames(bytes).back()["response"]["output"][0]["content"][0]["text"], "ab");
}

TEST(ResponsesReply, every_terminal_event_carries_status_and_usage) {
  const auto last = [](std::vector<StreamEvent> end) {
    std::vector<StreamEvent> events = {StreamStart{}, UsageEvent{{.input = 5, .output = 7}},
                                       PartStart{0, TextPart{}}, TextDelta{0, "a"}};
    for (auto& event : end) events.push_back(std::move(event));
    return frames(encode_stream(responses(), events)).back();
  };
  const auto cut = last({PartEnd{0}, FinishEvent{Finish::Length, {}, {}}, StreamEnd{}});
  EXPECT_EQ(cut["type"], "response.incomplete");
  EXPECT_EQ(cut["response"]["incomplete_details"]["reason"], "max_output_tokens");
  const auto filtered = last({PartEnd{0}, FinishEvent{Finish::ContentFilter, {}, {}}, StreamEnd{}});
  EXPECT_EQ(filtered["response"]["incomplete_details"]["reason"], "content_filter");
  Fault fault;
  fault.message = "gone";
  const auto failed = last({FaultEvent{fault}});
  EXPECT_EQ(failed["type"], "response.failed");
  EXPECT_EQ(failed["response"]["error"]["message"], "gone");
  for (const auto& one : {cut, filtered, failed}) EXPECT_EQ(one["response"]["usage"]["total_tokens"], 12);
}

TEST(ResponsesReply, T8_usage_is_equal_streamed_and_whole) {
  const Json reply = Json::parse(R"({"object":"response","id":"r","status":"completed","model":"m","output":[
      {"type":"message","role":"assistant","content":[{"type":"output_text","text":"x"}]}],
      "usage":{"input_tokens":30,"input_tokens_details":{"cached_tokens":16},"output_tokens":25,
      "output_tokens_details":{"reasoning_tokens":9},"total_tokens":55}})");
  const auto streamed =
      gather(decode_stream(responses(), golden("openai_responses/reasoning_text_call.sse"))).usage;
  EXPECT_EQ(responses().decode_reply(reply).usage, streamed);
  EXPECT_EQ(responses().decode_usage(reply), streamed);
  EXPECT_EQ(responses().decode_usage({{"type", "response.completed"}, {"response", reply}}), streamed);
}

TEST(ResponsesReply, T10_an_explicit_zero_is_a_zero) {
  const auto usage = responses().decode_usage(Json::parse(
      R"({"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":0},"output_tokens":0}})"));
  EXPECT_EQ(usage.cache_read, 0);
  EXPECT_EQ(usage.output, 0);
  EXPECT_FALSE(usage.reasoning);
}

TEST(ResponsesReply, T11_a_stream_without_a_terminal_event_is_truncated) {
  EXPECT_EQ(gather(fed({})).fault->kind, Fault::Kind::Truncated);
  const auto text = gather(
      fed({R"({"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"ha"})"}));
  EXPECT_EQ(text.text, "ha");
  EXPECT_EQ(text.fault->kind, Fault::Kind::Truncated);
  const auto arguments = gather(fed(
      {R"({"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c","name":"f"}})",
       R"({"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\"a"})"}));
  EXPECT_EQ(arguments.calls[0].arguments, "{\"a");
  EXPECT_EQ(arguments.fault->kind, Fault::Kind::Truncated);
}

TEST(ResponsesReply, T12_an_error_event_and_a_failed_response_are_faults) {
  EXPECT_EQ(gather(fed({R"({"type":"error","code":"rate_limit_exceeded","message":"slow"})"})).fault->kind,
            Fault::Kind::RateLimited);
  const auto out =
      gather(fed({R"({"type":"response.failed","response":{"status":"failed","error":{"code":"server_error",
      "message":"broken"},"usage":{"input_tokens":4,"output_tokens":1}}})"}));
  EXPECT_EQ(out.fault->kind, Fault::Kind::Upstream);
  EXPECT_EQ(out.fault->message, "broken");
  EXPECT_EQ(out.usage.input, 4);
}

TEST(ResponsesReply, T15_a_blocked_prompt_is_an_incomplete_response) {
  const auto reply = gemini_dialect().decode_reply(Json::parse(golden("gemini/blocked_prompt.json")));
  const Json response = responses().encode_reply(reply, context_for_test());
  EXPECT_EQ(response["status"], "incomplete");
  EXPECT_EQ(response["incomplete_details"]["reason"], "content_filter");
  EXPECT_EQ(response["output"], Json::array());
}

TEST(ResponsesReply, T16_a_gemini_call_is_a_function_call_item) {
  const auto reply = gemini_dialect().decode_reply(Json::parse(golden("gemini/reply_call.json")));
  const Json response = responses().encode_reply(reply, context_for_test());
  std::vector<std::string> kinds;
  for (const auto& item : response["output"]) kinds.push_back(item["type"].get<std::string>());
  EXPECT_THAT(kinds,
              testing::ElementsAre("reasoning", "message", "reasoning", "function_call", "function_call"));
  EXPECT_EQ(response["output"][3]["call_id"], "call_rEsP-1_0");
  EXPECT_EQ(response["status"], "completed");
  EXPECT_EQ(response["usage"]["input_tokens_details"]["cached_tokens"], 16);
}

TEST(ResponsesReply, a_reply_goes_out_and_comes_back) {
  const Json body = Json::parse(
      R"({"id":"resp_1","object":"response","created_at":5,"status":"completed","model":"m","output":[
      {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"enc"},
      {"type":"message","id":"m1","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[]},
        {"type":"refusal","refusal":"no"}]},
      {"type":"function_call","id":"f1","call_id":"c1","name":"f","arguments":"{}"}],
      "usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}})");
  const auto reply = responses().decode_reply(body);
  EXPECT_EQ(reply.created, 5);
  const Json out = responses().encode_reply(reply, context_for_test());
  EXPECT_EQ(out["output"][0]["id"], "rs_1");
  EXPECT_EQ(out["output"][0]["encrypted_content"], "enc");
  EXPECT_EQ(out["output"][1]["content"][1]["refusal"], "no");
  EXPECT_EQ(out["output"][2]["call_id"], "c1");
  EXPECT_EQ(out["id"], "id-1");
  EXPECT_EQ(out["tools"], Json::array());
  EXPECT_THROW(responses().decode_reply(Json::parse(R"({"choices":[]})")), core::Error);
  EXPECT_THROW(
      responses().decode_reply(Json::parse(R"({"status":"failed","error":{"message":"x"},"output":[]})")),
      core::Error);
}

TEST(ResponsesReply, the_response_repeats_the_request_without_its_credentials) {
  const Json echo = response_echo(Json::parse(golden("openai_responses/client_request.json")));
  EXPECT_EQ(echo["instructions"], "Be brief.");
  EXPECT_EQ(echo["metadata"]["k"], "v");
  EXPECT_EQ(echo["previous_response_id"], "resp_0");
  EXPECT_EQ(echo["tools"][0]["server_label"], "s");
  EXPECT_FALSE(echo["tools"][0].contains("authorization"));
  EXPECT_EQ(echo["tools"][2]["name"], "chatty");
  EXPECT_EQ(echo["text"]["format"]["name"], "answer");
  EXPECT_EQ(echo["reasoning"]["effort"], "low");
  EXPECT_EQ(ResponseObject(context_for_test(), echo).in_progress()["temperature"], 0.5);
}

TEST(ResponsesTurns, mcp_items_stand_between_the_turns_of_one_response) {
  ResponsesStreamEncoder encoder(context_for_test(), response_echo(Json::object()), mcp_tools);
  encoder.keep_open(true);
  std::string bytes = encoder.begin_list_tools("s");
  bytes += encoder.end_list_tools(Json::parse(R"([{"name":"search","input_schema":{}}])"));
  for (const auto& event : std::vector<StreamEvent>{
           StreamStart{}, PartStart{0, TextPart{}}, TextDelta{0, "Looking."}, PartEnd{0},
           PartStart{1, call("c1", "s__search")}, ArgumentsDelta{1, "{\"q\":1}"}, PartEnd{1},
           FinishEvent{Finish::ToolCalls, {}, {}}, UsageEvent{{.input = 10, .output = 5}}, StreamEnd{}})
    bytes += encoder.encode(event);
  bytes += encoder.end_mcp_call("c1", "found");
  encoder.keep_open(false);
  for (const auto& event :
       std::vector<StreamEvent>{StreamStart{}, PartStart{0, TextPart{}}, TextDelta{0, "Here."}, PartEnd{0},
                                FinishEvent{}, UsageEvent{{.input = 20, .output = 3}}, StreamEnd{}})
    bytes += encoder.encode(event);
  expect_consistent(bytes);
  const auto sent = frames(bytes);
  const auto names = types(sent);
  EXPECT_EQ(std::count(names.begin(), names.end(), "response.created"), 1);
  EXPECT_EQ(std::count(names.begin(), names.end(), "response.completed"), 1);
  for (const auto* name : {"response.mcp_list_tools.in_progress", "response.mcp_list_tools.completed",
                           "response.mcp_call.in_progress", "response.mcp_call_arguments.delta",
                           "response.mcp_call_arguments.done", "response.mcp_call.completed"})
    EXPECT_THAT(names, testing::Contains(name));
  const Json& last = sent.back()["response"];
  ASSERT_EQ(last["output"].size(), 4U);
  EXPECT_EQ(last["output"][2]["type"], "mcp_call");
  EXPECT_EQ(last["output"][2]["output"], "found");
  EXPECT_EQ(last["output"][2]["name"], "search");
  EXPECT_EQ(last["usage"]["input_tokens"], 30);
  EXPECT_EQ(last["usage"]["output_tokens"], 8);
  EXPECT_TRUE(encoder.ended());
  EXPECT_EQ(encoder.close(), "");
}

TEST(ResponsesTurns, a_call_that_needs_approval_becomes_a_request_for_it) {
  ResponsesStreamEncoder encoder(context_for_test(), {}, mcp_tools);
  std::string bytes;
  for (const auto& event : std::vector<StreamEvent>{StreamStart{}, PartStart{0, call("c1", "s__delete")},
                                                    ArgumentsDelta{0, "{\"id\":7}"}, PartEnd{0},
                                                    FinishEvent{Finish::ToolCalls, {}, {}}, StreamEnd{}})
    bytes += encoder.encode(event);
  expect_consistent(bytes);
  const auto item = frames(bytes).back()["response"]["output"][0];
  EXPECT_EQ(item["type"], "mcp_approval_request");
  EXPECT_EQ(item["arguments"], "{\"id\":7}");
  EXPECT_TRUE(item["id"].get<std::string>().starts_with("mcpr_"));
}

TEST(ResponsesTurns, an_approved_call_and_one_that_fails) {
  ResponsesStreamEncoder encoder(context_for_test());
  std::string bytes = encoder.begin_mcp_call({"s", "delete", false}, "c9", "{}", "mcpr_1");
  bytes += encoder.end_mcp_call("c9", {}, "refused");
  bytes += encoder.close();
  expect_consistent(bytes);
  EXPECT_THAT(types(frames(bytes)), testing::Contains("response.mcp_call.failed"));
  const auto item = frames(bytes).back()["response"]["output"][0];
  EXPECT_EQ(item["status"], "failed");
  EXPECT_EQ(item["error"], "refused");
  EXPECT_EQ(item["approval_request_id"], "mcpr_1");
}

TEST(ResponsesTurns, whole_turns_are_put_together_the_same_way) {
  ResponseObject object(context_for_test());
  Reply first;
  first.choices.emplace_back().message.parts = {TextPart{"Looking.", {}}, call("c1", "s__search"),
                                                call("c2", "own")};
  first.usage = {.input = 10, .output = 5};
  object.append_turn(first, mcp_tools);
  EXPECT_TRUE(object.end_mcp_call("c1", "found"));
  EXPECT_FALSE(object.end_mcp_call("c1", "again"));
  Reply second;
  second.choices.emplace_back().message.parts = {TextPart{"Here.", {}}};
  second.choices[0].finish = Finish::Length;
  second.usage = {.input = 20, .output = 3, .reasoning = 1};
  object.append_turn(second);
  const Json out = object.finished();
  ASSERT_EQ(out["output"].size(), 4U);
  EXPECT_EQ(out["output"][1]["status"], "completed");
  EXPECT_EQ(out["output"][2]["type"], "function_call");
  EXPECT_EQ(out["status"], "incomplete");
  EXPECT_EQ(out["usage"]["total_tokens"], 38);
  EXPECT_EQ(out["usage"]["output_tokens_details"]["reasoning_tokens"], 1);
}

TEST(ResponsesReply, interleaved_parallel_calls_keep_their_items) {
  const auto bytes = encode_stream(
      responses(), {StreamStart{}, PartStart{0, TextPart{}}, TextDelta{0, "x"}, PartStart{1, call("a", "f")},
                    PartStart{2, call("b", "g")}, ArgumentsDelta{1, "{\"n\""}, ArgumentsDelta{2, "{}"},
                    ArgumentsDelta{1, ":1}"}, PartEnd{0}, PartEnd{1}, PartEnd{2},
                    FinishEvent{Finish::ToolCalls, {}, {}}, StreamEnd{}});
  expect_consistent(bytes);
  const auto output = frames(bytes).back()["response"]["output"];
  EXPECT_EQ(output[1]["arguments"], "{\"n\":1}");
  EXPECT_EQ(output[2]["arguments"], "{}");
}

TEST(ResponsesReply, errors_have_openais_shape) {
  Fault fault;
  fault.kind = Fault::Kind::RateLimited;
  fault.message = "slow down";
  const auto out = responses().encode_fault(fault);
  EXPECT_EQ(out.status, 429);
  EXPECT_EQ(out.body["error"]["type"], "rate_limit_error");
  EXPECT_EQ(responses().decode_fault(429, R"({"error":{"code":"insufficient_quota","message":"m"}})").kind,
            Fault::Kind::ProviderQuota);
}

}  // namespace responses_reply

}  // namespace

}  // namespace assistiv::inference::dialect_test
