// Legacy sessions in PostgreSQL, and two nodes on one database that behave as one server.
#include <gtest/gtest.h>

#include "core/async.h"
#include "mcp/sessions/pg_session_store.h"
#include "storage/notifier.h"
#include "support/mcp_world.h"
#include "support/test_database.h"

namespace assistiv::test {
namespace {

using mcp::PgSessionStore;
using mcp::Session;
using mcp::SessionOwner;
using mcp::StreamEvent;

SessionOwner owner_of(const oauth::PrincipalPtr& who, std::string endpoint = "") {
  return {who->platform_id, *who->end_user_id, std::move(endpoint)};
}

void insert_user(TestDatabase& database, const oauth::PrincipalPtr& who) {
  database.exec(
      "insert into platform (platform_id, name, slug, created_at, updated_at) values ($1::uuid, 'p', $1, "
      "now(), now()) "
      "on conflict do nothing",
      {who->platform_id.str()});
  database.exec(
      "insert into end_user (platform_id, end_user_id, external_id, created_at, updated_at) "
      "values ($1::uuid, $2::uuid, $2, now(), now())",
      {who->platform_id.str(), who->end_user_id->str()});
}

class PgSessions : public testing::Test {
 protected:
  PgSessions() {
    for (const auto& who : {me, neighbour, stranger}) insert_user(database, who);
  }
  Session make(const std::string& id, const oauth::PrincipalPtr& who) {
    Session session;
    session.owner = owner_of(who);
    session.id = id;
    session.protocol_version = kLegacy;
    session.client_json = R"({"name":"t"})";
    session.capabilities_json = "{}";
    return session;
  }
  void create(const std::string& id, const oauth::PrincipalPtr& who, std::size_t max = 10) {
    run(store.create(make(id, who), max));
    clock.advance(std::chrono::seconds(1));
  }
  mcp::SessionPtr find(PgSessionStore& in, const std::string& id, SessionOwner owner) {
    return run(in.find(std::move(owner), id));
  }
  std::int64_t count(const char* table) {
    return database.exec("select count(*) as n from " + std::string(table))[0].integer("n");
  }

  template <class T>
  T run(core::Task<T> task) {
    return io.run(std::move(task));
  }

  IoThread io;  // outlives the database's threads, which resume coroutines on it
  const oauth::PrincipalPtr me = end_user(1, 1), neighbour = end_user(1, 2), stranger = end_user(2, 1);
  TestDatabase database;
  ManualClock clock;
  PgSessionStore store{database.db(), clock};
  PgSessionStore other_node{database.db(), clock};
};

TEST_F(PgSessions, are_found_by_every_node_and_by_their_owner_only) {
  create("s1", me);
  for (auto* node : {&store, &other_node}) {
    const auto session = find(*node, "s1", owner_of(me));
    ASSERT_TRUE(session);
    EXPECT_EQ(session->protocol_version, kLegacy);
    EXPECT_EQ(session->client_json, R"({"name":"t"})");
    EXPECT_FALSE(find(*node, "s1", owner_of(neighbour)));
    EXPECT_FALSE(find(*node, "s1", owner_of(stranger)));
    EXPECT_FALSE(find(*node, "s1", owner_of(me, "github")));
    EXPECT_TRUE(find(*node, "s1", owner_of(me))) << "a foreign look-up must not spoil the cache";
  }
}

TEST_F(PgSessions, keep_what_is_set_on_them) {
  create("s1", me);
  run(store.set_log_level(owner_of(me), "s1", "error"));
  run(store.set_list_etag(owner_of(me), "s1", "e1"));
  EXPECT_TRUE(run(store.subscribe(owner_of(me), "s1", "test://a", mcp::Subscribing::Add)));
  EXPECT_TRUE(run(store.subscribe(owner_of(me), "s1", "test://b", mcp::Subscribing::Add)));
  EXPECT_TRUE(run(store.subscribe(owner_of(me), "s1", "test://a", mcp::Subscribing::Add)));
  EXPECT_TRUE(run(store.subscribe(owner_of(me), "s1", "test://b", mcp::Subscribing::Remove)));
  const auto session = find(other_node, "s1", owner_of(me));
  EXPECT_EQ(session->log_level, "error");
  EXPECT_EQ(session->list_etag, "e1");
  EXPECT_EQ(session->subscriptions, std::vector<std::string>{"test://a"});
  for (std::size_t i = 1; i < mcp::kSubscriptionsMax; ++i) {
    EXPECT_TRUE(
        run(store.subscribe(owner_of(me), "s1", "test://" + std::to_string(i), mcp::Subscribing::Add)));
  }
  EXPECT_FALSE(run(store.subscribe(owner_of(me), "s1", "test://more", mcp::Subscribing::Add)));
  EXPECT_TRUE(run(store.subscribe(owner_of(me), "s1", "test://a", mcp::Subscribing::Remove)));
}

TEST_F(PgSessions, end_by_removal_idleness_and_crowding) {
  create("removed", me);
  EXPECT_FALSE(run(store.remove(owner_of(neighbour), "removed")));
  EXPECT_TRUE(run(store.remove(owner_of(me), "removed")));
  EXPECT_FALSE(run(store.remove(owner_of(me), "removed")));
  EXPECT_FALSE(find(store, "removed", owner_of(me)));
  create("a", me, 2);
  create("b", me, 2);
  create("of-neighbour", neighbour, 2);
  create("c", me, 2);
  other_node.on_notify("resync", "");
  EXPECT_FALSE(find(other_node, "a", owner_of(me)));
  EXPECT_TRUE(find(other_node, "b", owner_of(me)));
  EXPECT_TRUE(find(other_node, "of-neighbour", owner_of(neighbour)));
  clock.advance(std::chrono::hours(25));
  EXPECT_FALSE(find(store, "c", owner_of(me)));
  EXPECT_EQ(run(store.sweep(100)), 3u);
  EXPECT_EQ(count("mcp_session"), 0);
}

TEST_F(PgSessions, of_the_first_transport_are_read_until_their_reader_says_no_more) {
  create("s", me);
  const auto owner = owner_of(me);
  EXPECT_TRUE(run(other_node.is_read(owner, "s"))) << "nothing is said: another transport's";
  run(store.mark_read(owner, "s", clock.now() + std::chrono::seconds(45)));
  clock.advance(std::chrono::seconds(44));
  EXPECT_TRUE(run(other_node.is_read(owner, "s")));
  EXPECT_FALSE(run(other_node.is_read(owner_of(stranger), "s")));
  clock.advance(std::chrono::seconds(1));
  EXPECT_FALSE(run(other_node.is_read(owner, "s")));
  run(store.mark_read(owner, "s", clock.now() + std::chrono::seconds(45)));
  EXPECT_TRUE(run(other_node.is_read(owner, "s"))) << "it was only slow";
}

TEST_F(PgSessions, stay_alive_by_use) {
  create("s1", me);
  for (int i = 0; i < 4; ++i) {
    clock.advance(std::chrono::hours(20));
    EXPECT_TRUE(find(store, "s1", owner_of(me)));
  }
  EXPECT_EQ(run(store.sweep(100)), 0u);
}

TEST_F(PgSessions, go_with_their_end_user) {
  create("s1", me);
  run(store.append(owner_of(me), "s1", "stream", {1, "x", false}));
  database.exec("delete from end_user where end_user_id = $1::uuid", {me->end_user_id->str()});
  EXPECT_EQ(count("mcp_session"), 0);
  EXPECT_EQ(count("mcp_stream_event"), 0);
}

TEST_F(PgSessions, keep_events_of_streams_apart_and_bounded) {
  create("s1", me);
  create("s2", me);
  const auto read = [&](const char* session, const char* stream, std::int64_t after,
                        const oauth::PrincipalPtr& who) {
    return run(other_node.read(owner_of(who), session, stream, after));
  };
  run(store.append(owner_of(me), "s1", "a", {1, "", false}));
  run(store.append(owner_of(me), "s1", "b", {1, "other", false}));
  run(store.append(owner_of(me), "s1", "a", {2, "answer", true}));
  const auto events = read("s1", "a", 1, me);
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ(events->front().data, "answer");
  EXPECT_TRUE(events->front().last);
  EXPECT_TRUE(read("s1", "a", 2, me)->empty());
  EXPECT_FALSE(read("s1", "unknown", 0, me));
  EXPECT_FALSE(read("s2", "a", 0, me));
  EXPECT_FALSE(read("s1", "a", 0, neighbour));
  EXPECT_FALSE(read("s1", "a", 0, stranger));
  run(store.append(owner_of(neighbour), "s1", "a", {3, "smuggled", false}));
  EXPECT_TRUE(read("s1", "a", 2, me)->empty());
  for (std::size_t i = 1; i <= mcp::kStoredEventsMax + 20; ++i) {
    run(store.append(owner_of(me), "s2", "many", {static_cast<std::int64_t>(i), "e", false}));
  }
  EXPECT_EQ(read("s2", "many", 0, me)->size(), mcp::kStoredEventsMax);
  EXPECT_EQ(read("s2", "many", 0, me)->front().seq, 21);
  run(store.append(owner_of(me), "s2", "huge", {1, std::string(mcp::kStoredBytesMax, 'x'), false}));
  run(store.append(owner_of(me), "s2", "huge", {2, "after", false}));
  EXPECT_FALSE(read("s2", "many", 0, me));
  EXPECT_EQ(read("s2", "huge", 0, me)->size(), 1u);
}

// A node as in production: its own cache, its own connection for notices.
struct DatabaseNode {
  DatabaseNode(IoThread& io, TestDatabase& database, ManualClock& clock, core::Random& random,
               const oauth::Vault& vault, ScriptedTools& tools)
      : store(database.db(), clock),
        node(io, {}, {.tools = tools, .logging = mcp::LogSupport::Yes}, {store, vault, clock, random}),
        notifier(database.url()) {
    notifier.subscribe([this](std::string_view topic, std::string_view payload) {
      node.endpoint().on_notify(topic, payload);
    });
    notifier.start();
  }
  ~DatabaseNode() { notifier.stop(); }

  PgSessionStore store;
  McpNode node;
  storage::Notifier notifier;
};

class TwoNodes : public testing::Test {
 protected:
  TwoNodes() : vault(test_vault(random)) {
    insert_user(database, me);
    one = make_node();
    two = make_node();
  }
  std::unique_ptr<DatabaseNode> make_node() {
    return std::make_unique<DatabaseNode>(io, database, clock, random, *vault, tools);
  }
  McpReply post(DatabaseNode& at, const Json& message, const Fields& headers) {
    return at.node.send(McpWorld::request("POST", message.dump(), headers), me);
  }
  Fields open_session(DatabaseNode& at, Json capabilities = Json::object()) {
    const Json params = {{"protocolVersion", kLegacy}, {"capabilities", std::move(capabilities)}};
    const auto reply =
        post(at, {{"jsonrpc", "2.0"}, {"id", 0}, {"method", "initialize"}, {"params", params}}, {});
    return {{"mcp-session-id", reply.header("mcp-session-id")}, {"mcp-protocol-version", kLegacy}};
  }
  static Json call(const char* name, Json meta = Json::object()) {
    const Json params = {{"name", name}, {"_meta", std::move(meta)}};
    return {{"jsonrpc", "2.0"}, {"id", "c1"}, {"method", "tools/call"}, {"params", params}};
  }

  IoThread io;  // outlives the database's threads, which resume coroutines on it
  const oauth::PrincipalPtr me = end_user(1, 1);
  TestDatabase database;
  ManualClock clock;
  core::SystemRandom random;
  std::unique_ptr<oauth::Vault> vault;
  ScriptedTools tools;
  std::unique_ptr<DatabaseNode> one, two;
};

const Json kListTools = {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "tools/list"}};

TEST_F(TwoNodes, share_sessions_and_survive_a_restart) {
  const auto session = open_session(*one);
  EXPECT_EQ(post(*two, kListTools, session).status, 200);
  one.reset();
  two.reset();
  one = make_node();
  EXPECT_EQ(post(*one, kListTools, session).status, 200);
}

TEST_F(TwoNodes, forget_a_session_that_ended_at_the_other_one) {
  const auto session = open_session(*one);
  EXPECT_EQ(post(*two, kListTools, session).status, 200);
  const auto stream = two->node.send(McpWorld::request("GET", "", session), me);
  EXPECT_EQ(one->node.send(McpWorld::request("DELETE", "", session), me).status, 204);
  EXPECT_TRUE(stream.events->ended()) << "the notice closes the stream there";
  EXPECT_EQ(post(*two, kListTools, session).status, 404);
}

struct Held {
  core::AsyncEvent entered, open;
  std::promise<bool> stopped;
};

core::Task<mcp::ToolCallResult> wait_in(Held* held, mcp::CallContext context) {
  co_await context.release_stream();
  held->entered.set();
  co_await held->open.wait_for(std::chrono::seconds(20), context.stop);
  held->stopped.set_value(context.stop.stop_requested());
  co_return text_answer("done");
}

core::Task<> entered(Held* held) {
  co_await held->entered.wait_for(std::chrono::seconds(20));
}

TEST_F(TwoNodes, cancel_a_call_that_runs_at_the_other_one) {
  Held held;
  tools.add("wait", [&held](mcp::CallContext context, Json) { return wait_in(&held, std::move(context)); });
  const auto session = open_session(*one);
  const auto reply = post(*one, call("wait"), session);
  io.run(entered(&held));
  const Json cancel = {
      {"jsonrpc", "2.0"}, {"method", "notifications/cancelled"}, {"params", {{"requestId", "c1"}}}};
  EXPECT_EQ(post(*two, cancel, session).status, 202);
  EXPECT_TRUE(held.stopped.get_future().get());
}

TEST_F(TwoNodes, resume_the_stream_of_a_call_that_runs_at_the_other_one) {
  Held held;
  tools.add("wait", [&held](mcp::CallContext context, Json) { return wait_in(&held, std::move(context)); });
  auto session = open_session(*one);
  const auto reply = post(*one, call("wait"), session);
  session.emplace_back("last-event-id", reply.events->next().id);
  const auto resumed = two->node.send(McpWorld::request("GET", "", session), me);
  ASSERT_TRUE(resumed.streamed());
  held.open.set();
  EXPECT_EQ(resumed.json().at("result").at("content")[0].at("text"), "done");
  EXPECT_TRUE(resumed.events->ended());
}

core::Task<mcp::ToolCallResult> ask(mcp::CallContext context, Json) {
  if (context.input_responses)
    co_return text_answer(context.input_responses->at("q").at("action").get<std::string>());
  mcp::ToolCallResult result;
  result.outcome = mcp::ToolOutcome::InputRequired;
  result.input_requests_json = R"({"q":{"method":"elicitation/create","params":{"message":"?"}}})";
  co_return result;
}

TEST_F(TwoNodes, take_an_answer_for_a_question_of_the_other_one) {
  tools.add("ask", ask);
  const auto session = open_session(*one, {{"elicitation", Json::object()}});
  const auto reply = post(*one, call("ask"), session);
  const Json question = reply.events->next_message();
  const Json answer = {{"jsonrpc", "2.0"}, {"id", question.at("id")}, {"result", {{"action", "decline"}}}};
  EXPECT_EQ(post(*two, answer, session).status, 202);
  EXPECT_EQ(reply.json().at("result").at("content")[0].at("text"), "decline");
}

// The transport of 2024-11-05 when the stream is at one node and the POSTs reach the other.
TEST_F(TwoNodes, answer_over_the_old_transport_on_the_stream_of_the_other_one) {
  tools.add("ask", ask);
  auto open = McpWorld::request("GET", "", {});
  open.path = "/mcp/sse";
  const auto stream = one->node.send_sse(std::move(open), me);
  const std::string url = stream.events->next().data;
  const auto say = [&](const Json& message) {
    auto request = McpWorld::request("POST", message.dump(), {});
    request.query = url.substr(url.find('?') + 1);
    return two->node.send_sse(std::move(request), me).status;
  };
  const Json params = {{"protocolVersion", kLegacy}, {"capabilities", {{"elicitation", Json::object()}}}};
  EXPECT_EQ(say({{"jsonrpc", "2.0"}, {"id", 0}, {"method", "initialize"}, {"params", params}}), 202);
  EXPECT_EQ(stream.events->next_message()["result"]["protocolVersion"], kLegacy);
  EXPECT_EQ(say(call("ask")), 202);
  const Json question = stream.events->next_message();
  EXPECT_EQ(question["method"], "elicitation/create");
  EXPECT_EQ(say({{"jsonrpc", "2.0"}, {"id", question["id"]}, {"result", {{"action", "decline"}}}}), 202);
  EXPECT_EQ(stream.events->next_message()["result"]["content"][0]["text"], "decline");
  const auto id = url.substr(url.find('=') + 1);
  EXPECT_TRUE(
      io.run(two->store.remove({me->platform_id, *me->end_user_id, std::string(mcp::kSseEndpoint)}, id)));
  EXPECT_TRUE(stream.events->ended());
}

}  // namespace
}  // namespace assistiv::test
