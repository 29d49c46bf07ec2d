// Reference 5.8 and 5.9 on the streams of OpenAI chat and Anthropic, from wire files.
#include "support/dialect_fixture.h"

namespace assistiv::inference::dialect_test {

namespace {

Gathered from(const Dialect& dialect, const std::string& file) {
  return gather(decode_stream(dialect, golden(file)));
}

// A provider's file as the client of `to` sees it.
std::string across(const Dialect& provider, const std::string& file, const Dialect& to,
                   ReplyContext context = context_for_test()) {
  return encode_stream(to, decode_stream(provider, golden(file)), std::move(context));
}

// The types of Anthropic's frames; each must have its event line.
std::vector<std::string> types_of(const std::string& bytes) {
  std::vector<std::string> out;
  for (const auto& event : sse_events(bytes)) {
    const auto type = Json::parse(event.data)["type"].get<std::string>();
    EXPECT_EQ(event.type, type);
    out.push_back(type);
  }
  return out;
}

// At most one block is open at any time, numbered from 0.
void expect_one_block_at_a_time(const std::string& bytes) {
  int open = -1;
  int next = 0;
  for (const auto& frame : frames(bytes)) {
    const auto type = frame["type"].get<std::string>();
    if (type == "content_block_start") {
      EXPECT_EQ(open, -1);
      EXPECT_EQ(frame["index"], next);
      open = next++;
    } else if (type == "content_block_delta") {
      EXPECT_EQ(frame["index"], open);
    } else if (type == "content_block_stop") {
      EXPECT_EQ(frame["index"], open);
      open = -1;
    }
  }
  EXPECT_EQ(open, -1);
}

const Dialect& chat() {
  return openai_chat_dialect();
}
const Dialect& claude() {
  return anthropic_dialect();
}

}  // namespace

TEST(ChatStream, T4_TextSurvivesCutsWithinCharacters) {
  const auto out = from(chat(), "openai_chat/text.sse");
  EXPECT_EQ(out.text, "Grüße 🌍!");
  EXPECT_EQ(out.finish, Finish::Stop);
  EXPECT_TRUE(out.ended);
  EXPECT_EQ(out.starts, 1);
  EXPECT_EQ(out.usage.input, 100);
  EXPECT_EQ(out.usage.cache_read, 40);
  EXPECT_EQ(out.usage.reasoning, 5);
}

TEST(ChatStream, T1_T3_T4_ParallelCallsWithSplitEscapesAndWithoutArguments) {
  const auto out = from(chat(), "openai_chat/parallel_calls.sse");
  ASSERT_EQ(out.calls.size(), 3U);
  EXPECT_EQ(out.calls[0].id, "call_a");
  EXPECT_EQ(Json::parse(out.calls[0].arguments)["q"], "café é");
  EXPECT_EQ(out.calls[1].arguments, "{\"q\":2}");
  EXPECT_EQ(out.calls[2].arguments, "");
  EXPECT_EQ(out.finish, Finish::ToolCalls);
  const auto reply = across(chat(), "openai_chat/parallel_calls.sse", claude());
  expect_one_block_at_a_time(reply);
  const auto back = gather(decode_stream(claude(), reply));
  ASSERT_EQ(back.calls.size(), 3U);
  EXPECT_EQ(Json::parse(back.calls[0].arguments)["q"], "café é");
  EXPECT_EQ(back.calls[2].name, "ping");
}

TEST(ChatStream, InterleavedArgumentsBecomeOneBlockAfterTheOther) {
  const auto reply = across(chat(), "openai_chat/interleaved_calls.sse", claude());
  expect_one_block_at_a_time(reply);
  const auto back = gather(decode_stream(claude(), reply));
  EXPECT_EQ(back.calls[0].arguments, "{\"a\":1}");
  EXPECT_EQ(back.calls[1].arguments, "{\"b\":2}");
}

TEST(ChatStream, T5_ACallAfterTextAfterACall) {
  const auto out = from(chat(), "openai_chat/call_text_call.sse");
  EXPECT_THAT(out.kinds, testing::ElementsAre("call", "text", "call"));
  const auto reply = across(chat(), "openai_chat/call_text_call.sse", claude());
  expect_one_block_at_a_time(reply);
  EXPECT_THAT(gather(decode_stream(claude(), reply)).kinds, testing::ElementsAre("call", "text", "call"));
}

TEST(ChatStream, XaiCompletionWithoutReasoningIsTotalMinusPrompt) {
  const auto out = from(chat(), "openai_chat/reasoning.sse");
  EXPECT_EQ(out.thinking, "think hard");
  EXPECT_EQ(out.text, "42");
  EXPECT_EQ(out.usage.output, 20);
  EXPECT_EQ(out.usage.reasoning, 16);
}

TEST(ChatStream, T9_UsageOnTheFinishChunkApartWithNullOrWithoutChoices) {
  for (const char* file :
       {"usage_on_finish.sse", "usage_choices_null.sse", "usage_no_choices.sse", "text.sse"}) {
    const auto out = from(chat(), std::string("openai_chat/") + file);
    EXPECT_EQ(out.usage.input, 100) << file;
    EXPECT_EQ(out.usage.output, 20) << file;
  }
}

TEST(ChatStream, T11_CutStreamsKeepWhatCameAndSaySo) {
  for (const char* file : {"cut_mid_text.sse", "cut_mid_args.sse"}) {
    const auto out = from(chat(), std::string("openai_chat/") + file);
    ASSERT_TRUE(out.fault) << file;
    EXPECT_EQ(out.fault->kind, Fault::Kind::Truncated);
    EXPECT_FALSE(out.ended);
    EXPECT_NE(out.text, "");
    const auto bytes = across(chat(), std::string("openai_chat/") + file, chat());
    EXPECT_THAT(bytes, testing::Not(testing::HasSubstr("[DONE]")));
    EXPECT_EQ(frames(bytes).back()["error"]["code"], "upstream_truncated");
  }
  EXPECT_TRUE(gather(decode_stream(chat(), "")).fault);
  const auto cut = frames(across(chat(), "openai_chat/cut_mid_args.sse", chat()));
  std::string arguments;
  for (const auto& frame : cut) {
    if (!frame.contains("choices") || !frame["choices"][0]["delta"].contains("tool_calls")) continue;
    const auto& function = frame["choices"][0]["delta"]["tool_calls"][0]["function"];
    arguments += function["arguments"].get<std::string>();
  }
  EXPECT_EQ(arguments, "{\"q\": \"ca") << "no argument is sent twice";
}

TEST(ChatStream, FinishReasonProvesCompletionWithoutDone) {
  const auto out = from(chat(), "openai_chat/no_done.sse");
  EXPECT_FALSE(out.fault);
  EXPECT_TRUE(out.ended);
}

TEST(ChatStream, T12_ErrorInMidStream) {
  const auto out = from(chat(), "openai_chat/error_mid.sse");
  ASSERT_TRUE(out.fault);
  EXPECT_EQ(out.fault->kind, Fault::Kind::Upstream);
  EXPECT_EQ(out.text, "half");
  const auto types = types_of(across(chat(), "openai_chat/error_mid.sse", claude()));
  EXPECT_EQ(types.back(), "error");
  EXPECT_THAT(types, testing::Not(testing::Contains("message_stop")));
}

TEST(ChatStream, HalfJsonIsAFaultAndNothingFollows) {
  const auto decoder = chat().stream_decoder();
  const auto events = decoder->feed("", "{\"id\":");
  ASSERT_EQ(events.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<FaultEvent>(events[0]));
  EXPECT_TRUE(decoder->feed("", "[DONE]").empty());
  EXPECT_TRUE(decoder->finish().empty());
}

TEST(AnthropicStream, T3_T4_T5_T6_T7_BlocksBecomeParts) {
  const auto out = from(claude(), "anthropic/tools.sse");
  EXPECT_THAT(out.kinds, testing::ElementsAre("thinking", "thinking", "text", "call", "text", "call"));
  EXPECT_EQ(out.thinking, "hm so");
  EXPECT_EQ(out.signature, "c2lnaGlkZGVu");
  EXPECT_EQ(out.text, "I look again");
  EXPECT_EQ(Json::parse(out.calls[0].arguments)["q"], "üä");
  EXPECT_EQ(out.calls[1].arguments, "");
  EXPECT_EQ(out.finish, Finish::ToolCalls);
  EXPECT_EQ(out.usage.input, 140);
  EXPECT_EQ(out.usage.cache_read, 100);
  EXPECT_EQ(out.usage.cache_write_5m, 20);
  EXPECT_EQ(out.usage.cache_write_1h, 10);
  EXPECT_EQ(out.usage.output, 50);
}

TEST(AnthropicStream, AsChatChunksRoleOnceOwnIndicesUsageAndDone) {
  const auto out = frames(across(claude(), "anthropic/tools.sse", chat()));
  int roles = 0;
  std::vector<int> indices;
  std::string arguments;
  for (const auto& frame : out) {
    if (frame.is_string() || frame["choices"].empty()) continue;
    EXPECT_TRUE(frame.contains("usage") && frame["usage"].is_null());
    const auto& delta = frame["choices"][0]["delta"];
    roles += static_cast<int>(delta.contains("role"));
    if (!delta.contains("tool_calls")) continue;
    const auto& call = delta["tool_calls"][0];
    if (call.contains("id")) indices.push_back(call["index"]);
    if (call["index"] == 1) arguments += call["function"]["arguments"].get<std::string>();
  }
  EXPECT_EQ(roles, 1);
  EXPECT_THAT(indices, testing::ElementsAre(0, 1));
  EXPECT_EQ(arguments, "{}") << "a call without arguments has an empty object";
  EXPECT_EQ(out.back(), "[DONE]");
  const auto& usage = out[out.size() - 2];
  EXPECT_EQ(usage["choices"], Json::array());
  EXPECT_EQ(usage["usage"]["prompt_tokens"], 140);
  EXPECT_EQ(usage["usage"]["total_tokens"], 190);
  EXPECT_EQ(usage["usage"]["prompt_tokens_details"]["cached_tokens"], 100);
  EXPECT_EQ(out[out.size() - 3]["choices"][0]["finish_reason"], "tool_calls");
}

TEST(AnthropicStream, UsageChunkOnlyWhenAskedAndReasoningOnlyWhenWanted) {
  auto context = context_for_test();
  context.include_usage = false;
  context.include_reasoning = false;
  const auto bytes = across(claude(), "anthropic/tools.sse", chat(), context);
  EXPECT_THAT(bytes, testing::Not(testing::HasSubstr("usage")));
  EXPECT_THAT(bytes, testing::Not(testing::HasSubstr("reasoning")));
}

TEST(AnthropicStream, T6_SignedThinkingReachesTheChatClientWhole) {
  std::vector<Json> details;
  std::string thought;
  for (const auto& frame : frames(across(claude(), "anthropic/tools.sse", chat()))) {
    if (frame.is_string() || frame["choices"].empty()) continue;
    const auto& delta = frame["choices"][0]["delta"];
    thought += delta.value("reasoning_content", "");
    if (delta.contains("reasoning_details")) details.push_back(delta["reasoning_details"][0]);
  }
  EXPECT_EQ(thought, "hm so");
  ASSERT_EQ(details.size(), 2U);
  EXPECT_EQ(details[0]["text"], "hm so");
  EXPECT_EQ(details[0]["signature"], "c2ln");
  EXPECT_EQ(details[0]["format"], "anthropic-claude-v1");
  EXPECT_EQ(details[1]["data"], "aGlkZGVu");
}

TEST(AnthropicStream, SurvivesItsOwnEncoder) {
  const auto before = from(claude(), "anthropic/tools.sse");
  const auto bytes = across(claude(), "anthropic/tools.sse", claude());
  expect_one_block_at_a_time(bytes);
  const auto types = types_of(bytes);
  EXPECT_EQ(types.front(), "message_start");
  EXPECT_EQ(types[types.size() - 2], "message_delta");
  EXPECT_EQ(types.back(), "message_stop");
  const auto after = gather(decode_stream(claude(), bytes));
  EXPECT_EQ(after.kinds, before.kinds);
  EXPECT_EQ(after.signature, before.signature);
  EXPECT_EQ(after.thinking, before.thinking);
  EXPECT_EQ(after.usage, before.usage);
}

TEST(AnthropicStream, EventLinesMayBeMissing) {
  const auto out = from(claude(), "anthropic/no_event_lines.sse");
  EXPECT_EQ(out.text, "glm");
  EXPECT_TRUE(out.ended);
}

TEST(AnthropicStream, T10_LaterUsageCorrectsAlsoDownToZero) {
  const auto out = from(claude(), "anthropic/corrected_usage.sse");
  EXPECT_EQ(out.usage.input, 34347);
  EXPECT_EQ(out.usage.cache_read, 30464);
  EXPECT_EQ(out.usage.output, 0);
}

TEST(AnthropicStream, T11_T12_CutAndError) {
  const auto cut = from(claude(), "anthropic/cut_mid_text.sse");
  EXPECT_EQ(cut.fault->kind, Fault::Kind::Truncated);
  EXPECT_EQ(cut.text, "half");
  const auto error = from(claude(), "anthropic/error_mid.sse");
  EXPECT_EQ(error.fault->kind, Fault::Kind::Overloaded);
  const auto chunks = frames(across(claude(), "anthropic/error_mid.sse", chat()));
  EXPECT_EQ(chunks.back()["error"]["type"], "overloaded_error");
  const auto first = decode_stream(claude(), golden("anthropic/error_first.sse"));
  ASSERT_EQ(first.size(), 1U) << "nothing before it, so another target can be tried";
  EXPECT_TRUE(std::holds_alternative<FaultEvent>(first[0]));
}

TEST(AnthropicStream, ServerToolsAndCitationsAreNoContentAndPauseIsStop) {
  const auto out = from(claude(), "anthropic/server_tools.sse");
  EXPECT_TRUE(out.calls.empty());
  EXPECT_EQ(out.text, "found");
  EXPECT_EQ(out.finish, Finish::PauseTurn);
  const auto chunks = frames(across(claude(), "anthropic/server_tools.sse", chat()));
  EXPECT_EQ(chunks[chunks.size() - 3]["choices"][0]["finish_reason"], "stop");
}

TEST(AnthropicStream, HoldsMessageDeltaForTheLaterUsageAndCountsExclusively) {
  const auto bytes = across(chat(), "openai_chat/text.sse", claude());
  const auto out = frames(bytes);
  EXPECT_EQ(out[0]["message"]["usage"]["input_tokens"], 11) << "our estimate";
  EXPECT_EQ(out[0]["message"]["id"], "id-1");
  const auto& last = out[out.size() - 2];
  EXPECT_EQ(last["delta"]["stop_reason"], "end_turn");
  EXPECT_EQ(last["usage"]["input_tokens"], 60);
  EXPECT_EQ(last["usage"]["cache_read_input_tokens"], 40);
  EXPECT_EQ(last["usage"]["output_tokens"], 20);
}

TEST(StreamEncoder, KeepAliveIsTheDialectsOwn) {
  EXPECT_EQ(chat().stream_encoder({})->keep_alive(), ": ping\n\n");
  EXPECT_EQ(claude().stream_encoder({})->keep_alive(), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

TEST(StreamEncoder, GeminiSignaturesTravelOnTheCallInBothDialects) {
  ToolCallPart call;
  call.id = "c";
  call.name = "look";
  call.signature = "thought";
  const std::vector<StreamEvent> events = {StreamStart{},
                                           PartStart{0, call},
                                           ArgumentsDelta{0, "{}"},
                                           PartEnd{0},
                                           FinishEvent{Finish::ToolCalls, {}, {}},
                                           StreamEnd{}};
  EXPECT_EQ(gather(decode_stream(chat(), encode_stream(chat(), events))).calls[0].signature, "thought");
  EXPECT_EQ(gather(decode_stream(claude(), encode_stream(claude(), events))).calls[0].signature, "thought");
}

}  // namespace assistiv::inference::dialect_test
