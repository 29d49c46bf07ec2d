#include "support/grants_fixture.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "oauth/identity/platform_store.h"
#include "support/tool_fixture.h"

namespace assistiv::test {

GrantsFixture::GrantsFixture()
    : book_(database_.db(), small_catalog()),
      vault_path_(std::filesystem::temp_directory_path() /
                  ("vault-" + core::random_hex(random_, 8) + ".json")),
      vault_(oauth::Vault::open_file(vault_path_, random_)),
      platform_(add_platform("acme")),
      user_(add_user(platform_, "ann")) {
  audit_.start(io_.executor());
}

GrantsFixture::~GrantsFixture() {
  audit_.stop();
  std::filesystem::remove(vault_path_);
}

core::PlatformId GrantsFixture::add_platform(const std::string& slug) {
  core::PlatformId id;
  database_.db().execute(storage::Scope::system(), [&](storage::Transaction& tx) {
    id = oauth::PlatformStore(clock_, random_)
             .create(tx, {.name = slug, .slug = slug, .settings_json = {}})
             .id;
  });
  activate(id, "notes");
  return id;
}

GrantsUser GrantsFixture::add_user(core::PlatformId platform, const std::string& external_id) {
  GrantsUser user;
  database_.db().execute(storage::Scope::tenant(platform), [&](storage::Transaction& tx) {
    user.id = end_users_
                  .create_or_get(tx, platform,
                                 {.external_id = external_id, .display_name = {}, .metadata_json = {}})
                  .first.id;
    const auto issued = keys_.issue(tx, {platform, user.id}, {});
    user.principal = std::make_shared<oauth::Principal>(oauth::Principal{
        oauth::PrincipalKind::EndUser, issued.key.id, platform, user.id, issued.key.scopes, std::nullopt});
  });
  user.connection = connect(platform, user.id, "notes", external_id);
  return user;
}

void GrantsFixture::activate(core::PlatformId platform, const std::string& app) {
  database_.exec(
      "insert into mcp_app (platform_id, app, client_id, client_secret, return_urls, created_at, updated_at)"
      " values ($1::uuid, $2, 'id', 'sealed', '[]', now(), now())",
      {platform.str(), app});
}

core::ConnectionId GrantsFixture::connect(core::PlatformId platform, core::EndUserId end_user,
                                          const std::string& app, const std::string& account) {
  const auto id = core::ConnectionId::make(clock_, random_);
  database_.exec(
      "insert into connection (platform_id, connection_id, end_user_id, app, client_id, provider_account_id,"
      " account_label, status, scopes, vars, created_at, updated_at) values ($1::uuid, $2::uuid, $3::uuid, "
      "$4, 'id',"
      " $5, $5, 'active', '[\"notes\"]', '{}', now(), now())",
      {platform.str(), id.str(), end_user.str(), app, account});
  return id;
}

core::Error GrantsFixture::error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& e) {
    return e;
  }
  ADD_FAILURE() << "did not throw";
  return core::internal("nothing was thrown");
}

std::vector<core::Json> GrantsFixture::audit(const std::string& event) {
  run(audit_.flush());
  const auto page = run(audit_.list(platform_, {.event = event, .end_user_id = {}, .page = 1, .limit = 100}));
  std::vector<core::Json> out;
  for (const auto& entry : page.entries) {
    out.push_back({{"subject", entry.event.subject},
                   {"details", core::parse_json(entry.event.details_json)},
                   {"actor", entry.event.actor_kind},
                   {"end_user", entry.event.end_user_id ? entry.event.end_user_id->str() : ""},
                   {"request", entry.event.request_id}});
  }
  return out;
}

oauth::AuditContext GrantsFixture::by_platform() const {
  const auto principal = std::make_shared<oauth::Principal>();
  principal->kind = oauth::PrincipalKind::Platform;
  principal->platform_id = platform_;
  return {principal, "request-1"};
}

}  // namespace assistiv::test
