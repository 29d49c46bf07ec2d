// Rules A1 to A18: an OpenAI chat client's request on its way to Anthropic.
#include "inference/anthropic/messages.h"
#include "inference/translate/content.h"
#include "support/dialect_fixture.h"

namespace assistiv::inference::dialect_test {

namespace {

EncodedRequest to_anthropic(Json body, EncodeOptions options = options_for("anthropic")) {
  if (!body.contains("model")) body["model"] = "asked-model";
  return anthropic_dialect().encode_request(openai_chat_dialect().decode_request(body), options);
}

Json ask(Json extra = Json::object()) {
  extra["messages"] = Json::array({{{"role", "user"}, {"content", "hi"}}});
  return extra;
}

Json chat_tool(const std::string& name, Json parameters = nullptr) {
  Json function = {{"name", name}};
  if (!parameters.is_null()) function["parameters"] = std::move(parameters);
  return {{"type", "function"}, {"function", std::move(function)}};
}

Json calls_turn(std::vector<std::pair<std::string, std::string>> calls) {
  Json list = Json::array();
  for (auto& [id, arguments] : calls) {
    list.push_back(
        {{"id", id}, {"type", "function"}, {"function", {{"name", "look"}, {"arguments", arguments}}}});
  }
  return {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", std::move(list)}};
}

Json tool_turn(const std::string& id, const std::string& text) {
  return {{"role", "tool"}, {"tool_call_id", id}, {"content", text}};
}

Json user_turn(const std::string& text) {
  return {{"role", "user"}, {"content", text}};
}

EncodeOptions thinker(std::string kind = "budget") {
  auto options = options_for("anthropic");
  options.target.reasoning = true;
  options.target.thinking = std::move(kind);
  return options;
}

}  // namespace

TEST(ChatToAnthropic, A1_SystemAndDeveloperBecomeBlocksThatKeepTheirCacheMarks) {
  const auto out = to_anthropic(Json::parse(R"({"messages":[
    {"role":"system","content":[{"type":"text","text":"one","cache_control":{"type":"ephemeral","ttl":"1h"}}]},
    {"role":"developer","content":"two"},{"role":"user","content":"hi"}]})"));
  EXPECT_EQ(out.body["system"], Json::parse(R"([
    {"type":"text","text":"one","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":"two"}])"));
  EXPECT_EQ(out.body["messages"].size(), 1U);
  EXPECT_THAT(out.dropped, testing::IsEmpty());
}

TEST(ChatToAnthropic, A2_T21_SystemInTheMiddleIsHoistedOrStaysAsReminder) {
  const Json body = {{"messages",
                      {user_turn("a"),
                       {{"role", "assistant"}, {"content", "b"}},
                       {{"role", "system"}, {"content", "be brief"}},
                       user_turn("c")}}};
  EXPECT_EQ(to_anthropic(body).body["system"][0]["text"], "be brief");
  auto options = options_for("anthropic");
  options.keep_system_in_place = true;
  const auto kept = to_anthropic(body, options);
  EXPECT_FALSE(kept.body.contains("system"));
  EXPECT_EQ(kept.body["messages"][2]["content"][0]["text"],
            "<system-reminder>\nbe brief\n</system-reminder>");
  EXPECT_EQ(kept.body["messages"][2]["content"][1]["text"], "c");
}

TEST(ChatToAnthropic, A3_T20_MaxTokensIsAlwaysThere) {
  auto options = options_for("anthropic");
  options.default_max_tokens = 777;
  EXPECT_EQ(to_anthropic(ask(), options).body["max_tokens"], 777);
  options.target.max_output_tokens = 32000;
  EXPECT_EQ(to_anthropic(ask(), options).body["max_tokens"], 32000);
  EXPECT_EQ(to_anthropic(ask({{"max_tokens", 50}}), options).body["max_tokens"], 50);
  EXPECT_EQ(
      to_anthropic(ask({{"max_tokens", 50}, {"max_completion_tokens", 60}}), options).body["max_tokens"], 60);
}

TEST(ChatToAnthropic, A4_BlankTextAndEmptyMessagesVanish) {
  const auto out = to_anthropic(Json::parse(R"({"messages":[{"role":"user","content":"  \n"},
    {"role":"user","content":[{"type":"text","text":""},{"type":"text","text":"real"}]}]})"));
  EXPECT_EQ(out.body["messages"],
            Json::parse(R"([{"role":"user","content":[{"type":"text","text":"real"}]}])"));
}

TEST(ChatToAnthropic, A5_T1_ParallelResultsStandInOneTurnInCallOrderBeforeText) {
  const auto out = to_anthropic({{"messages",
                                  {user_turn("go"), calls_turn({{"c1", "{}"}, {"c2", "{}"}}),
                                   tool_turn("c2", "two"), tool_turn("c1", "one"), user_turn("and?")}}});
  const auto& last = out.body["messages"][2];
  EXPECT_EQ(out.body["messages"].size(), 3U);
  EXPECT_EQ(last["role"], "user");
  EXPECT_EQ(last["content"][0]["tool_use_id"], "c1");
  EXPECT_EQ(last["content"][1]["tool_use_id"], "c2");
  EXPECT_EQ(last["content"][2]["text"], "and?");
}

TEST(ChatToAnthropic, A6_T2_OrphanResultBecomesTextAndUnansweredCallIsRefused) {
  const auto out =
      to_anthropic({{"messages", {user_turn("go"), tool_turn("nobody", "42"), tool_turn("none", "")}}});
  ASSERT_EQ(out.body["messages"].size(), 1U);
  EXPECT_EQ(out.body["messages"][0]["content"][1]["text"], "Tool result: 42");
  EXPECT_EQ(out.body["messages"][0]["content"].size(), 2U);
  try {
    to_anthropic(
        {{"messages", {user_turn("go"), calls_turn({{"c1", "{}"}, {"c9", "{}"}}), tool_turn("c1", "x")}}});
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_THAT(error.message(), testing::HasSubstr("c9"));
    EXPECT_EQ(error.kind(), core::ErrorKind::InvalidArgument);
  }
  EXPECT_EQ(refused_field([] {
              to_anthropic({{"messages", {user_turn("go"), calls_turn({{"c1", "{}"}})}}});
            }),
            "/messages/1/tool_calls/0");
}

TEST(ChatToAnthropic, A7_ArgumentsTextBecomesAnObject) {
  const auto input_of = [](const std::string& arguments, Unsupported mode) {
    const Json body = {
        {"messages", {user_turn("go"), calls_turn({{"c1", arguments}}), tool_turn("c1", "x")}}};
    return to_anthropic(body, options_for("anthropic", mode)).body["messages"][1]["content"][0]["input"];
  };
  EXPECT_EQ(input_of(R"({"a":1})", Unsupported::Strict), Json({{"a", 1}}));
  EXPECT_EQ(input_of("", Unsupported::Strict), Json::object());
  EXPECT_EQ(input_of("{\"a\":", Unsupported::Drop), Json({{"_raw", "{\"a\":"}}));
  EXPECT_EQ(refused_field([&] { input_of("{\"a\":", Unsupported::Strict); }),
            "/messages/1/tool_calls/0/function/arguments");
}

TEST(ChatToAnthropic, A8_ToolSchemasAreObjectsAndKeepTheirDefinitions) {
  auto tool =
      chat_tool("deep", Json::parse(R"({"$defs":{"x":{"type":"string"}},"additionalProperties":false})"));
  tool["function"]["strict"] = true;
  auto body = ask({{"tools", {chat_tool("bare"), tool}}});
  auto out = to_anthropic(body);
  EXPECT_EQ(out.body["tools"][0]["input_schema"], Json::parse(R"({"type":"object","properties":{}})"));
  EXPECT_EQ(out.body["tools"][1]["input_schema"]["$defs"]["x"]["type"], "string");
  EXPECT_EQ(out.body["tools"][1]["input_schema"]["additionalProperties"], false);
  EXPECT_EQ(out.body["tools"][1]["strict"], true);
  auto older = options_for("anthropic");
  older.target.structured_output = false;
  out = to_anthropic(body, older);
  EXPECT_FALSE(out.body["tools"][1].contains("strict"));
  EXPECT_THAT(out.dropped, testing::ElementsAre("tools[1].function.strict"));
}

TEST(ChatToAnthropic, A9_ToolChoiceAndParallelCalls) {
  const auto choice = [](Json value, Json parallel = nullptr) {
    return to_anthropic(ask({{"tools", Json::array({chat_tool("look")})},
                             {"tool_choice", value},
                             {"parallel_tool_calls", parallel}}))
        .body.value("tool_choice", Json());
  };
  EXPECT_EQ(choice("auto"), Json({{"type", "auto"}}));
  EXPECT_EQ(choice("required"), Json({{"type", "any"}}));
  EXPECT_EQ(choice("none"), Json({{"type", "none"}}));
  EXPECT_EQ(choice(chat_tool("look")), Json({{"type", "tool"}, {"name", "look"}}));
  EXPECT_EQ(choice(nullptr, false), Json({{"type", "auto"}, {"disable_parallel_tool_use", true}}));
  EXPECT_EQ(choice(nullptr, true), Json());
}

TEST(ChatToAnthropic, A10_AllowedToolsPruneTheDeclarations) {
  const auto with = [](std::vector<std::string> names) {
    Json tools = Json::array();
    for (const auto& name : names) tools.push_back(chat_tool(name));
    return to_anthropic(
        ask({{"tools", {chat_tool("a"), chat_tool("b")}},
             {"tool_choice",
              {{"type", "allowed_tools"}, {"allowed_tools", {{"mode", "required"}, {"tools", tools}}}}}}));
  };
  EXPECT_EQ(with({"b"}).body["tools"].size(), 1U);
  EXPECT_EQ(with({"b"}).body["tools"][0]["name"], "b");
  EXPECT_EQ(with({"b"}).body["tool_choice"]["type"], "any");
  EXPECT_EQ(with({"unknown"}).body["tools"].size(), 2U);
}

TEST(ChatToAnthropic, A11_ToolsOfTheHistoryAreDeclaredWhenTheRequestHasNone) {
  const auto out =
      to_anthropic({{"messages", {user_turn("go"), calls_turn({{"c1", "{}"}}), tool_turn("c1", "x")}}});
  ASSERT_EQ(out.body["tools"].size(), 1U);
  EXPECT_EQ(out.body["tools"][0]["name"], "look");
  EXPECT_EQ(out.body["tools"][0]["input_schema"]["type"], "object");
}

TEST(ChatToAnthropic, A12_ImagesAndDocuments) {
  const auto block = [](const Json& part) {
    Json message = {{"role", "user"}, {"content", Json::array({part})}};
    return to_anthropic({{"messages", Json::array({std::move(message)})}});
  };
  const auto image = [](const std::string& url) {
    return Json{{"type", "image_url"}, {"image_url", {{"url", url}}}};
  };
  const auto first = [&](const Json& part) { return block(part).body["messages"][0]["content"][0]; };
  EXPECT_EQ(first(image("data:image/png;base64,AAAA"))["source"],
            Json::parse(R"({"type":"base64","media_type":"image/png","data":"AAAA"})"));
  EXPECT_EQ(first(image("data:application/pdf;base64,AAAA"))["type"], "document");
  EXPECT_EQ(first(image("https://x.test/a.pdf?b=c"))["type"], "document");
  EXPECT_EQ(first(image("https://x.test/a.png"))["source"],
            Json::parse(R"({"type":"url","url":"https://x.test/a.png"})"));
  EXPECT_EQ(
      refused_field([&] {
        const Json message = {{"role", "user"},
                              {"content", Json::array({image("data:image/tiff;base64,AAAA")})}};
        to_anthropic({{"messages", Json::array({message})}}, options_for("anthropic", Unsupported::Strict));
      }),
      "/messages/0/content/0");
}

TEST(ChatToAnthropic, A13_T19_TemperatureAboveOneIsClampedOrRefused) {
  const auto out = to_anthropic(ask({{"temperature", 1.7}}));
  EXPECT_EQ(out.body["temperature"], 1.0);
  EXPECT_THAT(out.dropped, testing::ElementsAre("temperature"));
  EXPECT_EQ(refused_field([] {
              to_anthropic(ask({{"temperature", 1.7}}), options_for("anthropic", Unsupported::Strict));
            }),
            "/temperature");
  auto options = thinker();
  const auto thinking = to_anthropic(
      ask({{"temperature", 0.2}, {"top_k", 5}, {"reasoning_effort", "high"}, {"max_tokens", 9000}}), options);
  EXPECT_FALSE(thinking.body.contains("temperature"));
  EXPECT_FALSE(thinking.body.contains("top_k"));
  EXPECT_THAT(thinking.dropped, testing::ElementsAre("temperature", "top_k"));
}

TEST(ChatToAnthropic, A14_EffortBecomesEffortOrBudget) {
  auto adaptive = thinker("adaptive");
  adaptive.target.effort = true;
  auto out = to_anthropic(ask({{"reasoning_effort", "xhigh"}}), adaptive);
  EXPECT_EQ(out.body["output_config"]["effort"], "high");
  EXPECT_EQ(out.body["thinking"]["type"], "adaptive");
  adaptive.target.efforts = {"low", "medium", "high", "xhigh"};
  EXPECT_EQ(to_anthropic(ask({{"reasoning_effort", "xhigh"}}), adaptive).body["output_config"]["effort"],
            "xhigh");

  const auto budget = [](const char* effort, int max) {
    return to_anthropic(ask({{"reasoning_effort", effort}, {"max_tokens", max}}), thinker());
  };
  EXPECT_EQ(budget("low", 50000).body["thinking"], Json({{"type", "enabled"}, {"budget_tokens", 1024}}));
  EXPECT_EQ(budget("medium", 50000).body["thinking"]["budget_tokens"], 2048);
  EXPECT_EQ(budget("high", 50000).body["thinking"]["budget_tokens"], 4096);
  EXPECT_EQ(budget("xhigh", 50000).body["thinking"]["budget_tokens"], 8192);
  EXPECT_EQ(budget("max", 50000).body["thinking"]["budget_tokens"], 16384);
  EXPECT_EQ(budget("max", 3000).body["thinking"]["budget_tokens"], 2999);
  EXPECT_FALSE(budget("high", 1024).body.contains("thinking"));
  EXPECT_THAT(budget("high", 1024).dropped, testing::ElementsAre("reasoning_effort"));
  EXPECT_FALSE(budget("none", 5000).body.contains("thinking"));
}

TEST(ChatToAnthropic, A14_NoThinkingWithAForcedToolOrAnUnsignedToolLoop) {
  const auto forced = to_anthropic(ask({{"reasoning_effort", "high"},
                                        {"max_tokens", 9000},
                                        {"tools", Json::array({chat_tool("look")})},
                                        {"tool_choice", "required"}}),
                                   thinker());
  EXPECT_FALSE(forced.body.contains("thinking"));
  EXPECT_THAT(forced.dropped, testing::ElementsAre("reasoning_effort"));
  const auto unsigned_loop =
      to_anthropic({{"reasoning_effort", "high"},
                    {"max_tokens", 9000},
                    {"messages", {user_turn("go"), calls_turn({{"c1", "{}"}}), tool_turn("c1", "x")}}},
                   thinker());
  EXPECT_FALSE(unsigned_loop.body.contains("thinking"));
}

TEST(ChatToAnthropic, A15_T6_T7_SignedThinkingGoesBackFirstOverThreeTurns) {
  auto first = calls_turn({{"c1", "{}"}});
  first["reasoning_details"] = Json::parse(R"([
    {"type":"reasoning.text","text":"hm","signature":"sig-1","format":"anthropic-claude-v1","index":0},
    {"type":"reasoning.encrypted","data":"hidden","format":"anthropic-claude-v1","index":1}])");
  auto second = calls_turn({{"c2", "{}"}});
  second["content"] = "looking";
  second["thinking_blocks"] = Json::parse(R"([{"type":"thinking","thinking":"more","signature":"sig-2"},
    {"type":"redacted_thinking","data":"verbatim"}])");
  auto third = calls_turn({{"c3", "{}"}});
  third["reasoning_content"] = "nobody signed this";
  const auto out = to_anthropic({{"messages",
                                  {user_turn("go"), first, tool_turn("c1", "x"), second, tool_turn("c2", "y"),
                                   third, tool_turn("c3", "z")}}});
  const auto& messages = out.body["messages"];
  EXPECT_EQ(messages[1]["content"][0],
            Json::parse(R"({"type":"thinking","thinking":"hm","signature":"sig-1"})"));
  EXPECT_EQ(messages[1]["content"][1], Json::parse(R"({"type":"redacted_thinking","data":"hidden"})"));
  EXPECT_EQ(messages[3]["content"][0]["signature"], "sig-2");
  EXPECT_EQ(messages[3]["content"][1]["data"], "verbatim");
  EXPECT_EQ(messages[3]["content"][2]["text"], "looking");
  EXPECT_EQ(messages[5]["content"][0]["type"], "tool_use");
  EXPECT_THAT(out.dropped, testing::ElementsAre("messages[5].reasoning_content"));
}

TEST(ChatToAnthropic, A15_ThinkingThatAnotherProviderSignedStaysOut) {
  auto turn = calls_turn({{"c1", "{}"}});
  turn["reasoning_details"] = Json::parse(
      R"([{"type":"reasoning.text","text":"hm","signature":"theirs","format":"google-gemini-v1"}])");
  const auto out = to_anthropic({{"messages", {user_turn("go"), turn, tool_turn("c1", "x")}}});
  EXPECT_THAT(out.body.dump(), testing::Not(testing::HasSubstr("theirs")));
}

TEST(ChatToAnthropic, A16_SchemaLosesBoundsThatAreThenSaid) {
  const Json schema = Json::parse(R"({"type":"object","properties":{
    "n":{"type":"integer","minimum":1,"maximum":9,"description":"a digit"},
    "l":{"type":"array","minItems":2,"items":{"type":"string","maxLength":3}}}})");
  const auto body = ask(
      {{"response_format", {{"type", "json_schema"}, {"json_schema", {{"name", "x"}, {"schema", schema}}}}}});
  const auto out = to_anthropic(body);
  const auto& format = out.body["output_config"]["format"];
  EXPECT_EQ(format["type"], "json_schema");
  EXPECT_EQ(format["schema"]["properties"]["n"],
            Json::parse(R"j({"type":"integer","description":"a digit (minimum: 1, maximum: 9)"})j"));
  EXPECT_EQ(format["schema"]["properties"]["l"]["items"],
            Json::parse(R"j({"type":"string","description":"(maxLength: 3)"})j"));
  EXPECT_EQ(format["schema"]["additionalProperties"], false);
  EXPECT_EQ(anthropic::structured_schema(format["schema"]), format["schema"]) << "idempotent";
}

TEST(ChatToAnthropic, A16_ModelsWithoutFormatAnswerThroughAHiddenTool) {
  auto options = options_for("anthropic");
  options.target.structured_output = false;
  const auto body =
      ask({{"response_format",
            {{"type", "json_schema"}, {"json_schema", {{"name", "x"}, {"schema", {{"type", "object"}}}}}}}});
  const auto out = to_anthropic(body, options);
  EXPECT_EQ(out.body["tool_choice"]["name"], anthropic::kAnswerTool);
  EXPECT_EQ(out.body["tools"][0]["name"], anthropic::kAnswerTool);
  const auto reply = anthropic_dialect().decode_reply(Json::parse(R"({"content":[{"type":"tool_use","id":"t",
    "name":"assistiv_structured_answer","input":{"a":1}}],"stop_reason":"tool_use"})"));
  EXPECT_EQ(std::get<TextPart>(reply.choices[0].message.parts[0]).text, R"({"a":1})");
  EXPECT_EQ(reply.choices[0].finish, Finish::Stop);
}

TEST(ChatToAnthropic, A17_StopUserAndWhatHasNoForm) {
  const auto out = to_anthropic(ask({{"stop", "END"},
                                     {"user", "u-1"},
                                     {"n", 2},
                                     {"logprobs", true},
                                     {"seed", 1},
                                     {"frequency_penalty", 0.5},
                                     {"presence_penalty", 0},
                                     {"logit_bias", {{"1", 2}}}}));
  EXPECT_EQ(out.body["stop_sequences"], Json::array({"END"}));
  EXPECT_EQ(out.body["metadata"]["user_id"], "u-1");
  EXPECT_THAT(out.dropped,
              testing::UnorderedElementsAre("n", "logprobs", "seed", "frequency_penalty", "logit_bias"));
  for (const char* name : {"n", "seed", "logit_bias"}) {
    EXPECT_EQ(refused_field([&] {
                to_anthropic(ask({{name, name == std::string("logit_bias") ? Json::object() : Json(2)}}),
                             options_for("anthropic", Unsupported::Strict));
              }),
              std::string("/") + name);
  }
}

TEST(ChatToAnthropic, A18_BetaHeaderMergesWhatTheClientSentOnce) {
  auto options = options_for("anthropic");
  options.anthropic_beta = "b-1, files-api-2025-04-14,b-1";
  const auto request =
      anthropic_dialect().decode_request(Json::parse(R"({"model":"m","max_tokens":5,"messages":[
    {"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]})"));
  const auto out = anthropic_dialect().encode_request(request, options);
  EXPECT_EQ(out.headers.get("anthropic-beta"), "b-1,files-api-2025-04-14");
  EXPECT_EQ(out.headers.get("anthropic-version"), "2023-06-01");
  EXPECT_EQ(anthropic::merge_betas("", {}), "");
}

TEST(ChatToAnthropic, UnknownMembersAreListedOrRefusedNeverSilent) {
  Json body = ask({{"service_tier", "flex"}, {"metadata", {{"a", "b"}}}});
  body["messages"][0]["name"] = "ann";
  body["messages"].push_back(
      {{"role", "user"}, {"content", Json::array({{{"type", "video_url"}, {"video_url", "x"}}})}});
  EXPECT_THAT(to_anthropic(body).dropped,
              testing::UnorderedElementsAre("service_tier", "metadata", "messages[0].name",
                                            "messages[1].content[0]"));
}

TEST(ChatToAnthropic, LongOrOddCallIdsStayAPair) {
  const std::string odd = "functions.look:0" + std::string(80, 'x');
  const auto out =
      to_anthropic({{"messages", {user_turn("go"), calls_turn({{odd, "{}"}}), tool_turn(odd, "x")}}});
  const auto id = out.body["messages"][1]["content"][0]["id"].get<std::string>();
  EXPECT_LE(id.size(), 40U);
  EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"),
            std::string::npos);
  EXPECT_EQ(out.body["messages"][2]["content"][0]["tool_use_id"], id);
}

}  // namespace assistiv::inference::dialect_test
