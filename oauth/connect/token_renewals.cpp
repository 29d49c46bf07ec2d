#include "oauth/connect/token_renewals.h"

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"
#include "oauth/connect/circuit_breaker.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/connection_store.h"
#include "oauth/connect/revocation_queue.h"
#include "oauth/connect/token_cache.h"
#include "oauth/connect/token_rules.h"
#include "oauth/identity/audit_context.h"

namespace assistiv::oauth {

using SteadyClock = std::chrono::steady_clock;

namespace {

// The only copy of new tokens is in our hands: a database that is away gets this long to come back.
constexpr std::chrono::seconds kCommitPatience{120};
constexpr int kCommitsAtStop = 3;
constexpr std::chrono::milliseconds kCommitPauseMax{1000};
constexpr char kRefused[] = "refused_by_provider";

void count_refresh(const std::string& app, std::string_view result) {
  core::metrics::counter("assistiv_token_refreshes_total", "Token refreshes by app and result.",
                         {{"app", app}, {"result", std::string(result)}})
      .add();
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

bool is_passing(const core::Error& error) {
  return error.kind() == core::ErrorKind::Unavailable || error.kind() == core::ErrorKind::DeadlineExceeded;
}

}  // namespace

std::string provider_name(const CredentialState& state) {
  return is_own_app(state.app) ? state.platform_id.str() + "/" + state.app : state.app;
}

// Between the renewal, who keeps its lease, and who waits for it.
struct TokenRenewals::Renewal {
  std::mutex mutex;
  bool over = false;
  std::optional<RenewalEnd> end;
  std::exception_ptr error;
  core::AsyncEvent landed;  // for the keeper of the lease
  core::AsyncEvent told;    // for the caller, when the keeper has ended too

  bool is_over() {
    std::lock_guard lock(mutex);
    return over;
  }
  void land(std::optional<RenewalEnd> with, std::exception_ptr failure) {
    {
      std::lock_guard lock(mutex);
      over = true;
      end = std::move(with);
      error = std::move(failure);
    }
    landed.set();
  }
  RenewalEnd result() {
    std::lock_guard lock(mutex);
    if (error) std::rethrow_exception(error);
    return *end;
  }
};

TokenRenewals::TokenRenewals(RenewalParts parts, TokenServiceOptions options)
    : parts_(parts),
      options_(options),
      credentials_(parts.world.vault, parts.world.clock, parts.world.random) {}

TokenRenewals::~TokenRenewals() {
  stop();
}

void TokenRenewals::stop() {
  waits_.request_stop();
  {
    std::unique_lock lock(mutex_);
    idle_.wait_for(lock, options_.stop_patience, [this] { return under_way_ == 0; });
  }
  group_.stop();
}

core::Task<std::optional<RenewalEnd>> TokenRenewals::renew(CredentialState state, ClientCredentials client,
                                                           RefreshLease lease, RenewalPace pace,
                                                           std::chrono::milliseconds patience) {
  const auto renewal = std::make_shared<Renewal>();
  const auto executor = co_await core::current_executor();
  const auto until = SteadyClock::now() + patience;
  {
    std::lock_guard lock(mutex_);
    ++under_way_;
  }
  group_.spawn(executor, "refresh", [this, renewal, state, client, lease, pace](std::stop_token stop) {
    return run(renewal, state, client, lease, pace, std::move(stop));
  });
  group_.spawn(executor, "keep lease",
               [this, renewal, state, lease](std::stop_token) { return keep_lease(renewal, state, lease); });
  // The keeper tells; what has landed without it being told yet is taken at the end of the patience.
  bool told = false;
  while (!told && SteadyClock::now() < until) {
    told = co_await renewal->told.wait_for(until - SteadyClock::now());
  }
  if (!told && !renewal->is_over()) co_return std::nullopt;
  co_return renewal->result();
}

core::Task<> TokenRenewals::run(std::shared_ptr<Renewal> renewal, CredentialState state,
                                ClientCredentials client, RefreshLease lease, RenewalPace pace,
                                std::stop_token stop) {
  std::optional<RenewalEnd> end;
  std::exception_ptr error;
  try {
    end = co_await carry_out(std::move(state), std::move(client), lease, std::move(pace), std::move(stop));
  } catch (...) {
    error = std::current_exception();
  }
  renewal->land(std::move(end), error);
  std::lock_guard lock(mutex_);
  if (--under_way_ == 0) idle_.notify_all();
}

core::Task<> TokenRenewals::keep_lease(std::shared_ptr<Renewal> renewal, CredentialState state,
                                       RefreshLease lease) {
  while (!renewal->is_over()) {
    if (co_await renewal->landed.wait_for(options_.lease_renewal)) continue;
    if (renewal->is_over()) break;
    try {
      co_await parts_.world.database.run(storage::Scope::tenant(state.platform_id),
                                         [this, state, lease](storage::Transaction& tx) {
                                           credentials_.prolong(tx, state, lease, options_.lease);
                                         });
    } catch (const core::Error& error) {
      core::log::warn("token.lease_not_kept",
                      {{"connection_id", state.connection_id.str()}, {"error", error.what()}});
    }
  }
  renewal->told.set();
}

core::Task<std::optional<RenewalEnd>> TokenRenewals::await_turn(CredentialState state, RefreshLease lease,
                                                                RenewalPace pace) {
  if (pace.wait.count() <= 0) co_return std::nullopt;
  const auto ended = waits_.get_token();
  co_await core::sleep_for(pace.wait, ended);
  const bool stopped = ended.stop_requested();
  // What the provider told somebody else meanwhile holds for us, too.
  const auto left = co_await parts_.world.database.run(
      storage::Scope::tenant(state.platform_id),
      [this, state, lease, pace, stopped](storage::Transaction& tx) {
        const auto pause = RefreshPaceStore().pause_left(tx, pace.key, parts_.world.clock.now());
        if (stopped || pause.count() > 0) credentials_.give_back(tx, state, lease);
        return pause;
      });
  if (!stopped && left.count() == 0) co_return std::nullopt;
  count_refresh(is_own_app(state.app) ? "own" : state.app, "paced");
  RenewalEnd out;
  out.retry_at = parts_.world.clock.now() + left;
  co_return out;
}

core::Task<RenewalEnd> TokenRenewals::carry_out(CredentialState state, ClientCredentials client,
                                                RefreshLease lease, RenewalPace pace, std::stop_token stop) {
  if (const auto early = co_await await_turn(state, lease, pace)) co_return *early;
  const auto tried = co_await attempt(state, std::move(client), lease, stop);
  count_refresh(is_own_app(state.app) ? "own" : state.app, result_word(tried.reply.kind));
  if (tried.reply.kind == TokenReplyKind::Ok) co_return co_await accept(state, lease, tried, stop);
  core::log::warn("token.refresh_failed", {{"app", state.app},
                                           {"platform_id", state.platform_id.str()},
                                           {"connection_id", state.connection_id.str()},
                                           {"result", result_word(tried.reply.kind)},
                                           {"error", tried.reply.code}});
  if (tried.reply.kind != TokenReplyKind::Permanent) co_return co_await put_off(state, lease, pace, tried);
  parts_.breaker.succeeded(provider_name(state), state.client_id);
  RenewalEnd out;
  out.kind = co_await end_grant(state, kRefused) ? RenewalEnd::Kind::Ended : RenewalEnd::Kind::Moved;
  co_return out;
}

// A slow reply is waited for where it is the only one there will be. When the provider may have used up the
// refresh token without our hearing of it: once more with the same one (providers with a grace period answer
// again), then with the one before (some only retire a token when its successor is first used).
core::Task<TokenRenewals::Attempt> TokenRenewals::attempt(CredentialState state, ClientCredentials client,
                                                          RefreshLease lease, std::stop_token stop) {
  const auto connector = co_await parts_.world.registry.find(state.platform_id, state.app);
  Attempt out;
  // Gone since the look before the lease: try again later.
  if (connector == nullptr) co_return out;
  const ConnectorSpec* spec = connector.get();
  const bool rotates = spec->oauth.refresh.mode == RefreshMode::Rotating;
  const auto timeout = rotates ? options_.reply_timeout : options_.exchange_timeout;
  out.used = credentials_.open_refresh(state).value_or(core::Secret());
  out.outcome_unknown = lease.outcome_unknown;
  const auto vars = spec->with_fallbacks(state.vars);
  auto& provider = parts_.provider;
  out.reply = co_await provider.refresh(spec, vars, client, state.slot, out.used, timeout, stop);
  if (out.reply.kind == TokenReplyKind::Unknown) {
    out.outcome_unknown = true;
    if (stop.stop_requested()) co_return out;
    out.reply = co_await provider.refresh(spec, vars, client, state.slot, out.used, timeout, stop);
  }
  const auto previous = credentials_.open_previous(state);
  if (out.reply.kind == TokenReplyKind::Permanent && out.outcome_unknown && previous) {
    out.used = *previous;
    out.reply = co_await provider.refresh(spec, vars, client, state.slot, *previous, timeout, stop);
  }
  co_return out;
}

core::Task<RenewalEnd> TokenRenewals::accept(CredentialState state, RefreshLease lease, Attempt attempt,
                                             std::stop_token stop) {
  parts_.breaker.succeeded(provider_name(state), state.client_id);
  const auto token = live_token(attempt.reply.slots.at(state.slot), parts_.world.clock.now());
  // The old token may be dead from now on: nobody on this node shall find it.
  parts_.cache.drop(state.connection_id, state.slot);
  RenewalEnd out;
  if (co_await commit(state, lease, token, attempt.used, std::move(stop))) {
    announce_connection(parts_.world, state.platform_id, state.end_user_id);
    out.kind = RenewalEnd::Kind::Committed;
    out.token = token;
  } else {
    out.kind = RenewalEnd::Kind::Moved;
  }
  co_return out;
}

core::Task<RenewalEnd> TokenRenewals::put_off(CredentialState state, RefreshLease lease, RenewalPace pace,
                                              Attempt attempt) {
  const auto now = parts_.world.clock.now();
  parts_.breaker.failed(provider_name(state), state.client_id, now);
  const bool unknown = attempt.outcome_unknown || attempt.reply.kind == TokenReplyKind::Unknown;
  const RefreshFailure failure{unknown, now + refresh_backoff(state.failures + 1, attempt.reply.retry_after)};
  const auto pause = std::chrono::ceil<std::chrono::milliseconds>(failure.retry_at - now);
  const bool for_all = attempt.reply.kind == TokenReplyKind::Throttled && !pace.throttles_grant;
  co_await parts_.world.database.run(
      storage::Scope::tenant(state.platform_id),
      [this, state, lease, failure, pace, now, pause, for_all](storage::Transaction& tx) {
        credentials_.release(tx, state, lease, failure);
        if (for_all) RefreshPaceStore().pause(tx, pace.key, pace.limit, now, pause);
      });
  RenewalEnd out;
  const bool config = attempt.reply.kind == TokenReplyKind::Config;
  out.kind = config ? RenewalEnd::Kind::Misconfigured : RenewalEnd::Kind::PutOff;
  out.retry_at = failure.retry_at;
  co_return out;
}

// Somebody who thought that we were gone may have asked with the old refresh token and been refused. The
// tokens in our hands prove that the grant lives.
void TokenRenewals::restore(storage::Transaction& tx, const CredentialState& state) const {
  const ConnectionStore connections(parts_.world.clock, parts_.world.random);
  if (!connections.restore(tx, state.platform_id, state.connection_id, kRefused)) return;
  parts_.world.audit.append(tx, state.platform_id,
                            audit_event({}, "connection.restored", state.end_user_id,
                                        state.connection_id.str(), {{"app", state.app}}));
}

// False: the tokens have no home any more.
bool TokenRenewals::commit_in(storage::Transaction& tx, const CredentialState& state,
                              const RefreshLease& lease, const LiveToken& token,
                              const core::Secret& used) const {
  // The connection is locked before its credentials everywhere.
  const ConnectionStore connections(parts_.world.clock, parts_.world.random);
  const auto connection = connections.lock(tx, state.platform_id, state.connection_id);
  if (connection && credentials_.commit_refresh(tx, state, lease, token, used)) {
    if (connection->status == ConnectionStatus::NeedsReauth) restore(tx, state);
    parts_.world.audit.append(
        tx, state.platform_id,
        audit_event({}, "connection.refreshed", state.end_user_id, state.connection_id.str(),
                    {{"app", state.app}, {"slot", state.slot}, {"version", state.version + 1}}));
    tx.notify("connection", state.platform_id.str() + "/" + state.end_user_id.str());
    return true;
  }
  const auto current = credentials_.get(tx, state.platform_id, state.connection_id, state.slot);
  // An earlier commit of ours whose confirmation was lost.
  if (current && current->written_by == lease.owner) return true;
  // Disconnected or connected anew meanwhile: these tokens have no home and must not live on.
  GrantRecord orphan;
  orphan.app = state.app;
  orphan.client_id = state.client_id;
  orphan.account_id = state.account_id;
  orphan.vars = state.vars;
  orphan.slots[state.slot] = token;
  parts_.revocations.put_grant(tx, state.platform_id, orphan);
  return false;
}

core::Task<bool> TokenRenewals::commit(CredentialState state, RefreshLease lease, LiveToken token,
                                       core::Secret used, std::stop_token stop) {
  const auto until = SteadyClock::now() + kCommitPatience;
  std::exception_ptr error;
  for (int i = 0; SteadyClock::now() < until; ++i) {
    if (i > 0) {
      co_await core::sleep_for(std::min(std::chrono::milliseconds(100 << std::min(i, 10)), kCommitPauseMax));
    }
    try {
      co_return co_await parts_.world.database.run(
          storage::Scope::tenant(state.platform_id),
          [this, state, lease, token, used](storage::Transaction& tx) {
            return commit_in(tx, state, lease, token, used);
          });
    } catch (const core::Error& failure) {
      error = std::current_exception();
      if (!is_passing(failure) || (stop.stop_requested() && i + 1 >= kCommitsAtStop)) break;
    }
  }
  core::log::error("token.commit_failed", {{"app", state.app}, {"connection_id", state.connection_id.str()}});
  std::rethrow_exception(error);
}

core::Task<bool> TokenRenewals::end_grant(CredentialState state, std::string reason) {
  auto& world = parts_.world;
  const bool ended = co_await world.database.run(
      storage::Scope::tenant(state.platform_id), [this, state, reason](storage::Transaction& tx) {
        const ConnectionStore connections(parts_.world.clock, parts_.world.random);
        const auto connection = connections.lock(tx, state.platform_id, state.connection_id);
        const auto current = credentials_.get(tx, state.platform_id, state.connection_id, state.slot);
        if (!connection || !current || current->version != state.version) return false;
        if (connection->status != ConnectionStatus::Active) return true;
        connections.set_status(tx, state.platform_id, state.connection_id, ConnectionStatus::NeedsReauth,
                               reason);
        parts_.world.audit.append(
            tx, state.platform_id,
            audit_event({}, "connection.needs_reauth", state.end_user_id, state.connection_id.str(),
                        {{"app", state.app}, {"reason", reason}}));
        tx.notify("connection", state.platform_id.str() + "/" + state.end_user_id.str());
        return true;
      });
  if (ended) {
    parts_.cache.drop(state.connection_id, state.slot);
    announce_connection(world, state.platform_id, state.end_user_id);
  }
  co_return ended;
}

}  // namespace assistiv::oauth
