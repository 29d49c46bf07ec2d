// Streams that stay open: the GET stream of a session, subscriptions/listen, and what is told on them.
#include <gtest/gtest.h>

#include "support/mcp_world.h"

namespace assistiv::test {
namespace {

using mcp::ListKind;

constexpr const char* kToolsListChanged = "notifications/tools/list_changed";
constexpr const char* kSubscriptionKey = "io.modelcontextprotocol/subscriptionId";

McpReply listen(McpWorld& world, oauth::PrincipalPtr who, Json filter, const Json& id = "sub-1") {
  Json message = world.modern_message("subscriptions/listen", {{"notifications", std::move(filter)}});
  message["id"] = id;
  auto reply =
      world.node.send(McpWorld::request("POST", message.dump(),
                                        McpWorld::modern_headers("subscriptions/listen", Json::object())),
                      who);
  return reply;
}

void change_tools(McpWorld& world, const oauth::PrincipalPtr& who) {
  world.node.endpoint().on_list_changed(who->platform_id, who->end_user_id, ListKind::Tools);
}

TEST(Listen, acknowledges_first_and_tags_everything) {
  McpWorld world;
  const auto reply =
      listen(world, world.caller, {{"toolsListChanged", true}, {"promptsListChanged", true}}, 7);
  ASSERT_TRUE(reply.streamed());
  EXPECT_EQ(reply.header("x-accel-buffering"), "no");
  const Json ack = reply.events->next_message();
  EXPECT_EQ(ack.at("method"), "notifications/subscriptions/acknowledged");
  EXPECT_EQ(ack.at("params").at("_meta").at(kSubscriptionKey), 7);
  EXPECT_EQ(ack.at("params").at("notifications"), (Json{{"toolsListChanged", true}}))
      << "there are no prompts here";
  change_tools(world, world.caller);
  const Json change = reply.events->next_message();
  EXPECT_EQ(change.at("method"), kToolsListChanged);
  EXPECT_EQ(change.at("params").at("_meta").at(kSubscriptionKey), 7);
}

TEST(Listen, tells_only_what_was_asked_for) {
  McpWorld world;
  const auto nothing = listen(world, world.caller, {{"toolsListChanged", false}});
  const auto tools = listen(world, world.caller, {{"toolsListChanged", true}});
  nothing.events->next_message();
  tools.events->next_message();
  change_tools(world, world.caller);
  EXPECT_EQ(tools.events->next_message().at("method"), kToolsListChanged);
  EXPECT_EQ(nothing.events->pending(), 0u);
}

TEST(Listen, refuses_a_filter_that_cannot_be_read) {
  McpWorld world;
  for (const Json& filter :
       {Json("x"), Json{{"toolsListChanged", 1}}, Json{{"resourceSubscriptions", "x"}}}) {
    EXPECT_EQ(listen(world, world.caller, filter).error_code(), -32602);
  }
}

TEST(Listen, has_a_bound_per_user) {
  McpWorld world({.streams_per_user_max = 1});
  const auto first = listen(world, world.caller, {{"toolsListChanged", true}});
  EXPECT_TRUE(first.streamed());
  const auto second = listen(world, world.caller, {{"toolsListChanged", true}});
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.error_code(), -32603);
  EXPECT_TRUE(listen(world, end_user(1, 2), {{"toolsListChanged", true}}).streamed());
}

TEST(Listen, a_client_that_leaves_makes_room) {
  McpWorld world({.streams_per_user_max = 1});
  auto first = listen(world, world.caller, {{"toolsListChanged", true}});
  first.leave();
  EXPECT_TRUE(first.events->ended());
  EXPECT_TRUE(listen(world, world.caller, {{"toolsListChanged", true}}).streamed());
}

TEST(Listen, ends_with_its_result_when_the_server_drains) {
  McpWorld world;
  const auto reply = listen(world, world.caller, {{"toolsListChanged", true}});
  reply.events->next_message();
  world.node.endpoint().drain();
  const Json end = reply.events->next_message();
  EXPECT_EQ(end.at("id"), "sub-1");
  EXPECT_EQ(end.at("result").at("resultType"), "complete");
  EXPECT_EQ(end.at("result").at("_meta").at(kSubscriptionKey), "sub-1");
  EXPECT_TRUE(reply.events->ended());
  EXPECT_EQ(listen(world, world.caller, {{"toolsListChanged", true}}).error_code(), -32603);
}

TEST(Streams, carry_heartbeats) {
  McpWorld world({.heartbeat = std::chrono::milliseconds(20)});
  const auto modern = listen(world, world.caller, {{"toolsListChanged", true}});
  EXPECT_TRUE(modern.events->wait_for_comment());
  const auto legacy = world.get(world.open_session());
  EXPECT_TRUE(legacy.events->wait_for_comment());
}

TEST(Streams, reach_only_the_user_concerned) {
  McpWorld world;
  const auto mine = listen(world, world.caller, {{"toolsListChanged", true}});
  const auto neighbour = listen(world, end_user(1, 2), {{"toolsListChanged", true}});
  const auto other_platform = listen(world, end_user(2, 1), {{"toolsListChanged", true}});
  for (const auto* reply : {&mine, &neighbour, &other_platform}) reply->events->next_message();
  change_tools(world, world.caller);
  EXPECT_EQ(mine.events->next_message().at("method"), kToolsListChanged);
  // Everybody of the platform, and nobody else; this also shows that the first change went to one stream.
  world.node.endpoint().on_list_changed(world.caller->platform_id, {}, ListKind::Tools);
  EXPECT_EQ(neighbour.events->next_message().at("method"), kToolsListChanged);
  EXPECT_EQ(mine.events->next_message().at("method"), kToolsListChanged);
  EXPECT_EQ(neighbour.events->pending(), 0u);
  EXPECT_EQ(other_platform.events->pending(), 0u);
}

TEST(Streams, understand_the_notices_of_the_database) {
  McpWorld world;
  const auto mine = listen(world, world.caller, {{"toolsListChanged", true}});
  const auto neighbour = listen(world, end_user(1, 2), {{"toolsListChanged", true}});
  mine.events->next_message();
  neighbour.events->next_message();
  const std::string platform = world.caller->platform_id.str();
  const std::string me = platform + "/" + world.caller->end_user_id->str();
  for (const char* topic : {"connection", "grant"}) {
    world.node.endpoint().on_notify(topic, me);
    EXPECT_EQ(mine.events->next_message().at("method"), kToolsListChanged) << topic;
  }
  EXPECT_EQ(neighbour.events->pending(), 0u);
  for (const auto& [topic, payload] :
       Fields{{"grant", platform + "/*"}, {"app", platform + "/github"}, {"resync", ""}}) {
    world.node.endpoint().on_notify(topic, payload);
    if (topic != "resync") {
      EXPECT_EQ(mine.events->next_message().at("method"), kToolsListChanged) << topic;
      EXPECT_EQ(neighbour.events->next_message().at("method"), kToolsListChanged) << topic;
    }
  }
  world.node.endpoint().on_notify("grant", "not an id");
}

TEST(GetStream, begins_with_a_priming_event_since_2025_11_25) {
  McpWorld world;
  const Event first = world.get(world.open_session()).events->next();
  EXPECT_NE(first.id, "");
  EXPECT_EQ(first.data, "");
  EXPECT_TRUE(first.retry);
  const auto older = world.get(world.open_session("2025-06-18"));
  change_tools(world, world.caller);
  EXPECT_EQ(older.events->next().json().at("method"), kToolsListChanged);
}

TEST(GetStream, tells_a_change_on_one_stream_of_a_session_only) {
  McpWorld world;
  const auto session = world.open_session();
  const auto older = world.get(session);
  const auto newer = world.get(session);
  const auto elsewhere = world.get(world.open_session());
  older.events->next();
  newer.events->next();
  change_tools(world, world.caller);
  EXPECT_EQ(newer.events->next_message().at("method"), kToolsListChanged);
  EXPECT_EQ(elsewhere.events->next_message().at("method"), kToolsListChanged);
  EXPECT_EQ(older.events->pending(), 0u);
}

TEST(GetStream, ends_with_its_session) {
  McpWorld world;
  const auto session = world.open_session();
  const auto stream = world.get(session);
  EXPECT_EQ(world.del(session).status, 204);
  EXPECT_TRUE(stream.events->ended());
}

TEST(GetStream, says_once_that_the_list_changed_while_the_client_was_away) {
  McpWorld world;
  auto session = world.open_session();
  world.tools.set_list({"a"}, "one");
  world.legacy("tools/list", {}, session);
  auto stream = world.get(session);
  const Event primed = stream.events->next();
  EXPECT_EQ(stream.events->pending(), 0u) << "the client has the present list";
  stream.leave();
  world.tools.set_list({"b"}, "two");
  auto resume = session;
  resume.emplace_back("last-event-id", primed.id);
  auto back = world.get(resume);
  back.events->next();
  const Event change = back.events->next();
  EXPECT_EQ(change.json().at("method"), kToolsListChanged);
  EXPECT_NE(change.id, primed.id);
  back.leave();
  resume.back().second = change.id;
  const auto again = world.get(resume);
  again.events->next();
  change_tools(world, world.caller);
  again.events->next_message();
  EXPECT_EQ(again.events->pending(), 0u) << "it had been told before";
}

TEST(GetStream, has_a_bound_per_user) {
  McpWorld world({.streams_per_user_max = 1});
  const auto session = world.open_session();
  const auto first = world.get(session);
  EXPECT_EQ(world.get(session).status, 429);
}

TEST(OpenStream, ends_when_its_key_is_revoked_or_has_expired) {
  McpWorld world({.heartbeat = std::chrono::milliseconds(20)});
  const auto stream = world.get(world.open_session());
  world.node.endpoint().on_notify("end_user",
                                  world.caller->platform_id.str() + "/" + world.caller->end_user_id->str());
  EXPECT_TRUE(stream.events->ended());
  auto brief = std::make_shared<oauth::Principal>(*world.caller);
  brief->expires_at = world.clock.now() + std::chrono::seconds(5);
  const auto listening = listen(world, brief, {{"toolsListChanged", true}});
  listening.events->next_message();
  world.clock.advance(std::chrono::seconds(6));
  EXPECT_TRUE(listening.events->ended());
}

}  // namespace
}  // namespace assistiv::test
