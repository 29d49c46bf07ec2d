#pragma once
// Live access tokens. Any number of processes on one database refresh a grant once: the winner of a lease on
// the row talks to the provider, commits, and only then is the new token used (token_renewals.h); the others
// wait for the commit. An expired token is never handed out, and nothing but the provider's own word ends a
// grant.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "core/clock.h"
#include "core/ids.h"
#include "core/secret.h"
#include "core/task.h"
#include "oauth/connect/connector_spec.h"

namespace assistiv::oauth {

struct ConnectWorld;
class ProviderClient;
class RevocationQueue;

enum class TokenStatus {
  Ready,
  NotConnected,   // no such connection or slot in this platform, or it was disconnected
  NeedsReauth,    // the grant is gone: the end user must connect again
  RetryLater,     // the provider is away, slow or throttling; `retry_after` says when to come back
  Misconfigured,  // the provider refuses the platform's OAuth client
};

struct TokenAnswer {
  TokenStatus status = TokenStatus::NotConnected;
  core::Secret token;        // with Ready
  std::int64_t version = 0;  // for force_refresh() and mark_needs_reauth()
  std::optional<core::Time> expires_at;
  std::chrono::seconds retry_after{0};
  std::shared_ptr<const Values> vars;  // of the connection, for URLs and headers; with Ready
};

struct TokenServiceOptions {
  // Of a process that has died: while a refresh runs, its lease is kept.
  std::chrono::milliseconds lease{45000};
  std::chrono::milliseconds lease_renewal{15000};
  // For a reply, where refresh tokens stay good, and where they work once: then it is the only copy of the
  // new ones, and hardly anything in front of a provider keeps a request longer than a minute.
  std::chrono::milliseconds exchange_timeout{10000}, reply_timeout{60000};
  std::chrono::milliseconds wait_max{20000};  // how long one call waits for a refresh
  std::chrono::milliseconds pace_wait{
      10000};  // how far off a turn at the provider may be (refresh_pace_store.h)
  std::chrono::milliseconds stop_patience{10000};  // for replies under way, when the process ends
  std::size_t cached_max = 50000;
  int breaker_failures = 5;  // in a row, per app and client, until it opens
  std::chrono::seconds breaker_open{30};
};

// Thread-safe.
class TokenService {
 public:
  TokenService(ConnectWorld& world, ProviderClient& provider, RevocationQueue& revocations,
               TokenServiceOptions options = {});
  ~TokenService();
  TokenService(const TokenService&) = delete;
  TokenService& operator=(const TokenService&) = delete;

  core::Task<TokenAnswer> access_token(core::PlatformId platform, core::ConnectionId connection,
                                       std::string slot);
  // After a 401 for a token of `version_used`: a newer one that is there already, or a refresh. A token that
  // cannot be refreshed is NeedsReauth from then on.
  core::Task<TokenAnswer> force_refresh(core::PlatformId platform, core::ConnectionId connection,
                                        std::string slot, std::int64_t version_used);
  // When the provider says that the grant is gone. Does nothing when the token has changed since.
  core::Task<> mark_needs_reauth(core::PlatformId platform, core::ConnectionId connection, std::string slot,
                                 std::int64_t version_used, std::string reason);
  // Refreshes up to `limit` idle grants whose refresh token nears its end; gives how many it tried.
  core::Task<std::size_t> refresh_idle(std::size_t limit, std::stop_token stop = {});

  // Hears what is under way out for a while, and ends it. Nothing is refreshed afterwards.
  void stop();

  // For storage::Notifier::subscribe: topics connection, app, end_user, platform, resync.
  void on_notify(std::string_view topic, std::string_view payload);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace assistiv::oauth
