#include "oauth/connect/token_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/async.h"
#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"
#include "oauth/connect/app_store.h"
#include "oauth/connect/circuit_breaker.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/connection_store.h"
#include "oauth/connect/credential_store.h"
#include "oauth/connect/provider_client.h"
#include "oauth/connect/revocation_queue.h"
#include "oauth/connect/token_cache.h"
#include "oauth/connect/token_flights.h"
#include "oauth/connect/token_rules.h"
#include "oauth/identity/audit_context.h"

namespace assistiv::oauth {

namespace {

constexpr int kRoundsMax = 500;  // of one call; each one waits or follows a change
constexpr int kCommitsMax = 3;

struct TokenAsk {
  core::PlatformId platform;
  core::ConnectionId connection;
  std::string slot;
  TokenDemand demand;
};

struct LoadedCredential {
  std::optional<CredentialState> state;
  std::optional<AppRow> app;
};

struct RefreshAttempt {
  TokenReply reply;
  core::Secret used;  // the refresh token that got the reply
  bool outcome_unknown = false;
};

enum class CommitResult { Committed, Moved };

TokenAnswer retry_later(core::Time now, std::optional<core::Time> when) {
  TokenAnswer out;
  out.status = TokenStatus::RetryLater;
  const auto wait =
      when && *when > now ? std::chrono::ceil<std::chrono::seconds>(*when - now) : std::chrono::seconds(1);
  out.retry_after = std::max(wait, std::chrono::seconds(1));
  return out;
}

TokenAnswer only_status(TokenStatus status) {
  TokenAnswer out;
  out.status = status;
  return out;
}

void count_refresh(const std::string& app, std::string_view result) {
  core::metrics::counter("assistiv_token_refreshes_total", "Token refreshes by app and result.",
                         {{"app", app}, {"result", std::string(result)}})
      .add();
}

// The same id of two platforms' own apps means two providers.
std::string breaker_name(const CredentialState& state) {
  return is_own_app(state.app) ? state.platform_id.str() + "/" + state.app : state.app;
}

std::string_view result_word(TokenReplyKind kind) {
  switch (kind) {
    case TokenReplyKind::Ok:
      return "ok";
    case TokenReplyKind::Permanent:
      return "permanent";
    case TokenReplyKind::Config:
      return "config";
    case TokenReplyKind::Throttled:
      return "throttled";
    case TokenReplyKind::Transient:
      return "transient";
    case TokenReplyKind::Unknown:
      return "unknown";
  }
  return "unknown";
}

}  // namespace

struct TokenService::Impl {
  Impl(ConnectWorld& w, ProviderClient& p, RevocationQueue& r, TokenServiceOptions o)
      : world(w),
        provider(p),
        revocations(r),
        options(o),
        credentials(w.vault, w.clock, w.random),
        cache(o.cached_max),
        breaker(o.breaker_failures, o.breaker_open) {}

  ConnectWorld& world;
  ProviderClient& provider;
  RevocationQueue& revocations;
  TokenServiceOptions options;
  CredentialStore credentials;
  TokenCache cache;
  TokenFlights flights;
  CircuitBreaker breaker;

  core::Task<TokenAnswer> obtain(TokenAsk ask);
  core::Task<TokenAnswer> resolve(TokenAsk ask);
  core::Task<LoadedCredential> load(TokenAsk ask);
  core::Task<std::optional<TokenAnswer>> refresh(TokenAsk ask, CredentialState state, AppRow app);
  core::Task<RefreshAttempt> attempt(CredentialState state, ClientCredentials client, RefreshLease lease);
  core::Task<std::optional<TokenAnswer>> accept(CredentialState state, RefreshLease lease,
                                                RefreshAttempt attempt);
  core::Task<TokenAnswer> put_off(TokenAsk ask, CredentialState state, RefreshLease lease,
                                  RefreshAttempt attempt);
  core::Task<CommitResult> commit(CredentialState state, RefreshLease lease, LiveToken token,
                                  core::Secret used);
  CommitResult commit_in(storage::Transaction& tx, const CredentialState& state, const RefreshLease& lease,
                         const LiveToken& token, const core::Secret& used) const;
  core::Task<bool> end_grant(CredentialState state, std::string reason);
  TokenAnswer ready(const CredentialState& state) const;
  TokenAnswer fallback(const TokenAsk& ask, const CredentialState& state, TokenAnswer otherwise) const;
  void keep(const CredentialState& state, const ConnectorSpec& spec, const TokenAnswer& answer,
            std::uint64_t epoch);
};

TokenService::TokenService(ConnectWorld& world, ProviderClient& provider, RevocationQueue& revocations,
                           TokenServiceOptions options)
    : impl_(std::make_shared<Impl>(world, provider, revocations, options)) {}
TokenService::~TokenService() = default;

TokenAnswer TokenService::Impl::ready(const CredentialState& state) const {
  TokenAnswer out;
  out.status = TokenStatus::Ready;
  out.token = credentials.open_access(state);
  out.version = state.version;
  out.expires_at = state.expires_at;
  out.vars = std::make_shared<const Values>(state.vars);
  return out;
}

// While no new token is to be had, the old one as long as it lives and was not refused.
TokenAnswer TokenService::Impl::fallback(const TokenAsk& ask, const CredentialState& state,
                                         TokenAnswer otherwise) const {
  const bool good = is_usable(state, world.clock.now()) && is_answer(ask.demand, state.version);
  return good ? ready(state) : std::move(otherwise);
}

void TokenService::Impl::keep(const CredentialState& state, const ConnectorSpec& spec,
                              const TokenAnswer& answer, std::uint64_t epoch) {
  cache.put(state.connection_id, state.slot,
            {state.platform_id, state.end_user_id, state.app, answer, fresh_until(state, spec)}, epoch);
}

core::Task<TokenAnswer> TokenService::Impl::obtain(TokenAsk ask) {
  const std::string key = ask.platform.str() + "/" + ask.connection.str() + "/" + ask.slot;
  constexpr int kFlightsMax = 3;
  for (int i = 0; i < kFlightsMax; ++i) {
    const auto cached = cache.get(ask.platform, ask.connection, ask.slot, world.clock.now());
    const bool wanted = ask.demand.why != TokenDemand::Why::Idle;
    if (cached && wanted && is_answer(ask.demand, cached->version)) co_return *cached;
    const auto [flight, leads] = flights.join(key);
    if (!leads) {
      auto answer = co_await TokenFlights::wait(flight);
      if (answer.status != TokenStatus::Ready || is_answer(ask.demand, answer.version)) co_return answer;
      continue;
    }
    std::optional<TokenAnswer> answer;
    std::exception_ptr error;
    try {
      answer = co_await resolve(ask);
    } catch (...) {
      error = std::current_exception();
    }
    flights.land(key, flight, answer, error);
    if (error) std::rethrow_exception(error);
    co_return *answer;
  }
  co_return retry_later(world.clock.now(), {});
}

core::Task<LoadedCredential> TokenService::Impl::load(TokenAsk ask) {
  co_return co_await world.database.run(
      storage::Scope::tenant(ask.platform), [this, ask](storage::Transaction& tx) {
        LoadedCredential out;
        out.state = credentials.get(tx, ask.platform, ask.connection, ask.slot);
        if (out.state) out.app = AppStore(world.vault).get(tx, ask.platform, out.state->app);
        return out;
      });
}

core::Task<TokenAnswer> TokenService::Impl::resolve(TokenAsk ask) {
  std::chrono::milliseconds waited{0}, pause{50};
  for (int round = 0; round < kRoundsMax; ++round) {
    const auto epoch = cache.epoch();
    const auto loaded = co_await load(ask);
    if (!loaded.state || !loaded.app) co_return only_status(TokenStatus::NotConnected);
    const auto spec = co_await world.registry.find(ask.platform, loaded.state->app);
    if (spec == nullptr) co_return only_status(TokenStatus::Misconfigured);
    const auto& state = *loaded.state;
    const auto now = world.clock.now();
    const auto decision = decide(state, *spec, loaded.app->app.client_id, ask.demand, now);
    switch (decision.step) {
      case TokenStep::NotConnected:
        co_return only_status(TokenStatus::NotConnected);
      case TokenStep::NeedsReauth:
        co_return only_status(TokenStatus::NeedsReauth);
      case TokenStep::Wait:
        co_return retry_later(now, decision.retry_at);
      case TokenStep::Use: {
        auto answer = ready(state);
        keep(state, *spec, answer, epoch);
        co_return answer;
      }
      case TokenStep::EndGrant:
        if (co_await end_grant(state, decision.reason)) co_return only_status(TokenStatus::NeedsReauth);
        continue;
      case TokenStep::Refresh:
        break;
    }
    if (const auto wait = breaker.blocked(breaker_name(state), state.client_id, now)) {
      co_return fallback(ask, state, retry_later(now, now + *wait));
    }
    auto answer = co_await refresh(ask, state, *loaded.app);
    if (answer) co_return *answer;
    // Somebody else refreshes, or has just done so.
    auto meanwhile = fallback(ask, state, only_status(TokenStatus::RetryLater));
    if (meanwhile.status == TokenStatus::Ready) co_return meanwhile;
    if (waited >= options.wait_max) break;
    co_await core::sleep_for(pause);
    waited += pause;
    pause = std::min<std::chrono::milliseconds>(pause * 2, std::chrono::milliseconds(400));
  }
  co_return retry_later(world.clock.now(), {});
}

// Empty: the lease is somebody else's, or the row moved on. Look again.
core::Task<std::optional<TokenAnswer>> TokenService::Impl::refresh(TokenAsk ask, CredentialState state,
                                                                   AppRow app) {
  const auto lease = co_await world.database.run(
      storage::Scope::tenant(state.platform_id),
      [this, state](storage::Transaction& tx) { return credentials.take_lease(tx, state, options.lease); });
  if (!lease) co_return std::nullopt;
  const auto client = AppStore(world.vault).open(state.platform_id, app);
  const auto tried = co_await attempt(state, client, *lease);
  count_refresh(is_own_app(state.app) ? "own" : state.app, result_word(tried.reply.kind));
  if (tried.reply.kind == TokenReplyKind::Ok) co_return co_await accept(state, *lease, tried);
  core::log::warn("token.refresh_failed", {{"app", state.app},
                                           {"platform_id", state.platform_id.str()},
                                           {"connection_id", state.connection_id.str()},
                                           {"result", result_word(tried.reply.kind)},
                                           {"error", tried.reply.code}});
  if (tried.reply.kind != TokenReplyKind::Permanent) co_return co_await put_off(ask, state, *lease, tried);
  breaker.succeeded(breaker_name(state), state.client_id);
  if (!co_await end_grant(state, "refused_by_provider")) co_return std::nullopt;
  co_return only_status(TokenStatus::NeedsReauth);
}

// When the provider may have used up the refresh token without our hearing of it: once more with the same one
// (providers with a grace period answer again), then with the one before (some only retire a token when its
// successor is first used).
core::Task<RefreshAttempt> TokenService::Impl::attempt(CredentialState state, ClientCredentials client,
                                                       RefreshLease lease) {
  const auto connector = co_await world.registry.find(state.platform_id, state.app);
  const auto timeout = options.exchange_timeout;
  RefreshAttempt out;
  // Gone since the look before the lease: try again later.
  if (connector == nullptr) co_return out;
  const ConnectorSpec* spec = connector.get();
  out.used = credentials.open_refresh(state).value_or(core::Secret());
  out.outcome_unknown = lease.outcome_unknown;
  const auto vars = spec->with_fallbacks(state.vars);
  out.reply = co_await provider.refresh(spec, vars, client, state.slot, out.used, timeout);
  if (out.reply.kind == TokenReplyKind::Unknown) {
    out.outcome_unknown = true;
    out.reply = co_await provider.refresh(spec, vars, client, state.slot, out.used, timeout);
  }
  const auto previous = credentials.open_previous(state);
  if (out.reply.kind == TokenReplyKind::Permanent && out.outcome_unknown && previous) {
    out.used = *previous;
    out.reply = co_await provider.refresh(spec, vars, client, state.slot, *previous, timeout);
  }
  co_return out;
}

core::Task<std::optional<TokenAnswer>> TokenService::Impl::accept(CredentialState state, RefreshLease lease,
                                                                  RefreshAttempt attempt) {
  breaker.succeeded(breaker_name(state), state.client_id);
  const auto received = world.clock.now();
  const auto token = live_token(attempt.reply.slots.at(state.slot), received);
  // The old token may be dead from now on: nobody on this node shall find it.
  cache.drop(state.connection_id, state.slot);
  if (co_await commit(state, lease, token, attempt.used) == CommitResult::Moved) co_return std::nullopt;
  announce_connection(world, state.platform_id, state.end_user_id);
  TokenAnswer answer;
  answer.status = TokenStatus::Ready;
  answer.token = token.access;
  answer.version = state.version + 1;
  answer.expires_at = token.expires_at;
  answer.vars = std::make_shared<const Values>(state.vars);
  co_return answer;
}

core::Task<TokenAnswer> TokenService::Impl::put_off(TokenAsk ask, CredentialState state, RefreshLease lease,
                                                    RefreshAttempt attempt) {
  const auto now = world.clock.now();
  breaker.failed(breaker_name(state), state.client_id, now);
  const bool unknown = attempt.outcome_unknown || attempt.reply.kind == TokenReplyKind::Unknown;
  const RefreshFailure failure{unknown, now + refresh_backoff(state.failures + 1, attempt.reply.retry_after)};
  co_await world.database.run(storage::Scope::tenant(state.platform_id),
                              [this, state, lease, failure](storage::Transaction& tx) {
                                credentials.release(tx, state, lease, failure);
                              });
  if (attempt.reply.kind == TokenReplyKind::Config) {
    co_return fallback(ask, state, only_status(TokenStatus::Misconfigured));
  }
  co_return fallback(ask, state, retry_later(now, failure.retry_at));
}

CommitResult TokenService::Impl::commit_in(storage::Transaction& tx, const CredentialState& state,
                                           const RefreshLease& lease, const LiveToken& token,
                                           const core::Secret& used) const {
  if (credentials.commit_refresh(tx, state, lease, token, used)) {
    world.audit.append(
        tx, state.platform_id,
        audit_event({}, "connection.refreshed", state.end_user_id, state.connection_id.str(),
                    {{"app", state.app}, {"slot", state.slot}, {"version", state.version + 1}}));
    tx.notify("connection", state.platform_id.str() + "/" + state.end_user_id.str());
    return CommitResult::Committed;
  }
  const auto current = credentials.get(tx, state.platform_id, state.connection_id, state.slot);
  // An earlier commit of ours whose confirmation was lost.
  if (current && current->written_by == lease.owner) return CommitResult::Committed;
  // Disconnected or connected anew meanwhile: these tokens have no home and must not live on.
  GrantRecord orphan;
  orphan.app = state.app;
  orphan.client_id = state.client_id;
  orphan.account_id = state.account_id;
  orphan.vars = state.vars;
  orphan.slots[state.slot] = token;
  revocations.put_grant(tx, state.platform_id, orphan);
  return CommitResult::Moved;
}

core::Task<CommitResult> TokenService::Impl::commit(CredentialState state, RefreshLease lease,
                                                    LiveToken token, core::Secret used) {
  // The only copy of the new tokens is in our hands: a database that stumbles gets some more chances.
  std::exception_ptr error;
  for (int i = 0; i < kCommitsMax; ++i) {
    if (i > 0) co_await core::sleep_for(std::chrono::milliseconds(250 * i));
    try {
      co_return co_await world.database.run(storage::Scope::tenant(state.platform_id),
                                            [this, state, lease, token, used](storage::Transaction& tx) {
                                              return commit_in(tx, state, lease, token, used);
                                            });
    } catch (const core::Error& failure) {
      error = std::current_exception();
      if (failure.kind() != core::ErrorKind::Unavailable) break;
    }
  }
  core::log::error("token.commit_failed", {{"app", state.app}, {"connection_id", state.connection_id.str()}});
  std::rethrow_exception(error);
}

// False when the credential has changed since: then the verdict is about a token that is gone.
core::Task<bool> TokenService::Impl::end_grant(CredentialState state, std::string reason) {
  const bool ended = co_await world.database.run(
      storage::Scope::tenant(state.platform_id), [this, state, reason](storage::Transaction& tx) {
        const ConnectionStore connections(world.clock, world.random);
        const auto connection = connections.lock(tx, state.platform_id, state.connection_id);
        const auto current = credentials.get(tx, state.platform_id, state.connection_id, state.slot);
        if (!connection || !current || current->version != state.version) return false;
        if (connection->status != ConnectionStatus::Active) return true;
        connections.set_status(tx, state.platform_id, state.connection_id, ConnectionStatus::NeedsReauth,
                               reason);
        world.audit.append(tx, state.platform_id,
                           audit_event({}, "connection.needs_reauth", state.end_user_id,
                                       state.connection_id.str(), {{"app", state.app}, {"reason", reason}}));
        tx.notify("connection", state.platform_id.str() + "/" + state.end_user_id.str());
        return true;
      });
  if (ended) {
    cache.drop(state.connection_id, state.slot);
    announce_connection(world, state.platform_id, state.end_user_id);
  }
  co_return ended;
}

core::Task<TokenAnswer> TokenService::access_token(core::PlatformId platform, core::ConnectionId connection,
                                                   std::string slot) {
  auto impl = impl_;
  co_return co_await impl->obtain({platform, connection, std::move(slot), {}});
}

core::Task<TokenAnswer> TokenService::force_refresh(core::PlatformId platform, core::ConnectionId connection,
                                                    std::string slot, std::int64_t version_used) {
  auto impl = impl_;
  co_return co_await impl->obtain(
      {platform, connection, std::move(slot), {TokenDemand::Why::Rejected, version_used}});
}

core::Task<> TokenService::mark_needs_reauth(core::PlatformId platform, core::ConnectionId connection,
                                             std::string slot, std::int64_t version_used,
                                             std::string reason) {
  auto impl = impl_;
  auto loaded = co_await impl->load({platform, connection, std::move(slot), {}});
  if (!loaded.state || loaded.state->version != version_used) co_return;
  co_await impl->end_grant(*loaded.state, std::move(reason));
}

core::Task<std::size_t> TokenService::refresh_idle(std::size_t limit, std::stop_token stop) {
  auto impl = impl_;
  // Every tenant's grants: background work.
  const auto idle = co_await impl->world.database.run(
      storage::Scope::system(),
      [impl, limit](storage::Transaction& tx) { return impl->credentials.claim_idle(tx, limit); });
  for (const auto& item : idle) {
    if (stop.stop_requested()) break;
    try {
      co_await impl->obtain(
          {item.platform_id, item.connection_id, item.slot, {TokenDemand::Why::Idle, item.version}});
    } catch (const core::Error& error) {
      core::log::warn("token.idle_refresh_failed",
                      {{"connection_id", item.connection_id.str()}, {"error", error.what()}});
    }
  }
  co_return idle.size();
}

void TokenService::on_notify(std::string_view topic, std::string_view payload) {
  impl_->cache.on_notify(topic, payload);
}

}  // namespace assistiv::oauth
