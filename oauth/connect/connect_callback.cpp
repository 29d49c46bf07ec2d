#include "oauth/connect/connect_callback.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/log.h"
#include "core/url_text.h"
#include "oauth/connect/app_store.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/connection_store.h"
#include "oauth/connect/credential_store.h"
#include "oauth/connect/platform_facts.h"
#include "oauth/connect/provider_client.h"
#include "oauth/connect/return_url.h"
#include "oauth/connect/revocation_queue.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kCodeMax = 4096;
constexpr std::chrono::minutes kConfirmationLife{10};

std::size_t count_param(const core::FormFields& query, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(query.begin(), query.end(), [&](const auto& field) { return field.first == name; }));
}

// RFC 9207: who the answer says it is from must be whom we asked. Without a declared issuer the origin must
// do.
bool issuer_matches(const ConnectorSpec& spec, const Values& vars, const core::FormFields& query) {
  if (count_param(query, "iss") == 0) return !spec.oauth.issuer_required;
  const auto issuer = single_param(query, "iss");
  if (!issuer) return false;
  if (!spec.oauth.issuer.empty()) return *issuer == spec.oauth.issuer;
  const auto origin = core::url_origin(spec.oauth.authorize_url.expand(spec.with_fallbacks(vars)));
  return *issuer == origin || issuer->starts_with(origin + "/");
}

// Whether what the callback says twice is the same both times. Its values come from tables; this keeps the
// other spelling of the same thing (a URL beside a short name) from meaning something else.
bool is_confirmed(const ConnectorSpec& spec, const Values& values, const core::FormFields& query) {
  for (const auto& var : spec.vars) {
    for (const auto& [param, text] : var.confirm) {
      if (count_param(query, param) == 0) continue;
      if (single_param(query, param) != text.expand(values, Escape::None)) return false;
    }
  }
  return true;
}

// What the callback itself tells of the connection; empty when it tells nonsense.
std::optional<Values> callback_vars(const ConnectorSpec& spec, Values known, const core::FormFields& query) {
  Values out;
  for (const auto& var : spec.vars) {
    if (var.source != SpecVar::Source::Callback) continue;
    if (count_param(query, var.from) == 0 && var.fallback) continue;
    const auto value = single_param(query, var.from);
    const auto accepted = value ? var.accept(*value) : std::nullopt;
    if (!accepted) return {};
    out.insert(accepted->begin(), accepted->end());
  }
  known.insert(out.begin(), out.end());
  return is_confirmed(spec, spec.with_fallbacks(known), query) ? std::optional(out) : std::nullopt;
}

bool knows_all(const ConnectorSpec& spec, const Values& values) {
  return std::all_of(spec.vars.begin(), spec.vars.end(),
                     [&](const SpecVar& var) { return var.fallback || values.contains(var.name); });
}

std::vector<std::string> granted_scopes(const ConnectorSpec& spec, const FlowRow& flow,
                                        const TokenReply& reply) {
  // RFC 6749 section 5.1: no scope in the answer means all that was asked for.
  std::vector<std::string> out;
  bool said = false;
  for (const auto& [slot, tokens] : reply.slots) {
    if (!tokens.scopes) continue;
    said = true;
    const auto& also = spec.oauth.scope.also;
    const auto list = std::find_if(also.begin(), also.end(), [&name = slot](const ScopeList& candidate) {
      return candidate.slot == name;
    });
    for (const auto& scope : *tokens.scopes) {
      auto ours = (list == also.end() ? "" : list->prefix) + scope;
      if (std::find(out.begin(), out.end(), ours) == out.end()) out.push_back(std::move(ours));
    }
  }
  if (!said && !spec.oauth.scope.param.empty()) return flow.scopes;
  return out;
}

// The tokens of the connection before it was repaired. A rotating refresh token is left alone: presenting an
// old one may end the new grant too.
GrantRecord replaced_tokens(const ConnectorSpec& spec, const CredentialStore& credentials,
                            const Connection& connection, const std::string& client_id, core::Time now,
                            const std::vector<CredentialState>& states, const GrantRecord& fresh) {
  GrantRecord old;
  old.app = connection.app;
  old.client_id = client_id;
  old.account_id = connection.account_id;
  old.vars = connection.vars;
  for (const auto& state : states) {
    const auto next = fresh.slots.find(state.slot);
    LiveToken token;
    token.access = credentials.open_access(state);
    token.expires_at = state.expires_at;
    if (spec.oauth.refresh.mode == RefreshMode::Static) token.refresh = credentials.open_refresh(state);
    const bool same_access =
        next != fresh.slots.end() && next->second.access.reveal() == token.access.reveal();
    const bool same_refresh = next != fresh.slots.end() && token.refresh && next->second.refresh &&
                              token.refresh->reveal() == next->second.refresh->reveal();
    const bool dead = token.expires_at && *token.expires_at <= now && !token.refresh;
    if (!same_access && !same_refresh && !dead && state.client_id == client_id) old.slots[state.slot] = token;
  }
  return old;
}

}  // namespace

std::optional<std::string> single_param(const core::FormFields& query, std::string_view name) {
  if (count_param(query, name) != 1) return {};
  return std::find_if(query.begin(), query.end(), [&](const auto& field) { return field.first == name; })
      ->second;
}

ClaimedFlow judge_callback(const CallbackRequest& request, const std::optional<FlowRow>& flow,
                           const ConnectorPtr& spec, const std::string& public_url, core::Time now) {
  ClaimedFlow out;
  out.spec = spec;
  out.fault = FlowReason::InvalidState;
  if (!flow) return out;
  out.flow = *flow;
  // The platform was told how this flow ended when it ended: a second, contrary word would be wrong.
  if (flow->status != FlowStatus::Started) {
    out.fault = FlowReason::AlreadyUsed;
    return out;
  }
  if (!core::constant_time_equal(core::sha256_hex(request.cookie), flow->cookie_hash)) {
    out.fault = FlowReason::WrongBrowser;
    return out;
  }
  const auto path = public_url + "/oauth/callback" + (request.app ? "/" + *request.app : "");
  if (spec == nullptr || path != flow->redirect_uri || !issuer_matches(*spec, flow->vars, request.query))
    return out;
  out.trusted = true;
  out.fault.reset();
  if (flow->expires_at <= now) {
    out.fault = FlowReason::Expired;
  } else if (count_param(request.query, "error") > 0) {
    const bool denied = single_param(request.query, "error") == "access_denied";
    out.fault = denied ? FlowReason::AccessDenied : FlowReason::ProviderError;
  } else {
    const auto code = single_param(request.query, "code");
    if (!code || code->empty() || code->size() > kCodeMax) out.fault = FlowReason::ProviderError;
  }
  return out;
}

struct ConnectFlow::Obtained {
  std::optional<FlowReason> fault;
  GrantRecord grant;
};

namespace {

CallbackOutcome outcome_of(const ClaimedFlow& claimed, std::optional<FlowReason> fault) {
  CallbackOutcome out;
  out.fault = fault;
  out.app = claimed.flow.app;
  if (claimed.spec != nullptr) out.app_title = claimed.spec->title;
  if (fault && claimed.trusted && claimed.flow.return_url) {
    out.redirect_to =
        with_query(*claimed.flow.return_url,
                   {{"status", "error"}, {"app", out.app}, {"reason", std::string(flow_reason(*fault))}});
  }
  return out;
}

// False when the token response named a place that its table does not have: then nobody is asked anything.
bool knows_where_to_ask(const ConnectorSpec& spec, const Values& values) {
  return std::all_of(spec.vars.begin(), spec.vars.end(), [&](const SpecVar& var) {
    const bool later = var.source == SpecVar::Source::Lookup || var.source == SpecVar::Source::Identity;
    return later || var.fallback || values.contains(var.name);
  });
}

// Who the token belongs to, with what the API tells of it besides. Each question is asked twice: a hiccup
// here would throw a good authorization away.
core::Task<Identity> find_account(ProviderClient* provider, const ConnectorSpec* spec, Values vars,
                                  core::Secret access) {
  std::optional<Values> found;
  if (!knows_where_to_ask(*spec, vars)) co_return Identity();
  if (!spec->oauth.lookup) found.emplace();
  for (int i = 0; i < 2 && !found; ++i) {
    found = co_await provider->look_up(spec, spec->with_fallbacks(vars), access);
  }
  Identity identity;
  if (!found) co_return identity;
  vars.insert(found->begin(), found->end());
  for (int i = 0; i < 2 && !identity.ok; ++i) {
    identity = co_await provider->identify(spec, spec->with_fallbacks(vars), access);
  }
  identity.vars.insert(found->begin(), found->end());
  co_return identity;
}

std::string connected_url(const std::string& return_url, const std::string& app, core::ConnectionId id) {
  return with_query(return_url, {{"status", "connected"}, {"app", app}, {"connection_id", id.str()}});
}

}  // namespace

core::Task<ConnectFlow::Obtained> ConnectFlow::obtain(ClaimedFlow claimed, CallbackRequest request,
                                                      ClientCredentials client) {
  const auto& flow = claimed.flow;
  const ConnectorSpec* spec = claimed.spec.get();
  auto vars = flow.vars;
  auto from_callback = callback_vars(*spec, vars, request.query);
  if (!from_callback) co_return Obtained{FlowReason::ProviderError, {}};
  vars.merge(*from_callback);
  const auto known = spec->with_fallbacks(vars);
  const core::Secret code(single_param(request.query, "code").value_or(""));
  const auto reply =
      co_await provider_.exchange(spec, known, client, code, flow.redirect_uri, flow.code_verifier);
  if (reply.kind != TokenReplyKind::Ok) {
    core::log::warn("connect.exchange_failed", {{"app", flow.app}, {"error", reply.code}});
    co_return Obtained{FlowReason::ExchangeFailed, {}};
  }
  Obtained out;
  auto& grant = out.grant;
  grant.app = flow.app;
  grant.client_id = flow.client_id;
  grant.scopes = granted_scopes(*spec, flow, reply);
  for (const auto& [slot, tokens] : reply.slots) grant.slots[slot] = live_token(tokens, world_.clock.now());
  vars.insert(reply.vars.begin(), reply.vars.end());
  const auto probe = grant.slots.find(spec->oauth.identity.slot);
  Identity identity;
  if (probe != grant.slots.end()) {
    identity = co_await find_account(&provider_, spec, vars, probe->second.access);
  }
  vars.insert(identity.vars.begin(), identity.vars.end());
  grant.vars = spec->with_fallbacks(vars);
  grant.account_id = identity.id;
  grant.account_label = identity.label;
  if (!identity.ok || !knows_all(*spec, vars)) out.fault = FlowReason::IdentityFailed;
  co_return out;
}

core::ConnectionId ConnectFlow::save(storage::Transaction& tx, const FlowRow& flow, const GrantRecord& grant,
                                     const AuditContext& context) const {
  const ConnectionStore connections(world_.clock, world_.random);
  const CredentialStore credentials(world_.vault, world_.clock, world_.random);
  const auto saved = connections.save(tx, flow.platform_id, flow.end_user_id, grant, flow.label);
  if (!saved.created) {
    const auto connection = connections.get(tx, flow.platform_id, saved.id);
    const auto states = credentials.lock_all(tx, flow.platform_id, saved.id);
    // Only where one token can be revoked alone: the whole grant is in use again.
    const auto spec = world_.registry.find_in(tx, flow.platform_id, flow.app);
    if (spec != nullptr && spec->oauth.revoke.token) {
      revocations_.put_grant(tx, flow.platform_id,
                             replaced_tokens(*spec, credentials, *connection, grant.client_id,
                                             world_.clock.now(), states, grant));
    }
  }
  credentials.replace(tx, flow.platform_id, saved.id, grant.slots);
  const std::string event = saved.created ? "connection.created" : "connection.reconnected";
  const auto details = with_link_maker(
      flow.created_by, {{"app", flow.app}, {"account", grant.account_label}, {"scopes", grant.scopes}});
  world_.audit.append(
      tx, flow.platform_id,
      context.actor ? audit_event(context, event, flow.end_user_id, saved.id.str(), details)
                    : browser_event(event, flow.end_user_id, saved.id.str(), context.request_id, details));
  tx.notify("connection", flow.platform_id.str() + "/" + flow.end_user_id.str());
  return saved.id;
}

void ConnectFlow::record_failure(storage::Transaction& tx, const FlowRow& flow, FlowReason reason,
                                 const std::string& request_id) const {
  const core::Json details = {{"app", flow.app}, {"reason", flow_reason(reason)}};
  world_.audit.append(tx, flow.platform_id,
                      browser_event("connect.failed", flow.end_user_id, flow.id.str(), request_id,
                                    with_link_maker(flow.created_by, details)));
}

// Once for each flow: it goes on, and anybody who has its state can call.
void ConnectFlow::record_refusal(storage::Transaction& tx, const FlowRow& flow,
                                 const std::string& request_id) const {
  const core::Json details = {{"app", flow.app}, {"reason", flow_reason(FlowReason::WrongBrowser)}};
  world_.audit.append(tx, flow.platform_id,
                      browser_event("connect.refused", flow.end_user_id, flow.id.str(), request_id,
                                    with_link_maker(flow.created_by, details)));
}

namespace {

// Whether the flow may still become a connection, with the app's row held so that nobody deactivates it
// meanwhile.
std::optional<FlowReason> settle_fault(const ConnectWorld& world, storage::Transaction& tx,
                                       const FlowRow& flow, const GrantRecord& grant) {
  const auto app = AppStore(world.vault).lock(tx, flow.platform_id, flow.app);
  const bool alive = app && app->app.is_active && app->app.client_id == flow.client_id &&
                     platform_facts(tx, flow.platform_id, flow.end_user_id);
  if (!alive) return FlowReason::Expired;
  if (!flow.connection_id) return {};
  const auto wanted =
      ConnectionStore(world.clock, world.random).get(tx, flow.platform_id, *flow.connection_id);
  const bool same =
      wanted && wanted->account_id == grant.account_id && wanted->end_user_id == flow.end_user_id;
  return same ? std::nullopt : std::optional(FlowReason::AccountMismatch);
}

}  // namespace

core::Task<CallbackOutcome> ConnectFlow::settle(ClaimedFlow claimed, GrantRecord grant,
                                                std::optional<std::string> verifier_url,
                                                std::string request_id) {
  struct Settled {
    std::optional<FlowReason> fault;
    std::optional<core::ConnectionId> id;
  };
  const auto& flow = claimed.flow;
  const auto settled = co_await world_.database.run(
      storage::Scope::tenant(flow.platform_id),
      [this, flow, grant, verify = verifier_url.has_value(),
       request_id](storage::Transaction& tx) -> Settled {
        const FlowStore flows(world_.vault, world_.clock);
        const auto fault = settle_fault(world_, tx, flow, grant);
        if (fault) {
          revocations_.put_grant(tx, flow.platform_id, grant);
          if (flows.finish(tx, flow.platform_id, flow.id)) record_failure(tx, flow, *fault, request_id);
          return {fault, {}};
        }
        if (verify) {
          flows.await_confirmation(tx, flow, grant, world_.clock.now() + kConfirmationLife);
          return {};
        }
        flows.finish(tx, flow.platform_id, flow.id);
        return {{}, save(tx, flow, grant, {nullptr, request_id})};
      });
  auto out = outcome_of(claimed, settled.fault);
  if (settled.fault) co_return out;
  out.connection_id = settled.id;
  if (settled.id) {
    announce_connection(world_, flow.platform_id, flow.end_user_id);
    if (flow.return_url) out.redirect_to = connected_url(*flow.return_url, flow.app, *settled.id);
  } else {
    out.awaiting_confirmation = true;
    out.flow_id = flow.id;
    out.redirect_to = with_query(*verifier_url, {{"flow_id", flow.id.str()}, {"app", flow.app}});
  }
  co_return out;
}

core::Task<> ConnectFlow::discard(FlowRow flow, GrantRecord grant, FlowReason reason,
                                  std::string request_id) {
  co_await world_.database.run(
      storage::Scope::tenant(flow.platform_id),
      [this, flow, grant, reason, request_id](storage::Transaction& tx) {
        revocations_.put_grant(tx, flow.platform_id, grant);
        const bool there = FlowStore(world_.vault, world_.clock).finish(tx, flow.platform_id, flow.id);
        if (there) record_failure(tx, flow, reason, request_id);
      });
}

// What a callback needs of the database.
struct ConnectFlow::Claim {
  ClaimedFlow claimed;
  std::optional<PlatformFacts> facts;
  std::optional<AppRow> app;
};

// The state is all that the browser brings: the row it names says which tenant this is. It is consumed here,
// before anything is asked of the provider.
ConnectFlow::Claim ConnectFlow::claim(storage::Transaction& tx, const CallbackRequest& request,
                                      const std::string& state) const {
  const FlowStore flows(world_.vault, world_.clock);
  const auto flow = flows.consume_flow(tx, state, core::sha256_hex(request.cookie));
  const auto spec = flow ? world_.registry.find_in(tx, flow->platform_id, flow->app) : nullptr;
  Claim out;
  auto& fault = out.claimed.fault;
  out.claimed = judge_callback(request, flow, spec, world_.public_url, world_.clock.now());
  if (!fault) {
    out.facts = platform_facts(tx, flow->platform_id, flow->end_user_id);
    out.app = AppStore(world_.vault).get(tx, flow->platform_id, flow->app);
    const bool alive =
        out.facts && out.app && out.app->app.is_active && out.app->app.client_id == flow->client_id;
    if (!alive) {
      fault = FlowReason::Expired;
    } else if (out.facts->verifier_url && !return_url_fault(*out.facts->verifier_url).empty()) {
      // Fail closed: without the verifier the platform's rule would be skipped.
      core::log::error("connect.verifier_url_invalid", {{"platform_id", flow->platform_id.str()}});
      fault = FlowReason::ProviderError;
    }
  }
  // A state that is replayed leaves no second entry: anybody may send it any number of times.
  if (fault == FlowReason::WrongBrowser) {
    if (flows.note_refusal(tx, *flow)) record_refusal(tx, *flow, request.request_id);
  } else if (fault && flow && fault != FlowReason::AlreadyUsed) {
    record_failure(tx, *flow, *fault, request.request_id);
  }
  return out;
}

core::Task<CallbackOutcome> ConnectFlow::finish(CallbackRequest request) {
  const auto state = single_param(request.query, "state");
  if (!state) co_return outcome_of({}, FlowReason::InvalidState);
  const auto found = co_await world_.database.run(
      storage::Scope::system(),
      [this, request, state](storage::Transaction& tx) { return claim(tx, request, *state); });
  const auto& claimed = found.claimed;
  if (claimed.fault) co_return outcome_of(claimed, claimed.fault);
  const auto client = AppStore(world_.vault).open(claimed.flow.platform_id, *found.app);
  const auto obtained = co_await obtain(claimed, request, client);
  if (obtained.fault) {
    co_await discard(claimed.flow, obtained.grant, *obtained.fault, request.request_id);
    co_return outcome_of(claimed, obtained.fault);
  }
  co_return co_await settle(claimed, obtained.grant, found.facts->verifier_url, request.request_id);
}

core::Task<ConfirmedFlow> ConnectFlow::confirm(core::PlatformId platform, core::FlowId flow_id,
                                               core::EndUserId end_user, AuditContext context) {
  struct Decision {
    std::optional<FlowReason> fault;
    bool foreign = false;
    ConfirmedFlow confirmed;
  };
  const auto decision = co_await world_.database.run(
      storage::Scope::tenant(platform),
      [this, platform, flow_id, end_user, context](storage::Transaction& tx) -> Decision {
        const FlowStore flows(world_.vault, world_.clock);
        const auto flow = flows.lock_waiting(tx, platform, flow_id);
        if (!flow || flow->expires_at <= world_.clock.now()) {
          throw core::not_found("There is no such flow that waits for confirmation.");
        }
        const auto grant = flows.open_outcome(*flow);
        flows.finish(tx, platform, flow_id);
        Decision out;
        out.foreign = flow->end_user_id != end_user;
        out.fault = settle_fault(world_, tx, *flow, grant);
        if (out.foreign || out.fault) {
          revocations_.put_grant(tx, platform, grant);
          const std::string reason = out.foreign ? "end_user_mismatch" : std::string(flow_reason(*out.fault));
          world_.audit.append(tx, platform, flow_failed(context, *flow, reason));
          return out;
        }
        out.confirmed.app = flow->app;
        out.confirmed.connection_id = save(tx, *flow, grant, context);
        if (flow->return_url) {
          out.confirmed.return_url = connected_url(*flow->return_url, flow->app, out.confirmed.connection_id);
        }
        return out;
      });
  if (decision.foreign) {
    throw core::forbidden("This flow was started for another end user. It is discarded; start again.")
        .with_code("end_user_mismatch");
  }
  if (decision.fault) {
    throw core::conflict("This flow cannot become a connection (" +
                         std::string(flow_reason(*decision.fault)) + "). It is discarded; start again.")
        .with_code(std::string(flow_reason(*decision.fault)));
  }
  announce_connection(world_, platform, end_user);
  co_return decision.confirmed;
}

}  // namespace assistiv::oauth
