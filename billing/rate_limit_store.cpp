#include "billing/rate_limit_store.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::billing {

namespace {

storage::Param number_param(const std::optional<std::int64_t>& value) {
  return value ? storage::Param(std::to_string(*value)) : storage::Param();
}

std::optional<std::int64_t> optional_number(const storage::Row& row, std::string_view column) {
  return row.is_null(column) ? std::nullopt : std::optional(row.integer(column));
}

RateLimits limits_of(const storage::Row& row) {
  return {optional_number(row, "rpm"), optional_number(row, "tpm"), optional_number(row, "rpd"),
          optional_number(row, "concurrency")};
}

void put_limits(storage::Transaction& tx, core::PlatformId platform, const std::string& subject,
                const std::optional<core::EndUserId>& end_user, const RateLimits& limits, core::Time now) {
  tx.exec(
      "insert into rate_limit (platform_id, subject, end_user_id, rpm, tpm, rpd, concurrency, updated_at)"
      " values ($1::uuid, $2, $3::uuid, $4::bigint, $5::bigint, $6::bigint, $7::bigint,"
      " assistiv_time($8::bigint)) on conflict (platform_id, subject, end_user_slot) do update set"
      " rpm = excluded.rpm, tpm = excluded.tpm, rpd = excluded.rpd, concurrency = excluded.concurrency,"
      " updated_at = excluded.updated_at",
      {platform.str(), subject, end_user ? storage::Param(end_user->str()) : storage::Param(),
       number_param(limits.rpm), number_param(limits.tpm), number_param(limits.rpd),
       number_param(limits.concurrency), std::to_string(core::to_epoch_ms(now))});
}

core::Json wishes_json(const std::vector<LeaseWish>& wishes) {
  core::Json out = core::Json::array();
  for (const auto& wish : wishes) {
    out.push_back({{"s", wish.window.subject.str()},
                   {"d", to_string(wish.window.dimension)},
                   {"w", wish.window.start},
                   {"l", wish.limit},
                   {"need", wish.need},
                   {"want", wish.want},
                   {"x", wish.expires_ms}});
  }
  return out;
}

}  // namespace

LimitsOf RateLimitStore::read(storage::Transaction& tx, core::PlatformId platform,
                              const std::optional<core::EndUserId>& end_user) const {
  LimitsOf out;
  const auto rows = tx.exec(
      "select subject, rpm, tpm, rpd, concurrency from rate_limit where platform_id = $1::uuid"
      " and (subject <> 'end_user' or end_user_slot = $2::uuid)",
      {platform.str(), end_user.value_or(core::EndUserId{}).str()});
  for (const auto& row : rows) {
    const std::string subject = row.text("subject");
    if (subject == "platform") {
      out.platform.platform = limits_of(row);
    } else if (subject == "default") {
      out.platform.end_user_default = limits_of(row);
      out.platform.has_default = true;
    } else {
      out.own = limits_of(row);
    }
  }
  return out;
}

void RateLimitStore::put_override(storage::Transaction& tx, core::PlatformId platform,
                                  core::EndUserId end_user, const RateLimits& limits, core::Time now) const {
  put_limits(tx, platform, "end_user", end_user, limits, now);
  tx.notify("rate_limit", platform.str());
}

void RateLimitStore::clear_override(storage::Transaction& tx, core::PlatformId platform,
                                    core::EndUserId end_user) const {
  tx.exec(
      "delete from rate_limit where platform_id = $1::uuid and subject = 'end_user'"
      " and end_user_slot = $2::uuid",
      {platform.str(), end_user.str()});
  tx.notify("rate_limit", platform.str());
}

void RateLimitStore::put_platform(storage::Transaction& tx, core::PlatformId platform,
                                  const PlatformRateLimits& limits, core::Time now) const {
  put_limits(tx, platform, "platform", {}, limits.platform, now);
  if (limits.has_default) {
    put_limits(tx, platform, "default", {}, limits.end_user_default, now);
  } else {
    tx.exec("delete from rate_limit where platform_id = $1::uuid and subject = 'default'", {platform.str()});
  }
  tx.notify("rate_limit", platform.str());
}

std::vector<LeaseGrant> RateLeaseStore::take(storage::Transaction& tx, core::PlatformId platform,
                                             const std::vector<LeaseWish>& wishes) const {
  std::vector<LeaseGrant> out;
  const auto rows = tx.exec(
      "select granted, held, free from assistiv_rate_take($1::uuid, $2::uuid, $3::jsonb) order by place",
      {platform.str(), node_.str(), core::dump_json(wishes_json(wishes))});
  for (const auto& row : rows) {
    out.push_back({row.integer("granted"), row.integer("held"), row.integer("free")});
  }
  return out;
}

void RateLeaseStore::give_back(storage::Transaction& tx, core::PlatformId platform,
                               const std::vector<LeaseReturn>& returns) const {
  core::Json list = core::Json::array();
  for (const auto& one : returns) {
    list.push_back({{"s", one.window.subject.str()},
                    {"d", to_string(one.window.dimension)},
                    {"w", one.window.start},
                    {"a", one.amount}});
  }
  tx.exec(
      "update rate_lease r set amount = greatest(0, r.amount - b.a)"
      " from jsonb_to_recordset($3::jsonb) as b(s uuid, d text, w bigint, a bigint)"
      " where r.platform_id = $1::uuid and r.node = $2::uuid and r.subject = b.s and r.dimension = b.d"
      " and r.window_start = b.w",
      {platform.str(), node_.str(), core::dump_json(list)});
}

std::vector<std::int64_t> RateLeaseStore::free_of(storage::Transaction& tx, core::PlatformId platform,
                                                  const std::vector<LeaseWish>& windows) const {
  std::vector<std::int64_t> out;
  const auto rows = tx.exec(
      "select i.l - coalesce((select sum(r.amount) from rate_lease r where r.platform_id = $1::uuid"
      " and r.subject = i.s and r.dimension = i.d and r.window_start = i.w"
      " and (i.w <> 0 or r.expires_at > clock_timestamp())), 0) as free"
      " from rows from (jsonb_to_recordset($2::jsonb) as (s uuid, d text, w bigint, l bigint))"
      " with ordinality as i(s, d, w, l, place) order by i.place",
      {platform.str(), core::dump_json(wishes_json(windows))});
  for (const auto& row : rows) out.push_back(row.integer("free"));
  return out;
}

void RateLeaseStore::ask_back(storage::Transaction& tx, core::PlatformId platform) const {
  tx.notify("rate_return", platform.str() + "/" + node_.str());
}

std::vector<std::string> RateLeaseStore::renew_places(storage::Transaction& tx,
                                                      core::PlatformId platform) const {
  std::vector<std::string> out;
  const auto rows = tx.exec(
      "update rate_lease set expires_at = clock_timestamp() + interval '30 seconds'"
      " where platform_id = $1::uuid and node = $2::uuid and dimension = 'concurrency'"
      " and expires_at > clock_timestamp() returning subject",
      {platform.str(), node_.str()});
  for (const auto& row : rows) out.push_back(row.text("subject"));
  return out;
}

void RateLeaseStore::remove_expired(storage::Transaction& tx) const {
  tx.exec("delete from rate_lease where expires_at < clock_timestamp() - interval '5 minutes'");
}

}  // namespace assistiv::billing
