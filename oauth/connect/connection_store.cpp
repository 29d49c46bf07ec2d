#include "oauth/connect/connection_store.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "oauth/connect/row_json.h"

namespace assistiv::oauth {

namespace {

constexpr char kConnectionColumns[] =
    "platform_id, connection_id, end_user_id, app, status, provider_account_id, account_label,"
    " label, is_default, scopes::text as scopes, vars::text as vars, assistiv_ms(created_at) as created_at,"
    " assistiv_ms(updated_at) as updated_at, assistiv_ms(last_used_at) as last_used_at";

constexpr char kConnectionFilter[] =
    " from connection where platform_id = $1::uuid and ($2::uuid is null or end_user_id = $2::uuid)"
    " and ($3::text is null or app = $3) and ($4::text is null or status = $4)";

Connection read_connection(const storage::Row& row) {
  Connection out;
  out.id = row.id<core::ConnectionId>("connection_id");
  out.platform_id = row.id<core::PlatformId>("platform_id");
  out.end_user_id = row.id<core::EndUserId>("end_user_id");
  out.app = row.text("app");
  out.status = connection_status_of(row.text("status"));
  out.account_id = row.text("provider_account_id");
  out.account_label = row.text("account_label");
  out.label = row.optional_text("label");
  out.is_default = row.boolean("is_default");
  out.scopes = strings_of_json(row.text("scopes"));
  out.vars = values_of_json(row.text("vars"));
  out.created_at = row.time("created_at");
  out.updated_at = row.time("updated_at");
  out.last_used_at = row.optional_time("last_used_at");
  return out;
}

std::optional<Connection> first_connection(const storage::Result& rows) {
  return rows.empty() ? std::nullopt : std::optional(read_connection(rows[0]));
}

std::vector<storage::Param> filter_params(core::PlatformId platform, const ConnectionFilter& filter) {
  std::vector<storage::Param> out{platform.str(), std::nullopt, filter.app, std::nullopt};
  if (filter.end_user_id) out[1] = filter.end_user_id->str();
  if (filter.status) out[3] = std::string(connection_status(*filter.status));
  return out;
}

std::string now_param(const core::Clock& clock) {
  return std::to_string(core::to_epoch_ms(clock.now()));
}

}  // namespace

std::string_view connection_status(ConnectionStatus status) {
  switch (status) {
    case ConnectionStatus::Active:
      return "active";
    case ConnectionStatus::NeedsReauth:
      return "needs_reauth";
    case ConnectionStatus::Revoked:
      return "revoked";
  }
  return "revoked";
}

ConnectionStatus connection_status_of(std::string_view text) {
  if (text == "active") return ConnectionStatus::Active;
  return text == "needs_reauth" ? ConnectionStatus::NeedsReauth : ConnectionStatus::Revoked;
}

std::optional<Connection> ConnectionStore::get(storage::Transaction& tx, core::PlatformId platform,
                                               core::ConnectionId id) const {
  return first_connection(
      tx.exec(std::string("select ") + kConnectionColumns +
                  " from connection where platform_id = $1::uuid and connection_id = $2::uuid",
              {platform.str(), id.str()}));
}

std::optional<Connection> ConnectionStore::lock(storage::Transaction& tx, core::PlatformId platform,
                                                core::ConnectionId id) const {
  return first_connection(
      tx.exec(std::string("select ") + kConnectionColumns +
                  " from connection where platform_id = $1::uuid and connection_id = $2::uuid for update",
              {platform.str(), id.str()}));
}

Page<Connection> ConnectionStore::list(storage::Transaction& tx, core::PlatformId platform,
                                       const ConnectionFilter& filter, PageRequest page) const {
  Page<Connection> out;
  out.page = page.page;
  out.limit = page.limit;
  auto params = filter_params(platform, filter);
  out.total =
      tx.exec(std::string("select count(*) as total") + kConnectionFilter, params)[0].integer("total");
  params.push_back(std::to_string(page.limit));
  params.push_back(page.offset());
  const auto rows = tx.exec(std::string("select ") + kConnectionColumns + kConnectionFilter +
                                " order by connection_id desc limit $5::int offset $6::int",
                            params);
  for (const auto& row : rows) out.items.push_back(read_connection(row));
  return out;
}

std::optional<Connection> ConnectionStore::usable(storage::Transaction& tx, core::PlatformId platform,
                                                  core::EndUserId end_user, const std::string& app) const {
  return first_connection(
      tx.exec(std::string("select ") + kConnectionColumns +
                  " from connection where platform_id = $1::uuid and end_user_id = $2::uuid and app = $3"
                  " and status <> 'revoked' order by is_default desc, status = 'active' desc, updated_at desc"
                  " limit 1",
              {platform.str(), end_user.str(), app}));
}

std::vector<Connection> ConnectionStore::lock_live(storage::Transaction& tx, core::PlatformId platform,
                                                   const ConnectionFilter& filter, std::size_t limit) const {
  auto params = filter_params(platform, filter);
  params.push_back(std::to_string(limit));
  const auto rows = tx.exec(std::string("select ") + kConnectionColumns + kConnectionFilter +
                                " and status <> 'revoked' order by connection_id limit $5::int for update",
                            params);
  std::vector<Connection> out;
  for (const auto& row : rows) out.push_back(read_connection(row));
  return out;
}

SavedConnection ConnectionStore::save(storage::Transaction& tx, core::PlatformId platform,
                                      core::EndUserId end_user, const GrantRecord& grant,
                                      const std::optional<std::string>& label) const {
  const auto rows = tx.exec(
      "insert into connection (platform_id, connection_id, end_user_id, app, client_id, provider_account_id,"
      " account_label, status, scopes, vars, created_at, updated_at, label, is_default)"
      " values ($1::uuid, $2::uuid, $3::uuid, $4, $5, $6, $7, 'active', $8::jsonb, $9::jsonb,"
      " assistiv_time($10::bigint), assistiv_time($10::bigint), (select $11::text where not exists"
      "  (select 1 from connection where platform_id = $1::uuid and end_user_id = $3::uuid and app = $4"
      "   and provider_account_id <> $6 and status <> 'revoked'"
      "   and lower(coalesce(label, account_label)) = lower($11::text))),"
      " not exists (select 1 from connection where platform_id = $1::uuid and end_user_id = $3::uuid"
      "  and app = $4 and is_default))"
      " on conflict (platform_id, end_user_id, app, provider_account_id) do update set client_id = "
      "excluded.client_id,"
      " account_label = excluded.account_label, status = 'active', status_reason = null, scopes = "
      "excluded.scopes,"
      " vars = excluded.vars, updated_at = excluded.updated_at,"
      " label = coalesce(excluded.label, connection.label),"
      " is_default = connection.is_default or excluded.is_default returning connection_id, xmax::text = '0' "
      "as "
      "created",
      {platform.str(), core::ConnectionId::make(clock_, random_).str(), end_user.str(), grant.app,
       grant.client_id, grant.account_id, grant.account_label, to_json_text(grant.scopes),
       to_json_text(grant.vars), now_param(clock_), label});
  return {rows[0].id<core::ConnectionId>("connection_id"), rows[0].boolean("created")};
}

void ConnectionStore::set_label(storage::Transaction& tx, const Connection& connection,
                                const std::optional<std::string>& label) const {
  tx.exec(
      "update connection set label = $3, updated_at = assistiv_time($4::bigint)"
      " where platform_id = $1::uuid and connection_id = $2::uuid",
      {connection.platform_id.str(), connection.id.str(), label, now_param(clock_)});
}

void ConnectionStore::make_default(storage::Transaction& tx, const Connection& connection) const {
  tx.exec(
      "update connection set is_default = false where platform_id = $1::uuid and end_user_id = $2::uuid"
      " and app = $3 and is_default",
      {connection.platform_id.str(), connection.end_user_id.str(), connection.app});
  tx.exec(
      "update connection set is_default = true, updated_at = assistiv_time($3::bigint)"
      " where platform_id = $1::uuid and connection_id = $2::uuid",
      {connection.platform_id.str(), connection.id.str(), now_param(clock_)});
}

bool ConnectionStore::label_taken(storage::Transaction& tx, const Connection& connection,
                                  const std::string& label) const {
  return !tx.exec(
                "select 1 as found from connection where platform_id = $1::uuid and end_user_id = $2::uuid"
                " and app = $3 and connection_id <> $4::uuid and status <> 'revoked'"
                " and lower(coalesce(label, account_label)) = lower($5)",
                {connection.platform_id.str(), connection.end_user_id.str(), connection.app,
                 connection.id.str(), label})
              .empty();
}

void ConnectionStore::set_status(storage::Transaction& tx, core::PlatformId platform, core::ConnectionId id,
                                 ConnectionStatus status, const std::string& reason) const {
  tx.exec(
      "update connection set status = $3, status_reason = $4, is_default = is_default and $3 <> 'revoked',"
      " updated_at = assistiv_time($5::bigint)"
      " where platform_id = $1::uuid and connection_id = $2::uuid",
      {platform.str(), id.str(), std::string(connection_status(status)), reason, now_param(clock_)});
}

bool ConnectionStore::restore(storage::Transaction& tx, core::PlatformId platform, core::ConnectionId id,
                              const std::string& reason) const {
  return tx.exec(
               "update connection set status = 'active', status_reason = null, updated_at = "
               "assistiv_time($4::bigint)"
               " where platform_id = $1::uuid and connection_id = $2::uuid and status = 'needs_reauth'"
               " and status_reason = $3",
               {platform.str(), id.str(), reason, now_param(clock_)})
             .affected() > 0;
}

void ConnectionStore::set_last_used(storage::Transaction& tx, const std::vector<ConnectionUse>& uses) const {
  core::Json list = core::Json::array();
  for (const auto& use : uses) {
    list.push_back(
        {{"p", use.platform_id.str()}, {"c", use.connection_id.str()}, {"at", core::to_epoch_ms(use.at)}});
  }
  tx.exec(
      "update connection set last_used_at = greatest(last_used_at, assistiv_time(u.at))"
      " from jsonb_to_recordset($1::jsonb) as u(p uuid, c uuid, at bigint)"
      " where platform_id = u.p and connection_id = u.c",
      {core::dump_json(list)});
}

bool ConnectionStore::account_in_use(storage::Transaction& tx, std::optional<core::PlatformId> platform,
                                     const std::string& app, const std::string& client_id,
                                     const std::string& account_id) const {
  return !tx.exec(
                "select 1 as found from connection where app = $1 and client_id = $2 and provider_account_id "
                "= $3"
                " and status <> 'revoked' and ($4::uuid is null or platform_id = $4::uuid) limit 1",
                {app, client_id, account_id, platform ? storage::Param(platform->str()) : std::nullopt})
              .empty();
}

}  // namespace assistiv::oauth
