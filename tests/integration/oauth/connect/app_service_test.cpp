#include "oauth/connect/app_service.h"

#include "support/connect_fixture.h"

namespace assistiv::test {

namespace {

oauth::NewApp demo_app() {
  oauth::NewApp input;
  input.app = "demo";
  input.client_id = "client-1";
  input.client_secret = core::Secret("client-secret-1");
  input.return_urls = {kReturnUrl};
  return input;
}

}  // namespace

using AppServiceTest = ConnectTest;

TEST_F(AppServiceTest, activates_once_and_never_shows_the_secret) {
  const auto platform = make_platform();
  const auto app = run(node_->apps.activate(platform, demo_app(), context()));
  EXPECT_EQ(app.title, "Demo");
  EXPECT_EQ(app.callback_url, "https://gateway.test/oauth/callback/demo");
  EXPECT_TRUE(app.is_active);
  EXPECT_EQ(error_of(node_->apps.activate(platform, demo_app(), context())).kind(),
            core::ErrorKind::Conflict);
  EXPECT_EQ(run(node_->apps.get(platform, "demo")).return_urls, std::vector<std::string>{kReturnUrl});
  EXPECT_EQ(count("from mcp_app where client_secret like '%client-secret%'"), 0);
  EXPECT_EQ(column("select event from audit_entry"), "app.created");
}

TEST_F(AppServiceTest, names_the_faulty_field) {
  const auto platform = make_platform();
  const auto field_of = [&](auto change) {
    auto input = demo_app();
    change(input);
    return error_of(node_->apps.activate(platform, input, context())).field();
  };
  EXPECT_EQ(field_of([](auto& input) { input.app = "nothing"; }), "/app");
  EXPECT_EQ(field_of([](auto& input) { input.client_id = "a b"; }), "/client_id");
  EXPECT_EQ(field_of([](auto& input) { input.client_id = ".."; }), "/client_id");
  EXPECT_EQ(field_of([](auto& input) { input.client_secret = core::Secret(""); }), "/client_secret");
  EXPECT_EQ(field_of([](auto& input) { input.return_urls.push_back("http://example.com"); }),
            "/return_urls/1");
  EXPECT_EQ(field_of([](auto& input) { input.scopes = {{"read", "fly"}}; }), "/scopes/1");
  EXPECT_EQ(field_of([](auto& input) { input.vars = {{"x", "y"}}; }), "/vars/x");
  EXPECT_EQ(count("from mcp_app"), 0);
}

TEST_F(AppServiceTest, changes_what_is_given_and_keeps_the_rest) {
  const auto platform = make_platform();
  run(node_->apps.activate(platform, demo_app(), context()));
  oauth::AppPatch patch;
  patch.scopes = {{"admin"}};
  patch.is_active = false;
  const auto app = run(node_->apps.update(platform, "demo", patch, context()));
  EXPECT_EQ(app.client_id, "client-1");
  EXPECT_EQ(app.scopes, (std::vector<std::string>{"admin"}));
  EXPECT_FALSE(run(node_->apps.get(platform, "demo")).is_active);
  patch.return_urls = {{"javascript:1"}};
  EXPECT_EQ(error_of(node_->apps.update(platform, "demo", patch, context())).field(), "/return_urls/0");
}

TEST_F(AppServiceTest, belongs_to_its_platform) {
  const auto platform = make_platform();
  const auto other = make_platform("Other");
  run(node_->apps.activate(platform, demo_app(), context()));
  EXPECT_EQ(error_of(node_->apps.get(other, "demo")).kind(), core::ErrorKind::NotFound);
  EXPECT_EQ(error_of(node_->apps.update(other, "demo", {}, context())).kind(), core::ErrorKind::NotFound);
  EXPECT_EQ(error_of(node_->apps.remove(other, "demo", context())).kind(), core::ErrorKind::NotFound);
  EXPECT_EQ(run(node_->apps.list(other, {})).total, 0);
  EXPECT_EQ(run(node_->apps.list(platform, {})).total, 1);
}

TEST_F(AppServiceTest, takes_its_connections_with_it_and_revokes_them_from_the_queue) {
  const auto platform = make_platform();
  activate(platform);
  connect(platform, make_end_user(platform, "a"), 1, "41");
  connect(platform, make_end_user(platform, "b"), 2, "42");
  run(node_->apps.remove(platform, "demo", context()));
  EXPECT_EQ(count("from mcp_app"), 0);
  EXPECT_EQ(count("from connection"), 0);
  EXPECT_EQ(count("from upstream_revocation"), 2);
  http_.always("DELETE", kRevokeGrantUrl, FakeHttpClient::replies(204, ""));
  EXPECT_EQ(run(node_->revocations.run_due(10)), 2u);
  EXPECT_EQ(count("from upstream_revocation"), 0);
  EXPECT_EQ(http_.requests("DELETE", kRevokeGrantUrl).size(), 2u);
  EXPECT_EQ(count("from audit_entry where event = 'connection.revoked'"), 2);
  EXPECT_EQ(count("from audit_entry where event = 'app.updated' and details ->> 'is_active' = 'false'"), 1);
  EXPECT_EQ(count("from audit_entry where event = 'connection.revocation'"
                  " and details ->> 'revoked_upstream' = 'true'"),
            2);
}

}  // namespace assistiv::test
