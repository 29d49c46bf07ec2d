#include "oauth/connect/notice_store.h"

#include "oauth/connect/row_json.h"
#include "oauth/crypto/vault.h"

namespace assistiv::oauth {

namespace {

SecretContext webhook_secret_context(core::PlatformId platform, const std::string& app) {
  return {platform, "provider_webhook", app, "secret"};
}

std::string time_text(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

// Connections that a notice is about: $1 platform, $2 app, $3 account ids, $4 what accounts begin with.
constexpr char kOfNotice[] =
    " c.platform_id = $1::uuid and c.app = $2 and c.status = 'active'"
    " and (c.provider_account_id in (select jsonb_array_elements_text($3::jsonb))"
    " or starts_with(c.provider_account_id, $4))";

std::vector<storage::Param> notice_params(core::PlatformId platform, const std::string& app,
                                          const Notice& notice) {
  return {platform.str(), app, to_json_text(notice.accounts),
          notice.accounts_below.empty() ? storage::Param() : storage::Param(notice.accounts_below)};
}

}  // namespace

std::optional<core::Secret> NoticeStore::secret(storage::Transaction& tx, core::PlatformId platform,
                                                const std::string& app) const {
  const auto rows = tx.exec("select secret from provider_webhook where platform_id = $1::uuid and app = $2",
                            {platform.str(), app});
  if (rows.empty()) return {};
  return vault_.open(webhook_secret_context(platform, app), rows[0].text("secret"));
}

std::optional<core::Time> NoticeStore::set_at(storage::Transaction& tx, core::PlatformId platform,
                                              const std::string& app) const {
  const auto rows = tx.exec(
      "select assistiv_ms(updated_at) as at from provider_webhook where platform_id = $1::uuid and app = $2",
      {platform.str(), app});
  return rows.empty() ? std::nullopt : std::optional(rows[0].time("at"));
}

void NoticeStore::put(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                      const core::Secret& secret) const {
  tx.exec(
      "insert into provider_webhook (platform_id, app, secret, created_at, updated_at) values ($1::uuid, $2, "
      "$3,"
      " assistiv_time($4::bigint), assistiv_time($4::bigint)) on conflict (platform_id, app) do update set"
      " secret = excluded.secret, updated_at = excluded.updated_at",
      {platform.str(), app, vault_.seal(webhook_secret_context(platform, app), secret),
       time_text(clock_.now())});
}

bool NoticeStore::remove(storage::Transaction& tx, core::PlatformId platform, const std::string& app) const {
  return tx.exec("delete from provider_webhook where platform_id = $1::uuid and app = $2",
                 {platform.str(), app})
             .affected() > 0;
}

bool NoticeStore::seen(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                       const std::string& digest) const {
  return !tx.exec(
                "select 1 as found from provider_notice where platform_id = $1::uuid and app = $2 and digest "
                "= $3",
                {platform.str(), app, digest})
              .empty();
}

void NoticeStore::remember(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                           const std::string& digest, std::optional<std::chrono::seconds> window) const {
  const auto now = clock_.now();
  if (window) {
    tx.exec(
        "delete from provider_notice where platform_id = $1::uuid and app = $2"
        " and received_at < assistiv_time($3::bigint)",
        {platform.str(), app, time_text(now - 2 * *window)});
  }
  tx.exec(
      "insert into provider_notice (platform_id, app, digest, received_at) values ($1::uuid, $2, $3,"
      " assistiv_time($4::bigint)) on conflict (platform_id, app, digest) do nothing",
      {platform.str(), app, digest, time_text(now)});
}

std::vector<EndedGrant> NoticeStore::end_grants(storage::Transaction& tx, core::PlatformId platform,
                                                const std::string& app, const Notice& notice,
                                                std::size_t limit) const {
  auto params = notice_params(platform, app, notice);
  // Providers tell whole seconds.
  params.push_back(notice.occurred ? storage::Param(time_text(*notice.occurred + std::chrono::seconds(1)))
                                   : std::nullopt);
  params.push_back(std::to_string(limit));
  params.push_back(time_text(clock_.now()));
  // A "with" is evaluated once. As a subquery in the update's condition, the planner may evaluate it for
  // every row, and what was updated on the way counts no more towards the limit.
  const auto rows = tx.exec(
      std::string("with ending as materialized (select c.connection_id from connection c where") + kOfNotice +
          " and ($5::bigint is null or not exists (select 1 from credential d where d.platform_id = "
          "c.platform_id"
          " and d.connection_id = c.connection_id and d.obtained_at >= assistiv_time($5::bigint)))"
          " order by c.connection_id limit $6::int for update)"
          " update connection u set status = 'needs_reauth', status_reason = 'revoked_at_provider',"
          " updated_at = assistiv_time($7::bigint) from ending where u.platform_id = $1::uuid"
          " and u.connection_id = ending.connection_id returning u.connection_id, u.end_user_id",
      params);
  std::vector<EndedGrant> out;
  for (const auto& row : rows) {
    out.push_back({row.id<core::ConnectionId>("connection_id"), row.id<core::EndUserId>("end_user_id")});
  }
  return out;
}

void NoticeStore::check_soon(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                             const Notice& notice) const {
  auto params = notice_params(platform, app, notice);
  params.push_back(time_text(clock_.now()));
  tx.exec(std::string(
              "update credential d set idle_refresh_at = least(d.idle_refresh_at, assistiv_time($5::bigint))"
              " from connection c where c.platform_id = d.platform_id and c.connection_id = d.connection_id"
              " and d.refresh_token is not null and") +
              kOfNotice,
          params);
}

}  // namespace assistiv::oauth
