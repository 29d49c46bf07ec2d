#include "mcp/remote/remote_server_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "oauth/crypto/vault.h"

namespace assistiv::mcp {

namespace {

constexpr char kServerColumns[] =
    "app, title, description, url, auth, header_name, header_value, oauth::text as oauth, protocol, "
    "server_name, server_version,"
    " assistiv_ms(refreshed_at) as refreshed_ms, refresh_error, failures,"
    " assistiv_ms(created_at) as created_ms, assistiv_ms(updated_at) as updated_ms from remote_server"
    " where platform_id = $1::uuid";

constexpr char kToolColumns[] =
    "remote_name, approved::text as approved, seen::text as seen, refused,"
    " assistiv_ms(approved_at) as approved_ms, assistiv_ms(changed_at) as changed_ms from remote_tool"
    " where platform_id = $1::uuid";

oauth::SecretContext header_context(core::PlatformId platform, const std::string& app) {
  return {platform, "remote_server", app, "header_value"};
}

std::string ms_of(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

storage::Param nullable(const std::string& text) {
  return text.empty() ? std::nullopt : storage::Param(text);
}

RemoteServerRow read_server(const storage::Row& row) {
  RemoteServerRow out;
  auto& server = out.server;
  server.app = row.text("app");
  server.title = row.text("title");
  server.description = row.text("description");
  server.url = row.text("url");
  server.auth = parse_remote_auth(row.text("auth")).value_or(RemoteAuth::None);
  server.header_name = row.text("header_name");
  if (!row.is_null("oauth")) server.oauth = remote_oauth_of(core::parse_json(row.text("oauth")));
  server.protocol = row.text("protocol");
  server.server_name = row.text("server_name");
  server.server_version = row.text("server_version");
  server.refreshed_at = row.optional_time("refreshed_ms");
  server.refresh_error = row.text("refresh_error");
  server.failures = static_cast<int>(row.integer("failures"));
  server.created_at = row.time("created_ms");
  server.updated_at = row.time("updated_ms");
  out.sealed_header = row.text("header_value");
  return out;
}

std::optional<RemoteServerRow> first_server(const storage::Result& rows) {
  return rows.empty() ? std::nullopt : std::optional(read_server(rows[0]));
}

RemoteToolDefinition stored_definition(const std::string& app, const std::string& text) {
  return definition_of(app, core::parse_json(text, 128));
}

RemoteToolRow read_tool(const storage::Row& row, const std::string& app) {
  RemoteToolRow out;
  out.remote_name = row.text("remote_name");
  if (!row.is_null("approved")) out.approved = stored_definition(app, row.text("approved"));
  if (!row.is_null("seen")) out.seen = stored_definition(app, row.text("seen"));
  out.refused = row.text("refused");
  out.approved_at = row.optional_time("approved_ms");
  out.changed_at = row.time("changed_ms");
  return out;
}

}  // namespace

void RemoteServerStore::insert(storage::Transaction& tx, core::PlatformId platform,
                               const RemoteServer& server, const core::Secret& header) const {
  storage::Param sealed;
  if (!header.empty()) sealed = vault_.seal(header_context(platform, server.app), header);
  storage::Param oauth;
  if (server.oauth) oauth = core::dump_json(to_json(*server.oauth));
  tx.exec(
      "insert into remote_server (platform_id, app, title, description, url, auth, header_name, header_value,"
      " refresh_due_at, created_at, updated_at, oauth) values ($1::uuid, $2, $3, $4, $5, $6, $7, $8,"
      " assistiv_time($9::bigint), assistiv_time($9::bigint), assistiv_time($9::bigint), $10::jsonb)",
      {platform.str(), server.app, server.title, server.description, server.url,
       std::string(remote_auth_name(server.auth)), nullable(server.header_name), sealed,
       ms_of(server.created_at), oauth});
}

void RemoteServerStore::update(storage::Transaction& tx, core::PlatformId platform,
                               const RemoteServer& server, const std::optional<core::Secret>& header) const {
  storage::Param sealed;
  if (header) sealed = vault_.seal(header_context(platform, server.app), *header);
  tx.exec(
      "update remote_server set title = $3, description = $4, url = $5, header_name = $6,"
      " header_value = coalesce($7, header_value), updated_at = assistiv_time($8::bigint)"
      " where platform_id = $1::uuid and app = $2",
      {platform.str(), server.app, server.title, server.description, server.url, nullable(server.header_name),
       sealed, ms_of(server.updated_at)});
}

std::optional<RemoteServerRow> RemoteServerStore::get(storage::Transaction& tx, core::PlatformId platform,
                                                      const std::string& app) const {
  return first_server(
      tx.exec(std::string("select ") + kServerColumns + " and app = $2", {platform.str(), app}));
}

std::optional<RemoteServerRow> RemoteServerStore::lock(storage::Transaction& tx, core::PlatformId platform,
                                                       const std::string& app) const {
  return first_server(
      tx.exec(std::string("select ") + kServerColumns + " and app = $2 for update", {platform.str(), app}));
}

std::vector<RemoteServerRow> RemoteServerStore::all(storage::Transaction& tx,
                                                    core::PlatformId platform) const {
  std::vector<RemoteServerRow> out;
  for (const auto& row : tx.exec(std::string("select ") + kServerColumns + " order by app", {platform.str()}))
    out.push_back(read_server(row));
  return out;
}

core::Secret RemoteServerStore::open(core::PlatformId platform, const RemoteServerRow& row) const {
  if (row.sealed_header.empty()) return {};
  return vault_.open(header_context(platform, row.server.app), row.sealed_header);
}

bool RemoteServerStore::add_scopes(storage::Transaction& tx, core::PlatformId platform,
                                   const std::string& app, const std::vector<std::string>& scopes) const {
  const auto row = lock(tx, platform, app);
  if (!row || !row->server.oauth) return false;
  RemoteOauth oauth = *row->server.oauth;
  for (const auto& scope : scopes) {
    if (std::find(oauth.scopes.begin(), oauth.scopes.end(), scope) == oauth.scopes.end())
      oauth.scopes.push_back(scope);
  }
  if (oauth.scopes.size() == row->server.oauth->scopes.size() || oauth.scopes.size() > kRemoteScopesMax)
    return false;
  tx.exec("update remote_server set oauth = $3::jsonb where platform_id = $1::uuid and app = $2",
          {platform.str(), app, core::dump_json(to_json(oauth))});
  return true;
}

void RemoteServerStore::set_refreshed(storage::Transaction& tx, core::PlatformId platform,
                                      const RemoteServer& server, core::Time due) const {
  storage::Param refreshed;
  if (server.refreshed_at) refreshed = ms_of(*server.refreshed_at);
  tx.exec(
      "update remote_server set protocol = $3, server_name = $4, server_version = $5,"
      " refreshed_at = assistiv_time($6::bigint), refresh_error = $7, failures = $8::integer,"
      " refresh_due_at = assistiv_time($9::bigint) where platform_id = $1::uuid and app = $2",
      {platform.str(), server.app, nullable(server.protocol), nullable(server.server_name),
       nullable(server.server_version), refreshed, nullable(server.refresh_error),
       std::to_string(server.failures), ms_of(due)});
}

std::vector<std::pair<core::PlatformId, std::string>> RemoteServerStore::claim_due(storage::Transaction& tx,
                                                                                   core::Time now,
                                                                                   core::Time lease,
                                                                                   std::size_t limit) const {
  std::vector<std::pair<core::PlatformId, std::string>> out;
  const auto rows = tx.exec(
      "update remote_server s set refresh_due_at = assistiv_time($2::bigint) from ("
      "  select platform_id, app from remote_server where refresh_due_at <= assistiv_time($1::bigint)"
      "  order by refresh_due_at limit $3::int for update skip locked) due"
      " where s.platform_id = due.platform_id and s.app = due.app returning s.platform_id, s.app",
      {ms_of(now), ms_of(lease), std::to_string(limit)});
  for (const auto& row : rows) out.emplace_back(row.id<core::PlatformId>("platform_id"), row.text("app"));
  return out;
}

std::vector<RemoteToolRow> RemoteServerStore::tools(storage::Transaction& tx, core::PlatformId platform,
                                                    const std::string& app) const {
  std::vector<RemoteToolRow> out;
  const auto rows = tx.exec(std::string("select ") + kToolColumns + " and app = $2 order by remote_name",
                            {platform.str(), app});
  for (const auto& row : rows) out.push_back(read_tool(row, app));
  return out;
}

std::vector<std::pair<std::string, RemoteToolDefinition>> RemoteServerStore::approved_tools(
    storage::Transaction& tx, core::PlatformId platform) const {
  std::vector<std::pair<std::string, RemoteToolDefinition>> out;
  const auto rows = tx.exec(
      "select app, approved::text as approved from remote_tool where platform_id = $1::uuid"
      " and approved is not null and (seen is not null or refused is not null) order by app, remote_name",
      {platform.str()});
  for (const auto& row : rows) {
    const std::string app = row.text("app");
    out.emplace_back(app, stored_definition(app, row.text("approved")));
  }
  return out;
}

void RemoteServerStore::put_seen(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                                 const RemoteToolRow& tool) const {
  storage::Param seen, digest;
  if (tool.seen) {
    seen = core::dump_json(to_json(*tool.seen));
    digest = tool.seen->digest;
  }
  tx.exec(
      "insert into remote_tool (platform_id, app, remote_name, seen, seen_digest, refused, changed_at)"
      " values ($1::uuid, $2, $3, $4::jsonb, $5, $6, assistiv_time($7::bigint))"
      " on conflict (platform_id, app, remote_name) do update set seen = excluded.seen,"
      " seen_digest = excluded.seen_digest, refused = excluded.refused, changed_at = excluded.changed_at",
      {platform.str(), app, tool.remote_name, seen, digest, nullable(tool.refused), ms_of(tool.changed_at)});
}

bool RemoteServerStore::approve(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                                const std::string& remote_name, const std::string& digest,
                                core::Time now) const {
  return tx.exec(
               "update remote_tool set approved = seen, approved_digest = seen_digest,"
               " approved_at = assistiv_time($5::bigint) where platform_id = $1::uuid and app = $2"
               " and remote_name = $3 and seen_digest = $4",
               {platform.str(), app, remote_name, digest, ms_of(now)})
             .affected() > 0;
}

void RemoteServerStore::remove_tool(storage::Transaction& tx, core::PlatformId platform,
                                    const std::string& app, const std::string& remote_name) const {
  tx.exec("delete from remote_tool where platform_id = $1::uuid and app = $2 and remote_name = $3",
          {platform.str(), app, remote_name});
}

std::vector<oauth::SealedColumn> remote_sealed_columns() {
  return {{"remote_server", "app", "text", "header_value", "header_value"}};
}

}  // namespace assistiv::mcp
