// What happens while a call runs: progress, logs, waiting, cancellation, disconnection, coming back.
#include <gtest/gtest.h>

#include "core/async.h"
#include "support/mcp_world.h"

namespace assistiv::test {
namespace {

using mcp::CallContext;
using mcp::ToolCallResult;

// A tool that the test holds: it says when it runs, and ends when it is let go or stopped.
struct Gate {
  core::AsyncEvent entered, open;
  std::promise<bool> finished;  // true when the call was stopped
  std::atomic<int> runs{0};

  bool was_stopped() { return finished.get_future().get(); }
};

core::Task<ToolCallResult> hold(Gate* gate, CallContext context) {
  ++gate->runs;
  gate->entered.set();
  co_await gate->open.wait_for(std::chrono::seconds(20), context.stop);
  gate->finished.set_value(context.stop.stop_requested());
  co_return text_answer("let go");
}

ScriptedTools::Run holding(Gate& gate) {
  return [held = &gate](CallContext context, Json) { return hold(held, std::move(context)); };
}

core::Task<> entered(Gate* gate) {
  co_await gate->entered.wait_for(std::chrono::seconds(10));
}

core::Task<ToolCallResult> tell_progress(CallContext context, Json) {
  if (context.progress) {
    co_await context.progress(1, 3, "one");
    co_await context.progress(1, 3, "not more than before");
    co_await context.progress(3, 3, "three");
  }
  co_return text_answer("done");
}

core::Task<ToolCallResult> tell_logs(CallContext context, Json) {
  if (context.log) {
    co_await context.log("debug", "tool", "\"quiet\"");
    co_await context.log("warning", "tool", "{\"a\":1}");
  }
  co_return text_answer("done");
}

Json call_params(const char* name, Json meta = Json::object()) {
  return {{"name", name}, {"_meta", std::move(meta)}};
}

TEST(Progress, is_streamed_before_the_result_and_only_grows) {
  McpWorld world;
  world.tools.add("work", tell_progress);
  for (const bool modern : {true, false}) {
    const Json params = call_params("work", {{"progressToken", "t-1"}});
    const auto reply = modern ? world.modern("tools/call", params) : world.legacy("tools/call", params);
    ASSERT_TRUE(reply.streamed());
    EXPECT_EQ(reply.header("x-accel-buffering"), "no");
    const Json first = reply.events->next_message();
    EXPECT_EQ(first.at("method"), "notifications/progress");
    EXPECT_EQ(first.at("params"),
              (Json{{"progressToken", "t-1"}, {"progress", 1}, {"total", 3}, {"message", "one"}}));
    EXPECT_EQ(reply.events->next_message().at("params").at("progress"), 3);
    EXPECT_TRUE(reply.events->next_message().contains("result"));
    EXPECT_TRUE(reply.events->ended());
  }
}

TEST(Progress, is_not_sent_without_a_token_or_to_a_client_without_streams) {
  McpWorld world;
  world.tools.add("work", tell_progress);
  EXPECT_FALSE(world.legacy("tools/call", call_params("work")).streamed());
  EXPECT_FALSE(
      world
          .modern("tools/call", call_params("work", {{"progressToken", 1}}), {{"accept", "application/json"}})
          .streamed());
}

TEST(Progress, of_2024_11_05_has_no_message) {
  McpWorld world;
  world.tools.add("work", tell_progress);
  const auto reply = world.legacy("tools/call", call_params("work", {{"progressToken", 5}}),
                                  world.open_session("2024-11-05"));
  const Json params = reply.events->next_message().at("params");
  EXPECT_EQ(params.at("progressToken"), 5);
  EXPECT_FALSE(params.contains("message"));
}

TEST(Logs, of_a_modern_request_need_its_log_level) {
  McpWorld world;
  world.tools.add("talk", tell_logs);
  EXPECT_FALSE(world.modern("tools/call", call_params("talk")).streamed());
  const auto reply =
      world.modern("tools/call", call_params("talk", {{"io.modelcontextprotocol/logLevel", "info"}}));
  const Json message = reply.events->next_message();
  EXPECT_EQ(message.at("method"), "notifications/message");
  EXPECT_EQ(message.at("params"), (Json{{"level", "warning"}, {"logger", "tool"}, {"data", {{"a", 1}}}}));
  EXPECT_TRUE(reply.events->next_message().contains("result"));
}

TEST(Logs, of_a_session_follow_its_level) {
  McpWorld world;
  world.tools.add("talk", tell_logs);
  const auto session = world.open_session();
  EXPECT_EQ(world.legacy("logging/setLevel", {{"level", "error"}}, session).json().at("result"),
            Json::object());
  EXPECT_FALSE(world.legacy("tools/call", call_params("talk"), session).streamed());
  world.legacy("logging/setLevel", {{"level", "debug"}}, session);
  const auto reply = world.legacy("tools/call", call_params("talk"), session);
  EXPECT_EQ(reply.events->next_message().at("params").at("level"), "debug");
  EXPECT_EQ(reply.events->next_message().at("params").at("level"), "warning");
}

TEST(SlowCall, becomes_a_stream_with_heartbeats_where_the_client_takes_one) {
  McpWorld world({.heartbeat = std::chrono::milliseconds(20), .stream_after = std::chrono::milliseconds(20)});
  Gate gate;
  world.tools.add("wait", holding(gate));
  const auto reply = world.modern("tools/call", call_params("wait"));
  ASSERT_TRUE(reply.streamed());
  EXPECT_TRUE(reply.events->wait_for_comment());
  gate.open.set();
  EXPECT_EQ(reply.json().at("result").at("content")[0].at("text"), "let go");
  EXPECT_TRUE(reply.events->ended());
}

TEST(Disconnection, cancels_a_modern_call) {
  McpWorld world;
  Gate gate;
  world.tools.add("wait", holding(gate));
  const auto request =
      McpWorld::request("POST", world.modern_message("tools/call", call_params("wait")).dump(),
                        McpWorld::modern_headers("tools/call", call_params("wait")));
  std::stop_source connection;
  auto pending = world.node.start(request, world.caller, connection);
  world.io.run(entered(&gate));
  connection.request_stop();
  EXPECT_TRUE(gate.was_stopped());
  pending.get();
}

TEST(Disconnection, does_not_cancel_a_legacy_call) {
  McpWorld world;
  Gate gate;
  world.tools.add("wait", holding(gate));
  const Json message = {
      {"jsonrpc", "2.0"}, {"id", 1}, {"method", "tools/call"}, {"params", call_params("wait")}};
  std::stop_source connection;
  auto pending = world.node.start(McpWorld::request("POST", message.dump(), world.open_session()),
                                  world.caller, connection);
  world.io.run(entered(&gate));
  connection.request_stop();
  gate.open.set();
  EXPECT_FALSE(gate.was_stopped());
  EXPECT_EQ(pending.get().json().at("result").at("content")[0].at("text"), "let go");
}

TEST(Cancellation, stops_the_call_and_nothing_is_sent_for_it) {
  McpWorld world;
  Gate gate;
  world.tools.add("wait", holding(gate));
  const auto session = world.open_session();
  const Json message = {
      {"jsonrpc", "2.0"}, {"id", "call-1"}, {"method", "tools/call"}, {"params", call_params("wait")}};
  auto pending = world.node.start(McpWorld::request("POST", message.dump(), session), world.caller);
  world.io.run(entered(&gate));
  const Json cancel = {
      {"jsonrpc", "2.0"}, {"method", "notifications/cancelled"}, {"params", {{"requestId", "call-1"}}}};
  EXPECT_EQ(world.post(cancel, session).status, 202);
  EXPECT_TRUE(gate.was_stopped());
  const auto reply = pending.get();
  EXPECT_EQ(reply.body, "");
  if (reply.streamed()) {
    EXPECT_TRUE(reply.events->ended());
    EXPECT_EQ(reply.events->pending(), 0u);
  }
}

TEST(Cancellation, of_somebody_elses_call_or_an_unknown_one_does_nothing) {
  McpWorld world;
  Gate gate;
  world.tools.add("wait", holding(gate));
  const auto mine = world.open_session();
  const auto theirs = world.open_session();
  const Json message = {
      {"jsonrpc", "2.0"}, {"id", 1}, {"method", "tools/call"}, {"params", call_params("wait")}};
  auto pending = world.node.start(McpWorld::request("POST", message.dump(), mine), world.caller);
  world.io.run(entered(&gate));
  for (const Json& id : {Json(1), Json("1"), Json(2)}) {
    const Json cancel = {
        {"jsonrpc", "2.0"}, {"method", "notifications/cancelled"}, {"params", {{"requestId", id}}}};
    EXPECT_EQ(world.post(cancel, theirs).status, 202);
    if (id != 1) {
      EXPECT_EQ(world.post(cancel, mine).status, 202);
    }
  }
  gate.open.set();
  EXPECT_FALSE(gate.was_stopped());
  EXPECT_TRUE(pending.get().json().contains("result"));
}

TEST(Shutdown, interrupts_what_still_runs) {
  Gate gate;
  std::future<McpReply> pending;
  McpWorld world;
  world.tools.add("wait", holding(gate));
  pending = world.node.start(
      McpWorld::request("POST", world.modern_message("tools/call", call_params("wait")).dump(),
                        McpWorld::modern_headers("tools/call", call_params("wait"))),
      world.caller);
  world.io.run(entered(&gate));
  world.node.endpoint().stop();
  EXPECT_TRUE(gate.was_stopped());
  EXPECT_EQ(pending.get().status, 200);
}

core::Task<ToolCallResult> progress_then_hold(Gate* gate, CallContext context) {
  co_await context.progress(1, 2, "");
  co_return co_await hold(gate, std::move(context));
}

core::Task<ToolCallResult> release_then_hold(Gate* gate, CallContext context) {
  co_await context.release_stream();
  co_return co_await hold(gate, std::move(context));
}

TEST(Resumption, a_client_comes_back_for_the_answer_of_a_released_stream) {
  McpWorld world;
  Gate gate;
  world.tools.add(
      "poll", [&gate](CallContext context, Json) { return release_then_hold(&gate, std::move(context)); });
  auto session = world.open_session();
  const auto reply = world.legacy("tools/call", call_params("poll"), session);
  ASSERT_TRUE(reply.streamed());
  const Event priming = reply.events->next();
  EXPECT_NE(priming.id, "");
  EXPECT_EQ(priming.data, "");
  EXPECT_TRUE(priming.retry.has_value());
  EXPECT_TRUE(reply.events->ended()) << "the server closed it";
  session.emplace_back("last-event-id", priming.id);
  const auto resumed = world.get(session);
  ASSERT_TRUE(resumed.streamed());
  gate.open.set();
  const Event answer = resumed.events->next();
  EXPECT_EQ(answer.json().at("result").at("content")[0].at("text"), "let go");
  EXPECT_NE(answer.id, priming.id);
  EXPECT_TRUE(resumed.events->ended());
  // Once more from the same place, and once from the end: nothing is left then.
  EXPECT_TRUE(world.get(session).json().contains("result"));
  session.back().second = answer.id;
  const auto after = world.get(session);
  EXPECT_TRUE(after.events->ended());
  EXPECT_EQ(after.events->pending(), 0u);
}

TEST(Resumption, replays_what_was_lost_with_the_connection) {
  McpWorld world;
  Gate gate;
  world.tools.add(
      "work", [&gate](CallContext context, Json) { return progress_then_hold(&gate, std::move(context)); });
  auto session = world.open_session();
  auto reply = world.legacy("tools/call", call_params("work", {{"progressToken", 1}}), session);
  const std::string primed = reply.events->next().id;
  const Event progress = reply.events->next();
  reply.leave();
  gate.open.set();
  gate.finished.get_future().get();
  session.emplace_back("last-event-id", progress.id);
  EXPECT_TRUE(world.get(session).events->next().json().contains("result"));
  session.back().second = primed;
  const auto from_start = world.get(session);
  EXPECT_EQ(from_start.events->next().json(), progress.json());
  EXPECT_TRUE(from_start.events->next().json().contains("result"));
}

TEST(Resumption, refuses_event_ids_that_are_not_of_this_session) {
  McpWorld world;
  world.tools.add("work", tell_progress);
  const auto mine = world.open_session();
  const auto reply = world.legacy("tools/call", call_params("work", {{"progressToken", 1}}), mine);
  const std::string id = reply.events->next().id;
  for (const std::string& bad :
       {id + "x", std::string("nonsense"), std::string(".1"), std::string(9000, 'a')}) {
    auto headers = mine;
    headers.emplace_back("last-event-id", bad);
    EXPECT_EQ(world.get(headers).status, 400) << bad.substr(0, 40);
  }
  auto other = world.open_session();
  other.emplace_back("last-event-id", id);
  EXPECT_EQ(world.get(other).status, 400);
  auto foreign = mine;
  foreign.emplace_back("last-event-id", id);
  EXPECT_EQ(world.node.send(McpWorld::request("GET", "", foreign), end_user(1, 2)).status, 404);
}

TEST(Resumption, older_revisions_get_no_event_without_data) {
  McpWorld world;
  world.tools.add("work", tell_progress);
  const auto reply = world.legacy("tools/call", call_params("work", {{"progressToken", 1}}),
                                  world.open_session("2025-06-18"));
  const Event first = reply.events->next();
  EXPECT_NE(first.id, "");
  EXPECT_TRUE(first.json().contains("method"));
}

struct Flood {
  core::AsyncEvent go;
  std::atomic<int> sent{0};
};

core::Task<ToolCallResult> flood(Flood* flooding, CallContext context) {
  co_await context.log("error", "flood", "\"begun\"");
  co_await flooding->go.wait_for(std::chrono::seconds(20));
  for (; flooding->sent < 2000; ++flooding->sent) co_await context.log("error", "flood", "\"more\"");
  co_return text_answer("done");
}

TEST(SlowClient, makes_the_call_wait_and_costs_a_bounded_queue) {
  McpWorld world;
  Flood flooding;
  world.tools.add("flood",
                  [&flooding](CallContext context, Json) { return flood(&flooding, std::move(context)); });
  const auto reply =
      world.modern("tools/call", call_params("flood", {{"io.modelcontextprotocol/logLevel", "info"}}));
  EXPECT_EQ(reply.events->next_message().at("method"), "notifications/message");
  reply.events->hold();
  flooding.go.set();
  while (flooding.sent < 64) std::this_thread::yield();
  for (int i = 0; i < 50; ++i)
    world.legacy("ping");  // the node has time for others, and the call for nothing
  EXPECT_LT(flooding.sent, 100);
  reply.events->release();
  EXPECT_TRUE(reply.events->ended());
  EXPECT_EQ(flooding.sent, 2000);
}

TEST(Cancellation, ends_a_stream_without_a_response) {
  McpWorld world;
  Gate gate;
  world.tools.add(
      "work", [&gate](CallContext context, Json) { return progress_then_hold(&gate, std::move(context)); });
  const auto session = world.open_session();
  const auto reply = world.legacy("tools/call", call_params("work", {{"progressToken", 1}}), session);
  EXPECT_EQ(reply.events->next_message().at("method"), "notifications/progress");
  const Json cancel = {
      {"jsonrpc", "2.0"}, {"method", "notifications/cancelled"}, {"params", {{"requestId", 1}}}};
  EXPECT_EQ(world.post(cancel, session).status, 202);
  EXPECT_TRUE(reply.events->ended());
  EXPECT_EQ(reply.events->pending(), 0u);
}

}  // namespace
}  // namespace assistiv::test
