// What Gemini answers, whole and streamed, and what a Gemini client is answered.
#include <set>

#include "inference/gemini/gemini.h"
#include "support/dialect_fixture.h"

namespace assistiv::inference::dialect_test {

namespace {

namespace gemini_reply {

const Dialect& gemini() {
  return gemini_dialect();
}

std::vector<StreamEvent> fed(const std::vector<std::string>& chunks) {
  const auto decoder = gemini().stream_decoder();
  std::vector<StreamEvent> out;
  for (const auto& chunk : chunks)
    for (auto& event : decoder->feed("", chunk)) out.push_back(std::move(event));
  for (auto& event : decoder->finish()) out.push_back(std::move(event));
  return out;
}

TEST(GeminiReply, T5_T16_text_call_text_in_a_stream_and_a_stop_with_calls_is_tool_calls) {
  const auto out = gather(decode_stream(gemini(), golden("gemini/thought_text_call.sse")));
  EXPECT_THAT(out.kinds, testing::ElementsAre("thinking", "text", "call", "call", "text"));
  EXPECT_EQ(out.thinking, "Weighing it.");
  EXPECT_EQ(out.text, "Let me look: Zürich 🌧Done.");
  ASSERT_EQ(out.calls.size(), 2U);
  EXPECT_EQ(out.calls[0].id, "call_rEsP-1_0");
  EXPECT_EQ(out.calls[1].id, "call_rEsP-1_1");
  EXPECT_EQ(out.calls[0].arguments, "{\"city\":\"Zürich\"}");
  EXPECT_EQ(out.calls[0].signature, "c2lnLTE=");
  EXPECT_EQ(out.finish, Finish::ToolCalls);
  EXPECT_TRUE(out.ended);
}

TEST(GeminiReply, T8_usage_is_inclusive_and_equal_streamed_and_whole) {
  const auto streamed = gather(decode_stream(gemini(), golden("gemini/thought_text_call.sse"))).usage;
  const auto whole = gemini().decode_reply(Json::parse(golden("gemini/reply_call.json"))).usage;
  EXPECT_EQ(streamed.input, 20);
  EXPECT_EQ(streamed.output, 23);
  EXPECT_EQ(streamed.reasoning, 9);
  EXPECT_EQ(streamed.cache_read, 16);
  EXPECT_EQ(core::total_tokens(streamed), 43);
  EXPECT_EQ(core::total_tokens(whole), core::total_tokens(streamed));
  EXPECT_EQ(whole.cache_read, streamed.cache_read);
  EXPECT_EQ(whole.input_image, 5);
}

TEST(GeminiReply, T10_a_later_zero_corrects_and_an_absent_count_does_not) {
  const auto out = gather(fed(
      {R"({"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":5,"cachedContentTokenCount":4,"candidatesTokenCount":1}})",
       R"({"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"cachedContentTokenCount":0,"candidatesTokenCount":2}})"}));
  EXPECT_EQ(out.usage.cache_read, 0);
  EXPECT_EQ(out.usage.input, 5);
  EXPECT_EQ(out.usage.output, 2);
}

TEST(GeminiReply, T11_a_stream_without_a_finish_reason_is_truncated) {
  EXPECT_EQ(gather(fed({})).fault->kind, Fault::Kind::Truncated);
  const auto text = gather(fed({R"({"candidates":[{"content":{"parts":[{"text":"half"}]}}]})"}));
  EXPECT_EQ(text.text, "half");
  EXPECT_EQ(text.fault->kind, Fault::Kind::Truncated);
  EXPECT_FALSE(text.ended);
  EXPECT_EQ(gather(fed({R"({"candidates":[{"content":{"par)"})).fault->kind, Fault::Kind::Upstream);
}

TEST(GeminiReply, T12_an_error_within_the_stream_ends_it) {
  const auto out =
      gather(fed({R"({"candidates":[{"content":{"parts":[{"text":"half"}]}}]})",
                  R"({"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}})",
                  R"({"candidates":[{"content":{"parts":[{"text":"more"}]},"finishReason":"STOP"}]})"}));
  EXPECT_EQ(out.text, "half");
  EXPECT_EQ(out.fault->kind, Fault::Kind::RateLimited);
  EXPECT_FALSE(out.finish);
}

TEST(GeminiReply, T15_a_blocked_prompt_is_a_content_filter_with_usage) {
  const auto body = golden("gemini/blocked_prompt.json");
  const auto reply = gemini().decode_reply(Json::parse(body));
  ASSERT_EQ(reply.choices.size(), 1U);
  EXPECT_EQ(reply.choices[0].finish, Finish::ContentFilter);
  EXPECT_EQ(reply.choices[0].refusal_reason, "PROHIBITED_CONTENT");
  EXPECT_TRUE(reply.choices[0].message.parts.empty());
  EXPECT_EQ(reply.usage.input, 8);
  const auto streamed = gather(fed({body}));
  EXPECT_EQ(streamed.finish, Finish::ContentFilter);
  EXPECT_TRUE(streamed.ended);
  const Json chat = openai_chat_dialect().encode_reply(reply, context_for_test());
  EXPECT_EQ(chat["choices"][0]["finish_reason"], "content_filter");
}

TEST(GeminiReply, finish_reasons_of_5_7) {
  const auto finish = [](const std::string& word) {
    return gemini()
        .decode_reply(
            {{"candidates", Json::array({{{"finishReason", word},
                                          {"content", {{"parts", Json::array({{{"text", "x"}}})}}}}})}})
        .choices[0]
        .finish;
  };
  EXPECT_EQ(finish("STOP"), Finish::Stop);
  EXPECT_EQ(finish("MAX_TOKENS"), Finish::Length);
  for (const auto* word : {"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "SPII", "IMAGE_SAFETY"})
    EXPECT_EQ(finish(word), Finish::ContentFilter) << word;
  EXPECT_EQ(finish("MALFORMED_FUNCTION_CALL"), Finish::Stop) << "what was said stands";
  // Before anything was said it can be tried again.
  EXPECT_EQ(gather(fed({R"({"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]})"})).fault->kind,
            Fault::Kind::Upstream);
}

TEST(GeminiReply, G4_minted_ids_fit_every_provider) {
  const auto reply = gemini().decode_reply(Json::parse(
      R"({"responseId":"a.very/long+response_id-that-goes-on-and-on-and-on","candidates":[{"content":{"parts":[
      {"functionCall":{"name":"a"}},{"functionCall":{"name":"b","id":"own-1"}},{"functionCall":{"name":"c",
      "id":"not a plain id"}}]}},{"content":{"parts":[{"functionCall":{"name":"a"}}]}}]})"));
  std::set<std::string> ids;
  for (const auto& choice : reply.choices) {
    for (const auto& part : choice.message.parts) {
      const auto& id = std::get<ToolCallPart>(part).id;
      EXPECT_TRUE(ids.insert(id).second) << id;
      EXPECT_LE(id.size(), 40U);
      EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"),
                std::string::npos);
    }
  }
  EXPECT_TRUE(ids.contains("own-1"));
}

TEST(GeminiReply, T6_signatures_go_through_a_gemini_client_and_back) {
  const auto reply = gemini().decode_reply(Json::parse(golden("gemini/reply_call.json")));
  const Json body = gemini().encode_reply(reply, context_for_test());
  const auto& parts = body["candidates"][0]["content"]["parts"];
  EXPECT_EQ(parts[2]["thoughtSignature"], "c2lnLTE=");
  EXPECT_EQ(parts[0]["thought"], true);
  EXPECT_EQ(body["candidates"][0]["finishReason"], "STOP");
  EXPECT_EQ(body["usageMetadata"]["candidatesTokenCount"], 14);
  EXPECT_EQ(body["usageMetadata"]["totalTokenCount"], 43);
  // Claude's signature survives the client in a form that is never mistaken for Google's.
  Reply claude;
  ThinkingPart thinking;
  thinking.text = "hm";
  thinking.signature = "ErUB+sig/==";
  claude.choices.emplace_back().message.parts.push_back(thinking);
  const Json turn = gemini().encode_reply(claude, context_for_test())["candidates"][0]["content"];
  const auto request = gemini().decode_request({{"contents", Json::array({turn})}});
  const auto& back = std::get<ThinkingPart>(request.messages[0].parts[0]);
  EXPECT_EQ(back.signed_by, DialectId::Anthropic);
  EXPECT_EQ(back.signature, thinking.signature);
  EXPECT_EQ(gemini().encode_request(request, options_for("google")).dropped,
            std::vector<std::string>{"contents[0].parts[0]"});
}

TEST(GeminiReply, T6_signatures_survive_three_turns_through_a_responses_client) {
  const auto upstream = gemini().decode_reply(Json::parse(golden("gemini/reply_call.json")));
  Json input = Json::array({{{"role", "user"}, {"content", "x"}}});
  for (int turn = 0; turn < 3; ++turn) {
    const Json response = openai_responses_dialect().encode_reply(upstream, context_for_test());
    for (const auto& item : response["output"]) {
      input.push_back(item);
      if (item["type"] == "function_call")
        input.push_back({{"type", "function_call_output"}, {"call_id", item["call_id"]}, {"output", "1"}});
    }
  }
  auto options = options_for("google");
  options.target.name = "gemini-3-flash";
  const auto request = openai_responses_dialect().decode_request({{"model", "m"}, {"input", input}});
  const auto out = gemini().encode_request(request, options);
  int signatures = 0;
  for (const auto& content : out.body["contents"])
    for (const auto& part : content["parts"])
      signatures += part.contains("functionCall") && part.value("thoughtSignature", "") == "c2lnLTE=" ? 1 : 0;
  EXPECT_EQ(signatures, 3);
  EXPECT_EQ(out.body.dump().find("aig1."), std::string::npos);
}

TEST(GeminiReply, T3_T4_a_clients_stream_has_whole_calls_from_any_pieces) {
  const std::vector<StreamEvent> events = {
      StreamStart{},
      PartStart{
          0, ToolCallPart{.id = "c1", .name = "now", .arguments = "", .signature = "", .cache_control = {}}},
      PartStart{
          1, ToolCallPart{.id = "c2", .name = "look", .arguments = "", .signature = "", .cache_control = {}}},
      ArgumentsDelta{1, "{\"city\":\"Z\\u00"},
      ArgumentsDelta{1, "fcrich\"}"},
      PartEnd{0},
      PartEnd{1},
      FinishEvent{Finish::ToolCalls, {}, {}},
      UsageEvent{{.input = 3, .output = 4}},
      StreamEnd{}};
  const auto sent = frames(encode_stream(gemini(), events));
  ASSERT_EQ(sent.size(), 3U);
  EXPECT_EQ(sent[0]["candidates"][0]["content"]["parts"][0]["functionCall"],
            Json::parse(R"({"id":"c1","name":"now","args":{}})"));
  EXPECT_EQ(sent[1]["candidates"][0]["content"]["parts"][0]["functionCall"]["args"]["city"], "Zürich");
  EXPECT_EQ(sent[2]["candidates"][0]["finishReason"], "STOP");
  EXPECT_EQ(sent[2]["usageMetadata"]["totalTokenCount"], 7);
  EXPECT_EQ(sent[0]["responseId"], "id-1");
}

TEST(GeminiReply, T22_a_stream_decoded_and_encoded_says_the_same) {
  const auto events = decode_stream(gemini(), golden("gemini/thought_text_call.sse"));
  const auto again = gather(decode_stream(gemini(), encode_stream(gemini(), events)));
  const auto first = gather(events);
  EXPECT_EQ(again.text, first.text);
  EXPECT_EQ(again.thinking, first.thinking);
  EXPECT_EQ(again.calls[0].arguments, first.calls[0].arguments);
  EXPECT_EQ(again.calls[0].signature, first.calls[0].signature);
  EXPECT_EQ(again.usage, first.usage);
  EXPECT_EQ(again.finish, first.finish);
}

TEST(GeminiReply, G10_without_alt_sse_the_stream_is_one_array) {
  const auto events = decode_stream(gemini(), golden("gemini/thought_text_call.sse"));
  const auto encoder = gemini_array_encoder(context_for_test());
  std::string bytes = encoder->keep_alive();
  for (const auto& event : events) {
    bytes += encoder->encode(event);
    bytes += encoder->keep_alive();
  }
  const Json chunks = Json::parse(bytes);
  ASSERT_TRUE(chunks.is_array());
  EXPECT_EQ(chunks.back()["candidates"][0]["finishReason"], "STOP");
  const auto cut = gemini_array_encoder(context_for_test());
  const Json failed = Json::parse(cut->encode(FaultEvent{}));
  EXPECT_EQ(failed[0]["error"]["status"], "UNAVAILABLE");
}

TEST(GeminiReply, T12_a_fault_is_the_last_frame_of_a_clients_stream) {
  Fault fault;
  fault.kind = Fault::Kind::Overloaded;
  fault.message = "busy";
  const auto sent = frames(encode_stream(gemini(), {StreamStart{}, PartStart{0, TextPart{}},
                                                    TextDelta{0, "a"}, FaultEvent{fault}, StreamEnd{}}));
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[1], Json::parse(R"({"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}})"));
}

TEST(GeminiReply, errors_in_every_shape_that_google_sends) {
  EXPECT_EQ(
      gemini()
          .decode_fault(
              400, R"([{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}])")
          .kind,
      Fault::Kind::ProviderAuth);
  EXPECT_EQ(gemini()
                .decode_fault(429, R"({"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}})")
                .kind,
            Fault::Kind::RateLimited);
  EXPECT_EQ(gemini().decode_fault(502, "<html>bad gateway").kind, Fault::Kind::Upstream);
  Fault fault;
  fault.kind = Fault::Kind::ProviderAuth;
  EXPECT_EQ(gemini().encode_fault(fault).status, 502) << "never a 401 for the provider's refusal of our key";
  EXPECT_THROW(gemini().decode_reply(Json::parse(R"({"choices":[]})")), core::Error);
}

}  // namespace gemini_reply

}  // namespace

}  // namespace assistiv::inference::dialect_test
