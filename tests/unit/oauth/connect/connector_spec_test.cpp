#include "oauth/connect/connector_spec.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "support/connect_fixture.h"

namespace assistiv::oauth {

namespace {

using core::Json;

Json demo() {
  return core::parse_json(test::demo_manifest());
}

// The pointer of the fault that parsing `manifest` finds; "none" when it finds none.
std::string fault_of(const Json& manifest) {
  try {
    ConnectorSpec::parse(manifest);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::InvalidArgument);
    return error.field();
  }
  return "none";
}

struct Mutation {
  const char* at;       // where to put
  const char* value;    // this JSON; empty: remove the member
  const char* pointer;  // and this is where the fault is
};

// The manifests of the other three vendors of the reference, to show that data is enough.
constexpr char kSlack[] = R"({
  "id": "slack", "title": "Slack", "version": "1", "hosts": ["slack.com"],
  "oauth": {
    "client": {"auth": "basic"}, "pkce": "off",
    "scope": {"param": "user_scope", "separator": ",", "default": ["search:read"], "titles": {"search:read": "Search"}},
    "authorize": {"url": "https://slack.com/oauth/v2/authorize", "params": {"scope": "chat:write,users:read"}},
    "token": {"url": "https://slack.com/api/oauth.v2.access", "encoding": "form"},
    "refresh": {"mode": "rotating", "slots": {
      "user": {"access": "/access_token", "refresh": "/refresh_token", "expires_in": {"path": "/expires_in"}}}},
    "slots": {
      "bot": {"access": "/access_token", "refresh": "/refresh_token", "expires_in": {"path": "/expires_in"}, "required": false},
      "user": {"access": "/authed_user/access_token", "refresh": "/authed_user/refresh_token",
               "scope": "/authed_user/scope", "expires_in": {"path": "/authed_user/expires_in"}}},
    "ok": {"equals": {"/ok": true}},
    "errors": {"permanent": ["invalid_refresh_token"], "config": ["bad_client_secret", "invalid_client_id"],
               "throttled": ["ratelimited"]},
    "revoke": {"token": {"method": "POST", "url": "https://slack.com/api/auth.revoke", "auth": "access",
                         "ok_status": [200], "slots": ["user"]}},
    "identity": {"request": {"method": "POST", "path": "/auth.test"}, "slot": "user", "id": ["/team_id", "/user_id"],
                 "label": "/user", "ok": {"equals": {"/ok": true}}}
  },
  "api": {"base": "https://slack.com/api", "auth_header": "Bearer {token}"}
})";

constexpr char kZoho[] = R"({
  "id": "zoho_crm", "title": "Zoho CRM", "version": "1",
  "vars": {"dc": {"source": "callback", "from": "location", "default": "us", "values": {
    "us": {"accounts": "accounts.zoho.com", "api": "www.zohoapis.com"},
    "eu": {"accounts": "accounts.zoho.eu", "api": "www.zohoapis.eu"}}}},
  "hosts": ["{dc.accounts}", "{dc.api}"],
  "oauth": {
    "client": {"auth": "body"}, "pkce": "off",
    "scope": {"param": "scope", "separator": ",", "default": ["ZohoCRM.users.READ"],
              "titles": {"ZohoCRM.users.READ": "Read users"}},
    "authorize": {"url": "https://{dc.accounts}/oauth/v2/auth", "params": {"access_type": "offline", "prompt": "consent"}},
    "token": {"url": "https://{dc.accounts}/oauth/v2/token", "encoding": "form"},
    "refresh": {"mode": "static", "min_interval_s": 120},
    "slots": {"main": {"access": "/access_token", "refresh": "/refresh_token", "expires_in": {"path": "/expires_in", "default": 3600}}},
    "ok": {"status": [200], "absent": ["/error"]},
    "errors": {"permanent": ["invalid_code"], "config": ["invalid_client"], "throttled_equals": {"/status": "failure"}},
    "revoke": {"token": {"method": "POST", "url": "https://{dc.accounts}/oauth/v2/token/revoke", "auth": "none",
                         "query": {"token": "{refresh_token}"}, "ok_status": [200, 400]}},
    "identity": {"request": {"path": "/users"}, "id": "/users/0/id", "label": "/users/0/email"}
  },
  "api": {"base": "https://{dc.api}/crm/v8", "auth_header": "Zoho-oauthtoken {token}"}
})";

constexpr char kZendesk[] = R"({
  "id": "zendesk", "title": "Zendesk", "version": "1",
  "vars": {"subdomain": {"source": "link", "pattern": "^[a-z0-9][a-z0-9-]{1,62}$", "title": "Zendesk subdomain"}},
  "hosts": ["{subdomain}.zendesk.com"],
  "oauth": {
    "client": {"auth": "body"}, "pkce": "S256",
    "scope": {"param": "scope", "default": ["read"], "titles": {"read": "Read everything"}},
    "authorize": {"url": "https://{subdomain}.zendesk.com/oauth/authorizations/new"},
    "token": {"url": "https://{subdomain}.zendesk.com/oauth/tokens", "encoding": "json", "params": {"expires_in": 1800}},
    "refresh": {"mode": "rotating", "params": {"expires_in": 1800}},
    "slots": {"main": {"access": "/access_token", "refresh": "/refresh_token", "scope": "/scope",
      "expires_in": {"path": "/expires_in", "default": 1800},
      "refresh_expires_in": {"path": "/refresh_token_expires_in", "default": 2592000}}},
    "ok": {"status": [200, 201], "absent": ["/error"]},
    "errors": {"permanent": ["invalid_grant"], "config": ["invalid_client", "unauthorized_client"]},
    "revoke": {"token": {"method": "DELETE", "url": "https://{subdomain}.zendesk.com/api/v2/oauth/tokens/current",
                         "auth": "access", "ok_status": [204, 401]}},
    "identity": {"request": {"path": "/users/me"}, "id": "/user/id", "label": "/user/email"}
  },
  "api": {"base": "https://{subdomain}.zendesk.com/api/v2", "auth_header": "Bearer {token}"}
})";

}  // namespace

TEST(ConnectorSpec, reads_a_manifest) {
  const auto spec = ConnectorSpec::parse(demo());
  EXPECT_EQ(spec.id, "demo");
  EXPECT_EQ(spec.oauth.pkce, Pkce::S256);
  EXPECT_EQ(spec.oauth.refresh.mode, RefreshMode::Rotating);
  EXPECT_EQ(spec.oauth.refresh.endpoint.url.expand({}), "https://provider.test/token");
  EXPECT_EQ(spec.oauth.identity.probe.url.expand({}), "https://api.provider.test/user");
  EXPECT_EQ(spec.oauth.identity.slot, "main");
  EXPECT_EQ(spec.allowed_hosts({}), (std::vector<std::string>{"provider.test", "api.provider.test"}));
  EXPECT_TRUE(spec.oauth.revoke.grant->needs_access());
  EXPECT_EQ(spec.scopes_to_request({}), (std::vector<std::string>{"read", "write"}));
  EXPECT_EQ(spec.scopes_to_request({{"admin"}}), (std::vector<std::string>{"read", "admin"}));
}

TEST(ConnectorSpec, ignores_the_members_of_the_tools) {
  auto manifest = demo();
  manifest["tools"] = Json::array({{{"name", "x"}}});
  manifest["paginators"] = Json::object();
  manifest["api"]["rate"] = Json::object();
  EXPECT_EQ(fault_of(manifest), "none");
}

TEST(ConnectorSpec, knows_which_scope_covers_which) {
  const auto spec = ConnectorSpec::parse(demo());
  EXPECT_TRUE(spec.covers({"read"}, "read"));
  EXPECT_TRUE(spec.covers({"admin"}, "write"));
  EXPECT_FALSE(spec.covers({"read"}, "write"));
  EXPECT_FALSE(spec.covers({}, "read"));
}

TEST(ConnectorSpec, points_at_the_fault) {
  const Mutation mutations[] = {
      {"/id", "\"Demo\"", "/id"},
      {"/id", "\"a/../b\"", "/id"},
      {"/title", "", "/title"},
      {"/hosts", "[]", "/hosts"},
      {"/hosts", "[\"Provider.test\"]", "/hosts"},
      {"/hosts", "[\"provider.test\"]", "/oauth/revoke/token/url"},
      {"/hosts", "[\"{nobody}.test\"]", "/hosts"},
      {"/oauth/typo", "1", "/oauth/typo"},
      {"/oauth/client/auth", "\"jwt\"", "/oauth/client/auth"},
      {"/oauth/pkce", "\"plain\"", "/oauth/pkce"},
      {"/oauth/authorize/url", "\"http://provider.test/a\"", "/oauth/authorize/url"},
      {"/oauth/authorize/url", "\"https://other.test/a\"", "/oauth/authorize/url"},
      {"/oauth/authorize/url", "\"https://provider.test/{token}\"", "/oauth/authorize/url"},
      {"/oauth/authorize/params/state", "\"x\"", "/oauth/authorize/params/state"},
      {"/oauth/authorize/params/scope", "\"x\"", "/oauth/authorize/params/scope"},
      {"/oauth/authorize/params/x", "\"{client_secret}\"", "/oauth/authorize/params/x"},
      {"/oauth/authorize/params/x", "1.5", "/oauth/authorize/params/x"},
      {"/oauth/token/url", "", "/oauth/token/url"},
      {"/oauth/token/headers", "{\"X\": \"a\\r\\nb\"}", "/oauth/token/headers/X"},
      {"/oauth/refresh/mode", "\"sometimes\"", "/oauth/refresh/mode"},
      {"/oauth/refresh/limit", "{\"requests\": 10}", "/oauth/refresh/limit/seconds"},
      {"/oauth/refresh/limit", "{\"requests\": 0, \"seconds\": 60}", "/oauth/refresh/limit/requests"},
      {"/oauth/errors/throttled_per", "\"planet\"", "/oauth/errors/throttled_per"},
      {"/oauth/refresh/slots", "{\"other\": {\"access\": \"/a\"}}", "/oauth/refresh/slots/other"},
      {"/oauth/slots/main/refresh", "", "/oauth/slots"},
      {"/oauth/slots/main/access", "\"access_token\"", "/oauth/slots/main/access"},
      {"/oauth/slots", "{}", "/oauth/slots"},
      {"/oauth/ok/status", "[20]", "/oauth/ok/status"},
      {"/oauth/ok/equals", "{\"ok\": true}", "/oauth/ok/equals/ok"},
      {"/oauth/scope/always", "[\"unknown\"]", "/oauth/scope"},
      {"/oauth/revoke/token/ok_status", "", "/oauth/revoke/token/ok_status"},
      {"/oauth/revoke/token/url", "\"https://api.provider.test/{access_token}\"", "/oauth/revoke/token/url"},
      {"/oauth/revoke/token/slots", "[\"bot\"]", "/oauth/revoke/token/slots"},
      {"/oauth/identity/id", "", "/oauth/identity/id"},
      {"/oauth/identity/slot", "\"bot\"", "/oauth/identity/slot"},
      {"/oauth/identity/request/path", "\"user\"", "/oauth/identity/request/path"},
      {"/api/auth_header", "\"Bearer\"", "/api/auth_header"},
      {"/api/base", "\"https://elsewhere.test\"", "/api/base"},
      {"/vars/x", "{\"source\": \"app\"}", "/vars/x"},
      {"/vars/x", "{\"source\": \"app\", \"pattern\": \"[a-z]+\"}", "/vars/x/pattern"},
      {"/vars/x", "{\"source\": \"app\", \"pattern\": \"^[a-z$\"}", "/vars/x/pattern"},
      {"/vars/x", "{\"source\": \"callback\", \"pattern\": \"^a$\"}", "/vars/x/from"},
      {"/vars/x", "{\"source\": \"app\", \"pattern\": \"^a$\", \"default\": \"b\"}", "/vars/x/default"},
      {"/vars/x", "{\"source\": \"app\", \"pattern\": \"^a$\", \"confirm\": {\"y\": \"{x}\"}}",
       "/vars/x/confirm"},
      {"/vars/x",
       "{\"source\": \"callback\", \"from\": \"x\", \"pattern\": \"^a$\", \"confirm\": {\"y\": \"{z}\"}}",
       "/vars/x/confirm/y"},
      {"/vars/x", "{\"source\": \"lookup\", \"from\": \"/x\", \"pattern\": \"^a$\"}", "/vars/x"},
      {"/oauth/lookup", "{\"request\": {\"path\": \"/orgs\", \"query\": {\"q\": \"{z}\"}}}",
       "/oauth/lookup/request/query/q"},
      {"/oauth/errors/throttled_wait_s", "0", "/oauth/errors/throttled_wait_s"},
  };
  for (const auto& mutation : mutations) {
    auto manifest = demo();
    const Json::json_pointer at(mutation.at);
    if (*mutation.value == '\0') {
      manifest.at(at.parent_pointer()).erase(at.back());
    } else {
      manifest[at] = Json::parse(mutation.value);
    }
    EXPECT_EQ(fault_of(manifest), mutation.pointer) << mutation.at << " = " << mutation.value;
  }
}

TEST(ConnectorSpec, lets_no_outside_value_choose_a_host_without_a_table) {
  auto manifest = demo();
  manifest["vars"]["dc"] = {
      {"source", "callback"}, {"from", "location"}, {"pattern", "^[a-z.]+$"}, {"default", "us"}};
  manifest["hosts"].push_back("{dc}.provider.test");
  EXPECT_EQ(fault_of(manifest), "/hosts");
  manifest["vars"]["dc"] = {{"source", "app"}, {"pattern", "^[a-z]+$"}};
  EXPECT_EQ(fault_of(manifest), "none");
}

TEST(ConnectorSpec, uses_a_variable_only_when_it_is_known) {
  auto manifest = demo();
  manifest["vars"]["org"] = {{"source", "token"}, {"from", "/org"}, {"pattern", "^[0-9]+$"}};
  manifest["oauth"]["authorize"]["params"]["org"] = "{org}";
  EXPECT_EQ(fault_of(manifest), "/oauth/authorize/params/org");
  manifest["oauth"]["authorize"]["params"].erase("org");
  manifest["api"]["headers"]["X-Org"] = "{org}";
  EXPECT_EQ(fault_of(manifest), "none");
}

TEST(ConnectorSpec, expresses_slack_zoho_and_zendesk) {
  const auto slack = ConnectorSpec::parse(core::parse_json(kSlack));
  EXPECT_EQ(slack.oauth.client_auth, ClientAuth::Basic);
  EXPECT_EQ(slack.oauth.refresh.slots.at("user").access, "/access_token");
  const auto zendesk = ConnectorSpec::parse(core::parse_json(kZendesk));
  EXPECT_EQ(zendesk.allowed_hosts({{"subdomain", "acme"}}), std::vector<std::string>{"acme.zendesk.com"});
  const auto zoho = ConnectorSpec::parse(core::parse_json(kZoho));
  const auto eu = zoho.var("dc")->accept("eu");
  ASSERT_TRUE(eu.has_value());
  EXPECT_EQ(zoho.oauth.token.url.expand(*eu), "https://accounts.zoho.eu/oauth/v2/token");
  EXPECT_EQ(zoho.allowed_hosts(zoho.with_fallbacks({})),
            (std::vector<std::string>{"accounts.zoho.com", "www.zohoapis.com"}));
  EXPECT_FALSE(zoho.var("dc")->accept("http://127.0.0.1").has_value());
}

TEST(ConnectorSpec, checks_given_variables) {
  const auto spec = ConnectorSpec::parse(core::parse_json(kZendesk));
  EXPECT_EQ(spec.given_vars({{"subdomain", "acme"}}, SpecVar::Source::Link), (Values{{"subdomain", "acme"}}));
  const auto field_of = [&](const Values& given, SpecVar::Source source) {
    try {
      spec.given_vars(given, source);
    } catch (const core::Error& error) {
      return error.field();
    }
    return std::string("none");
  };
  EXPECT_EQ(field_of({}, SpecVar::Source::Link), "/vars/subdomain");
  EXPECT_EQ(field_of({{"subdomain", "evil.com#"}}, SpecVar::Source::Link), "/vars/subdomain");
  EXPECT_EQ(field_of({{"subdomain", "acme"}}, SpecVar::Source::App), "/vars/subdomain");
  EXPECT_EQ(field_of({{"subdomain", "acme"}, {"other", "x"}}, SpecVar::Source::Link), "/vars/other");
}

TEST(ApplyHostOverride, moves_every_host_to_a_path_of_one_origin) {
  auto zoho = ConnectorSpec::parse(core::parse_json(kZoho));
  const auto eu = zoho.with_fallbacks(*zoho.var("dc")->accept("eu"));
  apply_host_override(zoho, "http://127.0.0.1:4002/{host}");
  EXPECT_EQ(zoho.oauth.token.url.expand(eu), "http://127.0.0.1:4002/accounts.zoho.eu/oauth/v2/token");
  EXPECT_EQ(zoho.api.base.expand(eu).find("http://127.0.0.1:4002/www.zohoapis.eu/"), 0u);
  EXPECT_EQ(zoho.allowed_hosts(eu), std::vector<std::string>{"127.0.0.1:4002"});
}

TEST(ApplyOverride, moves_web_and_api_urls_to_their_hosts) {
  auto spec = ConnectorSpec::parse(demo());
  apply_override(spec, "http://127.0.0.1:4001", "http://127.0.0.1:4002/api");
  EXPECT_EQ(spec.oauth.authorize_url.expand({}), "http://127.0.0.1:4001/authorize");
  EXPECT_EQ(spec.oauth.token.url.expand({}), "http://127.0.0.1:4001/token");
  EXPECT_EQ(spec.oauth.refresh.endpoint.url.expand({}), "http://127.0.0.1:4001/token");
  EXPECT_EQ(spec.oauth.identity.probe.url.expand({}), "http://127.0.0.1:4002/api/user");
  EXPECT_EQ(spec.oauth.revoke.grant->url.expand({{"client_id", "c"}}),
            "http://127.0.0.1:4002/api/applications/c/grant");
  EXPECT_EQ(spec.api.base.expand({}), "http://127.0.0.1:4002/api");
  EXPECT_EQ(spec.allowed_hosts({}), (std::vector<std::string>{"127.0.0.1:4001", "127.0.0.1:4002"}));
  EXPECT_THROW(apply_override(spec, "not a url", "http://127.0.0.1:1"), core::Error);
}

}  // namespace assistiv::oauth
