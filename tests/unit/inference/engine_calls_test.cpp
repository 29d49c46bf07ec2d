// What is sent to which provider, and what the caller sees of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "inference/engine/body_edit.h"
#include "inference/providers/settings.h"
#include "support/engine_fakes.h"

namespace assistiv::inference::calls_test {
namespace {

using core::Json;
using core::OutboundFailure;
using test::EngineWorld;
using test::ScriptedReply;
using test::test_target;
using testing::HasSubstr;
using testing::Not;

// Odd spacing and unknown members on purpose: none of it may change.
const std::string kBody =
    R"({ "zeta":1, "model" : "asked-model","messages":[{"role":"user","content":"H\u00e4llo \"x\""}],"mystery":{"a":[1,2]}})";
const std::string kReply =
    R"({"id":"c1","object":"chat.completion","created":1,"model":"served-model","choices":[{"index":0,)"
    R"("message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"unknown":true,)"
    R"("usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}})";
const std::string kAnthropicReply =
    R"({"id":"msg_1","type":"message","role":"assistant","model":"served-model","content":[{"type":"text",)"
    R"("text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":5}})";
const std::string kStream =
    "data: "
    "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"x\":1,\"choices\":"
    "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n"
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":"
    "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const std::string kStreamUsage =
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],"
    "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}}\n\n";
const std::string kStreamDone = "data: [DONE]\n\n";

std::string streaming(const std::string& body) {
  return with_json_member(body, "stream", "true");
}

TEST(BodyEdit, changes_one_member_and_nothing_else) {
  EXPECT_EQ(with_json_member(R"({ "a" : 1 ,"model":"x", "b":{"model":"inner"}})", "model", "\"y\""),
            R"({ "a" : 1 ,"model":"y", "b":{"model":"inner"}})");
  EXPECT_EQ(with_json_member("{}", "a", "1"), R"({"a":1})");
  EXPECT_EQ(with_json_member(R"({"x":"}\"]"} )", "a", "true"), R"({"x":"}\"]","a":true} )");
  EXPECT_EQ(json_member(R"({"x":[{"a":2}],"a": null })", "a"), "null");
  EXPECT_EQ(json_member(R"({"x":[{"a":2}]})", "a"), std::nullopt);
  EXPECT_FALSE(plain_member_names(R"({"\u006dodel":"x"})"));
}

TEST(EngineCalls, a_hop_within_the_dialect_changes_only_the_model) {
  EngineWorld world;
  world.offer({test_target("one")});
  world.upstream.next(ScriptedReply::json(200, kReply));
  const auto reply = world.run(world.call(kBody));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, kReply);
  const auto sent = world.upstream.requests().at(0);
  EXPECT_EQ(sent.url, "https://one.example/v1/chat/completions");
  EXPECT_EQ(sent.headers.get("authorization"), "Bearer key-of-one");
  EXPECT_EQ(sent.body, with_json_member(kBody, "model", "\"served-model\""));
}

TEST(EngineCalls, a_body_that_hides_a_member_behind_escapes_is_written_anew) {
  EngineWorld world;
  world.offer({test_target("one")});
  world.upstream.next(ScriptedReply::json(200, kReply));
  const std::string sly = R"({"\u006dodel":"asked-model","messages":[{"role":"user","content":"x"}]})";
  EXPECT_EQ(world.run(world.call(sly)).status, 200);
  EXPECT_EQ(Json::parse(world.upstream.requests().at(0).body)["model"], "served-model");
}

TEST(EngineCalls, a_stream_within_the_dialect_passes_byte_by_byte_without_the_usage_nobody_asked_for) {
  EngineWorld world;
  world.offer({test_target("one")});
  const std::string all = kStream + kStreamUsage + kStreamDone;
  for (const std::size_t size : {std::size_t{1}, std::size_t{7}, all.size()}) {
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < all.size(); at += size) pieces.push_back(all.substr(at, size));
    world.upstream.next(ScriptedReply::sse(pieces));
    auto reply = world.run(world.call(streaming(kBody)));
    EXPECT_EQ(world.stream(reply), kStream + ": x-aig-cost-usd 0.00002\n\n" + kStreamDone);
  }
  const auto sent = Json::parse(world.upstream.requests().at(0).body);
  EXPECT_EQ(sent["stream_options"], Json({{"include_usage", true}}));
  EXPECT_EQ(world.ledger.settlements().size(), 3U);
  for (const auto& one : world.ledger.settlements()) EXPECT_EQ(one.cost.nanos, 20'000);
}

TEST(EngineCalls, the_usage_that_was_asked_for_stays) {
  EngineWorld world;
  world.offer({test_target("one")});
  world.upstream.next(ScriptedReply::sse({kStream + kStreamUsage + kStreamDone}));
  auto reply = world.run(
      world.call(with_json_member(streaming(kBody), "stream_options", R"({"include_usage":true})")));
  EXPECT_THAT(world.stream(reply), HasSubstr(kStreamUsage));
}

TEST(EngineCalls, tells_what_was_done_in_headers) {
  EngineWorld world;
  world.offer({test_target("one")});
  world.upstream.next(ScriptedReply::json(200, kReply));
  const auto reply = world.run(world.call(kBody));
  EXPECT_EQ(reply.headers.get("x-request-id"), "req_0123456789abcdef01234567");
  EXPECT_EQ(reply.headers.get("x-aig-provider"), "one");
  EXPECT_EQ(reply.headers.get("x-aig-model"), "served-model");
  EXPECT_EQ(reply.headers.get("x-aig-attempts"), "1");
  EXPECT_EQ(reply.headers.get("x-aig-cost-usd"), "0.00002");
  EXPECT_TRUE(reply.headers.get("x-aig-overhead-us"));
  EXPECT_EQ(world.rates.settled(), std::vector<std::int64_t>{15});
}

TEST(EngineCalls, another_dialect_is_translated_both_ways) {
  EngineWorld world;
  world.offer({test_target("claude", DialectId::Anthropic)});
  world.upstream.next(ScriptedReply::json(200, kAnthropicReply));
  const auto reply = world.run(world.call(kBody));
  ASSERT_EQ(reply.status, 200) << reply.body;
  const auto body = Json::parse(reply.body);
  EXPECT_EQ(body["choices"][0]["message"]["content"], "Hi");
  EXPECT_EQ(body["usage"]["total_tokens"], 15);
  const auto sent = world.upstream.requests().at(0);
  EXPECT_EQ(sent.url, "https://claude.example/v1/messages");
  EXPECT_EQ(sent.headers.get("x-api-key"), "key-of-claude");
  EXPECT_TRUE(sent.headers.get("anthropic-version"));
  EXPECT_EQ(Json::parse(sent.body)["max_tokens"], 1000);
  EXPECT_THAT(std::string(reply.headers.get("x-aig-dropped").value_or("")), HasSubstr("mystery"));
  EXPECT_EQ(world.ledger.settlements().at(0).cost.nanos, 20'000);
}

TEST(EngineCalls, holds_what_the_sent_bytes_can_cost_at_most) {
  EngineWorld world;
  world.offer({test_target("one")});
  world.upstream.next(ScriptedReply::json(200, kReply));
  world.run(world.call(with_json_member(kBody, "max_tokens", "50")));
  const auto admission = world.ledger.admissions().at(0);
  const auto bytes = static_cast<std::int64_t>(world.upstream.requests().at(0).body.size());
  EXPECT_GE(admission.bound.nanos, bytes * 1000 + 50 * 2000);
  EXPECT_GE(admission.token_bound, bytes + 50);
  EXPECT_LE(admission.lost_cost, admission.bound);
  EXPECT_EQ(admission.facts.model, "asked-model");
  EXPECT_EQ(admission.facts.provider_model, "served-model");
}

TEST(EngineCalls, a_picture_is_held_for_as_what_a_model_may_make_of_it_not_as_its_bytes) {
  EngineWorld world;
  world.offer({test_target("one")});
  const auto bound_of = [&](const std::string& part) {
    world.upstream.next(ScriptedReply::json(200, kReply));
    const auto reply = world.run(
        world.call(R"({"model":"asked-model","messages":[{"role":"user","content":[)" + part + "]}]}"));
    EXPECT_EQ(reply.status, 200) << reply.body;
    return world.ledger.admissions().back().token_bound;
  };
  const auto text = bound_of(R"({"type":"text","text":"Hi"})");
  EXPECT_GE(
      bound_of(R"({"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}})") - text,
      48'169);
  EXPECT_GE(bound_of(R"({"type":"file","file":{"filename":"a.pdf",)"
                     R"("file_data":"data:application/pdf;base64,JVBERg=="}})") -
                text,
            262'144);
}

TEST(EngineCalls, an_option_whose_price_nobody_knows_is_refused_and_nothing_is_sent) {
  EngineWorld world;
  world.offer({test_target("one")});
  for (const auto& [name, value] : {std::pair{"service_tier", "\"priority\""},
                                    {"service_tier", "\"flex\""},
                                    {"models", "[\"dear\"]"},
                                    {"service_tier", "1"},
                                    {"web_search_options", "{}"},
                                    {"mcp_servers", "[]"}}) {
    const auto reply = world.run(world.call(with_json_member(kBody, name, value)));
    EXPECT_EQ(reply.status, 400) << name << value;
    EXPECT_THAT(reply.body, HasSubstr(name));
  }
  EXPECT_TRUE(world.upstream.requests().empty());
  world.upstream.next(ScriptedReply::json(200, kReply));
  EXPECT_EQ(world.run(world.call(with_json_member(kBody, "service_tier", "\"default\""))).status, 200);
}

TEST(EngineCalls, limits_the_output_to_what_the_budget_can_pay) {
  EngineWorld world;
  world.offer({test_target("one")});
  world.ledger.set_available(core::NanoUsd{1'000'000});  // the input's bound and about 100 tokens of output
  const auto limit_sent = [&](const std::string& body, const char* member) {
    world.upstream.next(ScriptedReply::json(200, kReply));
    const auto reply = world.run(world.call(body));
    EXPECT_EQ(reply.status, 200) << reply.body;
    if (reply.status != 200) return std::int64_t{0};
    EXPECT_LE(world.ledger.admissions().back().bound.nanos, 1'000'000);
    return Json::parse(world.upstream.requests().back().body)[member].get<std::int64_t>();
  };
  // A limit that was lowered, and one that was put in.
  for (const auto limit : {limit_sent(with_json_member(kBody, "max_tokens", "5000"), "max_tokens"),
                           limit_sent(kBody, "max_completion_tokens")}) {
    EXPECT_LT(limit, 500);
    EXPECT_GE(limit, 16);
  }
}

TEST(EngineCalls, asks_for_the_least_when_other_nodes_hold_the_rest) {
  EngineWorld world;
  world.offer({test_target("one")});
  world.upstream.next(ScriptedReply::json(200, kReply));
  world.ledger.set_available(core::NanoUsd{1000});
  world.ledger.set_elsewhere(core::NanoUsd{900'000});
  const auto reply = world.run(world.call(with_json_member(kBody, "max_tokens", "5000")));
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(Json::parse(world.upstream.requests().at(0).body)["max_tokens"], 16);
}

TEST(EngineCalls, a_budget_that_is_gone_is_402_and_nothing_is_sent) {
  EngineWorld world;
  world.offer({test_target("one")});
  world.ledger.set_available(core::NanoUsd{1000});
  const auto reply = world.run(world.call(kBody));
  EXPECT_EQ(reply.status, 402);
  EXPECT_EQ(reply.headers.get("x-should-retry"), "false");
  EXPECT_EQ(Json::parse(reply.body)["error"]["code"], "wallet_insufficient");
  EXPECT_TRUE(world.upstream.requests().empty());
}

TEST(EngineCalls, a_price_that_nobody_knows_is_refused_unless_there_is_a_ceiling) {
  EngineWorld world;
  auto target = test_target("one");
  target->price = nullptr;
  world.offer({target});
  auto reply = world.run(world.call(kBody));
  EXPECT_EQ(reply.status, 422);
  EXPECT_EQ(Json::parse(reply.body)["error"]["code"], "unknown_price");
  EXPECT_TRUE(world.upstream.requests().empty());
  world.targets.settings.unknown_price =
      read_settings(R"({"unknown_price_ceiling":{"input":"3","output":"7.5"}})").inference->unknown_price;
  world.upstream.next(ScriptedReply::json(200, kReply));
  EXPECT_EQ(world.run(world.call(kBody)).status, 200);
  EXPECT_EQ(world.ledger.settlements().at(0).cost.nanos, 10 * 3000 + 5 * 7500);
  target->local = true;
  world.targets.settings.unknown_price.reset();
  world.upstream.next(ScriptedReply::json(200, kReply));
  EXPECT_EQ(world.run(world.call(kBody)).status, 200);
  EXPECT_EQ(world.ledger.settlements().at(1).cost.nanos, 0);
}

TEST(EngineCalls, on_premise_sends_nothing_to_what_is_not_local) {
  EngineWorld world;
  world.options.on_premise_only = true;
  world.offer({test_target("cloud")});
  const auto reply = world.run(world.call(kBody));
  EXPECT_EQ(reply.status, 403);
  EXPECT_TRUE(world.upstream.requests().empty());
  auto here = test_target("here");
  here->local = true;
  world.offer({test_target("cloud"), here});
  world.upstream.next(ScriptedReply::json(500, "{}"));
  world.upstream.next(ScriptedReply::json(200, kReply));
  EXPECT_EQ(world.run(world.call(kBody)).status, 200);
  for (const auto& sent : world.upstream.requests()) EXPECT_THAT(sent.url, HasSubstr("here.example"));
  EXPECT_TRUE(world.upstream.requests().at(0).allow_private);
}

TEST(EngineCalls, a_caller_who_stops_reading_holds_no_more_than_one_piece) {
  EngineWorld world;
  world.targets.settings.gone_grace_bytes = 100;
  world.offer({test_target("one")});
  std::vector<std::string> pieces(1000, kStream.substr(0, kStream.find("\n\n") + 2));
  world.upstream.next(ScriptedReply::sse(pieces));
  auto reply = world.run(world.call(streaming(kBody)));
  auto sink = std::make_shared<test::CollectingSink>();
  sink->writes_max = 1;
  world.stream(reply, sink);
  EXPECT_EQ(world.upstream.dropped(), 1);
  EXPECT_EQ(world.ledger.settlements().size(), 1U);
}

const std::string kWithImage =
    R"({"model":"asked-model","messages":[{"role":"user","content":[{"type":"text","text":"what"},)"
    R"({"type":"image_url","image_url":{"url":"http://pictures.example/cat.png"}}]}]})";

TEST(EngineCalls, fetches_an_image_for_a_provider_that_fetches_none) {
  EngineWorld world;
  world.offer({test_target("google", DialectId::Gemini)});
  core::OutboundResponse picture;
  picture.status = 200;
  picture.headers.add("content-type", "image/png");
  picture.body = "PNGBYTES";
  world.http.always("GET", "http://pictures.example/cat.png", [=](const auto&) { return picture; });
  world.upstream.next(ScriptedReply::json(
      200, R"({"candidates":[{"content":{"role":"model","parts":[{"text":"A cat"}]},"finishReason":"STOP"}],)"
           R"("usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":15}})"));
  const auto reply = world.run(world.call(kWithImage));
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_THAT(world.upstream.requests().at(0).body, HasSubstr(core::base64_encode("PNGBYTES")));
  EXPECT_EQ(world.upstream.requests().at(0).headers.get("x-goog-api-key"), "key-of-google");
}

TEST(EngineCalls, fetches_no_more_than_a_call_may_hold) {
  EngineWorld world;
  world.offer({test_target("google", DialectId::Gemini)});
  core::OutboundResponse picture;
  picture.status = 200;
  picture.headers.add("content-type", "image/png");
  picture.body = std::string(10 << 20, 'x');
  world.http.always("GET", "http://pictures.example/cat.png", [=](const auto&) { return picture; });
  const std::string image = R"({"type":"image_url","image_url":{"url":"http://pictures.example/cat.png"}})";
  const auto reply = world.run(world.call(R"({"model":"asked-model","messages":[{"role":"user","content":[)" +
                                          image + "," + image + "," + image + "]}]}"));
  EXPECT_EQ(reply.status, 400) << reply.body;
  EXPECT_EQ(world.http.requests().size(), 2U);
  EXPECT_TRUE(world.upstream.requests().empty());
}

TEST(EngineCalls, holds_for_the_larger_of_two_limits) {
  EngineWorld world;
  world.offer({test_target("one")});
  world.upstream.next(ScriptedReply::json(500, "{}"));
  world.run(world.call(R"({"model":"asked-model","max_completion_tokens":16,"max_tokens":900,)"
                       R"("messages":[{"role":"user","content":"Hello"}]})"));
  EXPECT_GE(world.ledger.admissions().at(0).token_bound, 900);
}

TEST(EngineCalls, an_image_that_the_guard_refuses_is_400) {
  EngineWorld world;
  world.offer({test_target("google", DialectId::Gemini)});
  world.http.always("GET", "http://pictures.example/cat.png",
                    test::FakeHttpClient::fails(OutboundFailure::Refused));
  EXPECT_EQ(world.run(world.call(kWithImage)).status, 400);
  EXPECT_TRUE(world.upstream.requests().empty());
  EXPECT_TRUE(world.ledger.admissions().empty());
}

TEST(EngineCalls, complete_and_open_give_the_canonical_form) {
  EngineWorld world;
  world.offer({test_target("claude", DialectId::Anthropic)});
  world.upstream.next(ScriptedReply::json(200, kAnthropicReply));
  const auto turn = world.io.run(world.service().complete(world.call(kBody)));
  EXPECT_EQ(turn.facts.cost.nanos, 20'000);
  EXPECT_EQ(turn.facts.attempts, 1);
  EXPECT_EQ(std::get<TextPart>(turn.reply.choices.at(0).message.parts.at(0)).text, "Hi");
  world.upstream.next(ScriptedReply::json(529, "{}"));
  world.targets.settings.attempts_max = 1;
  EXPECT_THROW(world.io.run(world.service().complete(world.call(kBody))), core::Error);
}

core::Task<std::vector<StreamEvent>> read_turn(InferenceService* service, InferenceCall call,
                                               core::NanoUsd* cost) {
  const auto stream = co_await service->open(std::move(call));
  std::vector<StreamEvent> all;
  while (auto events = co_await stream->next(std::chrono::seconds(5))) {
    if (events->empty()) break;
    for (auto& event : *events) all.push_back(std::move(event));
  }
  *cost = stream->facts().cost;
  co_return all;
}

TEST(EngineCalls, an_open_turn_streams_events_and_ends_with_its_cost) {
  EngineWorld world;
  world.offer({test_target("one")});
  world.upstream.next(ScriptedReply::sse({kStream + kStreamUsage + kStreamDone}));
  core::NanoUsd cost;
  const auto events = world.io.run(read_turn(&world.service(), world.call(kBody), &cost));
  ASSERT_FALSE(events.empty());
  EXPECT_TRUE(std::holds_alternative<StreamEnd>(events.back()));
  EXPECT_EQ(cost.nanos, 20'000);
  EXPECT_EQ(world.ledger.settlements().size(), 1U);
}

TEST(EngineCalls, forwards_embeddings_as_they_stand) {
  EngineWorld world;
  world.offer({test_target("claude", DialectId::Anthropic), test_target("one")});
  const std::string vectors =
      R"({"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":4,"total_tokens":4}})";
  world.upstream.next(ScriptedReply::json(200, vectors));
  ForwardCall forward;
  forward.call = world.call(kBody);
  forward.call.raw = R"({"input":"x","model":"asked-model"})";
  forward.path = "/embeddings";
  const auto reply = world.io.run(world.service().forward(std::move(forward)));
  EXPECT_EQ(reply.body, vectors);
  EXPECT_EQ(world.upstream.requests().at(0).url, "https://one.example/v1/embeddings");
  EXPECT_EQ(world.upstream.requests().at(0).body, R"({"input":"x","model":"served-model"})");
}

TEST(EngineCalls, vectors_are_no_output_tokens) {
  EngineWorld world;
  world.offer({test_target("one")});
  world.upstream.next(
      ScriptedReply::json(200, R"({"data":[{"embedding":[0.1,0.2]}],"usage":{"prompt_tokens":4}})"));
  ForwardCall forward;
  forward.call = world.call(kBody);
  forward.path = "/embeddings";
  const auto reply = world.io.run(world.service().forward(std::move(forward)));
  EXPECT_EQ(reply.headers.get("x-aig-cost-usd"), "0.000004");
  ASSERT_EQ(world.ledger.settlements().size(), 1U);
  EXPECT_EQ(core::total_tokens(world.ledger.settlements()[0].usage), 4);
  EXPECT_FALSE(world.ledger.settlements()[0].usage_estimated);
}

TEST(EngineCalls, tokens_that_no_provider_counts_are_estimated_and_cost_nothing) {
  EngineWorld world;
  world.offer({test_target("one")});
  for (const auto& [dialect, member] :
       {std::pair{DialectId::Anthropic, "input_tokens"}, std::pair{DialectId::Gemini, "totalTokens"}}) {
    ForwardCall forward;
    forward.call = world.call(kBody);
    forward.call.dialect = dialect;
    forward.path = "/count";
    forward.free = true;
    const auto reply = world.io.run(world.service().forward(std::move(forward)));
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(Json::parse(reply.body)[member], (kBody.size() + 3) / 4);
    EXPECT_EQ(reply.headers.get("x-aig-token-count"), "estimated");
    EXPECT_EQ(reply.headers.get("x-aig-attempts"), "0");
  }
  EXPECT_TRUE(world.upstream.requests().empty());
  EXPECT_TRUE(world.ledger.admissions().empty());
}

TEST(EngineCalls, a_caller_chooses_what_becomes_of_fields_that_cannot_be_carried) {
  EngineWorld world;
  world.offer({test_target("claude", DialectId::Anthropic)});
  const std::string seeded = R"({"model":"asked-model","seed":7,"messages":[{"role":"user","content":"x"}]})";
  const auto ask = [&](const std::string& wish) {
    world.upstream.next(ScriptedReply::json(200, kAnthropicReply));
    auto call = world.call(seeded);
    call.headers.set("x-aig-unsupported", wish);
    return world.run(std::move(call));
  };
  const auto strict = ask("strict");
  EXPECT_EQ(strict.status, 400);
  EXPECT_EQ(Json::parse(strict.body)["error"]["param"], "/seed");
  world.targets.settings.unsupported = Unsupported::Strict;
  EXPECT_EQ(ask("drop").headers.get("x-aig-dropped"), "seed");
  EXPECT_EQ(ask("perhaps").status, 400);
}

TEST(EngineCalls, an_error_of_a_turn_tells_what_was_tried) {
  EngineWorld world;
  world.targets.settings.attempts_max = 1;
  world.offer({test_target("one")});
  world.upstream.next(ScriptedReply::json(500, R"({"error":{"message":"broken"}})"));
  try {
    world.io.run(world.service().complete(world.call(kBody)));
    FAIL() << "nothing was thrown";
  } catch (const TurnError& error) {
    EXPECT_EQ(error.facts().attempts, 1);
    EXPECT_EQ(error.facts().provider, "one");
    ASSERT_TRUE(error.fault());
    EXPECT_EQ(error.fault()->kind, Fault::Kind::Upstream);
  }
  EXPECT_EQ(world.rates.settled(), std::vector<std::int64_t>{0});
}

}  // namespace
}  // namespace assistiv::inference::calls_test
