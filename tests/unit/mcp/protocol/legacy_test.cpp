// The legacy protocol, 2024-11-05 to 2025-11-25, callers without any handshake, and what comes before both.
#include <gtest/gtest.h>

#include <algorithm>

#include "support/mcp_world.h"

namespace assistiv::test {
namespace {

void expect_refusal(const McpReply& reply, int status, int code) {
  EXPECT_EQ(reply.status, status) << reply.body;
  ASSERT_FALSE(reply.streamed());
  EXPECT_EQ(reply.error_code(), code) << reply.body;
}

Json initialize_params(const char* version) {
  return {{"protocolVersion", version},
          {"capabilities", Json::object()},
          {"clientInfo", {{"name", "t"}, {"version", "1"}}}};
}

TEST(Door, refuses_a_foreign_origin_alone) {
  McpWorld world;
  const Json list = {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "tools/list"}};
  for (const char* origin : {"https://evil.example", "null"})
    EXPECT_EQ(world.post(list, {{"origin", origin}}).status, 403);
  EXPECT_EQ(world.get({{"origin", "https://evil.example"}}).status, 403);
  EXPECT_EQ(world.post(list, {{"origin", "http://localhost:5173"}}).status, 200);
}

TEST(Door, refuses_a_foreign_host) {
  McpWorld world;
  EXPECT_EQ(world.legacy("tools/list", {}, {{"host", "evil.example"}}).status, 403);
}

TEST(Door, names_the_methods_it_has) {
  McpWorld world;
  for (const char* method : {"PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "get"}) {
    const auto reply = world.node.send(McpWorld::request(method, "", {}), world.caller);
    EXPECT_EQ(reply.status, 405) << method;
    EXPECT_EQ(reply.header("allow"), "POST, GET, DELETE");
  }
}

TEST(Door, wants_json) {
  McpWorld world;
  const Json list = {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "tools/list"}};
  expect_refusal(world.post(list, {{"content-type", "text/plain"}}), 415, -32000);
  expect_refusal(world.post(list, {{"content-type", "-"}}), 415, -32000);
  EXPECT_EQ(world.post(list, {{"content-type", "Application/JSON; charset=utf-8"}}).status, 200);
}

TEST(Door, is_lenient_about_accept) {
  McpWorld world;
  const Json list = {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "tools/list"}};
  for (const char* accept : {"-", "*/*", "application/json", "text/event-stream", "text/html,*/*;q=0.8"}) {
    EXPECT_TRUE(world.post(list, {{"accept", accept}}).json().contains("result")) << accept;
  }
  expect_refusal(world.post(list, {{"accept", "text/html"}}), 406, -32000);
}

TEST(Legacy, bad_bodies_are_400) {
  McpWorld world;
  expect_refusal(world.post_text("{\"jsonrpc\": "), 400, -32700);
  for (const char* body : {"[]", "1", "{}", R"({"jsonrpc":"2.0","id":null,"method":"ping"})"}) {
    expect_refusal(world.post_text(body), 400, -32600);
  }
}

TEST(Legacy, bare_callers_list_and_call_without_a_handshake) {
  McpWorld world;
  world.tools.add(
      "echo", [](mcp::CallContext, Json) -> core::Task<mcp::ToolCallResult> { co_return text_answer("hi"); });
  const auto list = world.legacy("tools/list");
  EXPECT_EQ(list.json().at("result").at("tools").size(), 1u);
  EXPECT_FALSE(list.json().at("result").contains("resultType")) << "that is of the modern protocol";
  EXPECT_EQ(world.legacy("tools/call", {{"name", "echo"}}).json().at("result").at("content")[0].at("text"),
            "hi");
  EXPECT_EQ(list.header("mcp-session-id"), "");
  EXPECT_EQ(world.legacy("ping").json().at("result"), Json::object());
}

TEST(Legacy, initialize_negotiates_every_version) {
  McpWorld world;
  for (const char* version : {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}) {
    const auto reply = world.legacy("initialize", initialize_params(version));
    EXPECT_EQ(reply.json().at("result").at("protocolVersion"), version);
    EXPECT_GE(reply.header("mcp-session-id").size(), 32u);
  }
  for (const char* other : {"2099-01-01", "2026-07-28"}) {
    EXPECT_EQ(world.legacy("initialize", initialize_params(other)).json().at("result").at("protocolVersion"),
              kLegacy);
  }
  expect_refusal(world.legacy("initialize", Json::object()), 200, -32602);
}

TEST(Legacy, icons_are_of_2025_11_25_and_older_wires_do_not_change) {
  for (const std::size_t page : {500u, 2u}) {
    McpWorld plain({.list_page_size = page});
    McpWorld world({.server_icons = {{.src = "https://mcp.example/i.svg"}}, .list_page_size = page});
    plain.tools.set_list({"one", "two", "three"}, "e");
    world.tools.set_list({"one", "two", "three"}, "e", R"([{"src":"https://mcp.example/a.svg"}])");
    for (const char* version : {"2024-11-05", "2025-03-26", "2025-06-18"}) {
      EXPECT_EQ(world.legacy("initialize", initialize_params(version)).body,
                plain.legacy("initialize", initialize_params(version)).body);
      EXPECT_EQ(world.legacy("tools/list", {}, world.open_session(version)).body,
                plain.legacy("tools/list", {}, plain.open_session(version)).body);
    }
    const Json begun = world.legacy("initialize", initialize_params(kLegacy)).json().at("result");
    EXPECT_EQ(begun.at("serverInfo").at("icons")[0].at("src"), "https://mcp.example/i.svg");
    const Json listed = world.legacy("tools/list", {}, world.open_session()).json().at("result").at("tools");
    EXPECT_EQ(listed.size(), std::min<std::size_t>(page, 3));
    for (const auto& tool : listed) EXPECT_EQ(tool.at("icons")[0].at("src"), "https://mcp.example/a.svg");
  }
}

TEST(Legacy, initialize_works_with_any_version_header) {
  McpWorld world;
  for (const char* header : {"2026-07-28", "2025-11-25", "1999-01-01"}) {
    EXPECT_TRUE(world.legacy("initialize", initialize_params(kLegacy), {{"mcp-protocol-version", header}})
                    .json()
                    .contains("result"));
  }
}

TEST(Legacy, session_ids_are_visible_ascii_and_differ) {
  McpWorld world;
  const std::string one = world.open_session().front().second;
  const std::string two = world.open_session().front().second;
  EXPECT_NE(one, two);
  EXPECT_TRUE(std::all_of(one.begin(), one.end(), [](char c) { return c >= 0x21 && c <= 0x7e; }));
}

TEST(Legacy, an_unknown_session_is_404) {
  McpWorld world;
  for (const char* id : {"never-issued", "", "with space"}) {
    expect_refusal(world.legacy("tools/list", {}, {{"mcp-session-id", id}}), 404, -32001);
  }
  expect_refusal(world.get({{"mcp-session-id", "never-issued"}}), 404, -32001);
  expect_refusal(world.del({{"mcp-session-id", "never-issued"}}), 404, -32001);
}

TEST(Legacy, a_session_is_its_owners_and_its_endpoints_only) {
  McpWorld world;
  const auto session = world.open_session();
  const Json list = {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "tools/list"}};
  EXPECT_EQ(world.post(list, session).status, 200);
  const auto with = [&](oauth::PrincipalPtr who, std::optional<std::string> app) {
    return world.node.send(McpWorld::request("POST", list.dump(), session), std::move(who), std::move(app));
  };
  expect_refusal(with(end_user(1, 2), {}), 404, -32001);
  expect_refusal(with(end_user(2, 1), {}), 404, -32001);
  expect_refusal(with(world.caller, "github"), 404, -32001);
  // Another key of the same end user is the same person.
  auto other_key = std::make_shared<oauth::Principal>(*world.caller);
  other_key->key_id.uuid.bytes[2] = 9;
  EXPECT_EQ(with(other_key, {}).status, 200);
  // Nor can anybody else end it.
  EXPECT_EQ(world.node.send(McpWorld::request("DELETE", "", session), end_user(1, 2)).status, 404);
  EXPECT_EQ(world.post(list, session).status, 200);
}

TEST(Legacy, a_session_ends_with_delete) {
  McpWorld world;
  const auto session = world.open_session();
  EXPECT_EQ(world.del(session).status, 204);
  expect_refusal(world.legacy("tools/list", {}, session), 404, -32001);
  expect_refusal(world.del(session), 404, -32001);
}

TEST(Legacy, a_session_ends_when_it_is_unused_for_a_day) {
  McpWorld world;
  const auto session = world.open_session();
  world.clock.advance(std::chrono::hours(23));
  EXPECT_EQ(world.legacy("ping", {}, session).status, 200);
  world.clock.advance(std::chrono::hours(23));
  EXPECT_EQ(world.legacy("ping", {}, session).status, 200) << "use keeps it";
  world.clock.advance(std::chrono::hours(25));
  expect_refusal(world.legacy("ping", {}, session), 404, -32001);
}

TEST(Legacy, too_many_sessions_push_the_longest_unused_one_out) {
  McpWorld world({.sessions_per_user_max = 2});
  const auto first = world.open_session();
  world.clock.advance(std::chrono::seconds(1));
  const auto second = world.open_session();
  world.clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.legacy("ping", {}, first).status, 200);
  world.clock.advance(std::chrono::seconds(1));
  const auto third = world.open_session();
  EXPECT_EQ(world.legacy("ping", {}, first).status, 200);
  EXPECT_EQ(world.legacy("ping", {}, second).status, 404);
  EXPECT_EQ(world.legacy("ping", {}, third).status, 200);
}

TEST(Legacy, a_second_initialize_on_a_session_is_400_and_on_a_stale_one_begins_anew) {
  McpWorld world;
  const auto session = world.open_session();
  expect_refusal(world.legacy("initialize", initialize_params(kLegacy), session), 400, -32600);
  const auto anew = world.legacy("initialize", initialize_params(kLegacy), {{"mcp-session-id", "gone"}});
  EXPECT_EQ(anew.status, 200);
  EXPECT_NE(anew.header("mcp-session-id"), "");
}

TEST(Legacy, an_unknown_version_header_is_400) {
  McpWorld world;
  expect_refusal(world.legacy("ping", {}, {{"mcp-protocol-version", "1999-01-01"}}), 400, -32000);
  auto session = world.open_session();
  session.back().second = "nonsense";
  expect_refusal(world.legacy("ping", {}, session), 400, -32000);
  expect_refusal(world.get(session), 400, -32000);
}

TEST(Legacy, headers_that_come_twice_and_differ_are_400) {
  McpWorld world;
  auto session = world.open_session();
  session.emplace_back("Mcp-Session-Id", "another");
  expect_refusal(world.legacy("ping", {}, session), 400, -32000);
  expect_refusal(world.get(session), 400, -32000);
}

TEST(Legacy, get_and_delete_without_a_session_are_400) {
  McpWorld world;
  expect_refusal(world.get({}), 400, -32000);
  expect_refusal(world.del({}), 400, -32000);
  expect_refusal(world.get({{"accept", "application/json"}}), 406, -32000);
}

TEST(Legacy, an_unknown_method_is_in_band) {
  McpWorld world;
  expect_refusal(world.legacy("no/such"), 200, -32601);
  expect_refusal(world.legacy("server/discover"), 200, -32601);
  expect_refusal(world.legacy("prompts/list"), 200, -32601);
}

TEST(Legacy, bad_params_are_in_band) {
  McpWorld world;
  expect_refusal(world.legacy("tools/call", {{"name", "nope"}}), 200, -32602);
  expect_refusal(world.legacy("tools/call", {{"name", 7}}), 200, -32602);
  expect_refusal(world.legacy("tools/call", {{"name", "echo"}, {"arguments", "x"}}), 200, -32602);
  expect_refusal(world.legacy("tools/list", {{"cursor", "made-up"}}), 200, -32602);
  expect_refusal(world.legacy("logging/setLevel", {{"level", "loud"}}), 200, -32602);
}

TEST(Legacy, notifications_are_202_without_a_body) {
  McpWorld world;
  const auto session = world.open_session();
  for (const char* method :
       {"notifications/initialized", "notifications/cancelled", "notifications/roots/list_changed"}) {
    const auto reply = world.post({{"jsonrpc", "2.0"}, {"method", method}}, session);
    EXPECT_EQ(reply.status, 202);
    EXPECT_EQ(reply.body, "");
  }
  EXPECT_EQ(world.post({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}}).status, 202);
}

TEST(Legacy, a_response_that_nobody_asked_for_is_taken_and_dropped) {
  McpWorld world;
  const Json response = {{"jsonrpc", "2.0"}, {"id", "ask-unknown"}, {"result", Json::object()}};
  EXPECT_EQ(world.post(response, world.open_session()).status, 202);
  expect_refusal(world.post(response), 400, -32000);
}

TEST(Legacy, batches_belong_to_2025_03_26) {
  McpWorld world;
  const Json batch = {{{"jsonrpc", "2.0"}, {"id", 1}, {"method", "ping"}},
                      {{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}},
                      {{"jsonrpc", "2.0"}, {"id", "b"}, {"method", "tools/list"}},
                      {{"jsonrpc", "2.0"}, {"id", 3}, {"method", "initialize"}},
                      7};
  const auto reply = world.post(batch);  // no header: 2025-03-26
  EXPECT_EQ(reply.status, 200);
  const Json answers = reply.json();
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_EQ(answers[0].at("result"), Json::object());
  EXPECT_EQ(answers[1].at("id"), "b");
  EXPECT_EQ(answers[2].at("error").at("code"), -32600);
  EXPECT_EQ(answers[3].at("error").at("code"), -32600);
  EXPECT_EQ(world.post(batch, world.open_session("2025-03-26")).status, 200);
  for (const char* version : {"2024-11-05", "2025-06-18", "2025-11-25"}) {
    expect_refusal(world.post(batch, world.open_session(version)), 400, -32600);
  }
  const Json quiet = {{{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}}};
  EXPECT_EQ(world.post(quiet).status, 202);
}

TEST(Legacy, names_of_any_length_do_no_harm) {
  McpWorld world;
  expect_refusal(world.legacy("tools/call", {{"name", std::string(1 << 20, 'x')}}), 200, -32602);
  EXPECT_EQ(world.legacy(std::string(5000, 'm')).status, 400);
  expect_refusal(world.legacy("ping", {}, {{"mcp-session-id", std::string(5000, 's')}}), 404, -32001);
}

}  // namespace
}  // namespace assistiv::test
