// The HTTP+SSE transport of 2024-11-05: one stream, POSTs that are answered on it.
#include <gtest/gtest.h>

#include "support/mcp_world.h"

namespace assistiv::test {
namespace {

core::Task<mcp::ToolCallResult> tell_progress(mcp::CallContext context, Json arguments) {
  if (context.progress) co_await context.progress(1, 2, "half");
  co_return text_answer(arguments.value("word", "done"));
}

class Sse : public testing::Test, protected McpWorld {
 protected:
  Sse() : McpWorld({.heartbeat = std::chrono::milliseconds(50), .streams_per_user_max = 2}) {
    tools.add("tell", tell_progress);
  }

  McpReply open(Fields headers = {}) {
    auto http = request("GET", "", std::move(headers));
    http.path = "/mcp/sse";
    auto reply = node.send_sse(std::move(http), caller);
    if (reply.streamed()) url = reply.events->next().data;
    return reply;
  }
  McpReply say(std::string body, std::string query, Fields headers = {}) {
    auto http = request("POST", std::move(body), std::move(headers));
    http.path = "/mcp/message";
    http.query = std::move(query);
    return node.send_sse(std::move(http), caller);
  }
  McpReply say(const Json& message, Fields headers = {}) {
    return say(message.dump(), url.substr(url.find('?') + 1), std::move(headers));
  }
  static Json message(int id, const char* method, Json params = Json::object()) {
    return {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}};
  }
  void initialize(const McpReply& stream, const char* version = "2024-11-05") {
    EXPECT_EQ(say(message(0, "initialize", {{"protocolVersion", version}, {"capabilities", Json::object()}}))
                  .status,
              202);
    const Json answer = stream.events->next_message();
    EXPECT_EQ(answer["id"], 0);
    EXPECT_EQ(answer["result"]["protocolVersion"], version);
    EXPECT_EQ(say(Json{{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}}).status, 202);
  }

  std::string url;
};

TEST_F(Sse, begins_with_the_url_to_post_to_and_answers_on_the_stream) {
  const auto stream = open();
  EXPECT_EQ(stream.status, 200);
  EXPECT_EQ(stream.header("content-type"), "text/event-stream");
  EXPECT_TRUE(stream.events->written().starts_with("event: endpoint\n")) << stream.events->written();
  EXPECT_TRUE(url.starts_with("/mcp/message?sessionId=")) << url;
  initialize(stream);
  const auto accepted = say(
      message(1, "tools/call",
              {{"name", "tell"}, {"arguments", {{"word", "hello"}}}, {"_meta", {{"progressToken", "p"}}}}));
  EXPECT_EQ(accepted.status, 202);
  EXPECT_EQ(accepted.body, "");
  EXPECT_EQ(stream.events->next_message()["params"]["progressToken"], "p");
  const Json answer = stream.events->next_message();
  EXPECT_EQ(answer["id"], 1);
  EXPECT_EQ(answer["result"]["content"][0]["text"], "hello");
  EXPECT_EQ(say(message(2, "nothing/known")).status, 202);
  EXPECT_EQ(stream.events->next_message()["error"]["code"], -32601);
}

TEST_F(Sse, is_not_found_once_the_process_that_held_the_stream_has_vanished) {
  const auto stream = open();
  initialize(stream);
  // As after kill -9: nobody has removed the session, and nobody says that it is read.
  const auto owner =
      mcp::SessionOwner{caller->platform_id, *caller->end_user_id, std::string(mcp::kSseEndpoint)};
  const auto id = url.substr(url.find('=') + 1);
  io.run(sessions.mark_read(owner, id, clock.now()));
  const auto reply = say(message(1, "tools/list"));
  EXPECT_EQ(reply.status, 404);
  EXPECT_NE(reply.body.find("Open the event stream again"), std::string::npos) << reply.body;
  EXPECT_EQ(say(message(2, "initialize")).status, 404) << "the same for every message";
}

TEST_F(Sse, keeps_alive_tells_list_changes_and_ends_with_its_client) {
  const auto stream = open();
  EXPECT_TRUE(stream.events->wait_for_comment());
  node.endpoint().on_list_changed(caller->platform_id, caller->end_user_id, mcp::ListKind::Tools);
  EXPECT_EQ(stream.events->next_message()["method"], "notifications/tools/list_changed");
  EXPECT_NE(stream.events->written().find("event: message\n"), std::string::npos);
  stream.events->leave();
  EXPECT_TRUE(stream.events->ended());
  EXPECT_EQ(say(message(1, "ping")).status, 404) << "a session without a stream is of no use";
}

TEST_F(Sse, sessions_are_their_users_and_their_transports) {
  const auto stream = open();
  initialize(stream);
  const std::string own = url.substr(url.find('?') + 1), id = own.substr(own.find('=') + 1);
  const std::string ping = message(1, "ping").dump();
  for (const std::string& query : {std::string(), std::string("sessionId="), std::string("sessionId=nobodys"),
                                   std::string("other=") + id, "sessionId=" + std::string(500, 'a')}) {
    EXPECT_EQ(say(ping, query).status, 404) << query;
  }
  caller = end_user(1, 2);
  EXPECT_EQ(say(ping, own).status, 404);
  caller = end_user(1, 1);
  EXPECT_EQ(legacy("ping", Json::object(), {{"mcp-session-id", id}}).status, 404);
  const auto streamable = open_session();
  EXPECT_EQ(say(ping, "sessionId=" + streamable.front().second).status, 404);
  EXPECT_EQ(say(ping, "x=1&" + own).status, 202);
}

TEST_F(Sse, refuses_what_cannot_be_served) {
  EXPECT_EQ(open({{"accept", "application/json"}}).status, 406);
  EXPECT_EQ(open({{"origin", "https://evil.example"}}).status, 403);
  const auto first = open(), second = open();
  EXPECT_EQ(open().status, 429) << "streams of a user are bounded";
  EXPECT_EQ(say(message(1, "ping"), {{"content-type", "text/plain"}}).status, 415);
  const auto broken = say("{", url.substr(url.find('?') + 1));
  EXPECT_EQ(broken.status, 400);
  EXPECT_EQ(broken.error_code(), -32700);
}

TEST_F(Sse, a_client_that_does_not_read_loses_its_stream_and_not_the_servers_memory) {
  const auto stream = open();
  initialize(stream);
  stream.events->hold();
  for (int i = 0; i < 600; ++i) say(message(i + 1, "ping"));
  stream.events->release();
  EXPECT_TRUE(stream.events->ended());
}

}  // namespace
}  // namespace assistiv::test
