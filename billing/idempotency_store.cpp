#include "billing/idempotency_store.h"

#include <algorithm>

#include "core/encoding.h"
#include "core/error.h"

namespace assistiv::billing {

namespace {

constexpr std::size_t kKeyMax = 255;

std::string ms(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

}  // namespace

std::string fingerprint_of(std::string_view method, std::string_view path, std::string_view body) {
  std::string text(method);
  text.append("\n").append(path).append("\n").append(body);
  return core::sha256_hex(text);
}

void check_idempotency_key(std::string_view text) {
  const bool visible = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (text.empty() || text.size() > kKeyMax || !visible) {
    throw core::bad_request("The header Idempotency-Key must have 1 to 255 visible ASCII characters.",
                            "Idempotency-Key");
  }
}

void throw_key_required() {
  throw core::bad_request(
      "This moves money and needs the header Idempotency-Key: a fresh value for each new movement, the same "
      "one when you repeat the request.",
      "Idempotency-Key");
}

bool IdempotencyStore::claim(storage::Transaction& tx, core::PlatformId platform,
                             const IdempotencyKey& key) const {
  // An open transaction with this key makes the insert wait for its end. A key past its retention is a new
  // one.
  const auto now = clock_.now();
  return tx.exec(
               "insert into idempotency_key as k (platform_id, caller, idempotency_key, fingerprint,"
               " expires_at) values ($1::uuid, $2, $3, $4, assistiv_time($5::bigint))"
               " on conflict (platform_id, caller, idempotency_key) do update"
               " set fingerprint = excluded.fingerprint, status = null, reply = null,"
               " expires_at = excluded.expires_at where k.expires_at <= assistiv_time($6::bigint)",
               {platform.str(), key.caller, key.key, key.fingerprint, ms(now + kRetention), ms(now)})
             .affected() > 0;
}

MoneyReply IdempotencyStore::first_reply(storage::Transaction& tx, core::PlatformId platform,
                                         const IdempotencyKey& key) const {
  const auto rows = tx.exec(
      "select fingerprint, status, reply from idempotency_key where platform_id = $1::uuid and caller = $2"
      " and idempotency_key = $3",
      {platform.str(), key.caller, key.key});
  if (rows.empty()) throw core::conflict("The Idempotency-Key is just being forgotten. Try again.");
  const auto row = rows[0];
  if (row.text("fingerprint") != key.fingerprint) {
    throw core::conflict(
        "This Idempotency-Key was used for another request. Repeat that request as it was, or take "
        "a fresh key.")
        .with_field("Idempotency-Key");
  }
  return {static_cast<int>(row.integer("status")), row.text("reply"), true};
}

void IdempotencyStore::keep(storage::Transaction& tx, core::PlatformId platform, const IdempotencyKey& key,
                            const MoneyReply& reply) const {
  tx.exec(
      "update idempotency_key set status = $4::int, reply = $5 where platform_id = $1::uuid and caller = $2"
      " and idempotency_key = $3",
      {platform.str(), key.caller, key.key, std::to_string(reply.status), reply.body});
}

void IdempotencyStore::give_back(storage::Transaction& tx, core::PlatformId platform,
                                 const IdempotencyKey& key) const {
  tx.exec("delete from idempotency_key where platform_id = $1::uuid and caller = $2 and idempotency_key = $3",
          {platform.str(), key.caller, key.key});
}

MoneyReply IdempotencyStore::once(storage::Transaction& tx, core::PlatformId platform,
                                  const std::optional<IdempotencyKey>& key,
                                  const std::function<MoneyReply()>& work) const {
  return *once_if_possible(tx, platform, key, [&work] { return std::optional(work()); });
}

std::optional<MoneyReply> IdempotencyStore::once_if_possible(
    storage::Transaction& tx, core::PlatformId platform, const std::optional<IdempotencyKey>& key,
    const std::function<std::optional<MoneyReply>()>& work) const {
  if (!key) return work();
  if (!claim(tx, platform, *key)) return first_reply(tx, platform, *key);
  auto reply = work();
  if (reply) {
    keep(tx, platform, *key, *reply);
  } else {
    give_back(tx, platform, *key);
  }
  return reply;
}

std::size_t IdempotencyStore::discard_expired(storage::Transaction& tx, std::size_t limit) const {
  return tx
      .exec(
          "delete from idempotency_key where (platform_id, caller, idempotency_key) in (select platform_id,"
          " caller, idempotency_key from idempotency_key where expires_at <= assistiv_time($1::bigint)"
          " order by expires_at limit $2::int for update skip locked)",
          {ms(clock_.now()), std::to_string(limit)})
      .affected();
}

}  // namespace assistiv::billing
