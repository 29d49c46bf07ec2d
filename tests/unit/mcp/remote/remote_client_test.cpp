#include "mcp/remote/remote_client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mcp/remote/exchange.h"
#include "support/run_task.h"
#include "support/scripted_mcp_server.h"

namespace assistiv::mcp {
namespace {

using core::Json;
using test::RemoteAnswer;
using test::RemoteRequest;

const char kNotInitialized[] = "Bad Request: No valid session ID provided";

Json text_result(const std::string& text) {
  return {{"content", {{{"type", "text"}, {"text", text}}}}};
}

core::Task<> note_progress(std::vector<std::string>* seen, double done, double total, std::string message) {
  seen->push_back(std::to_string(static_cast<int>(done)) + "/" + std::to_string(static_cast<int>(total)) +
                  " " + message);
  co_return;
}

class RemoteClientTest : public ::testing::Test {
 protected:
  static RemoteTarget target() {
    RemoteTarget out;
    out.session_key = "platform/app/user";
    out.url = "https://mcp.test/mcp";
    out.title = "Wiki";
    out.header_name = "Authorization";
    out.header_value = core::Secret("Bearer upstream-secret");
    return out;
  }

  std::variant<Json, Failure> call(RemoteCall call = RemoteCall()) {
    if (call.tool.empty()) call.tool = "echo";
    if (!call.arguments) call.arguments = std::make_shared<const Json>(Json{{"text", "hi"}});
    return test::run(client_.call_tool(target(), std::move(call)));
  }
  Json result() {
    auto outcome = call();
    if (const auto* failure = std::get_if<Failure>(&outcome)) {
      ADD_FAILURE() << failure->message;
      return {};
    }
    return std::get<Json>(outcome);
  }
  Failure failure(RemoteCall how = RemoteCall()) {
    auto outcome = call(std::move(how));
    EXPECT_TRUE(std::holds_alternative<Failure>(outcome));
    return std::holds_alternative<Failure>(outcome) ? std::get<Failure>(outcome) : Failure();
  }
  std::variant<RemoteListing, Failure> list() { return test::run(client_.list_tools(target(), {})); }
  std::string list_failure() {
    const auto outcome = list();
    EXPECT_TRUE(std::holds_alternative<Failure>(outcome));
    return std::holds_alternative<Failure>(outcome) ? std::get<Failure>(outcome).message : "";
  }

  static RemoteClientOptions options() {
    RemoteClientOptions out;
    out.client_version = "1";
    out.bytes_max = 200'000;
    out.events_max = 50;
    out.pages_max = 5;
    out.tools_max = 20;
    return out;
  }

  test::ScriptedMcpServer server_;
  RemoteClient client_{server_, options()};
};

TEST_F(RemoteClientTest, modern_requests_state_themselves_and_keep_nothing) {
  server_.be_modern();
  server_.on("tools/call", RemoteAnswer::result(text_result("hello")));
  EXPECT_EQ(result()["content"][0]["text"], "hello");
  result();
  EXPECT_EQ(server_.methods(), (std::vector<std::string>{"server/discover", "tools/call", "tools/call"}));
  const auto sent = server_.requests("tools/call")[0];
  EXPECT_EQ(sent.headers.get("mcp-protocol-version"), "2026-07-28");
  EXPECT_EQ(sent.headers.get("mcp-method"), "tools/call");
  EXPECT_EQ(sent.headers.get("mcp-name"), "echo");
  EXPECT_EQ(sent.headers.get("authorization"), "Bearer upstream-secret");
  EXPECT_FALSE(sent.headers.get("mcp-session-id"));
  const auto& meta = sent.message["params"]["_meta"];
  EXPECT_EQ(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
  EXPECT_EQ(meta["io.modelcontextprotocol/clientCapabilities"], Json::object());
  EXPECT_EQ(sent.message["params"]["arguments"], Json({{"text", "hi"}}));
}

TEST_F(RemoteClientTest, what_a_header_cannot_carry_is_encoded) {
  EXPECT_EQ(encode_header_value("plain name"), "plain name");
  EXPECT_EQ(encode_header_value("grüße"), "=?base64?Z3LDvMOfZQ==?=");
  EXPECT_EQ(encode_header_value(" a"), "=?base64?IGE=?=");
  EXPECT_EQ(encode_header_value("a\r\nb: c"), "=?base64?YQ0KYjogYw==?=");
  EXPECT_EQ(encode_header_value("=?base64?x?="), "=?base64?PT9iYXNlNjQ/eD89?=");
}

TEST_F(RemoteClientTest, mirrored_arguments_are_repeated_in_headers) {
  server_.be_modern();
  server_.on("tools/call", RemoteAnswer::result(text_result("ok")));
  RemoteCall how;
  how.arguments = std::make_shared<const Json>(Json{{"region", "eu"}, {"at", {{"count", 3}}}});
  how.mirrored = {{{"region"}, "Region"}, {{"at", "count"}, "Count"}, {{"absent"}, "Absent"}};
  call(how);
  const auto sent = server_.requests("tools/call").at(0).headers;
  EXPECT_EQ(sent.get("mcp-param-region"), "eu");
  EXPECT_EQ(sent.get("mcp-param-count"), "3");
  EXPECT_FALSE(sent.get("mcp-param-absent"));
}

TEST_F(RemoteClientTest, falls_back_to_a_legacy_session) {
  server_.be_legacy();
  server_.on("server/discover", RemoteAnswer::error(-32000, kNotInitialized, 400));
  server_.on("tools/call", RemoteAnswer::result(text_result("hello")));
  result();
  result();
  EXPECT_EQ(server_.methods(),
            (std::vector<std::string>{"server/discover", "initialize", "notifications/initialized",
                                      "tools/call", "tools/call"}));
  EXPECT_FALSE(server_.requests("initialize")[0].headers.get("mcp-protocol-version"));
  const auto sent = server_.requests("tools/call")[0];
  EXPECT_EQ(sent.headers.get("mcp-session-id"), "session-1");
  EXPECT_EQ(sent.headers.get("mcp-protocol-version"), "2025-11-25");
  EXPECT_FALSE(sent.headers.get("mcp-method"));
  EXPECT_FALSE(sent.message["params"].contains("_meta"));
}

TEST_F(RemoteClientTest, two_callers_never_share_a_session) {
  server_.be_legacy();
  server_.on("tools/call", RemoteAnswer::result(text_result("hello")));
  result();
  auto other = target();
  other.session_key = "platform/app/other";
  RemoteCall how;
  how.tool = "echo";
  how.arguments = std::make_shared<const Json>(Json::object());
  test::run(client_.call_tool(other, how));
  EXPECT_EQ(server_.requests("initialize").size(), 2u);
  EXPECT_EQ(server_.requests("server/discover").size(), 1u) << "the era is the server's, not the caller's";
}

TEST_F(RemoteClientTest, older_versions_and_servers_without_sessions_work) {
  for (const char* version : {"2024-11-05", "2025-03-26", "2025-06-18"}) {
    client_.forget_all();
    server_.be_legacy(version, "");
    server_.on("tools/call", RemoteAnswer::result(text_result("hello")));
    result();
    const auto sent = server_.requests("tools/call").back();
    EXPECT_EQ(sent.headers.get("mcp-protocol-version"), version);
    EXPECT_FALSE(sent.headers.get("mcp-session-id"));
  }
}

TEST_F(RemoteClientTest, a_lost_session_is_opened_again_once) {
  server_.be_legacy();
  int calls = 0;
  server_.on("tools/call", [&calls](const RemoteRequest&) {
    return ++calls == 1 ? RemoteAnswer::text(404, "text/plain", "gone")
                        : RemoteAnswer::result(text_result("hello"));
  });
  EXPECT_EQ(result()["content"][0]["text"], "hello");
  EXPECT_EQ(server_.requests("initialize").size(), 2u);

  server_.on("tools/call", RemoteAnswer::text(404, "text/plain", "gone"));
  EXPECT_EQ(failure().status, 404);
  EXPECT_EQ(server_.requests("initialize").size(), 3u);
}

TEST_F(RemoteClientTest, a_server_that_was_replaced_by_an_older_one_is_asked_again) {
  server_.be_modern();
  server_.on("tools/call", RemoteAnswer::result(text_result("modern")));
  result();
  server_.on("server/discover", RemoteAnswer::error(-32601, "Method not found"));
  server_.be_legacy();
  server_.on("tools/call", [](const RemoteRequest& request) {
    return request.headers.get("mcp-session-id") ? RemoteAnswer::result(text_result("legacy"))
                                                 : RemoteAnswer::text(400, "text/html", "<p>What?</p>");
  });
  EXPECT_EQ(result()["content"][0]["text"], "legacy");
}

TEST_F(RemoteClientTest, reads_the_answer_from_a_stream_and_passes_progress_on) {
  server_.be_modern();
  server_.on(
      "tools/call",
      RemoteAnswer::events(
          {R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p$ID","progress":1,"total":2,"message":"half\u202e"}})",
           R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}})",
           R"({"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"done"}]}})"}));
  std::vector<std::string> seen;
  RemoteCall how;
  how.progress = [&seen](double done, std::optional<double> total, std::string message) {
    return note_progress(&seen, done, total.value_or(0), std::move(message));
  };
  const auto outcome = call(how);
  EXPECT_EQ(std::get<Json>(outcome)["content"][0]["text"], "done");
  EXPECT_EQ(seen, (std::vector<std::string>{"1/2 half"}));
  EXPECT_TRUE(server_.requests("tools/call")[0].message["params"]["_meta"].contains("progressToken"));
}

TEST_F(RemoteClientTest, requests_of_the_server_are_declined_and_few_are_answered) {
  server_.be_legacy();
  std::vector<std::string> events = {R"({"jsonrpc":"2.0","id":"ping-1","method":"ping"})"};
  for (int i = 0; i < 20; ++i)
    events.push_back(R"({"jsonrpc":"2.0","id":"s-1","method":"sampling/createMessage","params":{}})");
  events.push_back(R"({"jsonrpc":"2.0","id":$ID,"result":{"content":[]}})");
  server_.on("tools/call", RemoteAnswer::events(events));
  result();
  const auto answers = server_.requests("");
  ASSERT_EQ(answers.size(), 8u);
  EXPECT_EQ(answers[0].message["result"], Json::object());
  EXPECT_EQ(answers[1].message["error"]["code"], -32601);
  EXPECT_EQ(answers[1].message["id"], "s-1");
  EXPECT_EQ(answers[1].headers.get("mcp-session-id"), "session-1");
}

TEST_F(RemoteClientTest, a_stream_or_body_without_end_is_left) {
  server_.be_modern();
  auto events = RemoteAnswer::events({R"({"jsonrpc":"2.0","method":"notifications/message","params":{}})"});
  events.endless = true;
  server_.on("tools/call", events);
  EXPECT_NE(failure().message.find("without an end"), std::string::npos);

  auto comments = RemoteAnswer::text(200, "text/event-stream", ": " + std::string(5000, 'x') + "\n\n");
  comments.endless = true;
  server_.on("tools/call", comments);
  EXPECT_NE(failure().message.find("too large"), std::string::npos);

  auto line = RemoteAnswer::text(200, "text/event-stream", "data: " + std::string(5000, 'x'));
  line.endless = true;
  server_.on("tools/call", line);
  EXPECT_NE(failure().message.find("too large"), std::string::npos);

  auto body = RemoteAnswer::json("[" + std::string(5000, ' '));
  body.endless = true;
  server_.on("tools/call", body);
  EXPECT_NE(failure().message.find("too large"), std::string::npos);
}

TEST_F(RemoteClientTest, answers_that_are_none_are_failures_in_words) {
  server_.be_modern();
  const std::vector<std::pair<RemoteAnswer, std::string>> cases = {
      {RemoteAnswer::text(200, "text/html; charset=utf-8", "<h1>Hi</h1>"), "text/html"},
      {RemoteAnswer::json("{\"jsonrpc\":"), "no JSON"},
      {RemoteAnswer::json(R"({"jsonrpc":"2.0","id":99999999,"result":{}})"), "no answer to the request"},
      {RemoteAnswer::json(R"({"jsonrpc":"2.0","id":$ID,"result":"text"})"), "no answer to the request"},
      {RemoteAnswer::json("[]"), "no answer to the request"},
      {RemoteAnswer::events({R"({"jsonrpc":"2.0","id":99999999,"result":{}})"}), "ended its stream"},
      {RemoteAnswer::events({"{"}), "no JSON"},
      {RemoteAnswer::text(202, "application/json", ""), "status 202"},
      {RemoteAnswer::text(302, "text/plain", "").with("location", "http://169.254.169.254/"), "redirect"},
      {RemoteAnswer::text(401, "text/plain", ""), "platform's credential"},
      {RemoteAnswer::text(403, "text/plain", ""), "does not let"},
      {RemoteAnswer::text(500, "text/html", "<h1>Oops</h1>"), "status 500"},
      {RemoteAnswer::result({{"resultType", "input_required"}}), "ask the user"},
      {RemoteAnswer::result({{"resultType", "task"}, {"taskId", "1"}}), "not asked for"},
      {RemoteAnswer::error(-32603, "it\u202e broke"), "Wiki says: it broke"},
  };
  for (const auto& [answer, words] : cases) {
    server_.on("tools/call", answer);
    EXPECT_NE(failure().message.find(words), std::string::npos) << failure().message;
  }
  EXPECT_EQ(server_.requests("server/discover").size(), 1u);
}

TEST_F(RemoteClientTest, deep_json_is_refused) {
  server_.be_modern();
  server_.on("tools/call", RemoteAnswer::json(R"({"jsonrpc":"2.0","id":$ID,"result":{"a":)" +
                                              std::string(5000, '[') + std::string(5000, ']') + "}}"));
  EXPECT_NE(failure().message.find("no JSON"), std::string::npos);
}

TEST_F(RemoteClientTest, codes_tell_an_agent_what_to_do) {
  server_.be_modern();
  server_.on("tools/call", RemoteAnswer::error(-32602, "bad"));
  EXPECT_EQ(failure().code, FailureCode::Validation);
  server_.on("tools/call", RemoteAnswer::text(429, "text/plain", "").with("retry-after", "17"));
  EXPECT_EQ(failure().code, FailureCode::RateLimited);
  EXPECT_EQ(failure().retry_after, std::chrono::seconds(17));
  auto personal = target();
  personal.personal = true;
  server_.on("tools/call", RemoteAnswer::text(401, "text/plain", ""));
  RemoteCall how;
  how.tool = "echo";
  how.arguments = std::make_shared<const Json>(Json::object());
  const auto outcome = test::run(client_.call_tool(personal, how));
  EXPECT_EQ(std::get<Failure>(outcome).code, FailureCode::ReauthRequired);
}

TEST_F(RemoteClientTest, a_change_that_may_have_been_made_is_never_sent_again) {
  server_.be_modern();
  auto broken = RemoteAnswer::events({});
  broken.breaks = core::OutboundFailure::Broken;
  server_.on("tools/call", broken);
  EXPECT_TRUE(failure().outcome_unknown);
  EXPECT_EQ(server_.requests("tools/call").size(), 1u);
  for (int status : {400, 404, 405}) {
    server_.on("tools/call", RemoteAnswer::text(status, "text/plain", "no"));
    const auto before = server_.requests("tools/call").size();
    EXPECT_EQ(failure().status, status);
    EXPECT_EQ(server_.requests("tools/call").size(), before + 1) << status;
  }
  server_.on("tools/call", broken);
  RemoteCall reading;
  reading.safe = true;
  EXPECT_FALSE(failure(reading).outcome_unknown);
}

TEST_F(RemoteClientTest, a_cancelled_legacy_call_is_told_to_the_server) {
  server_.be_legacy();
  auto hanging = RemoteAnswer::events({});
  hanging.hangs = true;
  std::stop_source stop;
  server_.on("tools/call", [&](const RemoteRequest&) {
    stop.request_stop();
    return hanging;
  });
  RemoteCall how;
  how.stop = stop.get_token();
  EXPECT_EQ(failure(how).code, FailureCode::Cancelled);
  const auto told = server_.requests("notifications/cancelled");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].message["params"]["requestId"], server_.requests("tools/call")[0].message["id"]);
}

TEST_F(RemoteClientTest, a_list_is_read_page_by_page) {
  server_.be_modern();
  server_.on("tools/list", [](const RemoteRequest& request) {
    const auto& params = request.message["params"];
    const bool second = params.contains("cursor");
    Json page = {{"tools", {{{"name", second ? "b" : "a"}}}}};
    if (!second) page["nextCursor"] = "2";
    return RemoteAnswer::result(page);
  });
  const auto outcome = list();
  const auto& listing = std::get<RemoteListing>(outcome);
  ASSERT_EQ(listing.tools.size(), 2u);
  EXPECT_EQ(listing.tools[1]["name"], "b");
  EXPECT_EQ(listing.protocol, "2026-07-28");
  EXPECT_EQ(listing.server_name, "modern");
}

TEST_F(RemoteClientTest, lists_without_end_are_left) {
  server_.be_modern();
  server_.on("tools/list", RemoteAnswer::result({{"tools", Json::array()}, {"nextCursor", "same"}}));
  EXPECT_NE(list_failure().find("no end"), std::string::npos);
  int page = 0;
  server_.on("tools/list", [&page](const RemoteRequest&) {
    return RemoteAnswer::result({{"tools", Json::array()}, {"nextCursor", std::to_string(++page)}});
  });
  EXPECT_NE(list_failure().find("no end"), std::string::npos);
  EXPECT_EQ(page, 5);
  Json many = Json::array();
  for (int i = 0; i < 30; ++i) many.push_back({{"name", std::to_string(i)}});
  server_.on("tools/list", RemoteAnswer::result({{"tools", many}}));
  EXPECT_NE(list_failure().find("more than 20 tools"), std::string::npos);
  server_.on("tools/list", RemoteAnswer::result(Json::object()));
  EXPECT_NE(list_failure().find("without tools"), std::string::npos);
}

TEST_F(RemoteClientTest, a_version_that_nobody_knows_is_said) {
  server_.be_legacy("2030-01-01");
  EXPECT_NE(failure().message.find("no version of MCP"), std::string::npos);
  server_.be_legacy("2026-07-28");
  EXPECT_NE(failure().message.find("no version of MCP"), std::string::npos);
}

RemoteAnswer broken_stream(std::vector<std::string> pieces) {
  auto out = RemoteAnswer::events({});
  out.pieces = std::move(pieces);
  out.breaks = core::OutboundFailure::Broken;
  return out;
}

// As resumed streams do not belong to a request, the id of the one that waits is looked up.
RemoteAnswer answer_to_waiting(const test::ScriptedMcpServer& server, const std::string& text) {
  const auto id = server.requests("tools/call").back().message["id"];
  return RemoteAnswer::events({Json{{"jsonrpc", "2.0"}, {"id", id}, {"result", text_result(text)}}.dump()});
}

TEST_F(RemoteClientTest, a_legacy_stream_that_breaks_goes_on_where_it_was) {
  server_.be_legacy();
  server_.on("tools/call",
             broken_stream({"id: e1\nretry: 1\ndata:\n\n",
                            "id: e2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n",
                            "id: half"}));
  int gets = 0;
  server_.on("GET", [&](const RemoteRequest&) {
    return ++gets == 1 ? broken_stream({"id: e3\ndata:\n\n"}) : answer_to_waiting(server_, "late");
  });
  EXPECT_EQ(result()["content"][0]["text"], "late");
  const auto sent = server_.requests("GET");
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].headers.get("last-event-id"), "e2");
  EXPECT_EQ(sent[1].headers.get("last-event-id"), "e3");
  EXPECT_EQ(sent[0].headers.get("mcp-session-id"), "session-1");
  EXPECT_EQ(sent[0].headers.get("authorization"), "Bearer upstream-secret");
  EXPECT_EQ(server_.requests("tools/call").size(), 1U) << "the call itself is never sent again";
}

TEST_F(RemoteClientTest, a_stream_that_the_server_closed_after_an_id_goes_on_too) {
  server_.be_legacy();
  auto polled = RemoteAnswer::events({});
  polled.pieces = {"id: e1\nretry: 1\ndata:\n\n"};
  server_.on("tools/call", polled);
  server_.on("GET", [&](const RemoteRequest&) { return answer_to_waiting(server_, "polled"); });
  EXPECT_EQ(result()["content"][0]["text"], "polled");
}

TEST_F(RemoteClientTest, without_an_id_or_in_the_modern_era_there_is_nothing_to_go_on_from) {
  server_.be_legacy();
  server_.on("tools/call", broken_stream({"data:\n\n"}));
  EXPECT_TRUE(failure().outcome_unknown);
  server_.on("tools/call", broken_stream({"id: e\x01\ndata:\n\n"}));
  EXPECT_TRUE(failure().outcome_unknown) << "an id that no header can carry";
  EXPECT_TRUE(server_.requests("GET").empty());
}

TEST_F(RemoteClientTest, modern_streams_are_never_taken_up_again) {
  server_.be_modern();
  server_.on("tools/call", broken_stream({"id: e1\ndata:\n\n"}));
  EXPECT_TRUE(failure().outcome_unknown);
  EXPECT_TRUE(server_.requests("GET").empty());
}

TEST_F(RemoteClientTest, a_stream_that_breaks_for_ever_is_left) {
  server_.be_legacy();
  server_.on("tools/call", broken_stream({"id: e1\nretry: 1\ndata:\n\n"}));
  server_.on("GET", broken_stream({"id: e2\ndata:\n\n"}));
  EXPECT_TRUE(failure().outcome_unknown);
  EXPECT_EQ(server_.requests("GET").size(), 5U);
  server_.on("GET", RemoteAnswer{.status = 405});
  EXPECT_TRUE(failure().outcome_unknown);
  EXPECT_EQ(server_.requests("GET").size(), 6U);
}

}  // namespace
}  // namespace assistiv::mcp
