// Resources, prompts, completions and subscriptions, by the fixtures that the conformance suite uses.
#include <gtest/gtest.h>

#include "mcp/conformance/fixture_door.h"
#include "support/mcp_world.h"

namespace assistiv::test {
namespace {

class Content : public testing::Test {
 protected:
  Content()
      : tools([](mcp::ListKind) {}),
        vault(test_vault(random)),
        sessions(clock, std::chrono::hours(24)),
        node(io, {}, {.tools = tools, .resources = &resources, .prompts = &prompts, .completions = &prompts},
             {sessions, *vault, clock, random}) {
    sessions.announce_to([this](std::string_view topic, std::string_view payload) {
      node.endpoint().on_notify(topic, payload);
    });
  }

  McpReply legacy(const std::string& method, Json params = Json::object(), Fields headers = {}) {
    const Json message = {{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", std::move(params)}};
    return node.send(McpWorld::request("POST", message.dump(), std::move(headers)), caller);
  }
  McpReply modern(const std::string& method, Json params = Json::object()) {
    Fields headers = McpWorld::modern_headers(method, params);
    if (params.contains("uri")) headers.emplace_back("mcp-name", params.at("uri").get<std::string>());
    params["_meta"] = {{"io.modelcontextprotocol/protocolVersion", kModern},
                       {"io.modelcontextprotocol/clientCapabilities", Json::object()}};
    const Json message = {{"jsonrpc", "2.0"}, {"id", "m"}, {"method", method}, {"params", std::move(params)}};
    return node.send(McpWorld::request("POST", message.dump(), std::move(headers)), caller);
  }

  IoThread io;
  ManualClock clock;
  core::SystemRandom random;
  mcp::FixtureTools tools;
  mcp::FixtureResources resources;
  mcp::FixturePrompts prompts;
  std::unique_ptr<oauth::Vault> vault;
  mcp::MemorySessionStore sessions;
  McpNode node;
  oauth::PrincipalPtr caller = end_user(1, 1);
};

TEST_F(Content, is_declared_when_its_door_is_there) {
  const Json capabilities = modern("server/discover").json().at("result").at("capabilities");
  EXPECT_TRUE(capabilities.at("resources").at("subscribe").get<bool>());
  EXPECT_TRUE(capabilities.contains("prompts"));
  EXPECT_TRUE(capabilities.contains("completions"));
  EXPECT_FALSE(capabilities.contains("logging"));
}

TEST_F(Content, lists_and_reads_resources) {
  EXPECT_EQ(legacy("resources/list").json().at("result").at("resources").size(), 3u);
  EXPECT_EQ(legacy("resources/templates/list").json().at("result").at("resourceTemplates").size(), 1u);
  const Json read = modern("resources/read", {{"uri", "test://template/9/data"}}).json().at("result");
  EXPECT_NE(read.at("contents")[0].at("text").get<std::string>().find("\"id\":\"9\""), std::string::npos);
  EXPECT_EQ(read.at("ttlMs"), 0);
}

TEST_F(Content, an_unknown_resource_has_the_code_of_its_era) {
  const Json old = legacy("resources/read", {{"uri", "test://no"}}).json().at("error");
  EXPECT_EQ(old.at("code"), -32002);
  const Json fresh = modern("resources/read", {{"uri", "test://no"}}).json().at("error");
  EXPECT_EQ(fresh.at("code"), -32602);
  EXPECT_EQ(fresh.at("data").at("uri"), "test://no");
}

TEST_F(Content, gets_prompts_and_refuses_unknown_ones_and_missing_arguments) {
  EXPECT_EQ(legacy("prompts/list").json().at("result").at("prompts").size(), 5u);
  EXPECT_TRUE(
      modern("prompts/get", {{"name", "test_simple_prompt"}}).json().at("result").contains("messages"));
  for (const Json& params : {Json{{"name", "no"}}, Json{{"name", "test_prompt_with_arguments"}},
                             Json::object(), Json{{"name", "test_simple_prompt"}, {"arguments", 1}}}) {
    EXPECT_EQ(legacy("prompts/get", params).error_code(), -32602) << params;
  }
}

TEST_F(Content, completes_what_was_typed) {
  const Json params = {{"ref", {{"type", "ref/prompt"}, {"name", "p"}}},
                       {"argument", {{"name", "a"}, {"value", "par"}}}};
  EXPECT_EQ(modern("completion/complete", params).json().at("result").at("completion").at("values"),
            Json::array({"paris", "park", "party"}));
  EXPECT_EQ(legacy("completion/complete").error_code(), -32602);
}

TEST_F(Content, tells_of_a_resource_to_those_who_subscribed) {
  const Json opening = {{"protocolVersion", kLegacy}, {"capabilities", Json::object()}};
  const Fields session = {{"mcp-session-id", legacy("initialize", opening).header("mcp-session-id")},
                          {"mcp-protocol-version", kLegacy}};
  EXPECT_EQ(legacy("resources/subscribe", {{"uri", "test://watched-resource"}}, session).json().at("result"),
            Json::object());
  const auto stream = node.send(McpWorld::request("GET", "", session), caller);
  const auto listening = modern(
      "subscriptions/listen", {{"notifications", {{"resourceSubscriptions", {"test://watched-resource"}}}}});
  EXPECT_EQ(
      listening.events->next_message().at("params").at("notifications").at("resourceSubscriptions").size(),
      1u);
  const auto update = [&](const char* uri) {
    node.endpoint().on_resource_updated(caller->platform_id, *caller->end_user_id, uri);
  };
  update("test://other");
  update("test://watched-resource");
  for (const auto* reply : {&stream, &listening}) {
    const Json told = reply->events->next_message();
    EXPECT_EQ(told.at("method"), "notifications/resources/updated");
    EXPECT_EQ(told.at("params").at("uri"), "test://watched-resource");
  }
  EXPECT_EQ(
      legacy("resources/unsubscribe", {{"uri", "test://watched-resource"}}, session).json().at("result"),
      Json::object());
  update("test://watched-resource");
  EXPECT_EQ(listening.events->next_message().at("method"), "notifications/resources/updated");
  EXPECT_EQ(stream.events->pending(), 0u);
  EXPECT_EQ(legacy("resources/subscribe", {{"uri", "test://x"}}).error_code(), -32600) << "needs a session";
}

}  // namespace
}  // namespace assistiv::test
