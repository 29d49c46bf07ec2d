// Rule 5.6: requests of a Responses client, and requests to a Responses provider.
#include "inference/openai_responses/response_object.h"
#include "support/dialect_fixture.h"

namespace assistiv::inference::dialect_test {

namespace {

namespace responses_request {

const Dialect& responses() {
  return openai_responses_dialect();
}

Request decoded(const char* members) {
  Json body = {{"model", "asked-model"}};
  body.update(Json::parse(members));
  return responses().decode_request(body);
}

std::string field_of(const char* body) {
  return refused_field([&] { responses().decode_request(Json::parse(body)); });
}

TEST(ResponsesRequest, instructions_and_a_string_are_a_system_and_a_user_message) {
  const auto request = decoded(R"({"instructions":"s","input":"hi","max_output_tokens":16,"stream":true})");
  ASSERT_EQ(request.messages.size(), 2U);
  EXPECT_EQ(request.messages[0].role, Role::System);
  EXPECT_EQ(std::get<TextPart>(request.messages[1].parts[0]).text, "hi");
  EXPECT_EQ(request.max_output_tokens, 16);
  EXPECT_TRUE(request.stream);
}

TEST(ResponsesRequest, items_become_turns_and_pair_by_call_id) {
  const auto request =
      responses().decode_request(Json::parse(golden("openai_responses/client_request.json")));
  ASSERT_EQ(request.messages.size(), 6U);
  const auto& turn = request.messages[2];
  EXPECT_EQ(turn.role, Role::Assistant);
  ASSERT_EQ(turn.parts.size(), 3U);
  EXPECT_EQ(std::get<ThinkingPart>(turn.parts[0]).redacted, "gAAA-enc");
  EXPECT_EQ(std::get<ToolCallPart>(turn.parts[1]).id, "call_A");
  EXPECT_EQ(std::get<ToolResultPart>(request.messages[3].parts[0]).call_id, "call_B");
  ASSERT_EQ(request.tools.size(), 2U);
  EXPECT_EQ(request.tools[1].name, "chatty");
  EXPECT_EQ(request.tool_choice->allowed, std::vector<std::string>{"weather"});
  EXPECT_EQ(request.response_format->name, "answer");
  EXPECT_TRUE(request.reasoning->include);
}

TEST(ResponsesRequest, T23_unknown_members_are_kept_and_mcp_tools_wait_for_the_door) {
  auto request = responses().decode_request(Json::parse(golden("openai_responses/client_request.json")));
  std::vector<std::string> paths;
  for (const auto& extra : request.extras) paths.push_back(extra.path);
  EXPECT_THAT(paths,
              testing::UnorderedElementsAre("/input/1", "/tools/0", "/text/verbosity", "/include/1",
                                            "/metadata", "/truncation", "/previous_response_id", "/store"));
  EXPECT_EQ(take_extra(request, "/tools/0")["server_label"], "s");
  EXPECT_EQ(take_extra(request, "/previous_response_id"), "resp_0");
  EXPECT_TRUE(take_extra(request, "/previous_response_id").is_null());
}

TEST(ResponsesRequest, T22_T23_a_clients_request_comes_back_whole) {
  Json body = Json::parse(golden("openai_responses/client_request.json"));
  auto options = options_for("openai");
  options.target.name = "asked-model";
  const auto out = responses().encode_request(responses().decode_request(body), options);
  // Said in another way, with the same meaning.
  body["tools"][2] =
      Json::parse(R"({"type":"function","name":"chatty","parameters":{"type":"object","properties":{}}})");
  for (auto& item : body["input"]) {
    if (item.contains("role")) item["type"] = "message";
    if (item["type"] == "function_call") item.erase("id");
  }
  body["input"][6]["output"] = "11";
  body["input"][7]["content"][0].erase("annotations");
  body["input"][8]["content"] = Json::parse(R"([{"type":"input_text","text":"Thanks"}])");
  EXPECT_EQ(out.body, body) << Json::diff(body, out.body).dump(1);
  EXPECT_TRUE(out.dropped.empty());
}

TEST(ResponsesRequest, the_chat_forms_of_the_seed_are_read) {
  const auto request =
      decoded(R"({"input":"x","response_format":{"type":"json_schema","json_schema":{"name":"n",
      "schema":{"type":"object"},"strict":true}},"tool_choice":{"type":"function","function":{"name":"f"}},
      "tools":[{"type":"function","function":{"name":"f","strict":true,"other":1}}]})");
  EXPECT_EQ(request.response_format->kind, ResponseFormat::Kind::JsonSchema);
  EXPECT_EQ(request.tool_choice->name, "f");
  EXPECT_EQ(request.tools[0].strict, true);
  ASSERT_EQ(request.extras.size(), 1U);
  EXPECT_EQ(request.extras[0].path, "/tools/0/function/other");
  EXPECT_EQ(decoded(R"({"input":"x","response_format":{"type":"json_object"}})").response_format->kind,
            ResponseFormat::Kind::JsonObject);
}

TEST(ResponsesRequest, a_server_tool_is_refused_by_every_other_provider) {
  const auto request = decoded(R"({"input":"x","tools":[{"type":"web_search"}]})");
  EXPECT_EQ(refused_field([&] { gemini_dialect().encode_request(request, options_for("google")); }),
            "/tools/0");
  EXPECT_EQ(refused_field([&] { anthropic_dialect().encode_request(request, options_for("anthropic")); }),
            "/tools/0");
  EXPECT_EQ(responses().encode_request(request, options_for("openai")).body["tools"],
            Json::parse(R"([{"type":"web_search"}])"));
}

TEST(ResponsesRequest, faults_name_the_member) {
  EXPECT_EQ(field_of(R"({"input":"x"})"), "/model");
  EXPECT_EQ(field_of(R"({"model":"m"})"), "/input");
  EXPECT_EQ(field_of(R"({"model":"m","input":[{"role":"robot","content":"x"}]})"), "/input/0/role");
  EXPECT_EQ(field_of(R"({"model":"m","input":[{"type":"function_call","name":"x"}]})"), "/input/0/call_id");
  EXPECT_EQ(field_of(R"({"model":"m","input":[7]})"), "/input/0");
  EXPECT_EQ(field_of(R"({"model":"m","input":"x","temperature":3})"), "/temperature");
  EXPECT_EQ(field_of(R"({"model":"m","input":"x","tools":[{"type":"function"}]})"), "/tools/0/name");
}

TEST(ResponsesRequest, a_chat_request_is_told_in_items_and_what_has_no_form_is_named) {
  const auto request = openai_chat_dialect().decode_request(Json::parse(R"({"model":"m","stop":["E"],"seed":1,
      "messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"},
        {"role":"assistant","content":"ok","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":""}}]},
        {"role":"tool","tool_call_id":"c1","content":"r"}],
      "tools":[{"type":"function","function":{"name":"f"}}],"max_tokens":20})"));
  const auto out = responses().encode_request(request, options_for("openai"));
  EXPECT_EQ(out.path, "/responses");
  EXPECT_EQ(out.body["instructions"], "s");
  EXPECT_EQ(out.body["store"], false);
  EXPECT_EQ(out.body["max_output_tokens"], 20);
  EXPECT_EQ(out.body["input"], Json::parse(R"([
      {"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]},
      {"type":"message","role":"assistant","content":[{"type":"output_text","text":"ok"}]},
      {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
      {"type":"function_call_output","call_id":"c1","output":"r"}])"));
  EXPECT_EQ(out.body["tools"][0]["strict"], false);
  EXPECT_THAT(out.dropped, testing::UnorderedElementsAre("stop", "seed"));
  EXPECT_EQ(
      refused_field([&] { responses().encode_request(request, options_for("openai", Unsupported::Strict)); }),
      "/seed");
}

TEST(ResponsesRequest, T24_to_gemini_and_back_keeps_text_ids_and_arguments) {
  Json body = Json::parse(golden("openai_responses/client_request.json"));
  body["tools"].erase(0);
  body["input"].erase(1);
  const auto first = responses().decode_request(body);
  auto options = options_for("google");
  options.target.name = "gemini-2.5-flash";
  auto there = gemini_dialect().encode_request(first, options);
  EXPECT_THAT(there.dropped, testing::IsSupersetOf({"metadata", "truncation", "store", "text.verbosity"}));
  auto second = gemini_dialect().decode_request(there.body);
  second.model = "asked-model";
  const auto& calls = second.messages[2].parts;
  EXPECT_EQ(std::get<ToolCallPart>(calls[0]).arguments, R"({"city":"Basel"})");
  EXPECT_EQ(std::get<ToolResultPart>(second.messages[3].parts[0]).call_id,
            std::get<ToolCallPart>(calls[0]).id);
  const auto back = responses().encode_request(second, options_for("openai"));
  EXPECT_EQ(back.body["instructions"], "Be brief.");
  EXPECT_EQ(back.body["input"].back()["content"][0]["text"], "Thanks");
}

}  // namespace responses_request

}  // namespace

}  // namespace assistiv::inference::dialect_test
