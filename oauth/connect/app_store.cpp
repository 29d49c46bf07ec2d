#include "oauth/connect/app_store.h"

#include "core/error.h"
#include "oauth/connect/row_json.h"
#include "oauth/crypto/vault.h"

namespace assistiv::oauth {

namespace {

constexpr char kAppColumns[] =
    "app, client_id, client_secret, return_urls::text as return_urls, scopes::text as scopes, vars::text as "
    "vars,"
    " is_active, assistiv_ms(created_at) as created_at, assistiv_ms(updated_at) as updated_at";

SecretContext app_secret_context(core::PlatformId platform, const std::string& app) {
  return {platform, "mcp_app", app, "client_secret"};
}

AppRow read_app(const storage::Row& row) {
  AppRow out;
  out.app.app = row.text("app");
  out.app.client_id = row.text("client_id");
  out.app.return_urls = strings_of_json(row.text("return_urls"));
  if (!row.is_null("scopes")) out.app.scopes = strings_of_json(row.text("scopes"));
  out.app.vars = values_of_json(row.text("vars"));
  out.app.is_active = row.boolean("is_active");
  out.app.created_at = row.time("created_at");
  out.app.updated_at = row.time("updated_at");
  out.sealed_secret = row.text("client_secret");
  return out;
}

storage::Param scopes_param(const App& app) {
  return app.scopes ? storage::Param(to_json_text(*app.scopes)) : std::nullopt;
}

std::string ms_param(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

}  // namespace

void AppStore::insert(storage::Transaction& tx, core::PlatformId platform, const App& app,
                      const core::Secret& secret) const {
  const auto taken = tx.exec(
      "insert into mcp_app (platform_id, app, client_id, client_secret, return_urls, scopes, vars, is_active,"
      " created_at, updated_at) values ($1::uuid, $2, $3, $4, $5::jsonb, $6::jsonb, $7::jsonb, $8::boolean,"
      " assistiv_time($9::bigint), assistiv_time($9::bigint)) on conflict (platform_id, app) do nothing",
      {platform.str(), app.app, app.client_id, vault_.seal(app_secret_context(platform, app.app), secret),
       to_json_text(app.return_urls), scopes_param(app), to_json_text(app.vars),
       app.is_active ? "true" : "false", ms_param(app.created_at)});
  if (taken.affected() == 0) {
    throw core::conflict("The app \"" + app.app + "\" is activated already. Use PATCH to change it.");
  }
}

std::optional<AppRow> AppStore::lock(storage::Transaction& tx, core::PlatformId platform,
                                     const std::string& app) const {
  const auto rows = tx.exec(std::string("select ") + kAppColumns +
                                " from mcp_app where platform_id = $1::uuid and app = $2 for update",
                            {platform.str(), app});
  return rows.empty() ? std::nullopt : std::optional(read_app(rows[0]));
}

std::optional<AppRow> AppStore::get(storage::Transaction& tx, core::PlatformId platform,
                                    const std::string& app) const {
  const auto rows = tx.exec(
      std::string("select ") + kAppColumns + " from mcp_app where platform_id = $1::uuid and app = $2",
      {platform.str(), app});
  return rows.empty() ? std::nullopt : std::optional(read_app(rows[0]));
}

Page<App> AppStore::list(storage::Transaction& tx, core::PlatformId platform, PageRequest page) const {
  Page<App> out;
  out.page = page.page;
  out.limit = page.limit;
  out.total =
      tx.exec("select count(*) as total from mcp_app where platform_id = $1::uuid", {platform.str()})[0]
          .integer("total");
  const auto rows =
      tx.exec(std::string("select ") + kAppColumns +
                  " from mcp_app where platform_id = $1::uuid order by app limit $2::int offset $3::int",
              {platform.str(), std::to_string(page.limit), page.offset()});
  for (const auto& row : rows) out.items.push_back(read_app(row).app);
  return out;
}

void AppStore::update(storage::Transaction& tx, core::PlatformId platform, const App& app,
                      const std::optional<core::Secret>& secret) const {
  storage::Param sealed;
  if (secret) sealed = vault_.seal(app_secret_context(platform, app.app), *secret);
  tx.exec(
      "update mcp_app set client_id = $3, client_secret = coalesce($4, client_secret), return_urls = "
      "$5::jsonb,"
      " scopes = $6::jsonb, vars = $7::jsonb, is_active = $8::boolean, updated_at = assistiv_time($9::bigint)"
      " where platform_id = $1::uuid and app = $2",
      {platform.str(), app.app, app.client_id, sealed, to_json_text(app.return_urls), scopes_param(app),
       to_json_text(app.vars), app.is_active ? "true" : "false", ms_param(app.updated_at)});
}

bool AppStore::remove(storage::Transaction& tx, core::PlatformId platform, const std::string& app) const {
  return tx.exec("delete from mcp_app where platform_id = $1::uuid and app = $2", {platform.str(), app})
             .affected() > 0;
}

ClientCredentials AppStore::open(core::PlatformId platform, const AppRow& row) const {
  return {row.app.client_id, vault_.open(app_secret_context(platform, row.app.app), row.sealed_secret)};
}

}  // namespace assistiv::oauth
