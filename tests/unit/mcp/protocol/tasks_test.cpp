// The tasks extension (io.modelcontextprotocol/tasks) as a client meets it: one node, tasks in memory.
#include <gtest/gtest.h>

#include "core/error.h"
#include "support/eventually.h"
#include "support/mcp_world.h"

namespace assistiv::test {
namespace {

using namespace std::chrono_literals;

const Json kDeclared = {{"extensions", {{"io.modelcontextprotocol/tasks", Json::object()}}},
                        {"elicitation", {{"form", Json::object()}}}};

mcp::ToolCallResult later(std::string state, std::chrono::milliseconds after = 0ms) {
  auto out = text_answer("not without tasks");
  out.wait = mcp::ToolWait{.state = std::move(state), .after = after, .message = "waits"};
  return out;
}

// Waits once, then ends.
core::Task<mcp::ToolCallResult> wait_once(mcp::CallContext context, Json arguments) {
  if (!context.in_task) co_return later("second", 5s);
  co_return text_answer(context.input_state + " " + arguments.value("word", ""));
}

class Tasks : public testing::Test, protected McpWorld {
 protected:
  Tasks() : McpWorld({}) { tools.add("wait", wait_once); }
  ~Tasks() override { runner.stop(); }

  void run_tasks() { runner.start(io.executor()); }
  McpReply ask(const std::string& method, Json params) {
    return modern(method, std::move(params), {}, kDeclared);
  }
  Json call(const std::string& tool, Json arguments = Json::object()) {
    return ask("tools/call", {{"name", tool}, {"arguments", std::move(arguments)}}).json().at("result");
  }
  Json get(const std::string& id) { return ask("tasks/get", {{"taskId", id}}).json().at("result"); }
  std::string start(const std::string& tool, Json arguments = Json::object()) {
    return call(tool, std::move(arguments)).at("taskId").get<std::string>();
  }
  Json until(const std::string& id, const std::string& status) {
    EXPECT_TRUE(eventually([&] { return get(id).at("status") == status; })) << get(id).dump();
    return get(id);
  }
  void pass(std::chrono::milliseconds time) {
    clock.advance(time);
    runner.on_notify("mcp_task_due", "");
  }
};

TEST_F(Tasks, a_call_that_waits_is_answered_with_a_task_that_is_there) {
  const Json made = call("wait", {{"word", "hello"}});
  EXPECT_EQ(made.at("resultType"), "task");
  EXPECT_EQ(made.at("status"), "working");
  EXPECT_EQ(made.at("statusMessage"), "waits");
  EXPECT_FALSE(made.contains("content"));
  const std::string id = made.at("taskId");
  EXPECT_GE(id.size(), 43u) << "256 random bits";
  EXPECT_EQ(get(id).at("resultType"), "complete");
  EXPECT_EQ(get(id).at("status"), "working");
  run_tasks();
  pass(5s);
  const Json done = until(id, "completed");
  EXPECT_EQ(done.at("result").at("content")[0].at("text"), "second hello");
  EXPECT_FALSE(done.at("result").contains("resultType"));
}

TEST_F(Tasks, who_does_not_take_tasks_gets_the_result_as_it_stands) {
  for (const auto& reply :
       {modern("tools/call", {{"name", "wait"}}), legacy("tools/call", {{"name", "wait"}})}) {
    EXPECT_EQ(reply.json().at("result").at("content")[0].at("text"), "not without tasks");
  }
  // Not in the legacy protocol, whatever its client declares.
  auto session = open_session(kLegacy, kDeclared);
  EXPECT_FALSE(legacy("tools/call", {{"name", "wait"}}, session).json().at("result").contains("taskId"));
  tools.add("only", [](mcp::CallContext, Json) -> core::Task<mcp::ToolCallResult> {
    mcp::ToolCallResult out;
    out.outcome = mcp::ToolOutcome::TaskRequired;
    co_return out;
  });
  const auto refused = modern("tools/call", {{"name", "only"}});
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.error_code(), -32021);
  EXPECT_TRUE(refused.json()["error"]["data"]["requiredCapabilities"]["extensions"].contains(
      "io.modelcontextprotocol/tasks"));
}

TEST_F(Tasks, are_announced_as_an_extension_in_the_modern_protocol_only) {
  const Json found = modern("server/discover").json().at("result").at("capabilities");
  EXPECT_TRUE(found.at("extensions").contains("io.modelcontextprotocol/tasks"));
  EXPECT_FALSE(found.contains("tasks"));
  const auto initialized =
      legacy("initialize", {{"protocolVersion", kLegacy}, {"capabilities", Json::object()}});
  EXPECT_FALSE(initialized.json().at("result").at("capabilities").contains("extensions"));
}

TEST_F(Tasks, methods_say_what_is_wrong) {
  const std::string id = start("wait");
  for (const char* method : {"tasks/get", "tasks/update", "tasks/cancel"}) {
    const Json params = {{"taskId", id}, {"inputResponses", Json::object()}};
    EXPECT_EQ(modern(method, params).error_code(), -32021) << method;
    EXPECT_EQ(modern(method, params).status, 400) << method;
    EXPECT_EQ(ask(method, {{"taskId", "nobodys"}, {"inputResponses", Json::object()}}).error_code(), -32602);
    EXPECT_EQ(ask(method, {{"taskId", 7}}).error_code(), -32602);
    EXPECT_EQ(ask(method, Json::object()).error_code(), -32602);
    const auto mismatched = modern(method, params, {{"mcp-name", "another"}}, kDeclared);
    EXPECT_EQ(mismatched.error_code(), -32020);
    EXPECT_EQ(mismatched.status, 400);
  }
  EXPECT_EQ(ask("tasks/update", {{"taskId", id}}).error_code(), -32602);
  for (const char* removed : {"tasks/list", "tasks/result"}) {
    EXPECT_EQ(ask(removed, {{"taskId", id}}).error_code(), -32601);
  }
}

TEST_F(Tasks, exist_for_the_key_that_made_them_only) {
  const std::string id = start("wait");
  const auto own = caller;
  auto other_key = std::make_shared<oauth::Principal>(*own);
  other_key->key_id.uuid.bytes[5] = 9;
  for (const oauth::PrincipalPtr& stranger :
       {end_user(1, 2), end_user(2, 1), oauth::PrincipalPtr(other_key)}) {
    caller = stranger;
    for (const char* method : {"tasks/get", "tasks/update", "tasks/cancel"}) {
      EXPECT_EQ(ask(method, {{"taskId", id}, {"inputResponses", Json::object()}}).error_code(), -32602);
    }
  }
  caller = own;
  EXPECT_EQ(get(id).at("status"), "working");
  const auto at_an_app =
      node.send(request("POST", modern_message("tasks/get", {{"taskId", id}}, kDeclared).dump(),
                        modern_headers("tasks/get", {{"taskId", id}})),
                caller, "github");
  EXPECT_EQ(at_an_app.error_code(), -32602) << "the URL of one app is another endpoint";
}

core::Task<mcp::ToolCallResult> ask_twice(mcp::CallContext context, Json) {
  if (!context.in_task) co_return later("first");
  if (context.input_responses && context.input_responses->contains("two"))
    co_return text_answer(context.input_state +
                          context.input_responses->at("two").at("action").get<std::string>());
  mcp::ToolCallResult out;
  out.outcome = mcp::ToolOutcome::InputRequired;
  const bool again = context.input_responses != nullptr;
  out.input_requests_json = again ? R"({"two":{"method":"elicitation/create","params":{"message":"?"}}})"
                                  : R"({"one":{"method":"elicitation/create","params":{"message":"?"}}})";
  out.input_state = again ? "asked twice: " : "asked once";
  co_return out;
}

TEST_F(Tasks, ask_the_client_and_go_on_with_its_answers) {
  run_tasks();
  tools.add("ask", ask_twice);
  const std::string id = start("ask");
  std::set<std::string> keys;
  for (int round = 0; round < 2; ++round) {
    const Json waiting = until(id, "input_required");
    ASSERT_EQ(waiting.at("inputRequests").size(), 1u);
    const std::string key = waiting.at("inputRequests").items().begin().key();
    EXPECT_TRUE(keys.insert(key).second) << "a key is used once";
    const auto acknowledged =
        ask("tasks/update", {{"taskId", id}, {"inputResponses", {{key, {{"action", "accept"}}}, {"x", 1}}}});
    const Json result = acknowledged.json().at("result");
    EXPECT_EQ(result.at("resultType"), "complete");
    EXPECT_FALSE(result.contains("taskId"));
    if (round == 0)
      EXPECT_TRUE(eventually([&] { return get(id).value("inputRequests", Json::object()).count(key) == 0; }));
  }
  EXPECT_EQ(until(id, "completed").at("result").at("content")[0].at("text"), "asked twice: accept");
}

TEST_F(Tasks, fail_when_the_client_cannot_be_asked_what_they_need) {
  run_tasks();
  tools.add("ask", ask_twice);
  const Json only_tasks = {{"extensions", kDeclared.at("extensions")}};
  const std::string id =
      modern("tools/call", {{"name", "ask"}}, {}, only_tasks).json()["result"]["taskId"].get<std::string>();
  EXPECT_EQ(until(id, "failed").at("error").at("code"), -32021);
}

TEST_F(Tasks, end_as_the_call_would_have_ended) {
  run_tasks();
  tools.add("tool error", [](mcp::CallContext context, Json) -> core::Task<mcp::ToolCallResult> {
    if (!context.in_task) co_return later("s");
    auto out = text_answer("no");
    out.outcome = mcp::ToolOutcome::ToolError;
    out.result_json.insert(out.result_json.size() - 1, R"(,"isError":true)");
    co_return out;
  });
  tools.add("fault", [](mcp::CallContext context, Json) -> core::Task<mcp::ToolCallResult> {
    if (!context.in_task) co_return later("s");
    throw core::internal("a secret detail");
  });
  EXPECT_EQ(until(start("tool error"), "completed").at("result").at("isError"), true);
  const Json failed = until(start("fault"), "failed");
  EXPECT_EQ(failed.at("error").at("code"), -32603);
  EXPECT_EQ(failed.dump().find("secret"), std::string::npos);
  EXPECT_FALSE(failed.contains("result"));
}

struct Holding {
  core::AsyncEvent entered;
  std::promise<bool> stopped;
};

core::Task<mcp::ToolCallResult> hold(Holding* held, mcp::CallContext context) {
  if (!context.in_task) co_return later("s");
  co_await context.before_act();
  held->entered.set();
  co_await core::sleep_for(20s, context.stop);
  held->stopped.set_value(context.stop.stop_requested());
  if (context.stop.stop_requested()) throw core::Error(core::ErrorKind::Cancelled, "stopped");
  co_return text_answer("never");
}

core::Task<> has_entered(Holding* held) {
  co_await held->entered.wait_for(20s);
}

TEST_F(Tasks, are_cancelled_while_they_wait_and_while_they_run) {
  const std::string waiting = start("wait");
  EXPECT_EQ(ask("tasks/cancel", {{"taskId", waiting}}).json()["result"]["resultType"], "complete");
  EXPECT_EQ(get(waiting).at("status"), "cancelled");
  EXPECT_EQ(ask("tasks/cancel", {{"taskId", waiting}}).status, 200) << "again is no fault";
  run_tasks();
  Holding held;
  tools.add("hold", [&held](mcp::CallContext context, Json) { return hold(&held, std::move(context)); });
  const std::string busy = start("hold");
  io.run(has_entered(&held));
  ask("tasks/cancel", {{"taskId", busy}});
  EXPECT_TRUE(held.stopped.get_future().get());
  until(busy, "cancelled");
}

TEST_F(Tasks, are_gone_when_their_time_is_over) {
  const Json made = call("wait");
  const std::string id = made.at("taskId");
  clock.advance(std::chrono::milliseconds(made.at("ttlMs").get<std::int64_t>() - 1));
  EXPECT_EQ(get(id).at("status"), "working");
  clock.advance(1ms);
  EXPECT_EQ(ask("tasks/get", {{"taskId", id}}).error_code(), -32602);
  EXPECT_EQ(io.run(tasks.sweep(10)), 1u);
}

TEST_F(Tasks, are_bounded_per_end_user_and_then_calls_are_answered_without) {
  for (int i = 0; i < 100; ++i) start("wait");
  EXPECT_EQ(call("wait").at("content")[0].at("text"), "not without tasks");
  caller = end_user(1, 2);
  EXPECT_TRUE(call("wait").contains("taskId")) << "the bound is each one's own";
}

Json listen(const std::vector<std::string>& ids) {
  return {{"notifications", {{"taskIds", ids}}}};
}

TEST_F(Tasks, are_told_on_a_listen_stream_to_their_owner) {
  const std::string id = start("wait"), foreign = [&] {
    caller = end_user(1, 2);
    auto made = start("wait");
    caller = end_user(1, 1);
    return made;
  }();
  const auto stream = ask("subscriptions/listen", listen({id, foreign, "unknown"}));
  EXPECT_EQ(stream.events->next_message()["params"]["notifications"], (Json{{"taskIds", {id}}}));
  const Json present = stream.events->next_message();
  EXPECT_EQ(present.at("method"), "notifications/tasks");
  EXPECT_EQ(present["params"]["status"], "working");
  EXPECT_EQ(present["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
  run_tasks();
  pass(5s);
  const Json done = stream.events->next_message();
  EXPECT_EQ(done["params"]["taskId"], id);
  EXPECT_EQ(done["params"]["status"], "completed");
  EXPECT_EQ(done["params"]["result"]["content"][0]["text"], "second ");
  EXPECT_EQ(modern("subscriptions/listen", listen({id})).error_code(), -32021);
  EXPECT_EQ(ask("subscriptions/listen", {{"notifications", {{"taskIds", "x"}}}}).error_code(), -32602);
}

}  // namespace
}  // namespace assistiv::test
