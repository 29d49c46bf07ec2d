// The engine over real sockets: every dialect onto every provider, and what a provider can do to a
// connection.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "net/upstream_client.h"
#include "support/engine_fakes.h"
#include "support/scripted_upstream.h"

namespace assistiv::inference::wire_test {
namespace {

using billing::CallOutcome;
using test::ScriptedUpstream;
using test::wire_json;
using test::wire_stream;
using testing::HasSubstr;

constexpr DialectId kDialects[] = {DialectId::OpenAiChat, DialectId::OpenAiResponses, DialectId::Anthropic,
                                   DialectId::Gemini};

std::string ask(DialectId dialect, bool stream) {
  const std::string flag = stream ? R"("stream":true,)" : "";
  switch (dialect) {
    case DialectId::OpenAiChat:
      return R"({"model":"asked-model",)" + flag + R"("messages":[{"role":"user","content":"Hello"}]})";
    case DialectId::OpenAiResponses:
      return R"({"model":"asked-model",)" + flag + R"("input":"Hello"})";
    case DialectId::Anthropic:
      return R"({"model":"asked-model",)" + flag +
             R"("max_tokens":100,"messages":[{"role":"user","content":"Hello"}]})";
    case DialectId::Gemini:
      return R"({"contents":[{"role":"user","parts":[{"text":"Hello"}]}]})";
  }
  return "";
}

struct WireWorld {
  ScriptedUpstream provider;
  net::SystemResolver resolver;
  net::PooledUpstreamClient client{{}, resolver};
  test::EngineWorld world;
  InferenceService service{
      world.options,
      {client, world.http, world.targets, world.ledger, world.rates, world.clock, world.random}};

  void serve(DialectId dialect) {
    auto target = test::test_target("one", dialect);
    target->base_url = provider.url("/v1");
    target->local = true;
    world.offer({target});
  }
  InferenceCall call(DialectId dialect, bool stream) {
    auto out = world.call(ask(dialect, stream), dialect);
    out.request.model = "asked-model";
    out.request.stream = stream;
    return out;
  }
  core::HttpReply run(InferenceCall call) { return world.io.run(service.run(std::move(call))); }
};

TEST(EngineWire, answers_every_dialect_from_every_provider) {
  for (const auto provider : kDialects) {
    for (const auto client : kDialects) {
      for (const bool stream : {false, true}) {
        WireWorld wire;
        wire.serve(provider);
        auto reply = wire.run(wire.call(client, stream));
        const std::string name = std::string(to_string(client)) + " onto " +
                                 std::string(to_string(provider)) + (stream ? ", stream" : "");
        ASSERT_EQ(reply.status, 200) << name << ": " << reply.body;
        const auto body = stream ? wire.world.stream(reply) : reply.body;
        EXPECT_THAT(body, HasSubstr(stream ? "word " : "Hello there.")) << name;
        const auto settled = wire.world.ledger.settlements();
        ASSERT_EQ(settled.size(), 1U) << name;
        EXPECT_EQ(settled[0].outcome, CallOutcome::Success) << name;
        EXPECT_FALSE(settled[0].usage_estimated) << name;
        EXPECT_EQ(settled[0].cost.nanos, 10 * 1000 + 20 * 2000) << name;
      }
    }
  }
}

TEST(EngineWire, keeps_the_connection_after_a_stream) {
  WireWorld wire;
  wire.serve(DialectId::OpenAiChat);
  for (int i = 0; i < 3; ++i) {
    auto reply = wire.run(wire.call(DialectId::OpenAiChat, true));
    wire.world.stream(reply);
  }
  EXPECT_EQ(wire.provider.connections(), 1U);
  EXPECT_EQ(wire.provider.requests().size(), 3U);
}

TEST(EngineWire, lives_on_after_whatever_a_provider_sends) {
  test::WireReply head;
  head.bytes = "HTTP/1.1 200 OK\r\n" + std::string(100, 'x') + ": y\r\n";
  head.piece_bytes = head.bytes.size();
  head.endless = true;
  head.bytes += "a: " + std::string(head.piece_bytes - 5, 'b') + "\r\n";
  test::WireReply reset;
  reset.reset = true;
  test::WireReply bad_chunk;
  bad_chunk.bytes = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n";
  bad_chunk.close = true;
  for (const auto& bytes :
       {wire_json(200, "<html>hello</html>"), wire_json(200, R"({"choices":[)"),
        wire_json(200, "\x1f\x8b\x08", "content-encoding: gzip\r\n"), head, reset, bad_chunk}) {
    WireWorld wire;
    wire.world.targets.settings.attempts_max = 1;
    wire.serve(DialectId::OpenAiChat);
    wire.provider.next("/v1/chat/completions", bytes);
    EXPECT_EQ(wire.run(wire.call(DialectId::OpenAiChat, false)).status, 502) << bytes.bytes.substr(0, 80);
    ASSERT_EQ(wire.world.ledger.settlements().size(), 1U);
    EXPECT_EQ(wire.world.ledger.settlements()[0].cost.nanos, 0);
    EXPECT_EQ(wire.run(wire.call(DialectId::OpenAiChat, false)).status, 200);
  }
}

TEST(EngineWire, a_caller_who_leaves_ends_the_providers_stream) {
  WireWorld wire;
  wire.world.targets.settings.gone_grace = std::chrono::milliseconds(50);
  wire.serve(DialectId::OpenAiChat);
  const std::string event =
      "data: "
      "{\"id\":\"c\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},"
      "\"finish_reason\":null}]}\n\n";
  auto endless = wire_stream({event, event});
  endless.bytes.resize(endless.bytes.size() - 5);  // the last chunk
  endless.hang = true;
  wire.provider.next("/v1/chat/completions", endless);
  auto reply = wire.run(wire.call(DialectId::OpenAiChat, true));
  ASSERT_EQ(reply.status, 200);
  auto sink = std::make_shared<test::CollectingSink>();
  auto pumped = wire.world.io.start(reply.stream(sink));
  wire.world.gone.request_stop();
  pumped.get();
  EXPECT_TRUE(wire.provider.wait_until_closed());
  ASSERT_EQ(wire.world.ledger.settlements().size(), 1U);
  EXPECT_EQ(wire.world.ledger.settlements()[0].outcome, CallOutcome::ClientGone);
}

TEST(EngineWire, a_silent_provider_is_given_up_and_the_caller_gets_keep_alives_until_then) {
  WireWorld wire;
  wire.world.targets.settings.idle_timeout = std::chrono::milliseconds(300);
  InferenceOptions options;
  options.keep_alive = std::chrono::milliseconds(50);
  InferenceService service(options, {wire.client, wire.world.http, wire.world.targets, wire.world.ledger,
                                     wire.world.rates, wire.world.clock, wire.world.random});
  wire.serve(DialectId::OpenAiChat);
  auto stalls =
      wire_stream({"data: {\"id\":\"c\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":"
                   "{\"content\":\"x\"},\"finish_reason\":null}]}\n\n"});
  stalls.bytes.resize(stalls.bytes.size() - 5);
  stalls.hang = true;
  wire.provider.next("/v1/chat/completions", stalls);
  auto reply = wire.world.io.run(service.run(wire.call(DialectId::OpenAiChat, true)));
  const auto bytes = wire.world.stream(reply);
  EXPECT_THAT(bytes, HasSubstr("\n: "));
  EXPECT_THAT(bytes, HasSubstr("\"error\""));
  EXPECT_EQ(wire.world.ledger.settlements().at(0).outcome, CallOutcome::Timeout);
}

}  // namespace
}  // namespace assistiv::inference::wire_test
