#include "oauth/authorize/authorize_request.h"

#include <gtest/gtest.h>

namespace assistiv::oauth {
namespace {

constexpr char kChallenge[] = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct AuthorizeRequestTest : testing::Test {
  Resources resources{"https://mcp.example", [](std::string_view app) { return app == "github"; }};
  ClientMetadata client{.name = "c", .redirect_uris = {"https://app.example/cb"}};
  core::FormFields fields{{"client_id", "mcp_1"},
                          {"redirect_uri", "https://app.example/cb"},
                          {"response_type", "code"},
                          {"code_challenge", kChallenge},
                          {"code_challenge_method", "S256"},
                          {"state", "s"},
                          {"resource", "https://mcp.example/mcp"}};

  void set(const std::string& name, const std::string& value) {
    remove(name);
    fields.emplace_back(name, value);
  }
  void remove(const std::string& name) {
    std::erase_if(fields, [&](const auto& field) { return field.first == name; });
  }
  AuthorizeRequest good() {
    return std::get<AuthorizeRequest>(read_authorize_request(fields, client, resources));
  }
  AuthorizeFault fault() {
    return std::get<AuthorizeFault>(read_authorize_request(fields, client, resources));
  }
};

TEST_F(AuthorizeRequestTest, reads_a_whole_request) {
  const auto request = good();
  EXPECT_EQ(request.redirect_uri, "https://app.example/cb");
  EXPECT_EQ(request.resource.url, "https://mcp.example/mcp");
  EXPECT_EQ(request.scopes, (std::vector<std::string>{"mcp", "mcp:write"}));
  EXPECT_EQ(request.state, "s");
}

TEST_F(AuthorizeRequestTest, never_sends_anybody_to_an_address_that_was_not_registered) {
  for (const auto* uri : {"https://evil.example/cb", "https://app.example/cb/../x", "//evil.example", ""}) {
    set("redirect_uri", uri);
    EXPECT_FALSE(fault().redirect_uri.has_value()) << uri;
  }
  set("redirect_uri", "https://app.example/cb");
  fields.emplace_back("redirect_uri", "https://evil.example/cb");
  EXPECT_FALSE(fault().redirect_uri.has_value());
  remove("redirect_uri");
  EXPECT_EQ(good().redirect_uri, "https://app.example/cb");
  client.redirect_uris.push_back("https://app.example/2");
  EXPECT_FALSE(fault().redirect_uri.has_value());
}

TEST_F(AuthorizeRequestTest, wants_pkce_with_s256) {
  remove("code_challenge_method");
  EXPECT_EQ(fault().code, "invalid_request");
  set("code_challenge_method", "plain");
  EXPECT_EQ(fault().code, "invalid_request");
  set("code_challenge_method", "S256");
  set("code_challenge", "short");
  EXPECT_EQ(fault().code, "invalid_request");
  remove("code_challenge");
  EXPECT_EQ(fault().code, "invalid_request");
  EXPECT_EQ(fault().state, "s");
  EXPECT_EQ(fault().redirect_uri, "https://app.example/cb");
}

TEST_F(AuthorizeRequestTest, refuses_other_flows_and_repeated_parameters) {
  set("response_type", "token");
  EXPECT_EQ(fault().code, "unsupported_response_type");
  set("response_type", "code");
  fields.emplace_back("scope", "mcp");
  fields.emplace_back("scope", "mcp:write");
  EXPECT_EQ(fault().code, "invalid_request");
}

TEST_F(AuthorizeRequestTest, knows_its_own_resources_only) {
  for (const auto* url : {"https://mcp.example/mcp/", "https://mcp.example", "https://MCP.example/mcp",
                          "https://mcp.example/mcp/sse"}) {
    set("resource", url);
    EXPECT_EQ(good().resource.url, "https://mcp.example/mcp") << url;
  }
  set("resource", "https://mcp.example/mcp/github/");
  EXPECT_EQ(good().resource.url, "https://mcp.example/mcp/github");
  EXPECT_EQ(good().resource.app, "github");
  for (const auto* url :
       {"https://other.example/mcp", "https://mcp.example/mcp/nothing", "https://mcp.example/v1",
        "http://mcp.example/mcp", "https://mcp.example.evil.example/mcp", "x"}) {
    set("resource", url);
    EXPECT_EQ(fault().code, "invalid_target") << url;
  }
  set("resource", "https://mcp.example/mcp");
  fields.emplace_back("resource", "https://mcp.example/mcp/github");
  EXPECT_EQ(fault().code, "invalid_target");
  remove("resource");
  EXPECT_EQ(good().resource.url, "https://mcp.example/mcp");
}

TEST_F(AuthorizeRequestTest, takes_the_scopes_it_knows) {
  set("scope", "mcp openid profile");
  EXPECT_EQ(good().scopes, (std::vector<std::string>{"mcp"}));
  set("scope", "mcp:write offline_access");
  EXPECT_EQ(good().scopes, (std::vector<std::string>{"mcp", "mcp:write", "offline_access"}));
  set("scope", "openid");
  EXPECT_EQ(fault().code, "invalid_scope");
}

TEST_F(AuthorizeRequestTest, answers_with_the_issuer) {
  EXPECT_EQ(answer_url("https://a.example/cb?x=1", "s t", "https://iss.example", {{"code", "c"}}),
            "https://a.example/cb?x=1&code=c&state=s%20t&iss=https%3A%2F%2Fiss.example");
}

TEST_F(AuthorizeRequestTest, tells_which_address_takes_which_tokens) {
  EXPECT_EQ(resources.url_of_path("/mcp"), "https://mcp.example/mcp");
  EXPECT_EQ(resources.url_of_path("/mcp/"), "https://mcp.example/mcp");
  EXPECT_EQ(resources.url_of_path("/mcp/message"), "https://mcp.example/mcp");
  EXPECT_EQ(resources.url_of_path("/mcp/github"), "https://mcp.example/mcp/github");
  EXPECT_EQ(resources.url_of_path("/v1/me"), "");
  EXPECT_EQ(resources.metadata_url("https://mcp.example/mcp/github"),
            "https://mcp.example/.well-known/oauth-protected-resource/mcp/github");
}

}  // namespace
}  // namespace assistiv::oauth
