#include "oauth/authorize/client_store.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "oauth/authorize/oauth_error.h"

namespace assistiv::oauth {

namespace {

std::string client_ms(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

std::string kind_text(ClientKind kind) {
  return kind == ClientKind::Registered ? "registered" : "document";
}

// Nothing for one that registered under rules that are no longer ours: it must register again.
std::optional<ClientMetadata> stored_metadata(const std::string& json) {
  try {
    return read_client_metadata(core::parse_json(json), EndpointAuth::None);
  } catch (const OAuthError& e) {
    core::log::info("authorize.client_outdated", {{"detail", e.description()}});
    return std::nullopt;
  }
}

}  // namespace

std::optional<OAuthClient> ClientStore::find(storage::Transaction& tx, const std::string& client_id) const {
  const auto rows = tx.exec(
      "select client_id, kind, metadata::text as metadata, secret_hash, assistiv_ms(created_at) as "
      "created_at,"
      " assistiv_ms(expires_at) as expires_at from oauth_client where client_id = $1",
      {client_id});
  if (rows.empty()) return std::nullopt;
  const auto row = rows[0];
  auto metadata = stored_metadata(row.text("metadata"));
  if (!metadata) return std::nullopt;
  return OAuthClient{row.text("client_id"),
                     row.text("kind") == "registered" ? ClientKind::Registered : ClientKind::Document,
                     std::move(*metadata),
                     row.optional_text("secret_hash"),
                     row.time("created_at"),
                     row.time("expires_at")};
}

void ClientStore::put(storage::Transaction& tx, const OAuthClient& client) const {
  tx.exec(
      "insert into oauth_client (client_id, kind, metadata, secret_hash, created_at, expires_at) values ($1, "
      "$2,"
      " $3::jsonb, $4, assistiv_time($5::bigint), assistiv_time($6::bigint)) on conflict (client_id) do "
      "update"
      " set metadata = excluded.metadata, expires_at = excluded.expires_at",
      {client.client_id, kind_text(client.kind), core::dump_json(to_json(client.metadata)),
       client.secret_hash, client_ms(client.created_at), client_ms(client.expires_at)});
}

void ClientStore::note_use(storage::Transaction& tx, const std::string& client_id, core::Time now,
                           core::Time until) const {
  // A document's expires_at says when it is fetched again; that does not move.
  tx.exec(
      "update oauth_client set last_used_at = assistiv_time($2::bigint), expires_at = case kind when "
      "'registered'"
      " then greatest(expires_at, assistiv_time($3::bigint)) else expires_at end where client_id = $1",
      {client_id, client_ms(now), client_ms(until)});
}

std::int64_t ClientStore::count_unused(storage::Transaction& tx, ClientKind kind, std::int64_t limit) const {
  const auto rows = tx.exec(
      "select count(*) as total from (select 1 from oauth_client where kind = $1 and last_used_at is null"
      " limit $2::bigint) as unused",
      {kind_text(kind), std::to_string(limit)});
  return rows[0].integer("total");
}

std::size_t ClientStore::discard_unused(storage::Transaction& tx, ClientKind kind, core::Time before,
                                        std::int64_t limit) const {
  return tx
      .exec(
          "delete from oauth_client where client_id in (select client_id from oauth_client where kind = $1"
          " and last_used_at is null and created_at < assistiv_time($2::bigint) order by created_at"
          " limit $3::bigint)",
          {kind_text(kind), client_ms(before), std::to_string(limit)})
      .affected();
}

void ClientStore::discard_expired(storage::Transaction& tx, core::Time now, std::int64_t limit) const {
  tx.exec(
      "delete from oauth_client where client_id in (select client_id from oauth_client where expires_at <"
      " assistiv_time($1::bigint) limit $2::bigint)",
      {client_ms(now), std::to_string(limit)});
}

}  // namespace assistiv::oauth
