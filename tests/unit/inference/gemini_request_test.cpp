// Rules G1 to G10, and what a request keeps on its way through Gemini's dialect.
#include "inference/gemini/gemini.h"
#include "support/dialect_fixture.h"

namespace assistiv::inference::dialect_test {

namespace {

namespace gemini_request {

EncodeOptions google(std::string model, Unsupported mode = Unsupported::Drop) {
  auto options = options_for("google", mode);
  options.target.name = std::move(model);
  return options;
}

EncodedRequest to_gemini(const Json& chat_members,
                         const EncodeOptions& options = google("gemini-2.5-flash")) {
  Json body = {{"model", "asked-model"}};
  body.update(chat_members);
  return gemini_dialect().encode_request(openai_chat_dialect().decode_request(body), options);
}

Json user(Json content) {
  return {{"role", "user"}, {"content", std::move(content)}};
}

Json calls(const std::vector<std::pair<std::string, std::string>>& ids) {
  Json list = Json::array();
  for (const auto& [id, name] : ids)
    list.push_back(
        {{"id", id}, {"type", "function"}, {"function", {{"name", name}, {"arguments", "{\"n\":1}"}}}});
  return {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", std::move(list)}};
}

Json answer(const std::string& id, const std::string& text) {
  return {{"role", "tool"}, {"tool_call_id", id}, {"content", text}};
}

Json tools() {
  return Json::array(
      {{{"type", "function"},
        {"function",
         {{"name", "look"},
          {"parameters", {{"type", "object"}, {"properties", {{"n", {{"type", "integer"}}}}}}}}}},
       {{"type", "function"}, {"function", {{"name", "now"}}}}});
}

Json messages(std::vector<Json> list) {
  return {{"messages", Json(std::move(list))}};
}

TEST(GeminiRequest, G1_system_goes_apart_and_roles_alternate) {
  const auto out = to_gemini(messages({{{"role", "system"}, {"content", "a"}},
                                       user("one"),
                                       user("two"),
                                       {{"role", "developer"}, {"content", "b"}},
                                       {{"role", "assistant"}, {"content", "yes"}}}));
  EXPECT_EQ(out.body["systemInstruction"], Json::parse(R"({"parts":[{"text":"a"},{"text":"b"}]})"));
  EXPECT_EQ(out.body["contents"], Json::parse(R"([{"role":"user","parts":[{"text":"one"},{"text":"two"}]},
      {"role":"model","parts":[{"text":"yes"}]}])"));
}

TEST(GeminiRequest, G2_results_stand_alone_and_a_picture_gets_a_text_beside_it) {
  const Json picture =
      Json::array({{{"type", "image_url"}, {"image_url", {{"url", "data:image/png;base64,AAAA"}}}}});
  const auto out =
      to_gemini(messages({user(picture), calls({{"a", "look"}}), answer("a", "7"), user("and?")}));
  const auto& contents = out.body["contents"];
  EXPECT_EQ(contents[0]["parts"],
            Json::parse(R"([{"inlineData":{"mimeType":"image/png","data":"AAAA"}},{"text":" "}])"));
  ASSERT_EQ(contents.size(), 4U);
  EXPECT_EQ(contents[2], Json::parse(R"({"role":"user","parts":[{"functionResponse":{"name":"look",
      "response":{"output":"7"}}}]})"));
  EXPECT_EQ(contents[3], Json::parse(R"({"role":"user","parts":[{"text":"and?"}]})"));
}

TEST(GeminiRequest, T1_G3_results_of_parallel_calls_take_the_order_of_the_calls) {
  const auto out = to_gemini(messages({user("x"), calls({{"a", "look"}, {"b", "now"}, {"c", "look"}}),
                                       answer("c", "3"), answer("a", "1"), answer("b", "2")}));
  const auto& parts = out.body["contents"][2]["parts"];
  ASSERT_EQ(parts.size(), 3U);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(parts[i]["functionResponse"]["response"]["output"], std::to_string(i + 1));
  EXPECT_EQ(parts[1]["functionResponse"]["name"], "now");
}

TEST(GeminiRequest, G3_a_failed_tool_says_so_and_a_result_without_a_name_is_refused) {
  Request request = gemini_dialect().decode_request(Json::parse(golden("gemini/client_request.json")));
  request.dialect = DialectId::Anthropic;
  request.extras.clear();
  ToolResultPart result;
  result.call_id = "g-1";
  result.is_error = true;
  result.parts.push_back(TextPart{"boom", {}});
  request.messages[3].parts = {result};
  const auto out = gemini_dialect().encode_request(request, google("gemini-2.5-flash"));
  EXPECT_EQ(out.body["contents"][2]["parts"][0]["functionResponse"],
            Json::parse(R"({"name":"weather","response":{"error":"boom"}})"));
  result.call_id = "unknown";
  request.messages[3].parts = {result};
  EXPECT_EQ(refused_field([&] { gemini_dialect().encode_request(request, google("gemini-2.5-flash")); }),
            "/contents/2/content/0");
}

TEST(GeminiRequest, G4_ids_of_others_are_not_told_and_its_own_are) {
  const auto foreign = to_gemini(messages({user("x"), calls({{"a", "look"}}), answer("a", "7")}));
  EXPECT_FALSE(foreign.body["contents"][1]["parts"][0]["functionCall"].contains("id"));
  const auto own = gemini_dialect().decode_request(Json::parse(golden("gemini/client_request.json")));
  const auto back = gemini_dialect().encode_request(own, google("gemini-2.5-flash"));
  EXPECT_EQ(back.body["contents"][1]["parts"][1]["functionCall"]["id"], "g-1");
  auto vertex = google("gemini-2.5-flash");
  vertex.target.flavor = "vertex";
  const auto without = gemini_dialect().encode_request(own, vertex);
  EXPECT_FALSE(without.body["contents"][1]["parts"][1]["functionCall"].contains("id"));
}

TEST(GeminiRequest, G4_calls_without_ids_pair_with_their_results_by_name_and_order) {
  const auto request = gemini_dialect().decode_request(Json::parse(R"({"contents":[
      {"role":"model","parts":[{"functionCall":{"name":"look","args":{"n":1}}},{"functionCall":{"name":"look"}}]},
      {"role":"user","parts":[{"functionResponse":{"name":"look","response":{"output":"1"}}},
                              {"functionResponse":{"name":"look","response":{"output":"2"}}}]}]})"));
  for (int i = 0; i < 2; ++i) {
    const auto& call = std::get<ToolCallPart>(request.messages[0].parts[i]);
    EXPECT_EQ(call.id, std::get<ToolResultPart>(request.messages[1].parts[i]).call_id);
    EXPECT_LE(call.id.size(), 40U);
  }
  EXPECT_NE(std::get<ToolCallPart>(request.messages[0].parts[0]).id,
            std::get<ToolCallPart>(request.messages[0].parts[1]).id);
}

TEST(GeminiRequest, G5_only_the_first_call_of_a_turn_gets_the_escape_and_only_for_gemini_3) {
  const Json body =
      messages({user("x"), calls({{"a", "look"}, {"b", "now"}}), answer("a", "1"), answer("b", "2")});
  const auto out = to_gemini(body, google("gemini-3-flash"));
  const auto& parts = out.body["contents"][1]["parts"];
  EXPECT_EQ(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
  EXPECT_FALSE(parts[1].contains("thoughtSignature"));
  EXPECT_FALSE(to_gemini(body).body["contents"][1]["parts"][0].contains("thoughtSignature"));
}

TEST(GeminiRequest, G6_all_functions_in_one_entry_with_the_schema_as_it_stands) {
  Json body = messages({user("x")});
  body["tools"] = tools();
  const auto out = to_gemini(body);
  ASSERT_EQ(out.body["tools"].size(), 1U);
  EXPECT_EQ(out.body["tools"][0]["functionDeclarations"],
            Json::parse(R"([{"name":"look","parametersJsonSchema":{"type":"object",
      "properties":{"n":{"type":"integer"}}}},{"name":"now"}])"));
  auto old = google("gemini-1.5-pro");
  old.target.json_schema_fields = false;
  EXPECT_TRUE(to_gemini(body, old).body["tools"][0]["functionDeclarations"][0].contains("parameters"));
}

TEST(GeminiRequest, G6_tool_choice_in_googles_words) {
  const auto chosen = [](const Json& choice) {
    Json body = messages({user("x")});
    body["tools"] = tools();
    body["tool_choice"] = choice;
    return to_gemini(body).body["toolConfig"]["functionCallingConfig"];
  };
  EXPECT_EQ(chosen("auto"), Json::parse(R"({"mode":"AUTO"})"));
  EXPECT_EQ(chosen("none"), Json::parse(R"({"mode":"NONE"})"));
  EXPECT_EQ(chosen("required"), Json::parse(R"({"mode":"ANY"})"));
  EXPECT_EQ(chosen(Json::parse(R"({"type":"function","function":{"name":"now"}})")),
            Json::parse(R"({"mode":"ANY","allowedFunctionNames":["now"]})"));
}

TEST(GeminiRequest, G7_sampling_and_what_has_no_form_is_named) {
  Json body = messages({user("x")});
  body.update(Json::parse(R"({"max_completion_tokens":9,"stop":["E"],"n":2,"seed":3,"presence_penalty":1,
      "frequency_penalty":0.5,"logprobs":true,"top_logprobs":2,"temperature":0.1,"top_p":0.9,"user":"u",
      "parallel_tool_calls":false,"logit_bias":{"1":1}})"));
  const auto out = to_gemini(body);
  EXPECT_EQ(out.body["generationConfig"],
            Json::parse(R"({"maxOutputTokens":9,"stopSequences":["E"],"candidateCount":2,"seed":3,
      "presencePenalty":1.0,"frequencyPenalty":0.5,"responseLogprobs":true,"logprobs":2,"temperature":0.1,
      "topP":0.9})"));
  EXPECT_THAT(out.dropped, testing::UnorderedElementsAre("user", "parallel_tool_calls", "logit_bias"));
  EXPECT_EQ(refused_field([&] { to_gemini(body, google("gemini-2.5-flash", Unsupported::Strict)); }),
            "/parallel_tool_calls");
}

TEST(GeminiRequest, G8_thinking_as_a_level_or_as_a_budget) {
  Json body = messages({user("x")});
  body["reasoning_effort"] = "high";
  const auto config = [&](const char* model) {
    return to_gemini(body, google(model)).body["generationConfig"]["thinkingConfig"];
  };
  EXPECT_EQ(config("gemini-3-flash")["thinkingLevel"], "high");
  EXPECT_EQ(config("gemini-2.5-flash")["thinkingBudget"], 24576);
  body["reasoning_effort"] = "minimal";
  EXPECT_EQ(config("gemini-3-flash")["thinkingLevel"], "minimal");
  EXPECT_EQ(config("gemini-3-pro-preview")["thinkingLevel"], "low");
  const auto old = to_gemini(body, google("gemini-2.0-flash"));
  EXPECT_FALSE(old.body.contains("generationConfig"));
  EXPECT_THAT(old.dropped, testing::Contains("reasoning_effort"));
}

TEST(GeminiRequest, T18_G9_an_http_picture_stays_a_url_and_is_listed_for_the_engine) {
  const Json content = Json::parse(R"([{"type":"text","text":"x"},
      {"type":"image_url","image_url":{"url":"http://169.254.169.254/latest"}},
      {"type":"image_url","image_url":{"url":"gs://bucket/a.png"}}])");
  auto request =
      openai_chat_dialect().decode_request({{"model", "m"}, {"messages", Json::array({user(content)})}});
  const auto remote = remote_media(request);
  ASSERT_EQ(remote.size(), 1U);
  EXPECT_EQ(remote[0]->url, "http://169.254.169.254/latest");
  auto out = gemini_dialect().encode_request(request, google("gemini-2.5-flash"));
  EXPECT_EQ(out.body["contents"][0]["parts"][1]["fileData"]["fileUri"], "http://169.254.169.254/latest");
  EXPECT_EQ(out.body["contents"][0]["parts"][2],
            Json::parse(R"({"fileData":{"mimeType":"image/png","fileUri":"gs://bucket/a.png"}})"));
  remote[0]->data = "QUJD";
  remote[0]->media_type = "image/webp";
  EXPECT_TRUE(remote_media(request).empty());
  out = gemini_dialect().encode_request(request, google("gemini-2.5-flash"));
  EXPECT_EQ(out.body["contents"][0]["parts"][1]["inlineData"],
            Json::parse(R"({"mimeType":"image/webp","data":"QUJD"})"));
}

TEST(GeminiRequest, G10_the_key_is_not_in_the_path_and_streams_are_sse) {
  Json body = messages({user("x")});
  EXPECT_EQ(to_gemini(body).path, "/models/gemini-2.5-flash:generateContent");
  body["stream"] = true;
  EXPECT_EQ(to_gemini(body).path, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
  EXPECT_EQ(to_gemini(body, google("tunedModels/a?b")).path,
            "/tunedModels/a%3Fb:streamGenerateContent?alt=sse");
}

TEST(GeminiRequest, T22_T23_a_clients_request_comes_back_whole) {
  const Json body = Json::parse(golden("gemini/client_request.json"));
  const auto out =
      gemini_dialect().encode_request(gemini_dialect().decode_request(body), google("gemini-2.5-flash"));
  EXPECT_EQ(out.body, body) << out.body.dump(1);
  EXPECT_TRUE(out.dropped.empty());
}

TEST(GeminiRequest, T23_snake_case_is_read_too) {
  const auto request =
      gemini_dialect().decode_request(Json::parse(R"({"system_instruction":{"parts":{"text":"s"}},
      "contents":[{"parts":[{"inline_data":{"mime_type":"image/png","data":"AAAA"}}]}],
      "generation_config":{"max_output_tokens":5,"response_mime_type":"application/json",
        "response_schema":{"type":"OBJECT"},"speech_config":{"x":1}}})"));
  EXPECT_EQ(request.max_output_tokens, 5);
  EXPECT_EQ(std::get<MediaPart>(request.messages[1].parts[0]).media_type, "image/png");
  EXPECT_EQ(request.response_format->schema, Json::parse(R"({"type":"object"})"));
  ASSERT_EQ(request.extras.size(), 1U);
  const auto out = gemini_dialect().encode_request(request, google("gemini-2.5-flash"));
  EXPECT_EQ(out.body["generationConfig"]["speech_config"]["x"], 1);
}

TEST(GeminiRequest, T24_to_responses_and_back_keeps_text_ids_and_arguments) {
  auto body = Json::parse(golden("gemini/client_request.json"));
  body["tools"].erase(1);
  body["contents"][4]["parts"].erase(1);
  const auto first = gemini_dialect().decode_request(body);
  const auto there = openai_responses_dialect().encode_request(first, options_for("openai"));
  const auto second = openai_responses_dialect().decode_request(there.body);
  const auto back = gemini_dialect().encode_request(second, google("gemini-2.5-flash"));
  EXPECT_EQ(std::get<ToolCallPart>(second.messages[2].parts[0]).id, "g-1");
  EXPECT_EQ(back.body["systemInstruction"], body["systemInstruction"]);
  EXPECT_EQ(back.body["contents"][0], body["contents"][0]);
  EXPECT_EQ(back.body["contents"][1]["parts"][0]["functionCall"]["args"]["city"], "Basel");
  EXPECT_EQ(back.body["contents"].back()["parts"][0]["text"], "Thanks");
}

TEST(GeminiRequest, a_tool_of_google_is_refused_elsewhere_and_bad_members_are_named) {
  const auto request = gemini_dialect().decode_request(Json::parse(golden("gemini/client_request.json")));
  EXPECT_EQ(refused_field([&] { openai_responses_dialect().encode_request(request, options_for("openai")); }),
            "/tools/1/googleSearch");
  const auto field = [](const char* body) {
    return refused_field([&] { gemini_dialect().decode_request(Json::parse(body)); });
  };
  EXPECT_EQ(field("{}"), "/contents");
  EXPECT_EQ(field(R"({"contents":[{"role":"robot","parts":[]}]})"), "/contents/0/role");
  EXPECT_EQ(field(R"({"contents":[{"parts":[{"functionCall":{"args":{}}}]}]})"),
            "/contents/0/parts/0/functionCall/name");
  EXPECT_EQ(field(R"({"contents":[{"parts":[]}],"generationConfig":{"topK":"x"}})"),
            "/generationConfig/topK");
}

}  // namespace gemini_request

}  // namespace

}  // namespace assistiv::inference::dialect_test
