#include "oauth/authorize/authorization_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/metrics.h"
#include "oauth/authorize/access_token.h"
#include "oauth/authorize/oauth_error.h"
#include "oauth/authorize/refresh_token.h"
#include "oauth/connect/platform_facts.h"
#include "oauth/crypto/pkce.h"

namespace assistiv::oauth {

namespace {

constexpr std::chrono::seconds kAccessLife{900};
constexpr std::chrono::minutes kCodeLife{1};
constexpr std::chrono::hours kIdleLife{24 * 30};    // of an authorization with refresh tokens
constexpr std::chrono::hours kClientKept{24 * 90};  // a registration, after its last consent or refresh
constexpr std::size_t kRefreshSecretBytes = 32;

void count_tokens(const char* grant, const char* result) {
  core::metrics::counter("assistiv_oauth_tokens_total", "Token requests by grant and outcome.",
                         {{"grant", grant}, {"result", result}})
      .add();
}

bool contains(const std::vector<std::string>& list, std::string_view entry) {
  return std::find(list.begin(), list.end(), entry) != list.end();
}

std::string notice_of(const Authorization& row) {
  return row.platform_id.str() + "/" + row.end_user_id.str();
}

core::Json audit_details(const Authorization& row) {
  return {{"client_id", row.client_id},
          {"client_name", row.client_name},
          {"resource", row.resource},
          {"scopes", row.scopes}};
}

Authorization new_authorization(const Consent& consent, const core::Secret& code, AuthorizeWorld& world) {
  Authorization row;
  row.platform_id = consent.who.platform_id;
  row.id = consent.id;
  row.end_user_id = consent.who.end_user_id;
  row.key_id = consent.who.key_id;
  row.issuer_id = consent.who.issuer_id;
  row.client_id = consent.client.client_id;
  row.client_name = consent.client.metadata.name;
  row.redirect_uri = consent.request.redirect_uri;
  row.resource = consent.request.resource.url;
  row.scopes = consent.scopes;
  row.tools_json = consent.tools_json;
  row.code_hash = core::sha256_hex(code.reveal());
  row.code_challenge = consent.request.code_challenge;
  row.created_at = world.clock.now();
  row.code_expires_at = row.created_at + kCodeLife;
  row.expires_at = row.code_expires_at;
  if (consent.client.metadata.refreshes || contains(consent.scopes, kScopeOffline))
    row.refresh_secret = core::Secret(core::random_token(world.random, kRefreshSecretBytes));
  return row;
}

Authorization direct_authorization(const DirectGrant& grant, AuthorizeWorld& world) {
  Authorization row;
  row.platform_id = grant.platform_id;
  row.id = core::KeyId::make(world.clock, world.random);
  row.end_user_id = grant.end_user_id;
  row.issuer_id = grant.issuer_id;
  row.client_id = grant.client_id;
  row.client_name = grant.client_name;
  row.resource = grant.resource;
  row.scopes = grant.scopes;
  row.tools_json = R"({"*":{"mode":"all"}})";
  row.created_at = world.clock.now();
  row.code_expires_at = row.created_at;
  row.expires_at = row.created_at + kAccessLife;
  return row;
}

// `resource` may be left out or repeated as it was; anything else is for another audience.
void check_resource(const core::FormFields& fields, const Resources& resources, const std::string& granted) {
  for (const auto& [name, value] : fields) {
    if (name != "resource") continue;
    const auto wanted = resources.find(value);
    if (!wanted || wanted->url != granted)
      throw OAuthError("invalid_target", "This authorization is for another resource.");
  }
}

// A refresh may ask for less, never for more.
std::vector<std::string> narrowed_scopes(const core::FormFields& fields,
                                         const std::vector<std::string>& granted) {
  const auto wanted = one_param(fields, "scope");
  if (!wanted) return granted;
  const auto scopes = known_scopes(*wanted);
  const bool within = std::all_of(scopes.begin(), scopes.end(),
                                  [&](const std::string& scope) { return contains(granted, scope); });
  if (!within || !contains(scopes, kScopeMcp))
    throw OAuthError("invalid_scope", "The scope is wider than what was granted.");
  return scopes;
}

OAuthError invalid_grant(std::string why) {
  return {"invalid_grant", std::move(why)};
}

}  // namespace

core::Task<std::optional<std::string>> AuthorizationService::grant(Consent consent, std::string request_id) {
  const auto code = make_code(consent.id, world_.random);
  const auto row = new_authorization(consent, code, world_);
  // System scope: the client's row is of no tenant.
  struct Granted {
    bool made = false, others_ended = false;
  };
  const auto granted = co_await world_.database.run(
      storage::Scope::system(), [this, row, request_id](storage::Transaction& tx) {
        if (!AuthorizationStore(world_.vault, world_.clock).insert(tx, row)) return Granted{};
        const bool others_ended = end_oldest(tx, row, {nullptr, request_id});
        ClientStore().note_use(tx, row.client_id, row.created_at, row.created_at + kClientKept);
        auto details = audit_details(row);
        details["tools"] = core::Json::parse(row.tools_json);
        if (row.key_id) details["key_id"] = row.key_id->str();
        world_.audit.append(
            tx, row.platform_id,
            browser_event("authorization.granted", row.end_user_id, row.id.str(), request_id, details));
        return Granted{true, others_ended};
      });
  if (granted.others_ended) tell(row);
  if (!granted.made) co_return std::nullopt;
  co_return answer_url(row.redirect_uri, consent.request.state, world_.issuer, {{"code", code.reveal()}});
}

core::Task<IssuedTokens> AuthorizationService::exchange(core::FormFields fields, OAuthClient client,
                                                        std::string request_id) {
  const auto grant = one_param(fields, "grant_type");
  if (!grant) throw OAuthError("invalid_request", "grant_type is missing or given twice.");
  if (*grant == "authorization_code") {
    co_return co_await of_code(std::move(fields), std::move(client), std::move(request_id));
  }
  if (*grant == "refresh_token") {
    co_return co_await of_refresh_token(std::move(fields), std::move(client), std::move(request_id));
  }
  throw OAuthError("unsupported_grant_type", "grant_type must be authorization_code or refresh_token.");
}

void AuthorizationService::end(storage::Transaction& tx, const Authorization& row, const std::string& reason,
                               const AuditContext& context) const {
  AuthorizationStore(world_.vault, world_.clock).remove(tx, row.platform_id, {}, row.id);
  tx.notify("end_user", notice_of(row));
  audit_end(tx, row, reason, context);
}

void AuthorizationService::audit_end(storage::Transaction& tx, const Authorization& row,
                                     const std::string& reason, const AuditContext& context) const {
  auto details = audit_details(row);
  details["reason"] = reason;
  world_.audit.append(tx, row.platform_id,
                      audit_event(context, "authorization.revoked", row.end_user_id, row.id.str(), details));
}

bool AuthorizationService::end_oldest(storage::Transaction& tx, const Authorization& newest,
                                      const AuditContext& context) const {
  const auto ended =
      AuthorizationStore(world_.vault, world_.clock).make_room(tx, newest.platform_id, newest.end_user_id);
  for (const auto& row : ended) audit_end(tx, row, "too_many", context);
  if (!ended.empty()) tx.notify("end_user", notice_of(newest));
  return !ended.empty();
}

void AuthorizationService::tell(const Authorization& row) const {
  if (world_.changed) world_.changed("end_user", notice_of(row));
}

AuthorizationService::Outcome AuthorizationService::redeem(storage::Transaction& tx,
                                                           const core::FormFields& fields,
                                                           const OAuthClient& client,
                                                           const std::string& request_id) const {
  const auto code = one_param(fields, "code").value_or("");
  const auto id = authorization_of_code(code);
  const AuthorizationStore store(world_.vault, world_.clock);
  auto row = id ? store.lock(tx, *id) : std::nullopt;
  const bool known = row && core::constant_time_equal(core::sha256_hex(code), row->code_hash);
  Outcome out;
  out.refused = "The code is unknown, was used, or has expired.";
  if (!known || row->client_id != client.client_id) return out;
  if (row->code_used) {
    end(tx, *row, "code_replayed", {nullptr, request_id});
    out.row = std::move(row);
    out.ended = true;
    return out;
  }
  if (row->code_expires_at <= world_.clock.now()) return out;
  const auto redirect = one_param(fields, "redirect_uri");
  if (redirect && *redirect != row->redirect_uri) {
    out.refused = "redirect_uri is not the one of the authorization request.";
    return out;
  }
  const auto verifier = one_param(fields, "code_verifier").value_or("");
  if (!is_code_verifier(verifier) ||
      !core::constant_time_equal(code_challenge_s256(verifier), row->code_challenge)) {
    out.refused = "code_verifier does not fit the code_challenge.";
    return out;
  }
  check_resource(fields, world_.resources, row->resource);
  store.use_code(tx, *row, world_.clock.now() + (row->refresh_secret ? kIdleLife : kAccessLife));
  out.refused.clear();
  out.row = std::move(row);
  return out;
}

core::Task<IssuedTokens> AuthorizationService::of_code(core::FormFields fields, OAuthClient client,
                                                       std::string request_id) {
  // System scope: the code says which tenant this is.
  const auto outcome = co_await world_.database.run(
      storage::Scope::system(), [this, fields, client, request_id](storage::Transaction& tx) {
        return redeem(tx, fields, client, request_id);
      });
  if (outcome.ended) tell(*outcome.row);
  if (!outcome.refused.empty()) {
    count_tokens("authorization_code", outcome.ended ? "replayed" : "refused");
    throw invalid_grant(outcome.refused);
  }
  count_tokens("authorization_code", "issued");
  co_return issue(outcome, outcome.row->scopes);
}

AuthorizationService::Outcome AuthorizationService::rotate(storage::Transaction& tx,
                                                           const core::FormFields& fields,
                                                           const OAuthClient& client,
                                                           const std::string& request_id) const {
  const auto parts = read_refresh_token(one_param(fields, "refresh_token").value_or(""));
  const AuthorizationStore store(world_.vault, world_.clock);
  auto row = parts ? store.lock(tx, parts->authorization_id) : std::nullopt;
  Outcome out;
  out.refused = "The refresh token is unknown, was revoked, or has expired.";
  const bool genuine = row && row->refresh_secret && is_genuine(*parts, *row->refresh_secret);
  if (!genuine || row->client_id != client.client_id || row->expires_at <= world_.clock.now()) return out;
  check_resource(fields, world_.resources, row->resource);
  narrowed_scopes(fields, row->scopes);
  const auto now = world_.clock.now();
  if (parts->generation == row->refresh_generation) {
    // Platform, end user and key may have been switched off since the last time.
    if (!store.find_live(tx, row->platform_id, row->id)) return out;
    store.note_refresh(tx, *row, now + kIdleLife);
    ClientStore().note_use(tx, row->client_id, now, now + kClientKept);
    out.generation = row->refresh_generation + 1;
  } else if (parts->generation + 1 == row->refresh_generation && row->refreshed_at &&
             now - *row->refreshed_at < kGrace) {
    out.generation = row->refresh_generation;
  } else {
    end(tx, *row, "refresh_token_reused", {nullptr, request_id});
    out.ended = true;
  }
  if (!out.ended) out.refused.clear();
  out.row = std::move(row);
  return out;
}

core::Task<IssuedTokens> AuthorizationService::of_refresh_token(core::FormFields fields, OAuthClient client,
                                                                std::string request_id) {
  // System scope: the token says which tenant this is.
  const auto outcome = co_await world_.database.run(
      storage::Scope::system(), [this, fields, client, request_id](storage::Transaction& tx) {
        return rotate(tx, fields, client, request_id);
      });
  if (outcome.ended) tell(*outcome.row);
  if (!outcome.refused.empty()) {
    count_tokens("refresh_token", outcome.ended ? "replayed" : "refused");
    throw invalid_grant(outcome.refused);
  }
  count_tokens("refresh_token", "issued");
  co_return issue(outcome, narrowed_scopes(fields, outcome.row->scopes));
}

IssuedTokens AuthorizationService::issue(const Outcome& outcome, std::vector<std::string> scopes) const {
  const auto& row = *outcome.row;
  const auto now = world_.clock.now();
  AccessTokenClaims claims{.issuer = world_.issuer,
                           .audience = row.resource,
                           .client_id = row.client_id,
                           .token_id = core::random_hex(world_.random, 16),
                           .platform_id = row.platform_id,
                           .end_user_id = row.end_user_id,
                           .authorization_id = row.id,
                           .scopes = scopes,
                           .issued_at = now,
                           .expires_at = now + kAccessLife};
  IssuedTokens out;
  out.access = core::Secret(keys_.sign(kAccessTokenType, to_payload(claims)));
  if (row.refresh_secret) out.refresh = make_refresh_token(row.id, outcome.generation, *row.refresh_secret);
  out.expires_in = kAccessLife;
  out.scopes = std::move(scopes);
  return out;
}

// One authorization for a client, an end user and a resource, however often the client comes: the end user
// sees it in the list and can end what is out.
Authorization AuthorizationService::put_direct(storage::Transaction& tx, const DirectGrant& grant,
                                               const std::string& request_id) const {
  const AuthorizationStore store(world_.vault, world_.clock);
  auto row = direct_authorization(grant, world_);
  const auto known = store.lock_direct(tx, row);
  if (known && known->issuer_id == row.issuer_id) {
    row = *known;
  } else {
    if (known) store.remove(tx, known->platform_id, {}, known->id);
    store.insert(tx, row);
    auto details = audit_details(row);
    details["how"] = grant.how;
    world_.audit.append(
        tx, row.platform_id,
        audit_event({nullptr, request_id}, "authorization.granted", row.end_user_id, row.id.str(), details));
  }
  store.use_code(tx, row, world_.clock.now() + kAccessLife);
  return row;
}

core::Task<IssuedTokens> AuthorizationService::issue_direct(DirectGrant grant, std::string request_id) {
  struct Put {
    Outcome outcome;
    bool others_ended = false;
  };
  const auto put = co_await world_.database.run(
      storage::Scope::tenant(grant.platform_id), [this, grant, request_id](storage::Transaction& tx) {
        Put out;
        const auto row = put_direct(tx, grant, request_id);
        if (!AuthorizationStore(world_.vault, world_.clock).find_live(tx, row.platform_id, row.id))
          throw invalid_grant("The end user is not active.");
        out.others_ended = end_oldest(tx, row, {nullptr, request_id});
        out.outcome.row = row;
        return out;
      });
  if (put.others_ended) tell(*put.outcome.row);
  co_return issue(put.outcome, grant.scopes);
}

core::Task<> AuthorizationService::revoke_token(std::string token, OAuthClient client,
                                                std::string request_id) {
  std::optional<core::KeyId> id;
  const auto parts = read_refresh_token(token);
  if (parts) id = parts->authorization_id;
  if (!parts && looks_like_jwt(token)) {
    const auto payload = co_await keys_.verify(std::string(kAccessTokenType), token);
    if (const auto claims = payload ? claims_of_payload(*payload) : std::nullopt)
      id = claims->authorization_id;
  }
  if (!id) co_return;
  // System scope: the token says which tenant this is.
  const auto ended = co_await world_.database.run(
      storage::Scope::system(),
      [this, id = *id, parts, client, request_id](storage::Transaction& tx) -> std::optional<Authorization> {
        auto row = AuthorizationStore(world_.vault, world_.clock).lock(tx, id);
        if (!row || row->client_id != client.client_id) return std::nullopt;
        if (parts && !(row->refresh_secret && is_genuine(*parts, *row->refresh_secret))) return std::nullopt;
        end(tx, *row, "by_client", {nullptr, request_id});
        return row;
      });
  if (ended) tell(*ended);
}

core::Task<Page<Authorization>> AuthorizationService::list(core::PlatformId platform,
                                                           core::EndUserId end_user, PageRequest page) {
  co_return co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, end_user, page](storage::Transaction& tx) {
        return AuthorizationStore(world_.vault, world_.clock).list(tx, platform, end_user, page);
      });
}

core::Task<> AuthorizationService::revoke(core::PlatformId platform, core::EndUserId end_user, core::KeyId id,
                                          AuditContext context) {
  const auto row = co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, end_user, id, context](storage::Transaction& tx) {
        auto found = AuthorizationStore(world_.vault, world_.clock).remove(tx, platform, end_user, id);
        if (!found) throw core::not_found("There is no such authorization.");
        tx.notify("end_user", notice_of(*found));
        audit_end(tx, *found, "by_end_user", context);
        return *found;
      });
  tell(row);
}

}  // namespace assistiv::oauth
