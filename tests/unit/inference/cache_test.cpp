#include <gtest/gtest.h>

#include "inference/cache/response_cache.h"
#include "support/engine_fakes.h"

namespace assistiv::inference::cache_test {
namespace {

using billing::CallOutcome;
using std::chrono::seconds;
using test::EngineWorld;
using test::ScriptedReply;
using test::test_target;

const std::string kCachedAsk = R"({"model":"asked-model","messages":[{"role":"user","content":"Hello"}]})";
const std::string kCachedStreamAsk =
    R"({"model":"asked-model","stream":true,"messages":[{"role":"user","content":"Hello"}]})";
const std::string kCachedAnswer =
    R"({"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":)"
    R"({"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,)"
    R"("completion_tokens":5,"total_tokens":15}})";
const std::string kCachedStream =
    "data: "
    "{\"id\":\"c\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},"
    "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

CachedReplyPtr reply_of(const std::string& body) {
  auto reply = std::make_shared<CachedReply>();
  reply->body = body;
  return reply;
}

TEST(ResponseCache, forgets_after_its_time_and_the_least_used_first) {
  ResponseCache cache(10'000);
  const auto now = std::chrono::steady_clock::now();
  cache.put("old", reply_of("x"), now + seconds(1));
  EXPECT_TRUE(cache.find("old", now));
  EXPECT_FALSE(cache.find("old", now + seconds(2)));
  for (int i = 0; i < 50; ++i) {
    cache.put(std::to_string(i), reply_of(std::string(500, 'x')), now + seconds(100));
    EXPECT_LE(cache.bytes(), 10'000U);
    EXPECT_TRUE(cache.find("0", now)) << i;  // used again and again
  }
  EXPECT_FALSE(cache.find("1", now));
  EXPECT_TRUE(cache.find("49", now));
  cache.put("huge", reply_of(std::string(5000, 'x')), now + seconds(100));
  EXPECT_FALSE(cache.find("huge", now));
}

TEST(ResponseCache, tells_platforms_dialects_and_bodies_apart) {
  const core::PlatformId one, two = core::PlatformId::of("00000000-0000-7000-8000-000000000001");
  const auto key = ResponseCache::key_of(one, DialectId::Gemini, "m", false, "{}");
  EXPECT_EQ(key, ResponseCache::key_of(one, DialectId::Gemini, "m", false, "{}"));
  EXPECT_NE(key, ResponseCache::key_of(two, DialectId::Gemini, "m", false, "{}"));
  EXPECT_NE(key, ResponseCache::key_of(one, DialectId::Anthropic, "m", false, "{}"));
  EXPECT_NE(key, ResponseCache::key_of(one, DialectId::Gemini, "n", false, "{}"));
  EXPECT_NE(key, ResponseCache::key_of(one, DialectId::Gemini, "m", true, "{}"));
  EXPECT_NE(key, ResponseCache::key_of(one, DialectId::Gemini, "m", false, "{ }"));
}

TEST(CacheDoor, a_hit_is_free_and_says_so) {
  EngineWorld world;
  world.targets.settings.cache = true;
  world.offer({test_target("one")});
  world.upstream.next(ScriptedReply::json(200, kCachedAnswer));
  EXPECT_EQ(world.run(world.call(kCachedAsk)).headers.get("x-aig-cache"), "miss");
  const auto hit = world.run(world.call(kCachedAsk));
  EXPECT_EQ(hit.headers.get("x-aig-cache"), "hit");
  EXPECT_EQ(hit.headers.get("x-aig-cost-usd"), "0.00");
  EXPECT_EQ(hit.headers.get("x-aig-provider"), "one");
  EXPECT_EQ(hit.body, kCachedAnswer);
  EXPECT_EQ(world.upstream.requests().size(), 1U);
  ASSERT_EQ(world.ledger.settlements().size(), 2U);
  EXPECT_EQ(world.ledger.settlements()[1].outcome, CallOutcome::CacheHit);
  EXPECT_EQ(world.ledger.settlements()[1].cost.nanos, 0);
}

TEST(CacheDoor, a_hit_counts_as_a_request_and_keeps_its_tag) {
  EngineWorld world;
  world.targets.settings.cache = true;
  world.offer({test_target("one")});
  world.upstream.next(ScriptedReply::json(200, kCachedAnswer));
  for (int i = 0; i < 2; ++i) {
    auto call = world.call(kCachedAsk);
    call.headers.add("x-tag", "nightly");
    world.run(std::move(call));
  }
  EXPECT_EQ(world.rates.settled().size(), 2U);
  ASSERT_EQ(world.ledger.admissions().size(), 2U);
  EXPECT_EQ(world.ledger.admissions()[1].facts.tag, "nightly");
}

TEST(CacheDoor, tells_calls_apart_by_the_headers_that_change_the_reply) {
  EngineWorld world;
  world.targets.settings.cache = true;
  world.offer({test_target("one")});
  const auto ask = [&](const std::string& beta) {
    world.upstream.next(ScriptedReply::json(200, kCachedAnswer));
    auto call = world.call(kCachedAsk);
    call.headers.add("openai-beta", beta);
    return std::string(world.run(std::move(call)).headers.get("x-aig-cache").value_or("none"));
  };
  EXPECT_EQ(ask("one"), "miss");
  EXPECT_EQ(ask("two"), "miss");
  EXPECT_EQ(ask("one"), "hit");
}

TEST(CacheDoor, obeys_the_header_and_the_setting) {
  EngineWorld world;
  world.offer({test_target("one")});
  const auto ask = [&](const std::string& wish) {
    world.upstream.next(ScriptedReply::json(200, kCachedAnswer));
    auto call = world.call(kCachedAsk);
    if (!wish.empty()) call.headers.add("x-cache", wish);
    return std::string(world.run(std::move(call)).headers.get("x-aig-cache").value_or("none"));
  };
  EXPECT_EQ(ask(""), "none");  // opt-in
  EXPECT_EQ(ask("auto"), "none");
  EXPECT_EQ(ask("force"), "miss");
  EXPECT_EQ(ask("force"), "hit");
  world.targets.settings.cache = true;
  EXPECT_EQ(ask("auto"), "hit");
  EXPECT_EQ(ask("skip"), "none");
  auto call = world.call(kCachedAsk);
  call.headers.add("x-cache", "please");
  EXPECT_EQ(world.run(std::move(call)).status, 400);
}

TEST(CacheDoor, keeps_whole_streams_and_no_broken_ones) {
  EngineWorld world;
  world.targets.settings.cache = true;
  world.offer({test_target("one")});
  const auto ask = [&] {
    auto reply = world.run(world.call(kCachedStreamAsk));
    const std::string cache(reply.headers.get("x-aig-cache").value_or("none"));
    return cache + " " + world.stream(reply);
  };
  world.upstream.next(
      ScriptedReply::sse({"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n"}));
  EXPECT_TRUE(ask().starts_with("miss "));
  world.upstream.next(ScriptedReply::sse({kCachedStream}));
  const auto whole = ask();
  EXPECT_TRUE(whole.starts_with("miss "));
  const auto cost = whole.find(": x-aig-cost-usd ");
  ASSERT_NE(cost, std::string::npos);
  auto free = whole;
  free.erase(cost, whole.find("\n\n", cost) + 2 - cost);
  EXPECT_EQ(ask(), "hit " + free.substr(5));
  EXPECT_EQ(world.upstream.requests().size(), 2U);
}

}  // namespace
}  // namespace assistiv::inference::cache_test
