// Every way a call can end settles its hold exactly once, and bills what it should (docs/billing.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "inference/engine/live_stream.h"
#include "support/engine_fakes.h"

namespace assistiv::inference::exits_test {
namespace {

using billing::CallOutcome;
using core::OutboundFailure;
using test::EngineWorld;
using test::ScriptedReply;
using testing::HasSubstr;
using testing::Not;

const std::string kBody = R"({"model":"asked-model","messages":[{"role":"user","content":"Hello"}]})";
const std::string kStreamBody =
    R"({"model":"asked-model","stream":true,"messages":[{"role":"user","content":"Hello"}]})";

const std::string kReply =
    R"({"id":"c1","object":"chat.completion","created":1,"model":"served-model","choices":[{"index":0,)"
    R"("message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}})";

std::string chunk(const std::string& delta, const std::string& finish = "null") {
  return R"(data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"served-model","choices":[)"
         R"({"index":0,"delta":)" +
         delta + R"(,"finish_reason":)" + finish + "}]}\n\n";
}
const std::string kRole = chunk(R"({"role":"assistant","content":""})");
const std::string kText = chunk(R"({"content":"Hi there, hello"})");
const std::string kStop = chunk("{}", "\"stop\"");
const std::string kUsage =
    R"(data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"served-model","choices":[],)"
    R"("usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}})"
    "\n\n";
const std::string kDone = "data: [DONE]\n\n";

ScriptedReply broken_stream(std::vector<std::string> pieces, OutboundFailure failure) {
  auto reply = ScriptedReply::sse(std::move(pieces));
  reply.breaks = failure;
  return reply;
}

struct Exit {
  std::string name;
  bool stream;
  ScriptedReply reply;
  int client_status;  // of the head
  CallOutcome outcome;
  std::int64_t cost;             // nano-USD; -1: something estimated, more than nothing
  int client_leaves_after = -1;  // writes
  bool our_fault = false;        // an exception on the way to the caller
};

void PrintTo(const Exit& exit, std::ostream* out) {
  *out << exit.name;
}

class Exits : public testing::TestWithParam<Exit> {};

TEST_P(Exits, settle_once) {
  const Exit& exit = GetParam();
  EngineWorld world;
  world.targets.settings.attempts_max = 1;
  world.targets.settings.gone_grace = std::chrono::milliseconds(50);
  world.offer({test::test_target("one")});
  world.upstream.next(exit.reply);
  {
    auto reply = world.run(world.call(exit.stream ? kStreamBody : kBody));
    EXPECT_EQ(reply.status, exit.client_status) << reply.body;
    if (reply.stream) {
      auto sink = std::make_shared<test::CollectingSink>();
      if (exit.client_leaves_after >= 0) sink->writes_max = exit.client_leaves_after;
      sink->throws = exit.our_fault;
      if (exit.our_fault) {
        EXPECT_THROW(world.stream(reply, sink), core::Error);
        reply.stream = nullptr;
      } else {
        world.stream(reply, sink);
      }
    }
  }
  const auto settled = world.ledger.settlements();
  ASSERT_EQ(settled.size(), 1U);
  EXPECT_EQ(world.ledger.lost(), 0);
  EXPECT_EQ(world.ledger.settled_twice(), 0);
  EXPECT_EQ(settled[0].outcome, exit.outcome) << billing::to_string(settled[0].outcome);
  if (exit.cost >= 0) {
    EXPECT_EQ(settled[0].cost.nanos, exit.cost);
  } else {
    EXPECT_GT(settled[0].cost.nanos, 0);
    EXPECT_TRUE(settled[0].usage_estimated);
  }
  EXPECT_LE(settled[0].cost, world.ledger.admissions()[0].bound);
}

ScriptedReply hanging(std::vector<std::string> pieces) {
  auto reply = ScriptedReply::sse(std::move(pieces));
  reply.hangs = true;
  return reply;
}

// 10 input tokens at 1,000 and 5 output tokens at 2,000 nano-USD.
constexpr std::int64_t kFull = 20'000;

INSTANTIATE_TEST_SUITE_P(
    Table, Exits,
    testing::Values(
        Exit{"success", false, ScriptedReply::json(200, kReply), 200, CallOutcome::Success, kFull},
        Exit{"success_stream", true, ScriptedReply::sse({kRole + kText, kStop + kUsage + kDone}), 200,
             CallOutcome::Success, kFull},
        Exit{"no_usage", false,
             ScriptedReply::json(200, R"({"choices":[{"message":{"role":"assistant","content":"Hi"},)"
                                      R"("finish_reason":"stop"}]})"),
             200, CallOutcome::Success, -1},
        Exit{"no_usage_stream", true, ScriptedReply::sse({kRole + kText + kStop + kDone}), 200,
             CallOutcome::Success, -1},
        Exit{"upstream_400", false,
             ScriptedReply::json(400, R"({"error":{"message":"bad","type":"invalid_request_error"}})"), 400,
             CallOutcome::UpstreamError, 0},
        Exit{"upstream_401", false, ScriptedReply::json(401, R"({"error":{"message":"no"}})"), 502,
             CallOutcome::UpstreamError, 0},
        Exit{"upstream_500", false, ScriptedReply::json(500, "oops"), 502, CallOutcome::UpstreamError, 0},
        Exit{"upstream_529", true, ScriptedReply::json(529, R"({"error":{"message":"busy"}})"), 503,
             CallOutcome::UpstreamError, 0},
        Exit{"html", false, ScriptedReply::json(200, "<html>hello</html>"), 502, CallOutcome::UpstreamError,
             0},
        Exit{"half_json", false, ScriptedReply::json(200, R"({"choices":[)"), 502, CallOutcome::UpstreamError,
             0},
        Exit{"error_in_200", false, ScriptedReply::json(200, R"({"error":{"message":"x","code":500}})"), 502,
             CallOutcome::UpstreamError, 0},
        Exit{"error_in_200_with_usage", false,
             ScriptedReply::json(200, R"({"error":{"message":"x","code":500},"usage":{"prompt_tokens":10,)"
                                      R"("completion_tokens":5,"total_tokens":15}})"),
             502, CallOutcome::UpstreamError, kFull},
        Exit{"no_connection", false, ScriptedReply::failing(OutboundFailure::ConnectFailed), 502,
             CallOutcome::UpstreamError, 0},
        Exit{"no_head_in_time", false, ScriptedReply::failing(OutboundFailure::Timeout), 504,
             CallOutcome::UpstreamError, 0},
        Exit{"reset_in_body", false,
             [] {
               auto reply = ScriptedReply::json(200, kReply.substr(0, 40));
               reply.breaks = OutboundFailure::Broken;
               return reply;
             }(),
             502, CallOutcome::UpstreamError, 0},
        Exit{"error_as_first_event", true,
             ScriptedReply::sse({"data: {\"error\":{\"message\":\"no\",\"code\":500}}\n\n"}), 502,
             CallOutcome::UpstreamError, 0},
        Exit{"truncated_before_first_byte", true, ScriptedReply::sse({}), 502, CallOutcome::UpstreamError, 0},
        Exit{"error_mid_stream", true,
             ScriptedReply::sse({kRole + kText, "data: {\"error\":{\"message\":\"no\",\"code\":500}}\n\n"}),
             200, CallOutcome::StreamError, -1},
        Exit{"truncated_mid_text", true, ScriptedReply::sse({kRole, kText}), 200, CallOutcome::Truncated, -1},
        Exit{"reset_mid_text", true, broken_stream({kRole, kText}, OutboundFailure::Broken), 200,
             CallOutcome::Truncated, -1},
        Exit{"idle_timeout_mid_text", true, broken_stream({kRole, kText}, OutboundFailure::Timeout), 200,
             CallOutcome::Timeout, -1},
        Exit{"client_gone_usage_within_grace", true,
             ScriptedReply::sse({kRole + kText, kStop + kUsage + kDone}), 200, CallOutcome::Success, kFull,
             1},
        Exit{"client_gone_no_usage", true, hanging({kRole + kText}), 200, CallOutcome::ClientGone, -1, 0},
        Exit{"exception_of_ours", true, hanging({kRole + kText}), 200, CallOutcome::ClientGone, -1, -1,
             true}),
    [](const auto& info) { return info.param.name; });

TEST(EngineExits, a_caller_who_leaves_before_the_head_cancels_the_provider) {
  EngineWorld world;
  world.offer({test::test_target("one")});
  ScriptedReply hangs;
  hangs.hangs = true;
  world.upstream.next(hangs);
  auto reply = world.io.start(world.service().run(world.call(kBody)));
  while (world.upstream.requests().empty()) std::this_thread::yield();
  world.gone.request_stop();
  EXPECT_EQ(reply.get().status, 499);
  ASSERT_EQ(world.ledger.settlements().size(), 1U);
  EXPECT_EQ(world.ledger.settlements()[0].outcome, CallOutcome::ClientGone);
}

// Five in a row would keep everybody else from the provider.
TEST(EngineExits, a_caller_who_leaves_before_the_first_word_pays_the_input_and_says_nothing_of_the_provider) {
  EngineWorld world;
  world.targets.settings.attempts_max = 1;
  world.offer({test::test_target("one")});
  for (int i = 0; i < 6; ++i) {
    world.gone = std::stop_source();
    world.upstream.next(hanging({kRole}));
    auto reply = world.io.start(world.service().run(world.call(kStreamBody)));
    while (world.upstream.requests().size() <= static_cast<std::size_t>(i)) std::this_thread::yield();
    world.gone.request_stop();
    EXPECT_EQ(reply.get().status, 499);
    const auto settled = world.ledger.settlements().back();
    EXPECT_EQ(settled.outcome, CallOutcome::ClientGone);
    EXPECT_GT(settled.cost.nanos, 0);
  }
  world.gone = std::stop_source();
  world.upstream.next(ScriptedReply::json(200, kReply));
  EXPECT_EQ(world.run(world.call(kBody)).status, 200);
  EXPECT_EQ(world.ledger.settlements().size(), 7U);
}

core::Task<TurnFacts> facts_of_a_failure(InferenceService* service, InferenceCall call) {
  try {
    co_await service->complete(std::move(call));
  } catch (const TurnError& error) {
    co_return error.facts();
  }
  co_return TurnFacts();
}

TEST(EngineExits, who_pays_is_told_what_a_call_cost_that_he_cancelled) {
  EngineWorld world;
  world.offer({test::test_target("one")});
  ScriptedReply hangs;
  hangs.hangs = true;
  world.upstream.next(hangs);
  auto facts = world.io.start(facts_of_a_failure(&world.service(), world.call(kBody)));
  while (world.upstream.requests().empty()) std::this_thread::yield();
  world.gone.request_stop();
  const auto told = facts.get();
  EXPECT_GT(told.cost.nanos, 0);
  EXPECT_EQ(told.cost, world.ledger.settlements().at(0).cost);
  EXPECT_GT(told.failed_tokens, 0);
}

TEST(EngineExits, a_caller_who_left_before_the_call_was_sent_pays_nothing) {
  EngineWorld world;
  world.offer({test::test_target("one")});
  world.gone.request_stop();
  EXPECT_EQ(world.run(world.call(kStreamBody)).status, 499);
  EXPECT_TRUE(world.upstream.requests().empty());
  for (const auto& settled : world.ledger.settlements()) EXPECT_EQ(settled.cost.nanos, 0);
}

// What a hold did not cover is the ledger's to cut, because it counts and logs it; the caller is told what he
// pays.
TEST(EngineExits, a_cost_over_the_hold_is_told_to_the_ledger_as_it_was) {
  EngineWorld world;
  world.offer({test::test_target("one")});
  auto dear = kReply;
  dear.replace(dear.find("\"prompt_tokens\":10"), 18, "\"prompt_tokens\":48169");
  world.upstream.next(ScriptedReply::json(200, dear));
  const auto reply = world.run(world.call(kBody));
  const auto bound = world.ledger.admissions().at(0).bound;
  EXPECT_EQ(world.ledger.settlements().at(0).cost.nanos, 48'179'000);
  EXPECT_LT(bound.nanos, 48'179'000);
  EXPECT_EQ(reply.headers.get("x-aig-cost-usd"), core::format_usd(bound));
}

TEST(EngineExits, what_a_failed_attempt_cost_is_part_of_the_calls_cost) {
  EngineWorld world;
  world.offer({test::test_target("one"), test::test_target("two")});
  world.upstream.next(ScriptedReply::json(
      200, R"({"error":{"message":"x","code":500},"usage":{"prompt_tokens":10,"completion_tokens":5}})"));
  world.upstream.next(ScriptedReply::json(200, kReply));
  EXPECT_EQ(world.run(world.call(kBody)).headers.get("x-aig-cost-usd"), "0.00004");

  world.upstream.next(
      ScriptedReply::sse({kUsage, "data: {\"error\":{\"message\":\"no\",\"code\":500}}\n\n"}));
  world.upstream.next(ScriptedReply::sse({kRole + kText, kStop + kUsage + kDone}));
  auto reply = world.run(world.call(kStreamBody));
  EXPECT_THAT(world.stream(reply), HasSubstr("x-aig-cost-usd 0.00004\n"));
  ASSERT_EQ(world.ledger.settlements().size(), 4U);
  for (const auto& one : world.ledger.settlements()) EXPECT_EQ(one.cost.nanos, kFull);
}

TEST(EngineExits, a_stream_that_nobody_reads_settles) {
  EngineWorld world;
  world.offer({test::test_target("one")});
  world.upstream.next(hanging({kRole + kText}));
  world.run(world.call(kStreamBody));
  ASSERT_EQ(world.ledger.settlements().size(), 1U);
  EXPECT_EQ(world.ledger.settlements()[0].outcome, CallOutcome::ClientGone);
  EXPECT_EQ(world.upstream.dropped(), 1);
}

TEST(EngineExits, half_an_event_is_a_cut_that_the_caller_is_told) {
  EngineWorld world;
  world.offer({test::test_target("one")});
  world.upstream.next(ScriptedReply::sse({kRole + kText, kText.substr(0, 30)}));
  auto reply = world.run(world.call(kStreamBody));
  const auto bytes = world.stream(reply);
  EXPECT_THAT(bytes, HasSubstr("data: {\"error\":"));
  EXPECT_THAT(bytes, Not(HasSubstr(kText.substr(0, 30) + "\n")));
  EXPECT_EQ(world.ledger.settlements().at(0).outcome, CallOutcome::Truncated);
}

TEST(EngineExits, a_providers_words_do_not_carry_its_key) {
  for (const std::string& before : {std::string(), std::string(495, 'x')}) {  // cut within the key
    EngineWorld world;
    world.targets.settings.attempts_max = 1;
    world.offer({test::test_target("one")});
    world.upstream.next(ScriptedReply::json(
        400, R"({"error":{"message":")" + before + R"(key-of-one","type":"invalid_request_error"}})"));
    const auto reply = world.run(world.call(kBody));
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, Not(HasSubstr("key-o")));
    EXPECT_THAT(world.ledger.settlements().at(0).error, Not(HasSubstr("key-o")));
  }
}

TEST(EngineExits, a_stream_that_only_pings_is_given_up) {
  EngineWorld world;
  world.targets.settings.attempts_max = 1;
  world.offer({test::test_target("one", DialectId::Anthropic)});
  std::string pings;
  while (pings.size() < 16'000) pings += "event: ping\ndata: {\"type\":\"ping\"}\n\n";
  world.upstream.next(ScriptedReply::sse(std::vector<std::string>(100, pings)));
  EXPECT_EQ(world.run(world.call(kStreamBody)).status, 502);
  EXPECT_EQ(world.upstream.dropped(), 1);
  EXPECT_EQ(world.ledger.settlements().at(0).cost.nanos, 0);
}

core::Task<> stop_after_first_words(EngineWorld* world, billing::Admission* admission) {
  auto meter = std::make_unique<Meter>(std::move(std::get<billing::HoldPtr>(*admission)), test::test_price(),
                                       /*input_estimate=*/10);
  meter->sent();
  LiveStream stream(co_await world->upstream.open({}), test::test_target("one"), std::move(meter));
  co_await stream.step(std::chrono::seconds(5), {});
  stream.abandon(CallOutcome::Blocked);
  EXPECT_TRUE((co_await stream.step(std::chrono::seconds(5), {}))->empty());
}

TEST(EngineExits, a_stop_by_a_guardrail_bills_what_was_said_and_ends_the_provider) {
  EngineWorld world;
  world.upstream.next(hanging({kRole + kText}));
  billing::AdmissionRequest request;
  request.bound = core::NanoUsd{1'000'000};
  auto admission = world.io.run(world.ledger.admit(request));
  world.io.run(stop_after_first_words(&world, &admission));
  ASSERT_EQ(world.ledger.settlements().size(), 1U);
  const auto settled = world.ledger.settlements()[0];
  EXPECT_EQ(settled.outcome, CallOutcome::Blocked);
  EXPECT_EQ(settled.cost.nanos, 10 * 1000 + 4 * 2000) << "the input, and 15 bytes of text";
  EXPECT_EQ(world.ledger.settled_twice(), 0);
  EXPECT_EQ(world.upstream.dropped(), 1);
}

TEST(EngineExits, a_cut_stream_ends_with_an_error_frame) {
  EngineWorld world;
  world.offer({test::test_target("one")});
  world.upstream.next(ScriptedReply::sse({kRole, kText}));
  auto reply = world.run(world.call(kStreamBody));
  const auto bytes = world.stream(reply);
  EXPECT_THAT(bytes, HasSubstr("Hi there"));
  EXPECT_THAT(bytes, HasSubstr("\"error\""));
  EXPECT_THAT(bytes, Not(HasSubstr("[DONE]")));
}

}  // namespace
}  // namespace assistiv::inference::exits_test
