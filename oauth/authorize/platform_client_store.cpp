#include "oauth/authorize/platform_client_store.h"

#include "core/encoding.h"
#include "core/error.h"

namespace assistiv::oauth {

namespace {

constexpr char kPlatformClientColumns[] =
    "platform_id, client_id, end_user_id, name, auth, secret_hash, jwks::text as jwks, "
    "assistiv_ms(created_at) as"
    " created_at";

std::string platform_client_ms(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

storage::Param text_or_null(const std::string& text) {
  return text.empty() ? storage::Param() : storage::Param(text);
}

PlatformClient platform_client_of(const storage::Row& row) {
  PlatformClient out;
  out.platform_id = row.id<core::PlatformId>("platform_id");
  out.client_id = row.text("client_id");
  out.name = row.text("name");
  out.end_user_id = row.optional_id<core::EndUserId>("end_user_id");
  out.auth = row.text("auth") == "private_key_jwt" ? PlatformClientAuth::PrivateKeyJwt
                                                   : PlatformClientAuth::SecretBasic;
  out.secret_hash = row.text("secret_hash");
  out.jwks = row.text("jwks");
  out.created_at = row.time("created_at");
  return out;
}

}  // namespace

std::string_view to_string(PlatformClientAuth auth) {
  return auth == PlatformClientAuth::PrivateKeyJwt ? "private_key_jwt" : "client_secret_basic";
}

void PlatformClientStore::insert(storage::Transaction& tx, const PlatformClient& row) const {
  // One registration of a platform at a time, so that the count holds.
  tx.exec("select 1 as locked from platform where platform_id = $1::uuid for no key update",
          {row.platform_id.str()});
  const auto count = tx.exec("select count(*) as total from platform_client where platform_id = $1::uuid",
                             {row.platform_id.str()});
  if (count[0].integer("total") >= kMaxPerPlatform)
    throw core::conflict("A platform can register " + std::to_string(kMaxPerPlatform) + " clients.");
  tx.exec(
      "insert into platform_client (platform_id, client_id, end_user_id, name, auth, secret_hash, jwks, "
      "created_at)"
      " values ($1::uuid, $2, $3::uuid, $4, $5, $6, $7::jsonb, assistiv_time($8::bigint))",
      {row.platform_id.str(), row.client_id,
       row.end_user_id ? storage::Param(row.end_user_id->str()) : std::nullopt, row.name,
       std::string(to_string(row.auth)), text_or_null(row.secret_hash), text_or_null(row.jwks),
       platform_client_ms(row.created_at)});
}

std::optional<PlatformClient> PlatformClientStore::find(storage::Transaction& tx,
                                                        const std::string& client_id) const {
  const auto rows =
      tx.exec(std::string("select ") + kPlatformClientColumns + " from platform_client where client_id = $1",
              {client_id});
  return rows.empty() ? std::nullopt : std::optional(platform_client_of(rows[0]));
}

Page<PlatformClient> PlatformClientStore::list(storage::Transaction& tx, core::PlatformId platform,
                                               PageRequest page) const {
  page.check();
  const std::string filter = " from platform_client where platform_id = $1::uuid";
  Page<PlatformClient> out{.page = page.page, .limit = page.limit};
  out.total = tx.exec("select count(*) as total" + filter, {platform.str()})[0].integer("total");
  for (const auto row : tx.exec(std::string("select ") + kPlatformClientColumns + filter +
                                    " order by platform_client.created_at desc, client_id limit " +
                                    std::to_string(page.limit) + " offset " + page.offset(),
                                {platform.str()})) {
    out.items.push_back(platform_client_of(row));
  }
  return out;
}

std::optional<PlatformClient> PlatformClientStore::remove(storage::Transaction& tx, core::PlatformId platform,
                                                          const std::string& client_id) const {
  const auto rows = tx.exec(
      std::string("delete from platform_client where platform_id = $1::uuid and client_id = $2 returning ") +
          kPlatformClientColumns,
      {platform.str(), client_id});
  return rows.empty() ? std::nullopt : std::optional(platform_client_of(rows[0]));
}

bool PlatformClientStore::use_assertion(storage::Transaction& tx, core::PlatformId platform,
                                        const std::string& maker, const std::string& jti,
                                        core::Time expires_at) const {
  return tx.exec(
               "insert into used_assertion (platform_id, assertion_hash, expires_at) values ($1::uuid, $2,"
               " assistiv_time($3::bigint)) on conflict do nothing",
               {platform.str(), core::sha256_hex(maker + "\n" + jti), platform_client_ms(expires_at)})
             .affected() > 0;
}

void PlatformClientStore::discard_expired(storage::Transaction& tx, core::Time before,
                                          std::int64_t limit) const {
  tx.exec(
      "delete from used_assertion where (platform_id, assertion_hash) in (select platform_id, assertion_hash "
      "from"
      " used_assertion where expires_at < assistiv_time($1::bigint) limit $2::bigint)",
      {platform_client_ms(before), std::to_string(limit)});
}

}  // namespace assistiv::oauth
