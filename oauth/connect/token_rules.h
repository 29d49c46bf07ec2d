#pragma once
// What to do with a stored credential at a moment: pure decisions of the token service.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "core/clock.h"
#include "oauth/connect/connector_spec.h"
#include "oauth/connect/credential_store.h"

namespace assistiv::oauth {

enum class TokenStep {
  Use,      // the stored token is good
  Refresh,  // get a new one; while that fails, the stored one may still be usable
  Wait,     // not usable, and too early to try again: `retry_at`
  NotConnected,
  NeedsReauth,
  EndGrant,  // it can never be refreshed and is not usable: mark the connection
};

struct TokenDecision {
  TokenStep step = TokenStep::NotConnected;
  std::optional<core::Time> retry_at;
  std::string reason;  // with EndGrant
};

// Why a token is asked for. A demand about a version is met by any newer one.
struct TokenDemand {
  enum class Why {
    Use,       // for a call
    Rejected,  // the provider's API refused `version`
    Idle,      // `version` is old and its refresh token nears its end
  };
  Why why = Why::Use;
  std::int64_t version = 0;
};

// `client_id` is the app's now; empty when the app is gone.
TokenDecision decide(const std::optional<CredentialState>& state, const ConnectorSpec& spec,
                     const std::string& client_id, const TokenDemand& demand, core::Time now);
// False for a token that the demand has refused.
bool is_answer(const TokenDemand& demand, std::int64_t version);

// Before this moment the token is used without a thought; empty: for ever.
std::optional<core::Time> fresh_until(const CredentialState& state, const ConnectorSpec& spec);
// A token that is not refreshed may be used to (almost) its end.
bool is_usable(const CredentialState& state, core::Time now);
// When to try again after `failures` failures in a row: 2 s doubled up to 5 min, or what the provider asks
// for.
std::chrono::milliseconds refresh_backoff(int failures, std::optional<std::chrono::seconds> asked);

}  // namespace assistiv::oauth
