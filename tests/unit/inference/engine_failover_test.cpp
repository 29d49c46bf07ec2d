// Who is asked next after which failure (docs/inference.md; T11 to T14).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/engine_fakes.h"

namespace assistiv::inference::failover_test {
namespace {

using core::OutboundFailure;
using test::EngineWorld;
using test::ScriptedReply;
using test::test_target;
using testing::HasSubstr;

const std::string kAsk = R"({"model":"asked-model","messages":[{"role":"user","content":"Hello"}]})";
const std::string kAskStream =
    R"({"model":"asked-model","stream":true,"messages":[{"role":"user","content":"Hello"}]})";
const std::string kAnswer =
    R"({"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":)"
    R"({"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,)"
    R"("completion_tokens":5,"total_tokens":15}})";
const std::string kGoodStream =
    "data: {\"id\":\"c\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":"
    "\"assistant\",\"content\":\"fine\"},\"finish_reason\":null}]}\n\n"
    "data: {\"id\":\"c\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},"
    "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

std::string host_of(const core::UpstreamRequest& request) {
  const auto begin = request.url.find("//") + 2;
  return request.url.substr(begin, request.url.find('.', begin) - begin);
}

std::vector<std::string> asked(const EngineWorld& world) {
  std::vector<std::string> hosts;
  for (const auto& request : world.upstream.requests()) hosts.push_back(host_of(request));
  return hosts;
}
using Hosts = std::vector<std::string>;

std::string error_body(const std::string& message, const std::string& code = "") {
  return R"({"error":{"message":")" + message + R"(","type":"x","code":")" + code + R"("}})";
}

struct Failure {
  std::string name;
  ScriptedReply reply;
  bool goes_on;
  int status = 502;  // when it does not
};
void PrintTo(const Failure& failure, std::ostream* out) {
  *out << failure.name;
}

class Failover : public testing::TestWithParam<Failure> {};

TEST_P(Failover, goes_to_the_next_target_or_tells_the_caller) {
  for (const bool stream : {false, true}) {
    EngineWorld world;
    world.offer({test_target("first"), test_target("second")});
    world.upstream.next(GetParam().reply);
    world.upstream.next(stream ? ScriptedReply::sse({kGoodStream}) : ScriptedReply::json(200, kAnswer));
    auto reply = world.run(world.call(stream ? kAskStream : kAsk));
    if (GetParam().goes_on) {
      EXPECT_EQ(reply.status, 200) << reply.body;
      EXPECT_EQ(asked(world), (Hosts{"first", "second"}));
      EXPECT_EQ(reply.headers.get("x-aig-provider"), "second");
      EXPECT_EQ(reply.headers.get("x-aig-attempts"), "2");
      if (stream) {
        EXPECT_THAT(world.stream(reply), HasSubstr("fine"));
      }
    } else {
      EXPECT_EQ(reply.status, GetParam().status) << reply.body;
      EXPECT_EQ(asked(world), (Hosts{"first"}));
    }
    const std::size_t attempts = GetParam().goes_on ? 2 : 1;
    ASSERT_EQ(world.ledger.settlements().size(), attempts);
    EXPECT_EQ(world.ledger.settlements()[0].cost.nanos, 0);
    EXPECT_EQ(world.ledger.admissions().back().facts.attempt, static_cast<int>(attempts));
    EXPECT_EQ(world.ledger.lost(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, Failover,
    testing::Values(
        Failure{"s400", ScriptedReply::json(400, error_body("bad")), false, 400},
        Failure{"s401", ScriptedReply::json(401, error_body("key")), true},
        Failure{"s402", ScriptedReply::json(402, error_body("pay")), true},
        Failure{"s403", ScriptedReply::json(403, error_body("key")), true},
        Failure{"s404", ScriptedReply::json(404, error_body("no such model", "model_not_found")), true},
        Failure{"s408", ScriptedReply::json(408, error_body("slow")), true},
        Failure{"s409", ScriptedReply::json(409, error_body("conflict")), true},
        Failure{"s413", ScriptedReply::json(413, error_body("large")), false, 413},
        Failure{"s429", ScriptedReply::json(429, error_body("rate")), true},
        Failure{"s500", ScriptedReply::json(500, error_body("oops")), true},
        Failure{"s502", ScriptedReply::json(502, "<html>bad gateway</html>"), true},
        Failure{"s503", ScriptedReply::json(503, ""), true},
        Failure{"s504", ScriptedReply::json(504, "[]"), true},
        Failure{"s529", ScriptedReply::json(529, R"({"type":"error","error":{"type":"overloaded_error"}})"),
                true},
        Failure{"no_connection", ScriptedReply::failing(OutboundFailure::ConnectFailed), true},
        Failure{"reset", ScriptedReply::failing(OutboundFailure::Broken), true},
        Failure{"timeout", ScriptedReply::failing(OutboundFailure::Timeout), true}),
    [](const auto& info) { return info.param.name; });

TEST(FailoverRules, an_error_as_the_first_event_goes_on_and_a_later_one_does_not) {
  EngineWorld world;
  world.offer({test_target("first"), test_target("second")});
  world.upstream.next(
      ScriptedReply::sse({"data: {\"error\":{\"message\":\"overloaded\",\"code\":529}}\n\n"}));
  world.upstream.next(ScriptedReply::sse({kGoodStream}));
  auto reply = world.run(world.call(kAskStream));
  EXPECT_THAT(world.stream(reply), HasSubstr("fine"));
  EXPECT_EQ(asked(world), (Hosts{"first", "second"}));

  world.upstream.next(ScriptedReply::sse({kGoodStream.substr(0, kGoodStream.find("\n\n") + 2)}));
  reply = world.run(world.call(kAskStream));
  EXPECT_THAT(world.stream(reply), HasSubstr("\"error\""));
  EXPECT_EQ(asked(world).size(), 3U);
}

TEST(FailoverRules, a_refused_key_rests_while_the_other_serves) {
  EngineWorld world;
  world.offer({test_target("first"), test_target("second")});
  world.upstream.next(ScriptedReply::json(401, error_body("key")));
  for (int i = 0; i < 3; ++i) world.upstream.next(ScriptedReply::json(200, kAnswer));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(world.run(world.call(kAsk)).status, 200);
  EXPECT_EQ(asked(world), (Hosts{"first", "second", "second", "second"}));
}

TEST(FailoverRules, a_key_that_was_replaced_starts_anew) {
  EngineWorld world;
  auto target = test_target("first");
  world.offer({target});
  world.upstream.next(ScriptedReply::json(401, error_body("key")));
  EXPECT_EQ(world.run(world.call(kAsk)).status, 502);
  auto renewed = test_target("first");
  renewed->api_key = core::Secret("another");
  world.offer({renewed});
  world.upstream.next(ScriptedReply::json(200, kAnswer));
  EXPECT_EQ(world.run(world.call(kAsk)).status, 200);
}

TEST(FailoverRules, waits_as_long_as_the_only_provider_asks) {
  EngineWorld world;
  world.offer({test_target("only")});
  auto busy = ScriptedReply::json(429, error_body("rate"));
  busy.headers.add("retry-after-ms", "30");
  world.upstream.next(busy);
  world.upstream.next(ScriptedReply::json(200, kAnswer));
  EXPECT_EQ(world.run(world.call(kAsk)).status, 200);
  EXPECT_EQ(asked(world), (Hosts{"only", "only"}));
}

TEST(FailoverRules, a_long_wait_is_the_callers) {
  EngineWorld world;
  world.offer({test_target("only")});
  auto busy = ScriptedReply::json(429, error_body("rate"));
  busy.headers.add("retry-after", "120");
  world.upstream.next(busy);
  auto reply = world.run(world.call(kAsk));
  EXPECT_EQ(reply.status, 429);
  EXPECT_EQ(reply.headers.get("retry-after"), "120");
  // The next one is told at once, and the provider is left alone.
  reply = world.run(world.call(kAsk));
  EXPECT_EQ(reply.status, 503);
  EXPECT_TRUE(reply.headers.get("retry-after"));
  EXPECT_EQ(asked(world), (Hosts{"only"}));
}

TEST(FailoverRules, a_broken_provider_is_left_alone_and_the_caller_told_at_once) {
  EngineWorld world;
  world.targets.settings.attempts_max = 1;
  world.offer({test_target("only")});
  for (int i = 0; i < 5; ++i) {
    world.upstream.next(ScriptedReply::json(500, "{}"));
    EXPECT_EQ(world.run(world.call(kAsk)).status, 502);
  }
  const auto reply = world.run(world.call(kAsk));
  EXPECT_EQ(reply.status, 503);
  EXPECT_TRUE(reply.headers.get("retry-after"));
  EXPECT_EQ(asked(world).size(), 5U);
  EXPECT_EQ(world.ledger.settlements().size(), 5U);
}

TEST(FailoverRules, falls_back_to_another_model_when_the_prompt_is_too_long) {
  EngineWorld world;
  world.offer({test_target("first"), test_target("second")});
  TargetPlan::Model fallback{"longer-model", {test_target("third")}};
  world.targets.plan.models.push_back(fallback);
  world.upstream.next(
      ScriptedReply::json(400, R"({"error":{"message":"This model's maximum context length is 10 tokens.",)"
                               R"("type":"invalid_request_error","code":"context_length_exceeded"}})"));
  world.upstream.next(ScriptedReply::json(200, kAnswer));
  const auto reply = world.run(world.call(kAsk));
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(asked(world), (Hosts{"first", "third"}));
}

TEST(FailoverRules, stops_after_the_attempts_that_are_allowed) {
  EngineWorld world;
  world.targets.settings.attempts_max = 2;
  world.offer({test_target("a"), test_target("b"), test_target("c")});
  for (int i = 0; i < 3; ++i) world.upstream.next(ScriptedReply::json(500, "{}"));
  const auto reply = world.run(world.call(kAsk));
  EXPECT_EQ(reply.status, 502);
  EXPECT_EQ(asked(world), (Hosts{"a", "b"}));
  EXPECT_EQ(reply.headers.get("x-aig-attempts"), "2");
}

}  // namespace
}  // namespace assistiv::inference::failover_test
