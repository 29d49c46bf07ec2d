#include "oauth/connect/refresh_pace_store.h"

#include <algorithm>

#include "core/encoding.h"
#include "storage/text_array.h"

namespace assistiv::oauth {

namespace {

using std::chrono::milliseconds;

// A bucket: how many may go at once, and the time between two in the long run.
struct Bucket {
  milliseconds gap, ahead;  // `ahead`: how far busy_until may run ahead of now without anybody waiting
};

Bucket bucket_of(const RefreshLimit& limit, double part) {
  const double burst = std::max(1.0, limit.requests * 0.5 * part);
  const double gap = limit.period.count() * 1000.0 / (std::max(1.0, limit.requests * 0.4) * part);
  return {milliseconds(static_cast<std::int64_t>(gap)),
          milliseconds(static_cast<std::int64_t>(gap * (burst - 1)))};
}

constexpr double kTenantPart = 0.75;

std::string ms_param(milliseconds time) {
  return std::to_string(time.count());
}

std::string time_of(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

milliseconds until(core::Time now, core::Time then) {
  return std::chrono::ceil<milliseconds>(then - now);
}

milliseconds wait_in(const storage::Row& row, const Bucket& bucket, core::Time now) {
  auto out = std::max(until(now, row.time("busy_until")) - bucket.ahead, milliseconds(0));
  if (const auto pause = row.optional_time("not_before")) out = std::max(out, until(now, *pause));
  return out;
}

void add_turn(storage::Transaction& tx, const std::string& key, const Bucket& bucket, core::Time now) {
  tx.exec(
      "insert into refresh_pace as p (pace_key, busy_until)"
      " values ($1, assistiv_time($3::bigint) + $2::bigint * interval '1 millisecond')"
      " on conflict (pace_key) do update set busy_until ="
      " greatest(p.busy_until, assistiv_time($3::bigint)) + $2::bigint * interval '1 millisecond'",
      {key, ms_param(bucket.gap), time_of(now)});
}

}  // namespace

PaceKey pace_key(const ConnectorSpec& spec, core::PlatformId platform, const std::string& client_id) {
  const auto& url = spec.oauth.refresh.endpoint.url;
  const std::string owner = is_own_app(spec.id) ? platform.str() : std::string();
  const std::string client = owner + "\n" + url.origin() + url.path().text() + "\n" + client_id;
  return {core::sha256_hex(client), core::sha256_hex(client + "\n" + platform.str())};
}

PaceTurn RefreshPaceStore::take(storage::Transaction& tx, const PaceKey& key, const RefreshLimit& limit,
                                core::Time now, milliseconds wait_max) const {
  const auto client = bucket_of(limit, 1), tenant = bucket_of(limit, kTenantPart);
  storage::TextArray keys;
  keys.add(key.client);
  keys.add(key.tenant);
  PaceTurn out;
  for (const auto row :
       tx.exec("select pace_key, assistiv_ms(busy_until) as busy_until, assistiv_ms(not_before) as not_before"
               " from refresh_pace where pace_key = any($1::text[]) order by pace_key for update",
               {keys.take()})) {
    out.wait = std::max(out.wait, wait_in(row, row.text("pace_key") == key.client ? client : tenant, now));
  }
  if (out.wait > wait_max) return out;
  // In the order of the keys, as everywhere: rows that are not there yet are not locked.
  const bool client_first = key.client < key.tenant;
  if (client_first) add_turn(tx, key.client, client, now);
  add_turn(tx, key.tenant, tenant, now);
  if (!client_first) add_turn(tx, key.client, client, now);
  out.taken = true;
  return out;
}

void RefreshPaceStore::pause(storage::Transaction& tx, const PaceKey& key, const RefreshLimit& limit,
                             core::Time now, milliseconds time) const {
  const auto bucket = bucket_of(limit, 1);
  tx.exec(
      "insert into refresh_pace as p (pace_key, busy_until, not_before)"
      " values ($1, assistiv_time($2::bigint), assistiv_time($3::bigint)) on conflict (pace_key) do update"
      " set busy_until = greatest(p.busy_until, excluded.busy_until),"
      " not_before = greatest(p.not_before, excluded.not_before)",
      {key.client, time_of(now + time + bucket.ahead), time_of(now + time)});
}

milliseconds RefreshPaceStore::pause_left(storage::Transaction& tx, const PaceKey& key,
                                          core::Time now) const {
  const auto rows = tx.exec(
      "select assistiv_ms(not_before) as not_before from refresh_pace where pace_key = $1", {key.client});
  const auto pause = rows.empty() ? std::nullopt : rows[0].optional_time("not_before");
  return pause ? std::max(until(now, *pause), milliseconds(0)) : milliseconds(0);
}

void RefreshPaceStore::discard_old(storage::Transaction& tx, core::Time before, std::size_t limit) const {
  tx.exec(
      "delete from refresh_pace where pace_key in (select pace_key from refresh_pace"
      " where greatest(busy_until, not_before) < assistiv_time($1::bigint) limit $2::int"
      " for update skip locked)",
      {time_of(before), std::to_string(limit)});
}

}  // namespace assistiv::oauth
