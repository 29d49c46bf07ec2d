#include "oauth/connect/discovery.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace assistiv::oauth {
namespace {

using core::Json;

std::optional<BearerChallenge> challenge(const std::string& field) {
  core::HttpHeaders headers;
  headers.add("WWW-Authenticate", field);
  return read_challenge(headers);
}

DiscoveryRules any_address() {
  return {[](const std::string& url) -> std::optional<std::string> {
    return url.starts_with("https://") ? std::nullopt : std::optional<std::string>("is not https");
  }};
}

std::string fault_of_server(const Json& change) {
  Json document = {{"issuer", "https://as.test/tenant"},
                   {"authorization_endpoint", "https://as.test/authorize"},
                   {"token_endpoint", "https://as.test/token"},
                   {"code_challenge_methods_supported", {"S256"}}};
  document.merge_patch(change);
  DiscoveredServer out;
  out.issuer = "https://as.test/tenant";
  try {
    read_authorization_metadata(document, any_address(), out);
  } catch (const core::Error& error) {
    return error.message();
  }
  return "";
}

bool is_about(const std::string& resource, const std::string& url) {
  DiscoveredServer out;
  try {
    read_resource_metadata({{"resource", resource}, {"authorization_servers", {"https://as.test"}}}, url,
                           out);
  } catch (const core::Error&) {
    return false;
  }
  return out.resource == resource && out.issuer == "https://as.test";
}

}  // namespace

TEST(Discovery, reads_the_bearer_challenge_among_others) {
  const auto found = challenge(
      R"(Basic realm="a, b", bearer realm="x \"y\"", resource_metadata="https://mcp.test/.well-known/x", scope="a b", error=insufficient_scope)");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->resource_metadata, "https://mcp.test/.well-known/x");
  EXPECT_EQ(found->scope, "a b");
  EXPECT_EQ(found->error, "insufficient_scope");
  EXPECT_EQ(challenge(R"(Bearer scope="a", DPoP scope="b")")->scope, "a");
  EXPECT_TRUE(challenge("Bearer"));
  EXPECT_FALSE(challenge(R"(Basic realm="Bearer scope=x")"));
  EXPECT_FALSE(challenge(""));
}

TEST(Discovery, survives_a_challenge_that_never_ends) {
  EXPECT_EQ(challenge("Bearer scope=\"abc")->scope, "abc");
  EXPECT_EQ(challenge("Bearer scope=")->scope, "");
  EXPECT_TRUE(challenge("Bearer " + std::string(100'000, ',')));
  EXPECT_FALSE(challenge("\"\"\"=="));
}

TEST(Discovery, scopes_are_what_the_grammar_allows_and_not_too_many) {
  EXPECT_EQ(read_scopes("a  b a"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read_scopes("good \"bad\" \x01 " + std::string(101, 'x')), (std::vector<std::string>{"good"}));
  std::string many;
  for (int i = 0; i < 200; ++i) many += "s" + std::to_string(i) + " ";
  EXPECT_EQ(read_scopes(many).size(), 50U);
}

TEST(Discovery, asks_at_every_well_known_address) {
  EXPECT_EQ(resource_metadata_urls("https://mcp.test/a/mcp"),
            (std::vector<std::string>{"https://mcp.test/.well-known/oauth-protected-resource/a/mcp",
                                      "https://mcp.test/.well-known/oauth-protected-resource"}));
  EXPECT_EQ(resource_metadata_urls("https://mcp.test"),
            (std::vector<std::string>{"https://mcp.test/.well-known/oauth-protected-resource"}));
  EXPECT_EQ(authorization_metadata_urls("https://as.test/t"),
            (std::vector<std::string>{"https://as.test/.well-known/oauth-authorization-server/t",
                                      "https://as.test/.well-known/openid-configuration/t",
                                      "https://as.test/t/.well-known/openid-configuration"}));
  EXPECT_EQ(authorization_metadata_urls("https://as.test/"),
            (std::vector<std::string>{"https://as.test/.well-known/oauth-authorization-server",
                                      "https://as.test/.well-known/openid-configuration"}));
}

TEST(Discovery, metadata_must_be_about_this_resource) {
  const std::string url = "https://mcp.test/a/mcp";
  EXPECT_TRUE(is_about(url, url));
  EXPECT_TRUE(is_about("https://mcp.test/a", url));
  EXPECT_TRUE(is_about("https://mcp.test/", url));
  EXPECT_FALSE(is_about("https://mcp.test/a/m", url));
  EXPECT_FALSE(is_about("https://mcp.test/b", url));
  EXPECT_FALSE(is_about("https://mcp.te", url));
  EXPECT_FALSE(is_about("https:", url));
  EXPECT_FALSE(is_about("", url));
  EXPECT_FALSE(is_about("https://evil.test/a/mcp", url));
}

TEST(Discovery, servers_that_cannot_be_trusted_are_refused) {
  EXPECT_EQ(fault_of_server(Json::object()), "");
  EXPECT_NE(fault_of_server({{"issuer", "https://as.test/tenant/"}}).find("another issuer"),
            std::string::npos);
  EXPECT_NE(fault_of_server({{"issuer", nullptr}}).find("another issuer"), std::string::npos);
  EXPECT_NE(fault_of_server({{"token_endpoint", "http://as.test/token"}}).find("is not https"),
            std::string::npos);
  EXPECT_NE(fault_of_server({{"authorization_endpoint", "https://as.test/{x}"}}), "");
  EXPECT_NE(fault_of_server({{"registration_endpoint", "ftp://as.test/"}}), "");
  EXPECT_NE(fault_of_server({{"token_endpoint", 7}}).find("no authorization or token"), std::string::npos);
  EXPECT_NE(fault_of_server({{"code_challenge_methods_supported", {"plain"}}}).find("S256"),
            std::string::npos);
  EXPECT_NE(fault_of_server({{"code_challenge_methods_supported", nullptr}}).find("S256"), std::string::npos);
}

}  // namespace assistiv::oauth
