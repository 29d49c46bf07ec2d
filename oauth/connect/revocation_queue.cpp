#include "oauth/connect/revocation_queue.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "oauth/connect/app_store.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/connection_store.h"
#include "oauth/connect/credential_store.h"
#include "oauth/identity/audit_context.h"

namespace assistiv::oauth {

namespace {

using core::Json;

constexpr std::chrono::seconds kFirstRetry{30};
constexpr std::chrono::seconds kLongestRetry{6 * 3600};
constexpr std::chrono::seconds kCallersTurn{60};
constexpr std::chrono::seconds kHeldForIncident{3600};
// What one try may take, should this process vanish.
constexpr std::chrono::minutes kTryMax{15};

std::chrono::seconds turn_of(RevocationDue due) {
  switch (due) {
    case RevocationDue::Now:
      return std::chrono::seconds(0);
    case RevocationDue::AfterCaller:
      return kCallersTurn;
    case RevocationDue::Held:
      return kHeldForIncident;
  }
  return kCallersTurn;
}

SecretContext doomed_context(core::PlatformId platform, const core::Uuid& row) {
  return {platform, "upstream_revocation", row.str(), "payload"};
}

core::Secret doomed_text(const DoomedToken& token) {
  Json vars = Json::object();
  for (const auto& [name, value] : token.vars) vars[name] = value;
  Json object = {
      {"app", token.app},
      {"slot", token.slot},
      {"account_id", token.account_id},
      {"connection_id", token.connection_id},
      {"vars", vars},
      {"client_id", token.client.client_id},
      {"client_secret", token.client.client_secret.reveal()},
      {"access", token.access.reveal()},
      {"refresh", token.refresh.reveal()},
      {"expires_at", token.expires_at ? Json(core::to_epoch_ms(*token.expires_at)) : Json(nullptr)}};
  if (!token.connector_json.empty()) {
    object["connector"] = token.connector_json;
    object["moved_to"] = token.moved_to;
  }
  return core::Secret(core::dump_json(object));
}

DoomedToken doomed_of_text(const core::Secret& text) {
  const Json object = core::parse_json(text.reveal());
  const auto member = [&](const char* name) { return object.at(name).get<std::string>(); };
  DoomedToken token;
  token.app = member("app");
  token.slot = member("slot");
  token.account_id = member("account_id");
  token.connection_id = object.value("connection_id", "");
  token.connector_json = object.value("connector", "");
  token.moved_to = object.value("moved_to", "");
  for (const auto& [name, value] : object.at("vars").items()) token.vars[name] = value.get<std::string>();
  token.client = {member("client_id"), core::Secret(member("client_secret"))};
  token.access = core::Secret(member("access"));
  token.refresh = core::Secret(member("refresh"));
  if (!object.at("expires_at").is_null()) {
    token.expires_at = core::from_epoch_ms(object.at("expires_at").get<std::int64_t>());
  }
  return token;
}

// 30 s, 1 min, 2 min, ... 6 h.
std::chrono::seconds revocation_backoff(int attempts) {
  return std::min(kFirstRetry * (1 << std::clamp(attempts - 1, 0, 12)), kLongestRetry);
}

bool uses_param(const std::vector<SpecParam>& params, std::string_view name) {
  return std::any_of(params.begin(), params.end(), [&](const SpecParam& param) {
    const auto names = param.value.names();
    return std::find(names.begin(), names.end(), name) != names.end();
  });
}

// Whether the request can be made at all with what we hold.
bool is_possible(const RevokeRequest& request, const DoomedToken& token) {
  const bool secret = request.auth == RequestAuth::ClientBasic || uses_param(request.body, "client_secret") ||
                      uses_param(request.query, "client_secret");
  const bool refresh =
      uses_param(request.body, "refresh_token") || uses_param(request.query, "refresh_token");
  return (!secret || !token.client.client_secret.empty()) && (!refresh || !token.refresh.empty());
}

// The trail of a platform that is gone has gone with it; its tokens are revoked all the same.
bool platform_exists(storage::Transaction& tx, core::PlatformId platform) {
  return !tx.exec("select from platform where platform_id = $1::uuid", {platform.str()}).empty();
}

storage::AuditEvent revocation_event(const DoomedToken& token, const RevocationResult& result, int attempts) {
  Json details = {{"app", token.app},
                  {"account_id", token.account_id},
                  {"slot", token.slot},
                  {"revoked_upstream", result.revoked},
                  {"attempts", attempts}};
  if (result.reason) details["reason"] = *result.reason;
  const bool known = !token.connection_id.empty();
  return audit_event({}, "connection.revocation", token.end_user_id, known ? token.connection_id : token.app,
                     details);
}

bool covers_slot(const RevokeRequest& request, const std::string& slot) {
  return request.slots.empty() ||
         std::find(request.slots.begin(), request.slots.end(), slot) != request.slots.end();
}

// What no request covers lives on by the manifest's will: it is not this account's alone.
bool ends_slot(const ConnectorSpec* spec, const std::string& slot) {
  if (spec == nullptr) return false;
  const auto covers = [&slot](const std::optional<RevokeRequest>& request) {
    return request && covers_slot(*request, slot);
  };
  return covers(spec->oauth.revoke.token) || covers(spec->oauth.revoke.grant);
}

}  // namespace

struct RevocationQueue::Work {
  core::PlatformId platform_id;
  core::Uuid row;
  int attempts = 0;
  DoomedToken token;
};

core::Uuid RevocationQueue::put(storage::Transaction& tx, core::PlatformId platform, const DoomedToken& token,
                                Due due) const {
  const auto row = core::Uuid::v7(world_.clock, world_.random);
  const core::Time now = world_.clock.now();
  const core::Time when = now + turn_of(due);
  tx.exec(
      "insert into upstream_revocation (platform_id, revocation_id, app, account_id, client_id, payload, "
      "due_at,"
      " created_at, end_user_id) values ($1::uuid, $2::uuid, $3, $4, $5, $6, assistiv_time($7::bigint),"
      " assistiv_time($8::bigint), $9::uuid)",
      {platform.str(), row.str(), token.app, token.account_id, token.client.client_id,
       world_.vault.seal(doomed_context(platform, row), doomed_text(token)),
       std::to_string(core::to_epoch_ms(when)), std::to_string(core::to_epoch_ms(now)),
       token.end_user_id ? storage::Param(token.end_user_id->str()) : std::nullopt});
  return row;
}

bool RevocationQueue::supports(const ConnectorSpec* spec) {
  return spec != nullptr && (spec->oauth.revoke.token || spec->oauth.revoke.grant);
}

bool RevocationQueue::supports(const ConnectorSpec* spec, const std::string& slot) {
  return ends_slot(spec, slot);
}

std::vector<core::Uuid> RevocationQueue::put_connection(storage::Transaction& tx,
                                                        const Connection& connection, Due due) const {
  const AppStore apps(world_.vault);
  const CredentialStore credentials(world_.vault, world_.clock, world_.random);
  const auto states = credentials.lock_all(tx, connection.platform_id, connection.id);
  const auto app = apps.get(tx, connection.platform_id, connection.app);
  const auto spec = world_.registry.find_in(tx, connection.platform_id, connection.app);
  std::vector<core::Uuid> rows;
  for (const auto& state : states) {
    if (!ends_slot(spec.get(), state.slot)) continue;
    DoomedToken token;
    token.app = connection.app;
    token.connector_json = spec->source_json;
    token.moved_to = spec->moved_to;
    token.slot = state.slot;
    token.account_id = connection.account_id;
    token.connection_id = connection.id.str();
    token.end_user_id = connection.end_user_id;
    token.vars = connection.vars;
    token.client.client_id = state.client_id;
    // The secret of another client is of no use to this grant.
    if (app && app->app.client_id == state.client_id) token.client = apps.open(connection.platform_id, *app);
    token.access = credentials.open_access(state);
    token.refresh = credentials.open_refresh(state).value_or(core::Secret());
    token.expires_at = state.expires_at;
    rows.push_back(put(tx, connection.platform_id, token, due));
  }
  credentials.remove_all(tx, connection.platform_id, connection.id);
  return rows;
}

void RevocationQueue::put_grant(storage::Transaction& tx, core::PlatformId platform, const GrantRecord& grant,
                                std::optional<core::EndUserId> end_user, Due due) const {
  const auto spec = world_.registry.find_in(tx, platform, grant.app);
  if (!supports(spec.get())) return;
  const AppStore apps(world_.vault);
  const auto app = apps.get(tx, platform, grant.app);
  for (const auto& [slot, live] : grant.slots) {
    if (!ends_slot(spec.get(), slot)) continue;
    DoomedToken token;
    token.app = grant.app;
    token.connector_json = spec->source_json;
    token.moved_to = spec->moved_to;
    token.slot = slot;
    token.account_id = grant.account_id;
    token.end_user_id = end_user;
    token.vars = grant.vars;
    token.client.client_id = grant.client_id;
    if (app && app->app.client_id == grant.client_id) token.client = apps.open(platform, *app);
    token.access = live.access;
    token.refresh = live.refresh.value_or(core::Secret());
    token.expires_at = live.expires_at;
    put(tx, platform, token, due);
  }
}

RevocationQueue::Work RevocationQueue::read_work(const storage::Row& row) const {
  Work work;
  work.platform_id = row.id<core::PlatformId>("platform_id");
  work.row = *core::Uuid::parse(row.text("revocation_id"));
  work.attempts = static_cast<int>(row.integer("attempts"));
  work.token =
      doomed_of_text(world_.vault.open(doomed_context(work.platform_id, work.row), row.text("payload")));
  work.token.end_user_id = row.optional_id<core::EndUserId>("end_user_id");
  return work;
}

std::optional<RevocationQueue::Work> RevocationQueue::claim(storage::Transaction& tx,
                                                            core::PlatformId platform, core::Uuid row) const {
  const auto due = world_.clock.now() + kCallersTurn;
  const auto rows = tx.exec(
      "update upstream_revocation set attempts = attempts + 1, due_at = assistiv_time($3::bigint)"
      " where platform_id = $1::uuid and revocation_id = $2::uuid"
      " returning platform_id, revocation_id, attempts, payload, end_user_id",
      {platform.str(), row.str(), std::to_string(core::to_epoch_ms(due))});
  return rows.empty() ? std::nullopt : std::optional(read_work(rows[0]));
}

std::vector<RevocationQueue::Work> RevocationQueue::claim_due(storage::Transaction& tx,
                                                              std::size_t limit) const {
  const auto now = world_.clock.now();
  // Claimed rows are due again after the time that one round may take, should this process vanish.
  const auto rows = tx.exec(
      "with due as (select platform_id, revocation_id from upstream_revocation where due_at <= "
      "assistiv_time($1::bigint)"
      " order by due_at limit $2::int for update skip locked)"
      " update upstream_revocation r set attempts = attempts + 1, due_at = assistiv_time($3::bigint) from due"
      " where r.platform_id = due.platform_id and r.revocation_id = due.revocation_id"
      " returning r.platform_id, r.revocation_id, r.attempts, r.payload, r.end_user_id",
      {std::to_string(core::to_epoch_ms(now)), std::to_string(limit),
       std::to_string(core::to_epoch_ms(now + kTryMax))});
  std::vector<Work> out;
  for (const auto& row : rows) {
    try {
      out.push_back(read_work(row));
    } catch (const core::Error& error) {
      // One row that does not open must not hold up the others, nor stay for ever.
      core::log::error("connect.revocation_unreadable",
                       {{"revocation_id", row.text("revocation_id")}, {"error", error.detail()}});
      if (row.integer("attempts") >= kAttemptsMax) {
        tx.exec("delete from upstream_revocation where platform_id = $1::uuid and revocation_id = $2::uuid",
                {row.text("platform_id"), row.text("revocation_id")});
      }
    }
  }
  return out;
}

std::optional<RevocationQueue::Work> RevocationQueue::claim_next(storage::Transaction& tx,
                                                                 const IncidentScope& scope) const {
  const auto now = world_.clock.now();
  auto params = incident_params(scope);
  params.push_back(std::to_string(core::to_epoch_ms(now)));
  params.push_back(std::to_string(core::to_epoch_ms(now + kTryMax)));
  const auto rows =
      tx.exec(std::string("with due as (select platform_id, revocation_id from upstream_revocation where") +
                  kInIncident +
                  " and (attempts = 0 or due_at <= assistiv_time($4::bigint)) order by due_at limit 1 for "
                  "update skip locked)"
                  " update upstream_revocation r set attempts = attempts + 1, due_at = "
                  "assistiv_time($5::bigint) from due"
                  " where r.platform_id = due.platform_id and r.revocation_id = due.revocation_id"
                  " returning r.platform_id, r.revocation_id, r.attempts, r.account_id, r.payload, "
                  "r.end_user_id",
              params);
  if (rows.empty()) return {};
  try {
    return read_work(rows[0]);
  } catch (const core::Error& error) {
    core::log::error("connect.revocation_unreadable",
                     {{"revocation_id", rows[0].text("revocation_id")}, {"error", error.detail()}});
  }
  Work unreadable;
  unreadable.platform_id = rows[0].id<core::PlatformId>("platform_id");
  unreadable.token.account_id = rows[0].text("account_id");
  return unreadable;
}

core::Task<bool> RevocationQueue::grant_is_free(core::PlatformId platform, DoomedToken token) {
  if (token.account_id.empty()) co_return false;
  // Across tenants: a grant belongs to the client and the account, whoever of ours uses it. The same id of
  // another platform's own app is another app.
  const auto of = is_own_app(token.app) ? std::optional(platform) : std::nullopt;
  co_return co_await world_.database.run(
      storage::Scope::system(), [this, of, token](storage::Transaction& tx) {
        return !ConnectionStore(world_.clock, world_.random)
                    .account_in_use(tx, of, token.app, token.client.client_id, token.account_id);
      });
}

// An expired access token cannot ask for its own end: get a fresh one first, and keep it before using it.
core::Task<std::optional<RevokeOutcome>> RevocationQueue::revive(const ConnectorSpec* spec, Work* work) {
  auto& token = work->token;
  const auto reply = co_await provider_.refresh(spec, token.vars, token.client, token.slot, token.refresh,
                                                std::chrono::milliseconds(10000));
  if (reply.kind == TokenReplyKind::Permanent) co_return RevokeOutcome::Done;
  if (reply.kind == TokenReplyKind::Config) co_return RevokeOutcome::Refused;
  if (reply.kind != TokenReplyKind::Ok) co_return RevokeOutcome::Away;
  const auto live = live_token(reply.slots.at(token.slot), world_.clock.now());
  token.access = live.access;
  token.expires_at = live.expires_at;
  if (live.refresh) token.refresh = *live.refresh;
  co_await world_.database.run(storage::Scope::tenant(work->platform_id),
                               [platform = work->platform_id, row = work->row,
                                sealed = world_.vault.seal(doomed_context(work->platform_id, work->row),
                                                           doomed_text(token))](storage::Transaction& tx) {
                                 tx.exec(
                                     "update upstream_revocation set payload = $3 where platform_id = "
                                     "$1::uuid and revocation_id = $2::uuid",
                                     {platform.str(), row.str(), sealed});
                               });
  co_return std::nullopt;
}

core::Task<RevokeReply> RevocationQueue::ask_provider(const ConnectorSpec* spec, const RevokeRequest* request,
                                                      Work work) {
  const auto& token = work.token;
  const bool expired = token.expires_at && *token.expires_at <= world_.clock.now() + std::chrono::seconds(30);
  const bool refreshable = !token.refresh.empty() && spec->oauth.refresh.mode != RefreshMode::None;
  if (expired && refreshable && request->needs_access()) {
    const auto end = co_await revive(spec, &work);
    if (end) co_return RevokeReply{*end, {}};
  }
  co_return co_await provider_.revoke(spec, request, token.vars, token.client, token.access, token.refresh);
}

core::Task<ConnectorPtr> RevocationQueue::connector_of(Work work) {
  const auto& token = work.token;
  if (token.connector_json.empty()) co_return co_await world_.registry.find(work.platform_id, token.app);
  try {
    auto spec = std::make_shared<ConnectorSpec>(ConnectorSpec::parse(core::parse_json(token.connector_json)));
    if (!token.moved_to.empty()) apply_host_override(*spec, token.moved_to);
    co_return spec;
  } catch (const core::Error& error) {
    // Written by a version with other rules: nobody can be asked any more.
    core::log::error("connect.revocation_unreadable",
                     {{"revocation_id", work.row.str()}, {"error", error.what()}});
  }
  co_return nullptr;
}

core::Task<RevocationResult> RevocationQueue::attempt(Work work) {
  const auto connector = co_await connector_of(work);
  const ConnectorSpec* spec = connector.get();
  const RevokeRequest* request = nullptr;
  RevocationResult result{false, "not_supported"};
  if (spec != nullptr) {
    const auto& rules = spec->oauth.revoke;
    const bool grant_free = rules.grant && co_await grant_is_free(work.platform_id, work.token);
    if (rules.grant) {
      if (grant_free) request = &*rules.grant;
      if (!grant_free && !rules.token) result.reason = "shared_grant";
    }
    if (request == nullptr && rules.token) request = &*rules.token;
  }
  RevokeReply reply;
  if (request != nullptr && covers_slot(*request, work.token.slot)) {
    result.reason = "refused";
    if (is_possible(*request, work.token)) reply = co_await ask_provider(spec, request, work);
  }
  const auto outcome = reply.outcome;
  const bool again = outcome == RevokeOutcome::Away && work.attempts < kAttemptsMax;
  if (outcome == RevokeOutcome::Done) result = {true, std::nullopt};
  if (outcome == RevokeOutcome::Away) result.reason = again ? "pending" : "given_up";
  const auto level =
      outcome == RevokeOutcome::Away && !again ? core::log::Level::Error : core::log::Level::Info;
  core::log::event(level, "connect.revocation",
                   {{"app", work.token.app},
                    {"platform_id", work.platform_id.str()},
                    {"revoked", result.revoked},
                    {"reason", result.reason.value_or("")},
                    {"attempts", work.attempts}});
  if (again) result.retry_after = reply.retry_after;
  const auto pause = reply.retry_after
                         ? std::clamp(*reply.retry_after, std::chrono::seconds(1), kLongestRetry)
                         : revocation_backoff(work.attempts);
  const auto due = world_.clock.now() + pause;
  co_await world_.database.run(
      storage::Scope::tenant(work.platform_id),
      [this, platform = work.platform_id, row = work.row, again, due,
       ended = revocation_event(work.token, result, work.attempts)](storage::Transaction& tx) {
        const char* sql = again ? "update upstream_revocation set due_at = assistiv_time($3::bigint)"
                                  " where platform_id = $1::uuid and revocation_id = $2::uuid"
                                : "delete from upstream_revocation where platform_id = $1::uuid"
                                  " and revocation_id = $2::uuid and $3::bigint is not null";
        tx.exec(sql, {platform.str(), row.str(), std::to_string(core::to_epoch_ms(due))});
        if (!again && platform_exists(tx, platform)) world_.audit.append(tx, platform, ended);
      });
  co_return result;
}

core::Task<RevocationResult> RevocationQueue::run(core::PlatformId platform, core::Uuid row) {
  auto work = co_await world_.database.run(
      storage::Scope::tenant(platform),
      [this, platform, row](storage::Transaction& tx) { return claim(tx, platform, row); });
  // Gone: the worker of some process was faster, and it ends a row only when nothing is left to do.
  if (!work) co_return RevocationResult{true, std::nullopt};
  co_return co_await attempt(std::move(*work));
}

core::Task<std::size_t> RevocationQueue::run_due(std::size_t limit, std::stop_token stop) {
  // Every tenant's rows: background work.
  auto works = co_await world_.database.run(
      storage::Scope::system(), [this, limit](storage::Transaction& tx) { return claim_due(tx, limit); });
  for (auto& work : works) {
    if (stop.stop_requested()) break;
    co_await attempt(std::move(work));
  }
  co_return works.size();
}

core::Task<std::optional<RevocationTry>> RevocationQueue::run_next(IncidentScope scope) {
  // The operator's command may be about every tenant.
  auto work = co_await world_.database.run(
      storage::Scope::system(), [this, scope](storage::Transaction& tx) { return claim_next(tx, scope); });
  if (!work) co_return std::nullopt;
  RevocationTry out{work->platform_id, work->token.account_id, work->token.slot, {false, "unreadable", {}}};
  if (!work->token.app.empty()) out.result = co_await attempt(std::move(*work));
  co_return out;
}

core::Task<std::optional<core::Time>> RevocationQueue::next_try(IncidentScope scope) {
  const auto next = co_await waiting(std::move(scope), 1);
  co_return next.empty() ? std::nullopt : std::optional(next.front().due_at);
}

core::Task<std::vector<WaitingRevocation>> RevocationQueue::waiting(IncidentScope scope, std::size_t limit) {
  co_return co_await world_.database.run(storage::Scope::system(), [scope, limit](storage::Transaction& tx) {
    auto params = incident_params(scope);
    params.push_back(std::to_string(limit));
    std::vector<WaitingRevocation> out;
    for (const auto& row :
         tx.exec(std::string("select platform_id, account_id, attempts, assistiv_ms(due_at) as due_at"
                             " from upstream_revocation where") +
                     kInIncident + " order by due_at limit $4::int",
                 params)) {
      out.push_back({row.id<core::PlatformId>("platform_id"), row.text("account_id"),
                     static_cast<int>(row.integer("attempts")), row.time("due_at")});
    }
    return out;
  });
}

core::Task<std::size_t> RevocationQueue::count_waiting(IncidentScope scope) {
  co_return co_await world_.database.run(storage::Scope::system(), [scope](storage::Transaction& tx) {
    const auto rows =
        tx.exec(std::string("select count(*) as n from upstream_revocation where") + kInIncident,
                incident_params(scope));
    return static_cast<std::size_t>(rows[0].integer("n"));
  });
}

}  // namespace assistiv::oauth
