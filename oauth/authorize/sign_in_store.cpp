#include "oauth/authorize/sign_in_store.h"

#include "core/encoding.h"

namespace assistiv::oauth {

namespace {

constexpr int kLinksPerEndUser = 20;
constexpr int kSessionsPerEndUser = 20;

constexpr char kSignInLinkColumns[] =
    "platform_id, end_user_id, created_by, assistiv_ms(expires_at) as expires_at, consumed_at is not null as "
    "consumed";

std::string sign_in_ms(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

storage::Param key_or_null(const std::optional<core::KeyId>& key) {
  return key ? storage::Param(key->str()) : std::nullopt;
}

SignInLinkRow sign_in_link_of(const storage::Row& row) {
  return {row.id<core::PlatformId>("platform_id"), row.id<core::EndUserId>("end_user_id"),
          row.optional_id<core::KeyId>("created_by"), row.time("expires_at"), row.boolean("consumed")};
}

}  // namespace

void SignInStore::insert_link(storage::Transaction& tx, const SignInLinkRow& link,
                              std::string_view token) const {
  tx.exec(
      "insert into sign_in_link (platform_id, token_hash, end_user_id, created_by, created_at, expires_at) "
      "values"
      " ($1::uuid, $2, $3::uuid, $4::uuid, assistiv_time($5::bigint), assistiv_time($6::bigint))",
      {link.platform_id.str(), core::sha256_hex(token), link.end_user_id.str(), key_or_null(link.created_by),
       sign_in_ms(clock_.now()), sign_in_ms(link.expires_at)});
  tx.exec(
      "delete from sign_in_link where platform_id = $1::uuid and end_user_id = $2::uuid and token_hash not "
      "in (select"
      " token_hash from sign_in_link where platform_id = $1::uuid and end_user_id = $2::uuid order by "
      "expires_at desc,"
      " created_at desc limit $3::int)",
      {link.platform_id.str(), link.end_user_id.str(), std::to_string(kLinksPerEndUser)});
}

std::optional<SignInLinkRow> SignInStore::find_link(storage::Transaction& tx, std::string_view token) const {
  const auto rows =
      tx.exec(std::string("select ") + kSignInLinkColumns + " from sign_in_link where token_hash = $1",
              {core::sha256_hex(token)});
  return rows.empty() ? std::nullopt : std::optional(sign_in_link_of(rows[0]));
}

std::optional<SignInLinkRow> SignInStore::consume_link(storage::Transaction& tx,
                                                       std::string_view token) const {
  const auto rows = tx.exec(
      std::string("select ") + kSignInLinkColumns + " from sign_in_link where token_hash = $1 for update",
      {core::sha256_hex(token)});
  if (rows.empty()) return std::nullopt;
  tx.exec(
      "update sign_in_link set consumed_at = coalesce(consumed_at, assistiv_time($2::bigint)) where "
      "token_hash = $1",
      {core::sha256_hex(token), sign_in_ms(clock_.now())});
  return sign_in_link_of(rows[0]);
}

void SignInStore::insert_session(storage::Transaction& tx, const SignInSessionRow& session,
                                 std::string_view cookie) const {
  tx.exec(
      "insert into sign_in_session (platform_id, session_hash, end_user_id, key_id, created_at, expires_at,"
      " issuer_id) values ($1::uuid, $2, $3::uuid, $4::uuid, assistiv_time($5::bigint), "
      "assistiv_time($6::bigint), $7::uuid)",
      {session.platform_id.str(), core::sha256_hex(cookie), session.end_user_id.str(),
       key_or_null(session.key_id), sign_in_ms(clock_.now()), sign_in_ms(session.expires_at),
       key_or_null(session.issuer_id)});
  tx.exec(
      "delete from sign_in_session where platform_id = $1::uuid and end_user_id = $2::uuid and session_hash "
      "not in"
      " (select session_hash from sign_in_session where platform_id = $1::uuid and end_user_id = $2::uuid "
      "order by"
      " expires_at desc, created_at desc limit $3::int)",
      {session.platform_id.str(), session.end_user_id.str(), std::to_string(kSessionsPerEndUser)});
}

std::optional<SignInSessionRow> SignInStore::find_session(storage::Transaction& tx,
                                                          std::string_view cookie) const {
  const auto rows = tx.exec(
      "select s.platform_id, s.end_user_id, s.key_id, s.issuer_id, assistiv_ms(s.expires_at) as expires_at "
      "from "
      "sign_in_session s"
      " where s.session_hash = $1 and s.expires_at > assistiv_time($2::bigint) and (s.key_id is null or "
      "exists (select"
      " 1 from api_key k where k.platform_id = s.platform_id and k.key_id = s.key_id and k.is_active and"
      " (k.expires_at is null or k.expires_at > assistiv_time($2::bigint))))",
      {core::sha256_hex(cookie), sign_in_ms(clock_.now())});
  if (rows.empty()) return std::nullopt;
  const auto row = rows[0];
  return SignInSessionRow{row.id<core::PlatformId>("platform_id"), row.id<core::EndUserId>("end_user_id"),
                          row.optional_id<core::KeyId>("key_id"), row.time("expires_at"),
                          row.optional_id<core::KeyId>("issuer_id")};
}

void SignInStore::remove_session(storage::Transaction& tx, std::string_view cookie) const {
  tx.exec("delete from sign_in_session where session_hash = $1", {core::sha256_hex(cookie)});
}

void SignInStore::discard_expired(storage::Transaction& tx, core::Time before, std::int64_t limit) const {
  const std::vector<storage::Param> params{sign_in_ms(before), std::to_string(limit)};
  tx.exec(
      "delete from sign_in_link where (platform_id, token_hash) in (select platform_id, token_hash from "
      "sign_in_link"
      " where expires_at < assistiv_time($1::bigint) limit $2::bigint)",
      params);
  tx.exec(
      "delete from sign_in_session where (platform_id, session_hash) in (select platform_id, session_hash "
      "from"
      " sign_in_session where expires_at < assistiv_time($1::bigint) limit $2::bigint)",
      params);
}

}  // namespace assistiv::oauth
