// Anthropic clients at chat providers (R55), flavours (R54), finish reasons (R57), usage (R58), faults
// (R510); same-dialect hops (T22, T23) and round trips (T24).
#include "inference/openai_chat/flavor.h"
#include "inference/translate/content.h"
#include "inference/translate/faults.h"
#include "support/dialect_fixture.h"

namespace assistiv::inference::dialect_test {

namespace {

EncodedRequest to_chat(const Json& body, EncodeOptions options = options_for("openai")) {
  return openai_chat_dialect().encode_request(anthropic_dialect().decode_request(body), options);
}

Json claude_body(const char* members) {
  Json body = Json::parse(members);
  body["model"] = "claude-x";
  if (!body.contains("messages")) body["messages"] = Json::array({{{"role", "user"}, {"content", "hi"}}});
  return body;
}

Json same(const Dialect& dialect, const Json& body, const std::string& flavor) {
  auto options = options_for(flavor);
  options.target.name = body["model"];
  const auto out = dialect.encode_request(dialect.decode_request(body), options);
  EXPECT_THAT(out.dropped, testing::IsEmpty());
  return out.body;
}

}  // namespace

TEST(AnthropicToChat, R55_ResultsComeBeforeTheRestOfTheirTurn) {
  const auto out =
      to_chat(claude_body(R"({"max_tokens":9,"system":[{"type":"text","text":"a"},{"type":"text","text":"b"}],
    "messages":[{"role":"user","content":"go"},
    {"role":"assistant","content":[{"type":"text","text":"ok"},{"type":"tool_use","id":"t1","name":"look","input":{"q":1}}]},
    {"role":"user","content":[{"type":"text","text":"and?"},{"type":"tool_result","tool_use_id":"t1","is_error":true,
      "content":[{"type":"text","text":"no"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}]})"));
  const auto& messages = out.body["messages"];
  ASSERT_EQ(messages.size(), 5U);
  EXPECT_EQ(messages[0]["role"], "system");
  EXPECT_EQ(messages[0]["content"].size(), 2U);
  EXPECT_EQ(messages[2]["tool_calls"][0]["function"]["arguments"], "{\"q\":1}");
  EXPECT_EQ(messages[3], Json::parse(R"({"role":"tool","tool_call_id":"t1","content":"Error: no"})"));
  EXPECT_EQ(messages[4]["content"][0]["image_url"]["url"], "data:image/png;base64,AAAA");
  EXPECT_EQ(messages[4]["content"][1]["text"], "and?");
  EXPECT_EQ(out.body["max_completion_tokens"], 9);
  EXPECT_THAT(out.dropped, testing::IsEmpty());
}

TEST(AnthropicToChat, R55_ChoiceParallelStopAndBudget) {
  auto options = options_for("openai");
  options.target.effort = true;
  options.target.reasoning = true;
  const auto body = claude_body(R"({"tools":[{"name":"look","input_schema":{"type":"object"}}],
    "tool_choice":{"type":"any","disable_parallel_tool_use":true},
    "thinking":{"type":"enabled","budget_tokens":5000},"temperature":0.3})");
  const auto out = to_chat(body, options);
  EXPECT_EQ(out.body["tool_choice"], "required");
  EXPECT_EQ(out.body["parallel_tool_calls"], false);
  EXPECT_EQ(out.body["reasoning_effort"], "high");
  EXPECT_THAT(out.dropped, testing::ElementsAre("temperature"));
  const auto stops = to_chat(claude_body(R"({"stop_sequences":["1","2","3","4","5"]})"));
  EXPECT_EQ(stops.body["stop"].size(), 4U);
  EXPECT_THAT(stops.dropped, testing::ElementsAre("stop_sequences[4]"));
  EXPECT_THAT(to_chat(body).dropped, testing::ElementsAre("thinking")) << "a model that does not think";
}

TEST(AnthropicToChat, R55_ServerToolsAreRefusedByNameInEitherMode) {
  for (const auto mode : {Unsupported::Drop, Unsupported::Strict}) {
    try {
      to_chat(claude_body(R"({"tools":[{"type":"web_search_20250305","name":"web_search"}]})"),
              options_for("openai", mode));
      FAIL();
    } catch (const core::Error& error) {
      EXPECT_THAT(error.message(), testing::HasSubstr("web_search_20250305"));
      EXPECT_EQ(error.field(), "/tools/0");
    }
  }
  EXPECT_EQ(refused_field([] { to_chat(claude_body(R"({"mcp_servers":[{"url":"https://x.test"}]})")); }),
            "/mcp_servers");
}

TEST(AnthropicToChat, R55_ServerToolBlocksAndThinkingAreListedNotShown) {
  const auto out =
      to_chat(claude_body(R"({"messages":[{"role":"user","content":"go"},{"role":"assistant","content":[
    {"type":"thinking","thinking":"hm","signature":"s"},
    {"type":"server_tool_use","id":"s1","name":"web_search","input":{}},{"type":"text","text":"done"}]}]})"));
  EXPECT_EQ(out.body["messages"][1], Json::parse(R"({"role":"assistant","content":"done"})"));
  EXPECT_THAT(out.dropped, testing::UnorderedElementsAre("messages[1].content[0]", "messages[1].content[1]"));
}

TEST(AnthropicToChat, CacheMarksAreListedWhereNobodyReadsThem) {
  const auto body =
      claude_body(R"({"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]})");
  EXPECT_THAT(to_chat(body).dropped, testing::ElementsAre("system[0].cache_control"));
  EXPECT_THAT(to_chat(body, options_for("compatible")).dropped, testing::IsEmpty());
}

TEST(Flavor, R54_XaiFilters) {
  auto options = options_for("xai");
  options.target.reasoning = true;
  const Json body =
      Json::parse(R"({"model":"grok","messages":[{"role":"user","content":"hi"}],"prompt_cache_key":"k",
    "store":true,"service_tier":"flex","verbosity":"low","presence_penalty":1,"frequency_penalty":1,"stop":["x"],
    "reasoning_effort":"low","seed":7})");
  const auto out = openai_chat_dialect().encode_request(openai_chat_dialect().decode_request(body), options);
  EXPECT_THAT(out.dropped, testing::UnorderedElementsAre("prompt_cache_key", "store", "service_tier",
                                                         "verbosity", "presence_penalty", "frequency_penalty",
                                                         "stop", "reasoning_effort"));
  EXPECT_EQ(out.body.size(), 3U) << "model, messages, seed: " << out.body.dump();
  options.target.effort = true;
  EXPECT_EQ(openai_chat_dialect()
                .encode_request(openai_chat_dialect().decode_request(body), options)
                .body["reasoning_effort"],
            "low");
}

TEST(Flavor, CompatibleServersGetTheirOwnNames) {
  const auto out = to_chat(
      claude_body(
          R"({"max_tokens":9,"top_k":5,"system":[{"type":"text","text":"a"},{"type":"text","text":"b"}]})"),
      options_for("compatible"));
  EXPECT_EQ(out.body["max_tokens"], 9);
  EXPECT_EQ(out.body["top_k"], 5);
  EXPECT_EQ(out.body["messages"][0]["content"], "a\n\nb");
}

TEST(SameDialect, T22_T23_ChatBodyComesBackWhole) {
  const Json body = Json::parse(R"({"model":"m","messages":[
    {"role":"developer","content":[{"type":"text","text":"s"},{"type":"text","text":"t"}]},
    {"role":"user","name":"ann","content":[{"type":"text","text":"look"},{"type":"video_url","video_url":{"url":"v"}},
      {"type":"image_url","image_url":{"url":"https://x.test/i.png","detail":"low"}},
      {"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}},
      {"type":"file","file":{"file_id":"file-1"}}]},
    {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"look","arguments":""}}]},
    {"role":"tool","tool_call_id":"c","content":"r"},{"role":"user","content":"x","unknown":1}],
    "tools":[{"type":"custom","custom":{"name":"free"}},{"type":"function","function":{"name":"look","parameters":{"type":"object"},"strict":true}}],
    "tool_choice":"auto","parallel_tool_calls":true,"max_completion_tokens":5,"temperature":1.5,"top_p":0.5,"n":2,
    "seed":1,"stop":["a"],"logprobs":true,"top_logprobs":2,"frequency_penalty":0.1,"presence_penalty":0.2,"user":"u",
    "reasoning_effort":"low","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"},"strict":true}},
    "store":false,"metadata":{"a":"b"},"logit_bias":{"1":2},"brand_new":{"deep":[1,2]},
    "stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}})");
  EXPECT_EQ(same(openai_chat_dialect(), body, "openai"), body);
}

TEST(SameDialect, T22_T23_AnthropicBodyComesBackWhole) {
  const Json body = Json::parse(
      R"({"model":"m","max_tokens":9,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],
    "messages":[{"role":"user","content":[{"type":"text","text":"look"},
      {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"},"cache_control":{"type":"ephemeral"}},
      {"type":"document","title":"d","citations":{"enabled":true},"source":{"type":"text","media_type":"text/plain","data":"plain"}},
      {"type":"container_upload","file_id":"f"}]},
    {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"d"},
      {"type":"server_tool_use","id":"srv","name":"web_search","input":{}},
      {"type":"tool_use","id":"t","name":"look","input":{"a":1},"caller":{"type":"direct"}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","is_error":true,"content":[{"type":"text","text":"r"},
      {"type":"search_result","source":"x","title":"y","content":[]}]}]},{"role":"user","content":"again"}],
    "tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3},
      {"name":"look","description":"d","input_schema":{"type":"object"},"strict":true,"defer_loading":true}],
    "tool_choice":{"type":"auto","disable_parallel_tool_use":false},"thinking":{"type":"enabled","budget_tokens":2048,"display":"omitted"},
    "output_config":{"effort":"xhigh","format":{"type":"json_schema","schema":{"type":"object","minProperties":1}}},
    "metadata":{"user_id":"u"},"stop_sequences":["a"],"temperature":1.0,"top_p":0.9,"top_k":3,"service_tier":"auto",
    "mcp_servers":[{"url":"https://x.test"}],"context_management":{"edits":[]},"stream":true})");
  EXPECT_EQ(same(anthropic_dialect(), body, "anthropic"), body);
}

TEST(RoundTrip, T24_ChatToAnthropicAndBackKeepsTextIdsAndArguments) {
  const Json reply = Json::parse(R"({"id":"msg","type":"message","model":"claude-x","content":[
    {"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"text","text":"I look"},
    {"type":"tool_use","id":"toolu_1","name":"look","input":{"q":[1,{"r":"é"}]}}],
    "stop_reason":"tool_use","usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":2,"output_tokens":7}})");
  const auto chat =
      openai_chat_dialect().encode_reply(anthropic_dialect().decode_reply(reply), context_for_test());
  EXPECT_EQ(chat["usage"]["prompt_tokens"], 17);
  EXPECT_EQ(chat["usage"]["total_tokens"], 24);
  EXPECT_EQ(chat["choices"][0]["finish_reason"], "tool_calls");
  EXPECT_EQ(chat["model"], "asked-model");
  const auto message = chat["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "hm");
  Json next = {
      {"model", "m"},
      {"messages", Json::array({{{"role", "user"}, {"content", "go"}},
                                message,
                                {{"role", "tool"}, {"tool_call_id", "toolu_1"}, {"content", "r"}}})}};
  const auto out = anthropic_dialect().encode_request(openai_chat_dialect().decode_request(next),
                                                      options_for("anthropic"));
  EXPECT_EQ(out.body["messages"][1]["content"], reply["content"]);
  const auto again =
      anthropic_dialect().encode_reply(openai_chat_dialect().decode_reply(chat), context_for_test());
  EXPECT_EQ(again["content"], reply["content"]);
  EXPECT_EQ(again["usage"]["input_tokens"], 10);
  EXPECT_EQ(again["usage"]["cache_creation_input_tokens"], 2);
}

TEST(RoundTrip, SealedThinkingGoesBackToItsMakerOnly) {
  for (const auto maker : {DialectId::Gemini, DialectId::OpenAiResponses}) {
    Reply reply;
    ThinkingPart part;
    part.text = "hm";
    part.signature = "a.b";
    part.id = "rs_1";
    part.signed_by = maker;
    TextPart text;
    text.text = "ok";
    reply.choices.emplace_back().message.parts = {part, text};
    const auto body = anthropic_dialect().encode_reply(reply, context_for_test());
    const Json next = {{"model", "m"},
                       {"max_tokens", 5},
                       {"messages", Json::array({{{"role", "user"}, {"content", "go"}},
                                                 {{"role", "assistant"}, {"content", body["content"]}}})}};
    const auto request = anthropic_dialect().decode_request(next);
    const auto& back = std::get<ThinkingPart>(request.messages[1].parts[0]);
    EXPECT_EQ(back.signed_by, maker);
    EXPECT_EQ(back.signature, "a.b");
    EXPECT_EQ(back.id, "rs_1");
    const auto out = anthropic_dialect().encode_request(request, options_for("anthropic"));
    EXPECT_THAT(out.body.dump(), testing::Not(testing::HasSubstr("a.b")));
  }
}

TEST(Finish, R57_EveryReasonBothWays) {
  const auto chat_word = [](const char* reason) {
    const Json reply = {{"content", Json::array()}, {"stop_reason", reason}};
    return openai_chat_dialect().encode_reply(anthropic_dialect().decode_reply(reply),
                                              {})["choices"][0]["finish_reason"];
  };
  EXPECT_EQ(chat_word("end_turn"), "stop");
  EXPECT_EQ(chat_word("stop_sequence"), "stop");
  EXPECT_EQ(chat_word("tool_use"), "tool_calls");
  EXPECT_EQ(chat_word("max_tokens"), "length");
  EXPECT_EQ(chat_word("model_context_window_exceeded"), "length");
  EXPECT_EQ(chat_word("refusal"), "content_filter");
  EXPECT_EQ(chat_word("pause_turn"), "stop");
  const auto claude_word = [](const char* reason) {
    const Json reply = {
        {"choices", Json::array({{{"message", {{"content", "x"}}}, {"finish_reason", reason}}})}};
    return anthropic_dialect().encode_reply(openai_chat_dialect().decode_reply(reply), {})["stop_reason"];
  };
  EXPECT_EQ(claude_word("stop"), "end_turn");
  EXPECT_EQ(claude_word("length"), "max_tokens");
  EXPECT_EQ(claude_word("tool_calls"), "tool_use");
  EXPECT_EQ(claude_word("content_filter"), "refusal");
}

TEST(UsageRules, R58_T8_T10_ChatIsInclusiveAnthropicExclusive) {
  const auto chat = openai_chat_dialect().decode_usage(Json::parse(
      R"({"usage":{"prompt_tokens":100,"completion_tokens":0,"total_tokens":100,"prompt_tokens_details":{"cached_tokens":0}}})"));
  EXPECT_EQ(chat.output, 0) << "an explicit zero stays";
  EXPECT_EQ(chat.cache_read, 0);
  EXPECT_EQ(chat.reasoning, std::nullopt);
  const auto whole = anthropic_dialect().decode_usage(Json::parse(
      R"({"usage":{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":30,"output_tokens":5}})"));
  EXPECT_EQ(whole.input, 140);
  EXPECT_EQ(whole.cache_write_5m, 30);
  EXPECT_EQ(core::total_tokens(whole), 145);
  core::Usage odd;
  odd.input = 5;
  odd.cache_read = 9;
  const auto back = anthropic_dialect().encode_reply({{}, {}, 0, {Choice{}}, odd}, {});
  EXPECT_EQ(back["usage"]["input_tokens"], 0) << "never below zero";
}

struct FaultCase {
  int status;
  const char* body;
  Fault::Kind kind;
  int openai;
  const char* openai_type;
  int anthropic;
  const char* anthropic_type;
};

TEST(Faults, R510_T13_TableOfUpstreamErrors) {
  using Kind = Fault::Kind;
  const FaultCase cases[] = {
      {400, R"({"error":{"message":"bad","type":"invalid_request_error"}})", Kind::InvalidRequest, 400,
       "invalid_request_error", 400, "invalid_request_error"},
      {400, R"([{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}])", Kind::InvalidRequest,
       400, "invalid_request_error", 400, "invalid_request_error"},
      {401,
       R"({"error":{"message":"Incorrect API key sk-abc","type":"invalid_request_error","code":"invalid_api_key"}})",
       Kind::ProviderAuth, 502, "provider_error", 502, "api_error"},
      {403, R"({"type":"error","error":{"type":"permission_error","message":"no"}})", Kind::ProviderAuth, 502,
       "provider_error", 502, "api_error"},
      {400, R"({"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}})",
       Kind::ProviderAuth, 502, "provider_error", 502, "api_error"},
      {402, R"({"type":"error","error":{"type":"billing_error","message":"pay"}})", Kind::ProviderQuota, 503,
       "provider_error", 502, "api_error"},
      {429,
       R"({"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}})",
       Kind::ProviderQuota, 503, "provider_error", 502, "api_error"},
      {400,
       R"({"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}})",
       Kind::ProviderQuota, 503, "provider_error", 502, "api_error"},
      {404,
       R"({"error":{"message":"no such model","type":"invalid_request_error","code":"model_not_found"}})",
       Kind::ModelNotFound, 404, "invalid_request_error", 404, "not_found_error"},
      {408, "", Kind::Transient, 502, "provider_error", 502, "api_error"},
      {409, "{}", Kind::Transient, 502, "provider_error", 502, "api_error"},
      {413, R"({"type":"error","error":{"type":"request_too_large","message":"big"}})", Kind::TooLarge, 413,
       "invalid_request_error", 413, "request_too_large"},
      {429, R"({"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}})",
       Kind::RateLimited, 429, "rate_limit_error", 429, "rate_limit_error"},
      {500, "<html>oops</html>", Kind::Upstream, 502, "provider_error", 502, "api_error"},
      {503, R"({"error":)", Kind::Upstream, 502, "provider_error", 502, "api_error"},
      {529, R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
       Kind::Overloaded, 503, "overloaded_error", 529, "overloaded_error"},
  };
  for (const auto& row : cases) {
    const auto fault = openai_chat_dialect().decode_fault(row.status, row.body);
    EXPECT_EQ(fault.kind, row.kind) << row.status << row.body;
    EXPECT_FALSE(fault.message.empty());
    const auto openai = openai_chat_dialect().encode_fault(fault);
    EXPECT_EQ(openai.status, row.openai) << row.body;
    EXPECT_EQ(openai.body["error"]["type"], row.openai_type) << row.body;
    const auto anthropic = anthropic_dialect().encode_fault(fault);
    EXPECT_EQ(anthropic.status, row.anthropic) << row.body;
    EXPECT_EQ(anthropic.body["error"]["type"], row.anthropic_type) << row.body;
    EXPECT_EQ(anthropic.body["type"], "error");
  }
}

TEST(Faults, MessagesAreShortValidAndSayNothingOfTheAccount) {
  const auto auth = openai_chat_dialect().decode_fault(
      401, R"({"error":{"message":"Incorrect API key provided: sk-abcdef0123456789"}})");
  EXPECT_THAT(auth.message, testing::Not(testing::HasSubstr("sk-")));
  const auto html = openai_chat_dialect().decode_fault(502, std::string(2000, '<') + "\xff\xfe");
  EXPECT_LE(html.message.size(), 600U);
  EXPECT_TRUE(Json(html.message).dump().size() > 2);
  const auto deep = openai_chat_dialect().decode_fault(500, std::string(100000, '['));
  EXPECT_EQ(deep.kind, Fault::Kind::Upstream);
}

TEST(Faults, ContextLengthIsToldApart) {
  EXPECT_TRUE(
      openai_chat_dialect()
          .decode_fault(
              400,
              R"({"error":{"message":"x","type":"invalid_request_error","code":"context_length_exceeded"}})")
          .context_length);
  EXPECT_TRUE(
      openai_chat_dialect()
          .decode_fault(
              400,
              R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}})")
          .context_length);
  EXPECT_FALSE(openai_chat_dialect().decode_fault(400, R"({"error":{"message":"x"}})").context_length);
}

TEST(BadInput, WrongTypesNameTheirPlace) {
  const auto chat = [](const char* text) {
    return refused_field([&] { openai_chat_dialect().decode_request(Json::parse(text)); });
  };
  EXPECT_EQ(chat(R"({"messages":[]})"), "/model");
  EXPECT_EQ(chat(R"({"model":"m","messages":[]})"), "/messages");
  EXPECT_EQ(chat(R"({"model":"m","messages":[{"role":"king","content":"x"}]})"), "/messages/0/role");
  EXPECT_EQ(chat(R"({"model":"m","messages":[{"role":"user","content":7}]})"), "/messages/0/content");
  EXPECT_EQ(chat(R"({"model":"m","messages":[{"role":"user","content":"x"}],"temperature":"hot"})"),
            "/temperature");
  EXPECT_EQ(chat(R"({"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":0})"),
            "/max_tokens");
  const auto claude = [](const char* text) {
    return refused_field([&] { anthropic_dialect().decode_request(Json::parse(text)); });
  };
  EXPECT_EQ(claude(R"({"model":"m","messages":[{"role":"user","content":[{"type":"tool_result"}]}]})"),
            "/messages/0/content/0/tool_use_id");
  EXPECT_EQ(claude(R"({"model":"m","messages":[{"role":"user","content":"x"}],"temperature":1.5})"),
            "/temperature");
  EXPECT_THROW(openai_chat_dialect().decode_reply(Json::parse(R"({"html":1})")), core::Error);
  EXPECT_THROW(anthropic_dialect().decode_reply(Json::parse("[]")), core::Error);
}

}  // namespace assistiv::inference::dialect_test
