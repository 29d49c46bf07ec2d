#include "mcp/remote/remote_oauth.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/remote/remote_server.h"
#include "oauth/connect/provider_client.h"

namespace assistiv::mcp {
namespace {

RemoteServer signed_in(const std::string& scheme = "https") {
  RemoteServer out;
  out.app = "own_wiki";
  out.title = "Wiki";
  out.url = scheme + "://mcp.wiki.test/mcp?team=1";
  out.auth = RemoteAuth::Oauth;
  RemoteOauth oauth;
  oauth.resource = out.url;
  oauth.issuer = scheme + "://Login.test/t";
  oauth.authorization_endpoint = scheme + "://Login.test/authorize?tenant=a%20b&scope=";
  oauth.token_endpoint = scheme + "://api.login.test:8443/token";
  oauth.revocation_endpoint = scheme + "://api.login.test:8443/revoke";
  oauth.client_auth = oauth.revocation_auth = "none";
  oauth.registration = "document";
  out.oauth = oauth;
  return out;
}

std::string authorize(const oauth::ConnectorSpec& spec) {
  return oauth::ProviderClient::authorize_url(spec, {}, "client", "https://us.test/cb",
                                              spec.scopes_to_request({}), core::Secret("state"),
                                              core::Secret("verifier"));
}

}  // namespace

TEST(RemoteOauthSpec, sends_the_browser_where_discovery_said_with_the_resource) {
  const auto spec = remote_connector(signed_in());
  const auto url = authorize(*spec);
  EXPECT_EQ(url.rfind("https://login.test/authorize?response_type=code", 0), 0U) << url;
  EXPECT_NE(url.find("resource=https%3A%2F%2Fmcp.wiki.test%2Fmcp%3Fteam%3D1"), std::string::npos) << url;
  EXPECT_NE(url.find("tenant=a%20b"), std::string::npos) << url;
  EXPECT_NE(url.find("code_challenge_method=S256"), std::string::npos) << url;
  EXPECT_EQ(spec->oauth.client_auth, oauth::ClientAuth::None);
  EXPECT_EQ(spec->oauth.issuer, "https://Login.test/t");
  EXPECT_EQ(spec->allowed_hosts({}),
            (std::vector<std::string>{"login.test", "api.login.test:8443", "mcp.wiki.test"}));
}

TEST(RemoteOauthSpec, survives_storage_and_the_queue_of_revocations) {
  const auto server = signed_in();
  EXPECT_EQ(to_json(remote_oauth_of(to_json(*server.oauth))), to_json(*server.oauth));
  const auto spec = remote_connector(server);
  const auto again = oauth::ConnectorSpec::parse(core::parse_json(spec->source_json));
  EXPECT_EQ(authorize(again), authorize(*spec));
  EXPECT_EQ(again.oauth.revoke.token->url.expand({}), "https://api.login.test:8443/revoke");
}

TEST(RemoteOauthSpec, asks_for_the_scopes_and_for_none_when_none_are_known) {
  auto server = signed_in();
  server.oauth->authorization_endpoint = "https://login.test/authorize";
  EXPECT_EQ(authorize(*remote_connector(server)).find("scope="), std::string::npos);
  server.oauth->scopes = {"wiki:read", "offline_access"};
  EXPECT_NE(authorize(*remote_connector(server)).find("scope=wiki%3Aread%20offline_access"),
            std::string::npos);
}

TEST(RemoteOauthSpec, plain_addresses_of_tests_stay_plain_and_are_never_mixed) {
  const auto spec = remote_connector(signed_in("http"));
  EXPECT_EQ(spec->oauth.token.url.expand({}), "http://api.login.test:8443/token");
  EXPECT_EQ(spec->oauth.issuer, "http://Login.test/t");
  auto mixed = signed_in();
  mixed.oauth->token_endpoint = "http://api.login.test/token";
  EXPECT_THROW(remote_connector(mixed), core::Error);
}

TEST(RemoteOauthSpec, what_the_engine_would_send_itself_cannot_be_overridden) {
  auto server = signed_in();
  server.oauth->authorization_endpoint = "https://login.test/authorize?redirect_uri=https://evil.test";
  EXPECT_THROW(remote_connector(server), core::Error);
  server.oauth->authorization_endpoint = "https://login.test/authorize?state={x}";
  EXPECT_THROW(remote_connector(server), core::Error);
}

}  // namespace assistiv::mcp
