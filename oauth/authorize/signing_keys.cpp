#include "oauth/authorize/signing_keys.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "oauth/crypto/jws.h"

namespace assistiv::oauth {

namespace {

constexpr std::chrono::hours kSignsFor{24 * 30};
constexpr std::chrono::minutes kPublishedBefore{10};
constexpr std::chrono::hours kKeptAfter{24};  // far longer than an access token lives
constexpr std::chrono::seconds kReadAgainAfter{1};

SigningKey new_signing_key(AuthorizeWorld& world, core::Time active_from) {
  SigningKey out;
  out.kid = core::random_hex(world.random, 8);
  auto pair = make_es256_key(out.kid);
  out.public_jwk = std::move(pair.public_jwk);
  out.private_jwk = std::move(pair.private_jwk);
  out.created_at = world.clock.now();
  out.active_from = active_from;
  out.expires_at = active_from + kSignsFor + kPublishedBefore + kKeptAfter;
  return out;
}

}  // namespace

// Under the lock of the store.
SigningKeys::Ring SigningKeys::read_or_make(storage::Transaction& tx) const {
  const SigningKeyStore store(world_.vault);
  store.lock(tx);
  const auto now = world_.clock.now();
  auto keys = store.all(tx);
  if (!keys.empty() && now < keys.front().active_from + kSignsFor) return keys;
  // After a pause of weeks nothing is left to sign with until the new one has been published for a while.
  const bool another_signs = !keys.empty() && now < keys.front().expires_at;
  const auto fresh = new_signing_key(world_, another_signs ? now + kPublishedBefore : now);
  store.insert(tx, fresh);
  store.discard_expired(tx, now);
  tx.notify("signing_key", fresh.kid);
  core::log::info("authorize.signing_key_made", {{"kid", fresh.kid}});
  return store.all(tx);
}

void SigningKeys::load() {
  Ring keys;
  // System scope, here and below: the keys belong to no tenant.
  world_.database.execute(storage::Scope::system(), [&](storage::Transaction& tx) {
    // A process with other master keys would go on sealing what nobody else can open.
    SigningKeyStore(world_.vault).require_readable(tx);
    keys = read_or_make(tx);
  });
  keep(std::move(keys));
}

core::Task<> SigningKeys::rotate_if_due() {
  keep(co_await world_.database.run(storage::Scope::system(),
                                    [this](storage::Transaction& tx) { return read_or_make(tx); }));
}

core::Task<> SigningKeys::read_again() {
  keep(co_await world_.database.run(storage::Scope::system(), [this](storage::Transaction& tx) {
    return SigningKeyStore(world_.vault).all(tx);
  }));
}

std::shared_ptr<const SigningKeys::Ring> SigningKeys::ring() const {
  std::lock_guard lock(mutex_);
  return ring_;
}

void SigningKeys::keep(Ring keys) {
  std::lock_guard lock(mutex_);
  ring_ = std::make_shared<const Ring>(std::move(keys));
  read_at_ = std::chrono::steady_clock::now();
}

std::string SigningKeys::sign(std::string_view type, std::string_view payload) const {
  const auto now = world_.clock.now();
  const auto keys = ring();
  const auto active =
      std::find_if(keys->begin(), keys->end(), [&](const SigningKey& key) { return key.active_from <= now; });
  if (active == keys->end()) {
    throw core::Error(core::ErrorKind::Unavailable, "No token can be signed right now. Try again shortly.");
  }
  return jws_sign(active->private_jwk, {{"typ", std::string(type)}, {"kid", active->kid}}, payload);
}

std::string SigningKeys::public_jwk_of(const Ring& keys, std::string_view kid) {
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const SigningKey& key) { return key.kid == kid; });
  return found == keys.end() ? std::string() : found->public_jwk;
}

core::Task<std::optional<std::string>> SigningKeys::verify(std::string type, std::string jws) {
  const auto header = jws_header(jws);
  if (!header || header->value("typ", "") != type) co_return std::nullopt;
  const std::string kid = header->value("kid", "");
  auto jwk = public_jwk_of(*ring(), kid);
  bool look_again = stale_.exchange(false);
  if (jwk.empty() && !look_again) {
    std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    look_again = now - read_at_ >= kReadAgainAfter;
    if (look_again) read_at_ = now;
  }
  if (look_again) {
    co_await read_again();
    jwk = public_jwk_of(*ring(), kid);
  }
  if (jwk.empty()) co_return std::nullopt;
  co_return jws_verify(jwk, jws);
}

core::Json SigningKeys::public_set() const {
  core::Json keys = core::Json::array();
  const auto keys_now = ring();  // held: another thread may replace it meanwhile
  for (const auto& key : *keys_now) {
    auto jwk = core::parse_json(key.public_jwk);
    jwk["use"] = "sig";
    jwk["alg"] = "ES256";
    keys.push_back(std::move(jwk));
  }
  return {{"keys", std::move(keys)}};
}

void SigningKeys::on_notify(std::string_view topic) {
  if (topic == "signing_key" || topic == "resync") stale_ = true;
}

}  // namespace assistiv::oauth
