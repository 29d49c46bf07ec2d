#include "oauth/authorize/client_metadata.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "oauth/authorize/client_auth.h"
#include "oauth/authorize/client_registry.h"
#include "oauth/authorize/oauth_error.h"

namespace assistiv::oauth {
namespace {

std::string fault_code(const core::Json& body) {
  try {
    read_client_metadata(body, EndpointAuth::SecretBasic);
  } catch (const OAuthError& e) {
    return e.code();
  }
  return "";
}

TEST(ClientMetadata, reads_what_a_native_client_sends) {
  const auto metadata = read_client_metadata(
      {{"client_name", "Editor\u202e"},
       {"redirect_uris", {"http://127.0.0.1:33418/callback", "com.example.editor:/done"}},
       {"grant_types", {"authorization_code", "refresh_token"}},
       {"response_types", {"code"}},
       {"token_endpoint_auth_method", "none"},
       {"software_id", 5},
       {"jwks", core::Json::object()}},
      EndpointAuth::SecretBasic);
  EXPECT_EQ(metadata.redirect_uris.size(), 2u);
  EXPECT_TRUE(metadata.refreshes);
  EXPECT_EQ(metadata.auth, EndpointAuth::None);
  EXPECT_EQ(read_client_metadata(to_json(metadata), EndpointAuth::SecretBasic).redirect_uris,
            metadata.redirect_uris);
}

TEST(ClientMetadata, is_confidential_without_refresh_unless_it_says_so) {
  const auto metadata =
      read_client_metadata({{"redirect_uris", {"https://app.example/cb"}}}, EndpointAuth::SecretBasic);
  EXPECT_EQ(metadata.auth, EndpointAuth::SecretBasic);
  EXPECT_FALSE(metadata.refreshes);
}

TEST(ClientMetadata, refuses_what_cannot_be_served) {
  const core::Json good = {{"redirect_uris", {"https://app.example/cb"}}};
  const auto with = [&](const char* name, core::Json value) {
    auto body = good;
    body[name] = std::move(value);
    return body;
  };
  EXPECT_EQ(fault_code(good), "");
  EXPECT_EQ(fault_code(core::Json::array()), "invalid_client_metadata");
  EXPECT_EQ(fault_code(core::Json::object()), "invalid_redirect_uri");
  EXPECT_EQ(fault_code(with("redirect_uris", core::Json::array())), "invalid_redirect_uri");
  EXPECT_EQ(fault_code(with("redirect_uris", std::vector<std::string>(11, "https://a.example/"))),
            "invalid_redirect_uri");
  EXPECT_EQ(fault_code(with("redirect_uris", {7})), "invalid_client_metadata");
  EXPECT_EQ(fault_code(with("client_name", 7)), "invalid_client_metadata");
  EXPECT_EQ(fault_code(with("grant_types", {"implicit"})), "invalid_client_metadata");
  EXPECT_EQ(fault_code(with("response_types", {"token"})), "invalid_client_metadata");
  EXPECT_EQ(fault_code(with("token_endpoint_auth_method", "private_key_jwt")), "invalid_client_metadata");
}

TEST(ClientMetadata, takes_redirect_uris_that_only_a_client_can_receive) {
  for (const auto* good :
       {"https://claude.ai/api/mcp/auth_callback", "http://127.0.0.1/cb", "http://localhost:3000/",
        "http://[::1]:9/x?y=1", "cursor://anysphere.cursor-retrieval/oauth", "vscode://x.y/z",
        "com.example.app:/done"})
    EXPECT_TRUE(is_good_redirect_uri(good)) << good;
  for (const auto* bad : {"",
                          "/callback",
                          "http://app.example/cb",
                          "https://",
                          "https://user@app.example/cb",
                          "https://app.example/#x",
                          "javascript:alert(1)",
                          "JavaScript:alert(1)",
                          "data:text/html,x",
                          "file:///etc/passwd",
                          "vbscript:x",
                          "http://127.0.0.1.evil.example/",
                          "http://localhost@evil.example/",
                          "https://a b/",
                          "https://a\\b/",
                          "about:blank",
                          "http://127.0.0.1:80x/",
                          "blob:https://a.example/1",
                          "ws://a.example/",
                          "intent://x#y",
                          "ms-settings:x",
                          "myapp://done",
                          "search-ms:query",
                          "a.:/x"})
    EXPECT_FALSE(is_good_redirect_uri(bad)) << bad;
}

TEST(ClientMetadata, compares_redirect_uris_exactly_but_for_a_loopback_port) {
  const std::vector<std::string> known{"https://app.example/cb", "http://127.0.0.1:1234/cb?a=1"};
  EXPECT_TRUE(is_registered_redirect(known, "https://app.example/cb"));
  EXPECT_TRUE(is_registered_redirect(known, "http://127.0.0.1:59999/cb?a=1"));
  EXPECT_TRUE(is_registered_redirect(known, "http://127.0.0.1/cb?a=1"));
  for (const auto* other :
       {"https://app.example/cb/", "https://app.example:444/cb", "https://APP.example/cb",
        "https://app.example/cb?x=1", "http://localhost:1234/cb?a=1", "http://127.0.0.1:1234/cb",
        "http://127.0.0.1:1234/cb?a=2", "http://127.0.0.1:1@evil.example/cb?a=1", "https://app.example/cb#x"})
    EXPECT_FALSE(is_registered_redirect(known, other)) << other;
}

TEST(ClientMetadata, says_who_gets_the_answer) {
  EXPECT_EQ(redirect_host("https://claude.ai:8443/x"), "claude.ai");
  EXPECT_EQ(redirect_host("cursor://a/b"), "cursor:");
  EXPECT_TRUE(is_loopback_redirect("http://localhost:1/"));
  EXPECT_FALSE(is_loopback_redirect("https://localhost.example/"));
}

TEST(ClientMetadata, knows_the_address_of_a_document) {
  EXPECT_TRUE(is_document_client_id("https://app.example/client.json", false));
  for (const auto* bad :
       {"https://app.example", "https://app.example/", "http://app.example/c", "https://u@a.example/c",
        "https://a.example/x/../c", "https://a.example/c#x", "mcp_123", "ftp://a.example/c"})
    EXPECT_FALSE(is_document_client_id(bad, false)) << bad;
  EXPECT_FALSE(is_document_client_id("http://127.0.0.1:9/c", false));
  EXPECT_TRUE(is_document_client_id("http://127.0.0.1:9/c", true));
  EXPECT_FALSE(is_document_client_id("http://10.0.0.1/c", true));
}

TEST(ClientMetadata, keeps_documents_for_a_bounded_time) {
  const auto lifetime = [](const char* header) {
    core::HttpHeaders headers;
    if (header != nullptr) headers.add("Cache-Control", header);
    return document_lifetime(headers).count();
  };
  EXPECT_EQ(lifetime(nullptr), 3600);
  EXPECT_EQ(lifetime("public, max-age=7200"), 7200);
  EXPECT_EQ(lifetime("max-age=1"), 60);
  EXPECT_EQ(lifetime("max-age=99999999"), 86400);
  EXPECT_EQ(lifetime("no-store"), 60);
  EXPECT_EQ(lifetime("max-age=x"), 3600);
}

TEST(ClientAuth, reads_credentials_from_one_place) {
  const auto basic = read_presented_client("Basic " + core::base64_encode("id%3A1:p%20w"), {});
  EXPECT_EQ(basic.client_id, "id:1");
  EXPECT_EQ(basic.secret->reveal(), "p w");
  EXPECT_EQ(read_presented_client("", {{"client_id", "a"}, {"client_secret", "b"}}).secret->reveal(), "b");
  EXPECT_FALSE(read_presented_client("", {{"client_id", "a"}}).secret.has_value());
  const auto refused = [](std::string header, core::FormFields fields) {
    try {
      read_presented_client(header, fields);
    } catch (const OAuthError& e) {
      return e.code();
    }
    return std::string();
  };
  EXPECT_EQ(refused("", {}), "invalid_request");
  EXPECT_EQ(refused("Bearer x", {}), "invalid_client");
  EXPECT_EQ(refused("Basic !!", {}), "invalid_client");
  EXPECT_EQ(refused("Basic " + core::base64_encode("a:b"), {{"client_secret", "b"}}), "invalid_request");
  EXPECT_EQ(refused("Basic " + core::base64_encode("a:b"), {{"client_id", "other"}}), "invalid_request");
}

TEST(ClientAuth, wants_the_secret_of_a_confidential_client_and_none_of_a_public_one) {
  OAuthClient confidential, open;
  confidential.secret_hash = core::sha256_hex("right");
  const auto good = [](const OAuthClient& client, std::optional<std::string> secret) {
    PresentedClient presented{"x", {}, false};
    if (secret) presented.secret = core::Secret(*secret);
    try {
      check_client_secret(client, presented);
    } catch (const OAuthError&) {
      return false;
    }
    return true;
  };
  EXPECT_TRUE(good(confidential, "right"));
  EXPECT_FALSE(good(confidential, "wrong"));
  EXPECT_FALSE(good(confidential, std::nullopt));
  EXPECT_TRUE(good(open, std::nullopt));
  EXPECT_TRUE(good(open, ""));
  EXPECT_FALSE(good(open, "anything"));
}

}  // namespace
}  // namespace assistiv::oauth
