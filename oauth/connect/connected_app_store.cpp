#include "oauth/connect/connected_app_store.h"

#include "oauth/connect/connection_store.h"
#include "oauth/connect/row_json.h"

namespace assistiv::oauth {

namespace {

constexpr char kConnectedApps[] =
    "select a.app, a.is_active, c.connection_id, c.status, c.scopes::text as scopes, c.label, c.account_id"
    " from mcp_app a left join lateral (select connection_id, status, scopes,"
    "  coalesce(label, account_label) as label, provider_account_id as account_id, row_number() over"
    "   (order by is_default desc, status = 'active' desc, updated_at desc) as place from connection"
    "  where platform_id = a.platform_id and end_user_id = $2::uuid and app = a.app and status <> 'revoked'"
    "  order by place limit 20) c on true"
    " where a.platform_id = $1::uuid order by a.app, c.place > 1, c.label, c.connection_id";

}  // namespace

std::vector<ConnectedApp> connected_apps(storage::Transaction& tx, core::PlatformId platform,
                                         core::EndUserId end_user) {
  std::vector<ConnectedApp> out;
  for (const auto& row : tx.exec(kConnectedApps, {platform.str(), end_user.str()})) {
    if (out.empty() || out.back().app != row.text("app"))
      out.push_back({row.text("app"), row.boolean("is_active"), {}});
    const auto id = row.optional_id<core::ConnectionId>("connection_id");
    if (!id) continue;
    ConnectedApp::Link link{*id, connection_status_of(row.text("status")),
                            strings_of_json(row.text("scopes")), row.text("label"), row.text("account_id")};
    if (out.back().link) {
      out.back().others.push_back(std::move(link));
    } else {
      out.back().link = std::move(link);
    }
  }
  return out;
}

ConnectedApp::Link shared_connection(storage::Transaction& tx, core::PlatformId platform,
                                     core::EndUserId end_user, const std::string& app) {
  const auto rows = tx.exec(
      "insert into connection (platform_id, connection_id, end_user_id, app, client_id, provider_account_id,"
      " account_label, status, scopes, vars, created_at, updated_at) values ($1::uuid, gen_random_uuid(), "
      "$2::uuid, $3,"
      " 'platform', 'platform', 'Shared by the platform', 'active', '[]', '{}', now(), now())"
      " on conflict (platform_id, end_user_id, app, provider_account_id) do update set status = 'active',"
      " status_reason = null, updated_at = now() returning connection_id",
      {platform.str(), end_user.str(), app});
  return {rows[0].id<core::ConnectionId>("connection_id"), ConnectionStatus::Active, {}};
}

bool app_activated(storage::Transaction& tx, core::PlatformId platform, const std::string& app) {
  return !tx.exec("select 1 from mcp_app where platform_id = $1::uuid and app = $2", {platform.str(), app})
              .empty();
}

}  // namespace assistiv::oauth
