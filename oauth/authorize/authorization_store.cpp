#include "oauth/authorize/authorization_store.h"

#include "oauth/authorize/resources.h"
#include "storage/text_array.h"

namespace assistiv::oauth {

namespace {

constexpr char kAuthorizationColumns[] =
    "a.platform_id, a.authorization_id, a.end_user_id, a.key_id, a.issuer_id, a.client_id, a.client_name, "
    "a.redirect_uri, "
    "a.resource,"
    " array_to_string(a.scopes, ' ') as scopes, a.tools::text as tools, a.code_hash, a.code_challenge,"
    " assistiv_ms(a.code_expires_at) as code_expires_at, a.code_used_at is not null as code_used, "
    "a.refresh_secret,"
    " a.refresh_generation, assistiv_ms(a.refreshed_at) as refreshed_at, assistiv_ms(a.created_at) as "
    "created_at,"
    " assistiv_ms(a.last_used_at) as last_used_at, assistiv_ms(a.expires_at) as expires_at";

std::string authorization_ms(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

SecretContext refresh_context(core::PlatformId platform, core::KeyId id) {
  return {platform, "client_authorization", id.str(), "refresh_secret"};
}

}  // namespace

Authorization AuthorizationStore::read(const storage::Row& row) const {
  Authorization out;
  out.platform_id = row.id<core::PlatformId>("platform_id");
  out.id = row.id<core::KeyId>("authorization_id");
  out.end_user_id = row.id<core::EndUserId>("end_user_id");
  out.key_id = row.optional_id<core::KeyId>("key_id");
  out.issuer_id = row.optional_id<core::KeyId>("issuer_id");
  out.client_id = row.text("client_id");
  out.client_name = row.text("client_name");
  out.redirect_uri = row.text("redirect_uri");
  out.resource = row.text("resource");
  out.scopes = known_scopes(row.text("scopes"));
  out.tools_json = row.text("tools");
  out.code_hash = row.text("code_hash");
  out.code_challenge = row.text("code_challenge");
  out.code_expires_at = row.time("code_expires_at");
  out.code_used = row.boolean("code_used");
  if (!row.is_null("refresh_secret"))
    out.refresh_secret = vault_.open(refresh_context(out.platform_id, out.id), row.text("refresh_secret"));
  out.refresh_generation = static_cast<std::uint32_t>(row.integer("refresh_generation"));
  out.refreshed_at = row.optional_time("refreshed_at");
  out.created_at = row.time("created_at");
  out.last_used_at = row.optional_time("last_used_at");
  out.expires_at = row.time("expires_at");
  return out;
}

bool AuthorizationStore::insert(storage::Transaction& tx, const Authorization& row) const {
  storage::Param secret;
  if (row.refresh_secret) secret = vault_.seal(refresh_context(row.platform_id, row.id), *row.refresh_secret);
  const auto made = tx.exec(
      "insert into client_authorization (platform_id, authorization_id, end_user_id, key_id, client_id, "
      "client_name,"
      " redirect_uri, resource, scopes, tools, code_hash, code_challenge, code_expires_at, refresh_secret, "
      "created_at,"
      " expires_at, issuer_id) values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5, $6, $7, $8, "
      "string_to_array($9, ' '),"
      " $10::jsonb, $11, $12, assistiv_time($13::bigint), $14, assistiv_time($15::bigint), "
      "assistiv_time($16::bigint), $17::uuid)"
      " on conflict (platform_id, authorization_id) do nothing",
      {row.platform_id.str(), row.id.str(), row.end_user_id.str(),
       row.key_id ? storage::Param(row.key_id->str()) : std::nullopt, row.client_id, row.client_name,
       row.redirect_uri, row.resource, scope_text(row.scopes), row.tools_json, row.code_hash,
       row.code_challenge, authorization_ms(row.code_expires_at), secret, authorization_ms(row.created_at),
       authorization_ms(row.expires_at),
       row.issuer_id ? storage::Param(row.issuer_id->str()) : std::nullopt});
  return made.affected() > 0;
}

std::vector<Authorization> AuthorizationStore::make_room(storage::Transaction& tx, core::PlatformId platform,
                                                         core::EndUserId end_user) const {
  std::vector<Authorization> out;
  for (const auto row : tx.exec(
           std::string("delete from client_authorization a where a.platform_id = $1::uuid and a.end_user_id ="
                       " $2::uuid and a.authorization_id not in (select authorization_id from"
                       " client_authorization where platform_id = $1::uuid and end_user_id = $2::uuid"
                       " order by greatest(created_at, last_used_at) desc limit $3::int) returning ") +
               kAuthorizationColumns,
           {platform.str(), end_user.str(), std::to_string(kMaxPerEndUser)})) {
    out.push_back(read(row));
  }
  return out;
}

std::optional<Authorization> AuthorizationStore::lock(storage::Transaction& tx, core::KeyId id) const {
  const auto rows = tx.exec(std::string("select ") + kAuthorizationColumns +
                                " from client_authorization a where a.authorization_id = $1::uuid for update",
                            {id.str()});
  return rows.empty() ? std::nullopt : std::optional(read(rows[0]));
}

std::optional<Authorization> AuthorizationStore::lock_direct(storage::Transaction& tx,
                                                             const Authorization& like) const {
  const auto rows = tx.exec(
      std::string("select ") + kAuthorizationColumns +
          " from client_authorization a where a.platform_id = $1::uuid and a.end_user_id = $2::uuid and "
          "a.client_id ="
          " $3 and a.resource = $4 and a.code_hash = '' order by a.authorization_id limit 1 for update",
      {like.platform_id.str(), like.end_user_id.str(), like.client_id, like.resource});
  return rows.empty() ? std::nullopt : std::optional(read(rows[0]));
}

void AuthorizationStore::remove_of_client(storage::Transaction& tx, core::PlatformId platform,
                                          const std::string& client_id) const {
  tx.exec("delete from client_authorization where platform_id = $1::uuid and client_id = $2",
          {platform.str(), client_id});
}

std::optional<Authorization> AuthorizationStore::find_live(storage::Transaction& tx,
                                                           core::PlatformId platform, core::KeyId id) const {
  const auto rows = tx.exec(
      std::string("select ") + kAuthorizationColumns +
          " from client_authorization a join platform p on p.platform_id = a.platform_id join end_user u on"
          " u.platform_id = a.platform_id and u.end_user_id = a.end_user_id left join api_key k on "
          "k.platform_id ="
          " a.platform_id and k.key_id = a.key_id where a.platform_id = $1::uuid and a.authorization_id = "
          "$2::uuid and"
          " a.expires_at > assistiv_time($3::bigint) and p.is_active and u.is_active and (a.key_id is null or"
          " (k.is_active and (k.expires_at is null or k.expires_at > assistiv_time($3::bigint))))",
      {platform.str(), id.str(), authorization_ms(clock_.now())});
  return rows.empty() ? std::nullopt : std::optional(read(rows[0]));
}

void AuthorizationStore::use_code(storage::Transaction& tx, const Authorization& row,
                                  core::Time expires_at) const {
  tx.exec(
      "update client_authorization set code_used_at = assistiv_time($3::bigint), expires_at = "
      "assistiv_time($4::bigint)"
      " where platform_id = $1::uuid and authorization_id = $2::uuid",
      {row.platform_id.str(), row.id.str(), authorization_ms(clock_.now()), authorization_ms(expires_at)});
}

void AuthorizationStore::note_refresh(storage::Transaction& tx, const Authorization& row,
                                      core::Time expires_at) const {
  tx.exec(
      "update client_authorization set refresh_generation = $3::int, refreshed_at = "
      "assistiv_time($4::bigint),"
      " expires_at = assistiv_time($5::bigint) where platform_id = $1::uuid and authorization_id = $2::uuid",
      {row.platform_id.str(), row.id.str(), std::to_string(row.refresh_generation + 1),
       authorization_ms(clock_.now()), authorization_ms(expires_at)});
}

Page<Authorization> AuthorizationStore::list(storage::Transaction& tx, core::PlatformId platform,
                                             core::EndUserId end_user, PageRequest page) const {
  page.check();
  const std::string filter =
      " from client_authorization a where a.platform_id = $1::uuid and a.end_user_id = $2::uuid and "
      "a.code_used_at is not"
      " null and a.expires_at > assistiv_time($3::bigint)";
  const std::vector<storage::Param> params{platform.str(), end_user.str(), authorization_ms(clock_.now())};
  Page<Authorization> out{.page = page.page, .limit = page.limit};
  out.total = tx.exec("select count(*) as total" + filter, params)[0].integer("total");
  for (const auto row : tx.exec(std::string("select ") + kAuthorizationColumns + filter +
                                    " order by a.authorization_id desc limit " + std::to_string(page.limit) +
                                    " offset " + page.offset(),
                                params)) {
    out.items.push_back(read(row));
  }
  return out;
}

std::optional<Authorization> AuthorizationStore::remove(storage::Transaction& tx, core::PlatformId platform,
                                                        std::optional<core::EndUserId> end_user,
                                                        core::KeyId id) const {
  const auto rows = tx.exec(
      std::string("delete from client_authorization a where a.platform_id = $1::uuid and a.authorization_id ="
                  " $2::uuid and ($3::uuid is null or a.end_user_id = $3::uuid) returning ") +
          kAuthorizationColumns,
      {platform.str(), id.str(), end_user ? storage::Param(end_user->str()) : std::nullopt});
  return rows.empty() ? std::nullopt : std::optional(read(rows[0]));
}

void AuthorizationStore::record_uses(storage::Transaction& tx, const std::vector<KeyUse>& uses) const {
  storage::TextArray platforms, ids, times;
  for (const auto& use : uses) {
    if (!use.platform_id) continue;
    platforms.add(use.platform_id->str());
    ids.add(use.key_id.str());
    times.add(std::to_string(core::to_epoch_ms(use.at)));
  }
  tx.exec(
      "update client_authorization a set last_used_at = greatest(a.last_used_at, assistiv_time(u.at)) from"
      " unnest($1::uuid[], $2::uuid[], $3::bigint[]) u(platform_id, id, at) where a.platform_id = "
      "u.platform_id and"
      " a.authorization_id = u.id",
      {platforms.take(), ids.take(), times.take()});
}

void AuthorizationStore::discard_expired(storage::Transaction& tx, core::Time before,
                                         std::int64_t limit) const {
  tx.exec(
      "delete from client_authorization where (platform_id, authorization_id) in (select platform_id, "
      "authorization_id"
      " from client_authorization where expires_at < assistiv_time($1::bigint) limit $2::bigint)",
      {authorization_ms(before), std::to_string(limit)});
}

}  // namespace assistiv::oauth
