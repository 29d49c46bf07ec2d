#include "oauth/connect/token_service.h"

#include <algorithm>

#include "core/async.h"
#include "core/error.h"
#include "core/log.h"
#include "oauth/connect/app_store.h"
#include "oauth/connect/circuit_breaker.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/credential_store.h"
#include "oauth/connect/provider_client.h"
#include "oauth/connect/refresh_pace_store.h"
#include "oauth/connect/token_cache.h"
#include "oauth/connect/token_flights.h"
#include "oauth/connect/token_renewals.h"
#include "oauth/connect/token_rules.h"

namespace assistiv::oauth {

namespace {

constexpr int kRoundsMax = 500;  // of one call; each one waits or follows a change
// When to ask again for what a provider is slow to renew.
constexpr std::chrono::seconds kStillUnderWay{5};

struct TokenAsk {
  core::PlatformId platform;
  core::ConnectionId connection;
  std::string slot;
  TokenDemand demand;
};

// A lease, and the turn that came with it; without a turn no lease, and how long until it is worth asking.
struct Admission {
  std::optional<RefreshLease> lease;
  std::optional<std::chrono::milliseconds> too_early;
  std::chrono::milliseconds wait{0};
};

struct LoadedCredential {
  std::optional<CredentialState> state;
  std::optional<AppRow> app;
};

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

TokenAnswer renewed(const CredentialState& state, const LiveToken& token) {
  TokenAnswer out;
  out.status = TokenStatus::Ready;
  out.token = token.access;
  out.version = state.version + 1;
  out.expires_at = token.expires_at;
  out.vars = std::make_shared<const Values>(state.vars);
  return out;
}

}  // namespace

struct TokenService::Impl {
  Impl(ConnectWorld& w, ProviderClient& p, RevocationQueue& r, TokenServiceOptions o)
      : world(w),
        options(o),
        credentials(w.vault, w.clock, w.random),
        cache(o.cached_max),
        breaker(o.breaker_failures, o.breaker_open),
        renewals({w, p, r, cache, breaker}, o) {}

  ConnectWorld& world;
  TokenServiceOptions options;
  CredentialStore credentials;
  TokenCache cache;
  TokenFlights flights;
  CircuitBreaker breaker;
  TokenRenewals renewals;

  core::Task<TokenAnswer> obtain(TokenAsk ask);
  core::Task<TokenAnswer> resolve(TokenAsk ask);
  core::Task<LoadedCredential> load(TokenAsk ask);
  core::Task<std::optional<TokenAnswer>> refresh(TokenAsk ask, CredentialState state, AppRow app,
                                                 ConnectorPtr spec);
  core::Task<Admission> admit(CredentialState state, RenewalPace pace);
  TokenAnswer not_renewed(const TokenAsk& ask, const CredentialState& state,
                          const std::optional<RenewalEnd>& end);
  TokenAnswer ready(const CredentialState& state) const;
  TokenAnswer fallback(const TokenAsk& ask, const CredentialState& state, TokenAnswer otherwise) const;
  void keep(const CredentialState& state, const ConnectorSpec& spec, const TokenAnswer& answer,
            std::uint64_t epoch);
};

TokenService::TokenService(ConnectWorld& world, ProviderClient& provider, RevocationQueue& revocations,
                           TokenServiceOptions options)
    : impl_(std::make_shared<Impl>(world, provider, revocations, options)) {}
// Callers that are still in here keep the rest alive; what runs on its own ends now.
TokenService::~TokenService() {
  stop();
}

void TokenService::stop() {
  impl_->renewals.stop();
}

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
        if (co_await renewals.end_grant(state, decision.reason))
          co_return only_status(TokenStatus::NeedsReauth);
        continue;
      case TokenStep::Refresh:
        break;
    }
    if (const auto wait = breaker.blocked(provider_name(state), state.client_id, now)) {
      co_return fallback(ask, state, retry_later(now, now + *wait));
    }
    auto answer = co_await refresh(ask, state, *loaded.app, spec);
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

core::Task<Admission> TokenService::Impl::admit(CredentialState state, RenewalPace pace) {
  co_return co_await world.database.run(
      storage::Scope::tenant(state.platform_id), [this, state, pace](storage::Transaction& tx) {
        Admission out;
        out.lease = credentials.take_lease(tx, state, options.lease);
        if (!out.lease) return out;
        const auto turn =
            RefreshPaceStore().take(tx, pace.key, pace.limit, world.clock.now(), options.pace_wait);
        out.wait = turn.wait;
        if (turn.taken) return out;
        credentials.give_back(tx, state, *out.lease);
        out.lease.reset();
        out.too_early = turn.wait;
        return out;
      });
}

// Empty: the lease is somebody else's, or the row moved on. Look again.
core::Task<std::optional<TokenAnswer>> TokenService::Impl::refresh(TokenAsk ask, CredentialState state,
                                                                   AppRow app, ConnectorPtr spec) {
  RenewalPace pace;
  pace.key = pace_key(*spec, state.platform_id, state.client_id);
  pace.limit = spec->oauth.refresh.limit;
  pace.throttles_grant = spec->oauth.errors.throttles_grant;
  const auto admission = co_await admit(state, pace);
  if (admission.too_early) {
    const auto now = world.clock.now();
    co_return fallback(ask, state, retry_later(now, now + *admission.too_early));
  }
  const auto& lease = admission.lease;
  if (!lease) co_return std::nullopt;
  pace.wait = admission.wait;
  const auto client = AppStore(world.vault).open(state.platform_id, app);
  const auto end = co_await renewals.renew(state, client, *lease, pace, options.wait_max);
  if (end && end->kind == RenewalEnd::Kind::Committed) co_return renewed(state, *end->token);
  if (end && end->kind == RenewalEnd::Kind::Moved) co_return std::nullopt;
  if (end && end->kind == RenewalEnd::Kind::Ended) co_return only_status(TokenStatus::NeedsReauth);
  co_return not_renewed(ask, state, end);
}

TokenAnswer TokenService::Impl::not_renewed(const TokenAsk& ask, const CredentialState& state,
                                            const std::optional<RenewalEnd>& end) {
  const auto now = world.clock.now();
  if (!end) {
    // A provider that is this slow is spared further callers; the reply may still come.
    breaker.failed(provider_name(state), state.client_id, now);
    return fallback(ask, state, retry_later(now, now + kStillUnderWay));
  }
  if (end->kind == RenewalEnd::Kind::Misconfigured) {
    return fallback(ask, state, only_status(TokenStatus::Misconfigured));
  }
  return fallback(ask, state, retry_later(now, end->retry_at));
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
  co_await impl->renewals.end_grant(*loaded.state, std::move(reason));
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
