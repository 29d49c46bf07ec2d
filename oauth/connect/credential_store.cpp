#include "oauth/connect/credential_store.h"

#include "oauth/connect/connection_store.h"
#include "oauth/connect/row_json.h"
#include "oauth/crypto/vault.h"

namespace assistiv::oauth {

namespace {

constexpr char kCredentialSelect[] =
    "select d.platform_id, d.credential_id, d.connection_id, d.slot, d.access_token, d.refresh_token,"
    " d.previous_refresh_token, assistiv_ms(d.expires_at) as expires_at, assistiv_ms(d.obtained_at) as "
    "obtained_at,"
    " d.version, d.written_by, d.failures, assistiv_ms(d.retry_at) as retry_at, c.end_user_id, c.app, "
    "c.client_id,"
    " c.provider_account_id, c.status, c.vars::text as vars"
    " from credential d join connection c on c.platform_id = d.platform_id and c.connection_id = "
    "d.connection_id"
    " where d.platform_id = $1::uuid and d.connection_id = $2::uuid";

CredentialState read_credential(const storage::Row& row) {
  CredentialState out;
  out.id = *core::Uuid::parse(row.text("credential_id"));
  out.platform_id = row.id<core::PlatformId>("platform_id");
  out.connection_id = row.id<core::ConnectionId>("connection_id");
  out.end_user_id = row.id<core::EndUserId>("end_user_id");
  out.slot = row.text("slot");
  out.app = row.text("app");
  out.account_id = row.text("provider_account_id");
  out.client_id = row.text("client_id");
  out.status = connection_status_of(row.text("status"));
  out.vars = values_of_json(row.text("vars"));
  out.access_sealed = row.text("access_token");
  out.refresh_sealed = row.optional_text("refresh_token");
  out.previous_sealed = row.optional_text("previous_refresh_token");
  out.expires_at = row.optional_time("expires_at");
  out.obtained_at = row.time("obtained_at");
  out.version = row.integer("version");
  if (const auto owner = row.optional_text("written_by")) out.written_by = core::Uuid::parse(*owner);
  out.failures = static_cast<int>(row.integer("failures"));
  out.retry_at = row.optional_time("retry_at");
  return out;
}

SecretContext credential_context(core::PlatformId platform, const core::Uuid& id, const char* field) {
  return {platform, "credential", id.str(), field};
}

storage::Param time_param(const std::optional<core::Time>& time) {
  return time ? storage::Param(std::to_string(core::to_epoch_ms(*time))) : std::nullopt;
}

// An unused grant is refreshed when a fifth of its refresh token's life is left.
std::optional<core::Time> idle_refresh_time(core::Time obtained, const LiveToken& token) {
  if (!token.refresh || !token.refresh_expires_at) return {};
  return obtained + (*token.refresh_expires_at - obtained) / 5 * 4;
}

}  // namespace

std::optional<CredentialState> CredentialStore::get(storage::Transaction& tx, core::PlatformId platform,
                                                    core::ConnectionId connection,
                                                    const std::string& slot) const {
  const auto rows =
      tx.exec(std::string(kCredentialSelect) + " and d.slot = $3", {platform.str(), connection.str(), slot});
  return rows.empty() ? std::nullopt : std::optional(read_credential(rows[0]));
}

std::vector<CredentialState> CredentialStore::lock_all(storage::Transaction& tx, core::PlatformId platform,
                                                       core::ConnectionId connection) const {
  std::vector<CredentialState> out;
  const auto rows = tx.exec(std::string(kCredentialSelect) + " order by d.slot for update of d",
                            {platform.str(), connection.str()});
  for (const auto& row : rows) out.push_back(read_credential(row));
  return out;
}

core::Secret CredentialStore::open_access(const CredentialState& state) const {
  return vault_.open(credential_context(state.platform_id, state.id, "access_token"), state.access_sealed);
}

std::optional<core::Secret> CredentialStore::open_refresh(const CredentialState& state) const {
  if (!state.refresh_sealed) return {};
  return vault_.open(credential_context(state.platform_id, state.id, "refresh_token"), *state.refresh_sealed);
}

std::optional<core::Secret> CredentialStore::open_previous(const CredentialState& state) const {
  if (!state.previous_sealed) return {};
  return vault_.open(credential_context(state.platform_id, state.id, "previous_refresh_token"),
                     *state.previous_sealed);
}

void CredentialStore::replace(storage::Transaction& tx, core::PlatformId platform,
                              core::ConnectionId connection,
                              const std::map<std::string, LiveToken>& slots) const {
  std::map<std::string, CredentialState> present;
  for (auto& state : lock_all(tx, platform, connection)) present.emplace(state.slot, std::move(state));
  for (const auto& [slot, state] : present) {
    if (slots.contains(slot)) continue;
    tx.exec("delete from credential where platform_id = $1::uuid and credential_id = $2::uuid",
            {platform.str(), state.id.str()});
  }
  const core::Time now = clock_.now();
  for (const auto& [slot, token] : slots) {
    const auto old = present.find(slot);
    const auto id = old != present.end() ? old->second.id : core::Uuid::v7(clock_, random_);
    storage::Param refresh;
    if (token.refresh)
      refresh = vault_.seal(credential_context(platform, id, "refresh_token"), *token.refresh);
    tx.exec(
        "insert into credential (platform_id, credential_id, connection_id, slot, access_token, "
        "refresh_token,"
        " expires_at, refresh_expires_at, obtained_at, version, idle_refresh_at) values ($1::uuid, $2::uuid, "
        "$3::uuid,"
        " $4, $5, $6, assistiv_time($7::bigint), assistiv_time($8::bigint), assistiv_time($9::bigint), 1,"
        " assistiv_time($10::bigint)) on conflict (platform_id, credential_id) do update set"
        " access_token = excluded.access_token, refresh_token = excluded.refresh_token, "
        "previous_refresh_token = null,"
        " expires_at = excluded.expires_at, refresh_expires_at = excluded.refresh_expires_at,"
        " obtained_at = excluded.obtained_at, version = credential.version + 1, lease_owner = null,"
        " lease_until = null, outcome_unknown = false, written_by = null, failures = 0, retry_at = null,"
        " idle_refresh_at = excluded.idle_refresh_at",
        {platform.str(), id.str(), connection.str(), slot,
         vault_.seal(credential_context(platform, id, "access_token"), token.access), refresh,
         time_param(token.expires_at), time_param(token.refresh_expires_at), time_param(now),
         time_param(idle_refresh_time(now, token))});
  }
}

void CredentialStore::remove_all(storage::Transaction& tx, core::PlatformId platform,
                                 core::ConnectionId connection) const {
  tx.exec("delete from credential where platform_id = $1::uuid and connection_id = $2::uuid",
          {platform.str(), connection.str()});
}

std::optional<RefreshLease> CredentialStore::take_lease(storage::Transaction& tx,
                                                        const CredentialState& state,
                                                        std::chrono::milliseconds length) const {
  RefreshLease lease;
  lease.owner = core::Uuid::v7(clock_, random_);
  // A lease that ran out was held by somebody who vanished, perhaps after the provider had acted.
  const auto rows = tx.exec(
      "update credential set outcome_unknown = outcome_unknown or lease_owner is not null, lease_owner = "
      "$4::uuid,"
      " lease_until = clock_timestamp() + $5::bigint * interval '1 millisecond'"
      " where platform_id = $1::uuid and credential_id = $2::uuid and version = $3::bigint"
      " and (lease_until is null or lease_until < clock_timestamp())"
      " and (retry_at is null or retry_at <= assistiv_time($6::bigint)) returning outcome_unknown",
      {state.platform_id.str(), state.id.str(), std::to_string(state.version), lease.owner.str(),
       std::to_string(length.count()), time_param(clock_.now())});
  if (rows.empty()) return {};
  lease.outcome_unknown = rows[0].boolean("outcome_unknown");
  return lease;
}

void CredentialStore::give_back(storage::Transaction& tx, const CredentialState& state,
                                const RefreshLease& lease) const {
  tx.exec(
      "update credential set lease_owner = null, lease_until = null"
      " where platform_id = $1::uuid and credential_id = $2::uuid and lease_owner = $3::uuid",
      {state.platform_id.str(), state.id.str(), lease.owner.str()});
}

void CredentialStore::prolong(storage::Transaction& tx, const CredentialState& state,
                              const RefreshLease& lease, std::chrono::milliseconds length) const {
  tx.exec(
      "update credential set lease_until = clock_timestamp() + $4::bigint * interval '1 millisecond'"
      " where platform_id = $1::uuid and credential_id = $2::uuid and lease_owner = $3::uuid",
      {state.platform_id.str(), state.id.str(), lease.owner.str(), std::to_string(length.count())});
}

bool CredentialStore::commit_refresh(storage::Transaction& tx, const CredentialState& state,
                                     const RefreshLease& lease, const LiveToken& token,
                                     const core::Secret& used_refresh) const {
  const core::Time now = clock_.now();
  LiveToken next = token;
  // Providers that do not rotate leave the refresh token out: the old one stays good.
  if (!next.refresh) next.refresh = used_refresh;
  const bool rotated = next.refresh->reveal() != used_refresh.reveal();
  storage::Param previous;
  if (rotated) {
    previous =
        vault_.seal(credential_context(state.platform_id, state.id, "previous_refresh_token"), used_refresh);
  }
  return tx.exec(
               "update credential set access_token = $4, refresh_token = $5, previous_refresh_token = $6,"
               " expires_at = assistiv_time($7::bigint),"
               " refresh_expires_at = coalesce(assistiv_time($8::bigint), refresh_expires_at),"
               " obtained_at = assistiv_time($9::bigint), version = version + 1, lease_owner = null,"
               " lease_until = null, outcome_unknown = false, written_by = $10::uuid, failures = 0, retry_at "
               "= null,"
               " idle_refresh_at = case when $11::bigint is null and not $12::boolean then idle_refresh_at"
               " else assistiv_time($11::bigint) end"
               " where platform_id = $1::uuid and credential_id = $2::uuid and version = $3::bigint",
               {state.platform_id.str(), state.id.str(), std::to_string(state.version),
                vault_.seal(credential_context(state.platform_id, state.id, "access_token"), next.access),
                vault_.seal(credential_context(state.platform_id, state.id, "refresh_token"), *next.refresh),
                previous, time_param(next.expires_at), time_param(next.refresh_expires_at), time_param(now),
                lease.owner.str(), time_param(idle_refresh_time(now, next)), rotated ? "true" : "false"})
             .affected() > 0;
}

void CredentialStore::release(storage::Transaction& tx, const CredentialState& state,
                              const RefreshLease& lease, const RefreshFailure& failure) const {
  tx.exec(
      "update credential set lease_owner = null, lease_until = null, failures = failures + 1,"
      " outcome_unknown = $4::boolean, retry_at = assistiv_time($5::bigint)"
      " where platform_id = $1::uuid and credential_id = $2::uuid and lease_owner = $3::uuid",
      {state.platform_id.str(), state.id.str(), lease.owner.str(), failure.outcome_unknown ? "true" : "false",
       time_param(failure.retry_at)});
}

std::vector<IdleCredential> CredentialStore::claim_idle(storage::Transaction& tx, std::size_t limit) const {
  std::vector<IdleCredential> out;
  const auto now = clock_.now();
  const auto rows = tx.exec(
      "with due as (select d.platform_id, d.credential_id from credential d join connection c"
      " on c.platform_id = d.platform_id and c.connection_id = d.connection_id"
      " where d.idle_refresh_at <= assistiv_time($1::bigint) and c.status = 'active'"
      " order by d.idle_refresh_at limit $2::int for update of d skip locked)"
      " update credential d set idle_refresh_at = assistiv_time($3::bigint) from due"
      " where d.platform_id = due.platform_id and d.credential_id = due.credential_id"
      " returning d.platform_id, d.connection_id, d.slot, d.version",
      {time_param(now), std::to_string(limit), time_param(now + std::chrono::hours(1))});
  for (const auto& row : rows) {
    out.push_back({row.id<core::PlatformId>("platform_id"), row.id<core::ConnectionId>("connection_id"),
                   row.text("slot"), row.integer("version")});
  }
  return out;
}

}  // namespace assistiv::oauth
