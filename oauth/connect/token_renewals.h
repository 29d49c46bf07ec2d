#pragma once
// Renewals of grants, each from the request to the commit, under a lease that the caller took. Where a
// refresh token works once, the provider's reply is the grant (Slack and Zendesk grant no second one): so a
// renewal runs on its own, and neither a caller who waits no longer nor a slow provider or database ends it.
// Its lease is kept as long as it runs; that of a process that died runs out.
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "core/async.h"
#include "core/clock.h"
#include "core/secret.h"
#include "core/task.h"
#include "oauth/connect/credential_store.h"
#include "oauth/connect/grant_record.h"
#include "oauth/connect/provider_client.h"
#include "oauth/connect/refresh_pace_store.h"
#include "oauth/connect/token_service.h"

namespace assistiv::oauth {

class CircuitBreaker;
class TokenCache;

struct RenewalEnd {
  enum class Kind {
    Committed,      // `token` is stored as version + 1
    Moved,          // the credential changed meanwhile: look again
    Ended,          // the provider says that the grant is gone; the connection is marked
    PutOff,         // not before `retry_at`
    Misconfigured,  // put off, and the provider refuses the platform's OAuth client
  };
  Kind kind = Kind::PutOff;
  std::optional<LiveToken> token;
  core::Time retry_at;
};

// When it is this client's turn at the provider.
struct RenewalPace {
  PaceKey key;
  RefreshLimit limit;
  bool throttles_grant = false;  // what a throttled reply says is about this grant alone
  std::chrono::milliseconds wait{0};
};

struct RenewalParts {
  ConnectWorld& world;
  ProviderClient& provider;
  RevocationQueue& revocations;
  TokenCache& cache;
  CircuitBreaker& breaker;
};

// Thread-safe.
class TokenRenewals {
 public:
  TokenRenewals(RenewalParts parts, TokenServiceOptions options);
  ~TokenRenewals();  // calls stop(); not on an I/O thread
  TokenRenewals(const TokenRenewals&) = delete;
  TokenRenewals& operator=(const TokenRenewals&) = delete;

  // Starts the renewal and waits up to `patience` for its end; empty: it is still under way, and goes on.
  core::Task<std::optional<RenewalEnd>> renew(CredentialState state, ClientCredentials client,
                                              RefreshLease lease, RenewalPace pace,
                                              std::chrono::milliseconds patience);
  // Marks the connection. False when the credential has changed since: then the verdict is about a token that
  // is gone.
  core::Task<bool> end_grant(CredentialState state, std::string reason);

  // Gives what is under way a while to hear its reply, then ends and joins it.
  void stop();

 private:
  struct Renewal;
  struct Attempt {
    TokenReply reply;
    core::Secret used;  // the refresh token that got the reply
    bool outcome_unknown = false;
  };

  core::Task<> run(std::shared_ptr<Renewal> renewal, CredentialState state, ClientCredentials client,
                   RefreshLease lease, RenewalPace pace, std::stop_token stop);
  core::Task<> keep_lease(std::shared_ptr<Renewal> renewal, CredentialState state, RefreshLease lease);
  core::Task<RenewalEnd> carry_out(CredentialState state, ClientCredentials client, RefreshLease lease,
                                   RenewalPace pace, std::stop_token stop);
  // Empty when it is the turn; else nothing was sent, and the lease is given up.
  core::Task<std::optional<RenewalEnd>> await_turn(CredentialState state, RefreshLease lease,
                                                   RenewalPace pace);
  core::Task<Attempt> attempt(CredentialState state, ClientCredentials client, RefreshLease lease,
                              std::stop_token stop);
  core::Task<RenewalEnd> accept(CredentialState state, RefreshLease lease, Attempt attempt,
                                std::stop_token stop);
  core::Task<RenewalEnd> put_off(CredentialState state, RefreshLease lease, RenewalPace pace,
                                 Attempt attempt);
  core::Task<bool> commit(CredentialState state, RefreshLease lease, LiveToken token, core::Secret used,
                          std::stop_token stop);
  bool commit_in(storage::Transaction& tx, const CredentialState& state, const RefreshLease& lease,
                 const LiveToken& token, const core::Secret& used) const;
  void restore(storage::Transaction& tx, const CredentialState& state) const;

  RenewalParts parts_;
  const TokenServiceOptions options_;
  CredentialStore credentials_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::size_t under_way_ = 0;
  std::stop_source waits_;  // for turns: what has asked nothing yet does not hold up the end
  core::TaskGroup group_{"token renewals"};
};

// What a breaker and the pace of a client are counted under: the same id of two platforms' own apps means two
// providers.
std::string provider_name(const CredentialState& state);

}  // namespace assistiv::oauth
