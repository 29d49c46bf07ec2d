#include "support/connect_fixture.h"

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"

namespace assistiv::test {

namespace {

core::Json demo_document() {
  return core::parse_json(R"({
    "manifest": 1, "id": "demo", "title": "Demo", "version": "1",
    "hosts": ["provider.test", "api.provider.test"],
    "oauth": {
      "client": {"auth": "body"}, "pkce": "S256",
      "scope": {"param": "scope", "separator": " ", "response_separator": ",", "always": ["read"], "default": ["write"],
                "titles": {"read": "Read things", "write": "Change things", "admin": "Do anything"},
                "implies": {"admin": ["read", "write"]}, "consent": ["See who you are"]},
      "authorize": {"url": "https://provider.test/authorize", "params": {"prompt": "select_account"}},
      "token": {"url": "https://provider.test/token", "encoding": "form"},
      "refresh": {"mode": "rotating"},
      "slots": {"main": {"access": "/access_token", "refresh": "/refresh_token", "scope": "/scope",
        "expires_in": {"path": "/expires_in", "default": 3600},
        "refresh_expires_in": {"path": "/refresh_token_expires_in", "default": 864000}}},
      "ok": {"status": [200], "absent": ["/error"]},
      "errors": {"permanent": ["bad_refresh_token"], "config": ["incorrect_client_credentials"],
                 "throttled": ["slow_down"]},
      "revoke": {
        "token": {"method": "DELETE", "url": "https://api.provider.test/applications/{client_id}/token",
          "auth": "client_basic", "encoding": "json", "body": {"access_token": "{access_token}"}, "ok_status": [204, 404]},
        "grant": {"method": "DELETE", "url": "https://api.provider.test/applications/{client_id}/grant",
          "auth": "client_basic", "encoding": "json", "body": {"access_token": "{access_token}"}, "ok_status": [204, 404]}},
      "identity": {"request": {"method": "GET", "path": "/user"}, "id": "/id", "label": "/login"}
    },
    "api": {"base": "https://api.provider.test", "auth_header": "Bearer {token}", "headers": {"X-Version": "7"}}
  })");
}

}  // namespace

std::string demo_manifest() {
  return core::dump_json(demo_document());
}

std::string plain_manifest() {
  auto document = demo_document();
  document["id"] = "plain";
  document["title"] = "Plain";
  document["oauth"]["refresh"] = {{"mode", "none"}};
  document["oauth"]["slots"]["main"] = {{"access", "/access_token"}, {"scope", "/scope"}};
  document["oauth"].erase("revoke");
  return core::dump_json(document);
}

void SpecRegistry::add(const std::string& manifest) {
  auto spec = oauth::ConnectorSpec::parse(core::parse_json(manifest));
  const auto id = spec.id;
  specs_.insert_or_assign(id, std::make_shared<const oauth::ConnectorSpec>(std::move(spec)));
}

oauth::ConnectorPtr SpecRegistry::find_in(storage::Transaction&, core::PlatformId,
                                          std::string_view app) const {
  const auto it = specs_.find(app);
  return it == specs_.end() ? nullptr : it->second;
}

core::Task<oauth::ConnectorPtr> SpecRegistry::find(core::PlatformId, std::string app) const {
  const auto it = specs_.find(app);
  co_return it == specs_.end() ? nullptr : it->second;
}

ConnectNode::ConnectNode(storage::Database& database, const oauth::Vault& vault, FakeHttpClient& http,
                         const SpecRegistry& registry, const core::Clock& clock, core::Random& random,
                         oauth::TokenServiceOptions options)
    : audit(database, clock),
      world{database, audit, vault, http, registry, clock, random, "https://gateway.test", {}},
      provider(http),
      revocations(world, provider),
      connections(world, revocations),
      apps(world, connections),
      flow(world, provider, revocations),
      tokens(world, provider, revocations, options),
      worker(world, tokens, revocations, connections) {
  // Stands in for the notifier.
  world.changed = [this](std::string_view topic, std::string_view payload) {
    tokens.on_notify(topic, payload);
  };
}

ConnectTest::ConnectTest() {
  char dir[] = "/tmp/assistiv-connect-XXXXXX";
  vault_dir_ = mkdtemp(dir);
  vault_ = oauth::Vault::open_file(vault_dir_ + "/keys.json", random_);
  registry_.add(demo_manifest());
  registry_.add(plain_manifest());
  node_ = std::make_unique<ConnectNode>(database_.db(), *vault_, http_, registry_, clock_, random_);
}

ConnectTest::~ConnectTest() {
  std::filesystem::remove_all(vault_dir_);
}

core::PlatformId ConnectTest::make_platform(const std::string& name) {
  const auto id = core::PlatformId::make(clock_, random_);
  database_.exec(
      "insert into platform (platform_id, name, slug, created_at, updated_at) values ($1::uuid, $2, $1, "
      "now(), now())",
      {id.str(), name});
  return id;
}

core::EndUserId ConnectTest::make_end_user(core::PlatformId platform, const std::string& external_id) {
  const auto id = core::EndUserId::make(clock_, random_);
  database_.exec(
      "insert into end_user (platform_id, end_user_id, external_id, created_at, updated_at)"
      " values ($1::uuid, $2::uuid, $3, now(), now())",
      {platform.str(), id.str(), external_id});
  return id;
}

void ConnectTest::activate(core::PlatformId platform, const std::string& app, std::vector<std::string> urls) {
  oauth::NewApp input;
  input.app = app;
  input.client_id = "client-1";
  input.client_secret = core::Secret("client-secret-1");
  input.return_urls = std::move(urls);
  run(node_->apps.activate(platform, input, context()));
}

std::string ConnectTest::token_json(int n, int expires_in_s) {
  const auto number = std::to_string(n);
  return R"({"access_token":"access-)" + number + R"(","refresh_token":"refresh-)" + number +
         R"(","scope":"read,write","expires_in":")" + std::to_string(expires_in_s) + R"("})";
}

void ConnectTest::provider_grants(int n, const std::string& account, int expires_in_s) {
  http_.once("POST", kTokenUrl, FakeHttpClient::replies(200, token_json(n, expires_in_s)));
  http_.once("GET", kUserUrl,
             FakeHttpClient::replies(200, R"({"id":)" + account + R"(,"login":"person-)" + account + "\"}"));
}

std::string ConnectTest::make_link(core::PlatformId platform, core::EndUserId end_user,
                                   oauth::NewLink input) {
  if (input.app.empty()) input.app = "demo";
  const auto link = run(node_->flow.create_link(platform, end_user, std::move(input), context()));
  return link.url.substr(link.url.rfind('/') + 1);
}

StartedBrowser ConnectTest::open_link(const std::string& token) {
  const auto page = run(node_->flow.page(token, ""));
  EXPECT_FALSE(page.fault.has_value());
  const auto started = run(node_->flow.start(token, page.cookie, page.csrf, "request-2"));
  EXPECT_FALSE(started.fault.has_value());
  StartedBrowser out;
  out.cookie = started.cookie;
  out.provider_url = started.provider_url;
  const auto query = core::form_decode(started.provider_url.substr(started.provider_url.find('?') + 1));
  for (const auto& [name, value] : *query) {
    if (name == "state") out.state = value;
  }
  return out;
}

StartedBrowser ConnectTest::start_flow(core::PlatformId platform, core::EndUserId end_user,
                                       oauth::NewLink input) {
  return open_link(make_link(platform, end_user, std::move(input)));
}

oauth::CallbackRequest ConnectTest::callback(const StartedBrowser& browser, const std::string& app) const {
  oauth::CallbackRequest request;
  request.app = app;
  request.query = {{"code", "code-1"}, {"state", browser.state}};
  request.cookie = browser.cookie;
  request.request_id = "request-3";
  return request;
}

core::ConnectionId ConnectTest::connect(core::PlatformId platform, core::EndUserId end_user, int n,
                                        const std::string& account, int expires_in_s) {
  const auto browser = start_flow(platform, end_user);
  provider_grants(n, account, expires_in_s);
  const auto outcome = run(node_->flow.finish(callback(browser)));
  EXPECT_FALSE(outcome.fault.has_value());
  return outcome.connection_id.value_or(core::ConnectionId{});
}

std::string ConnectTest::column(const std::string& sql) {
  const auto rows = database_.exec("select (" + sql + ")::text as value");
  return rows[0].text("value");
}

std::int64_t ConnectTest::count(const std::string& sql) {
  return database_.exec("select count(*) as n " + sql)[0].integer("n");
}

}  // namespace assistiv::test
