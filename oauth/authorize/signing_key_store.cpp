#include "oauth/authorize/signing_key_store.h"

#include "core/error.h"
#include "core/log.h"

namespace assistiv::oauth {

namespace {

SecretContext key_context(const std::string& kid) {
  return {core::PlatformId{}, "oauth_signing_key", kid, "private_jwk"};
}

std::string signing_ms(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

}  // namespace

std::vector<SigningKey> SigningKeyStore::all(storage::Transaction& tx) const {
  std::vector<SigningKey> out;
  for (const auto row :
       tx.exec("select kid, public_jwk, private_jwk, assistiv_ms(active_from) as active_from,"
               " assistiv_ms(created_at) as created_at, assistiv_ms(expires_at) as expires_at"
               " from oauth_signing_key order by active_from desc, kid")) {
    const auto kid = row.text("kid");
    try {
      out.push_back({kid, row.text("public_jwk"), vault_.open(key_context(kid), row.text("private_jwk")),
                     row.time("active_from"), row.time("created_at"), row.time("expires_at")});
    } catch (const core::Error& e) {
      core::log::error("authorize.signing_key_unreadable", {{"kid", kid}, {"detail", e.detail()}});
    }
  }
  return out;
}

void SigningKeyStore::require_readable(storage::Transaction& tx) const {
  for (const auto row : tx.exec("select kid, private_jwk from oauth_signing_key")) {
    const auto sealed = row.text("private_jwk");
    try {
      vault_.open(key_context(row.text("kid")), sealed);
    } catch (const core::Error&) {
      throw core::bad_request(
          "The master keys of this process do not open what the database holds under master key " +
              Vault::kid_of(sealed) + ". Give it the master_keys_file that the others have.",
          "master_keys_file");
    }
  }
}

void SigningKeyStore::lock(storage::Transaction& tx) const {
  tx.exec("select pg_advisory_xact_lock(hashtextextended('oauth_signing_key', 0)) is null as locked");
}

void SigningKeyStore::insert(storage::Transaction& tx, const SigningKey& key) const {
  tx.exec(
      "insert into oauth_signing_key (platform_id, kid, public_jwk, private_jwk, active_from, created_at, "
      "expires_at)"
      " values ($1::uuid, $2, $3, $4, assistiv_time($5::bigint), assistiv_time($6::bigint),"
      " assistiv_time($7::bigint))",
      {core::PlatformId{}.str(), key.kid, key.public_jwk, vault_.seal(key_context(key.kid), key.private_jwk),
       signing_ms(key.active_from), signing_ms(key.created_at), signing_ms(key.expires_at)});
}

void SigningKeyStore::discard_expired(storage::Transaction& tx, core::Time now) const {
  tx.exec("delete from oauth_signing_key where expires_at < assistiv_time($1::bigint)", {signing_ms(now)});
}

}  // namespace assistiv::oauth
