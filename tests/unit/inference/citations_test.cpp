// Sources of a reply between the dialects, and the signatures that the engine keeps for clients that do not.
#include "inference/translate/citations.h"
#include "inference/engine/signature_memory.h"
#include "support/dialect_fixture.h"
#include "support/engine_fakes.h"

namespace assistiv::inference::dialect_test {

namespace {

namespace citations {

using std::chrono::hours;
using std::chrono::steady_clock;

const std::string kGrounded =
    R"({"candidates":[{"content":{"role":"model","parts":[{"text":"Grüße aus 東京 heute."}]},
  "finishReason":"STOP","groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a.example","title":"A"}},
  {"web":{"uri":"https://b.example","title":"B"}}],"groundingSupports":[{"segment":{"startIndex":12,"endIndex":18,
  "text":"東京"},"groundingChunkIndices":[0,1]}],"searchEntryPoint":{"renderedContent":"x"}}}],"responseId":"r"})";

Json annotations_of(const Json& reply) {
  return reply["choices"][0]["message"].value("annotations", Json::array());
}

TEST(Citations, gemini_counts_bytes_and_openai_characters) {
  const auto reply = gemini_dialect().decode_reply(Json::parse(kGrounded));
  const auto chat = annotations_of(openai_chat_dialect().encode_reply(reply, context_for_test()));
  ASSERT_EQ(chat.size(), 2U);
  EXPECT_EQ(chat[0],
            Json::parse(R"({"type":"url_citation","url_citation":{"url":"https://a.example","title":"A",
    "start_index":10,"end_index":12}})"));
  EXPECT_EQ(chat[1]["url_citation"]["url"], "https://b.example");
  const auto responses = openai_responses_dialect().encode_reply(reply, context_for_test());
  EXPECT_EQ(responses["output"][0]["content"][0]["annotations"][0]["end_index"], 12);
  const auto back =
      gemini_dialect().encode_reply(openai_responses_dialect().decode_reply(responses), context_for_test());
  const auto& segment = back["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"];
  EXPECT_EQ(segment, Json::parse(R"({"startIndex":12,"endIndex":18,"text":"東京"})"));
}

TEST(Citations, what_a_client_cannot_be_told_is_listed) {
  const auto reply = gemini_dialect().decode_reply(Json::parse(kGrounded));
  EXPECT_THAT(left_out_for(DialectId::OpenAiChat, reply),
              testing::ElementsAre("reply.groundingMetadata.searchEntryPoint"));
  EXPECT_THAT(left_out_for(DialectId::Anthropic, reply),
              testing::UnorderedElementsAre("reply.groundingMetadata.searchEntryPoint", "reply.citations"));
}

TEST(Citations, a_stream_has_them_too_where_its_client_has_a_place) {
  const auto wire = "data: " + Json::parse(kGrounded).dump() + "\n\n";
  const auto events = decode_stream(gemini_dialect(), wire);
  Json annotations = Json::array();
  for (const auto& frame : frames(encode_stream(openai_chat_dialect(), events)))
    if (frame.is_object() && !frame["choices"].empty())
      for (const auto& one : frame["choices"][0]["delta"].value("annotations", Json::array()))
        annotations.push_back(one);
  ASSERT_EQ(annotations.size(), 2U);
  EXPECT_EQ(annotations[0]["url_citation"]["start_index"], 10);
  // Told again by chat, Responses and Gemini, they stay where they were.
  for (const auto* dialect : {&openai_chat_dialect(), &openai_responses_dialect(), &gemini_dialect()}) {
    const auto told = decode_stream(*dialect, encode_stream(*dialect, events));
    const auto again = frames(encode_stream(gemini_dialect(), told)).back();
    const auto& grounding = again["candidates"][0]["groundingMetadata"];
    EXPECT_EQ(grounding["groundingChunks"].size(), 2U) << to_string(dialect->id());
    EXPECT_EQ(grounding["groundingSupports"][0]["segment"]["text"], "東京") << to_string(dialect->id());
  }
}

TEST(Citations, a_segment_beyond_the_text_ends_with_it) {
  auto body = Json::parse(kGrounded);
  auto& support = body["candidates"][0]["groundingMetadata"]["groundingSupports"][0];
  support["segment"] = Json::parse(R"({"startIndex":4000,"endIndex":2})");
  support["groundingChunkIndices"] = Json::parse(R"([0,9,-1,"x"])");
  const auto reply = gemini_dialect().decode_reply(body);
  const auto& text = std::get<TextPart>(reply.choices[0].message.parts[0]);
  ASSERT_EQ(text.citations.size(), 1U);
  EXPECT_EQ(text.citations[0].start, characters(text.text));
}

// ---- signatures ----

Request history(const std::string& id, const std::string& signature = "") {
  Request out;
  ToolCallPart call;
  call.id = id;
  call.name = "look";
  call.signature = signature;
  out.messages.emplace_back().parts.emplace_back(std::move(call));
  return out;
}

std::string signature_in(const Request& request) {
  return std::get<ToolCallPart>(request.messages[0].parts[0]).signature;
}

ToolCallPart signed_call(const std::string& id, const std::string& signature) {
  return std::get<ToolCallPart>(history(id, signature).messages[0].parts[0]);
}

TEST(SignatureMemory, gives_a_call_its_signature_back_to_its_owner_only_and_for_an_hour) {
  SignatureMemory memory(1 << 20);
  const auto now = steady_clock::now();
  memory.remember("p1/u1", signed_call("call_1", "sig"), now);
  auto mine = history("call_1");
  memory.recall("p1/u1", mine, now);
  EXPECT_EQ(signature_in(mine), "sig");
  auto kept = history("call_1", "own");
  memory.recall("p1/u1", kept, now);
  EXPECT_EQ(signature_in(kept), "own");
  for (const auto& [owner, at] : {std::pair{"p1/u2", now}, {"p2/u1", now}, {"p1/u1", now + hours(2)}}) {
    auto other = history("call_1");
    memory.recall(owner, other, at);
    EXPECT_EQ(signature_in(other), "") << owner;
  }
}

TEST(SignatureMemory, forgets_the_oldest_when_it_is_full) {
  SignatureMemory memory(10'000);
  const auto now = steady_clock::now();
  for (int i = 0; i < 100; ++i)
    memory.remember("p", signed_call("call_" + std::to_string(i), std::string(500, 's')), now);
  auto first = history("call_0");
  memory.recall("p", first, now);
  EXPECT_EQ(signature_in(first), "");
  auto last = history("call_99");
  memory.recall("p", last, now);
  EXPECT_EQ(signature_in(last), std::string(500, 's'));
  memory.remember("p", signed_call("call_huge", std::string(1 << 20, 's')), now);
  memory.recall("p", last, now);
  EXPECT_EQ(signature_in(last), std::string(500, 's'));
}

// A client that keeps nothing but what its dialect defines.
std::string next_turn(const std::string& id) {
  return Json{
      {"model", "asked-model"},
      {"messages",
       {{{"role", "user"}, {"content", "hi"}},
        {{"role", "assistant"},
         {"content", nullptr},
         {"tool_calls",
          {{{"id", id}, {"type", "function"}, {"function", {{"name", "look"}, {"arguments", "{}"}}}}}}},
        {{"role", "tool"}, {"tool_call_id", id}, {"content", "done"}}}}}
      .dump();
}

TEST(SignatureMemory, G5_the_engine_keeps_what_the_client_left_out) {
  const std::string called =
      R"({"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"look","args":{}},)"
      R"("thoughtSignature":"c2ln"}]},"finishReason":"STOP"}],"responseId":"abc"})";
  for (const bool streamed : {false, true}) {
    test::EngineWorld world;
    auto target = test::test_target("google", DialectId::Gemini);
    target->model.name = "gemini-3-flash";
    world.offer({target});
    Json ask = {{"model", "asked-model"}, {"messages", {{{"role", "user"}, {"content", "hi"}}}}};
    if (streamed) ask["stream"] = true;
    world.upstream.next(streamed ? test::ScriptedReply::sse({"data: " + called + "\n\n"})
                                 : test::ScriptedReply::json(200, called));
    auto reply = world.run(world.call(ask.dump()));
    if (streamed) world.stream(reply);
    for (const std::string id : {"call_abc_0", "call_other"}) {
      world.upstream.next(test::ScriptedReply::json(200, called));
      world.run(world.call(next_turn(id)));
      const auto sent = Json::parse(world.upstream.requests().back().body);
      EXPECT_EQ(sent["contents"][1]["parts"][0]["thoughtSignature"],
                id == "call_abc_0" ? "c2ln" : "skip_thought_signature_validator")
          << sent.dump(1);
    }
  }
}

}  // namespace citations

}  // namespace

}  // namespace assistiv::inference::dialect_test
