#include "oauth/connect/token_rules.h"

#include <algorithm>

namespace assistiv::oauth {

namespace {

// Clocks differ and requests take time: a token this close to its end counts as expired.
constexpr std::chrono::seconds kMargin{2};
constexpr std::chrono::seconds kBackoffMax{300};

// Spreads the refreshes of many connections that were made together: up to a tenth of the skew, by the id.
std::chrono::milliseconds jitter_of(const CredentialState& state, std::chrono::milliseconds skew) {
  return skew * (state.id.bytes[15] % 32) / 320;
}

TokenDecision refresh_or_wait(const CredentialState& state, core::Time now) {
  if (!state.retry_at || *state.retry_at <= now) return {TokenStep::Refresh, {}, {}};
  return is_usable(state, now) ? TokenDecision{TokenStep::Use, {}, {}}
                               : TokenDecision{TokenStep::Wait, state.retry_at, {}};
}

}  // namespace

bool is_usable(const CredentialState& state, core::Time now) {
  return !state.expires_at || now + kMargin < *state.expires_at;
}

std::optional<core::Time> fresh_until(const CredentialState& state, const ConnectorSpec& spec) {
  if (!state.expires_at) return {};
  const auto life = *state.expires_at - state.obtained_at;
  const auto skew = std::clamp<std::chrono::milliseconds>(
      spec.oauth.refresh.skew, kMargin, std::max<std::chrono::milliseconds>(life / 5, kMargin));
  return *state.expires_at - skew - jitter_of(state, skew);
}

std::chrono::milliseconds refresh_backoff(int failures, std::optional<std::chrono::seconds> asked) {
  if (asked) return std::max(*asked, std::chrono::seconds(1));
  return std::min(std::chrono::seconds(1LL << std::clamp(failures, 1, 12)), kBackoffMax);
}

bool is_answer(const TokenDemand& demand, std::int64_t version) {
  return demand.why != TokenDemand::Why::Rejected || version > demand.version;
}

namespace {

TokenDecision decide_rejected(const CredentialState& state, const ConnectorSpec& spec, bool refreshable,
                              core::Time now) {
  if (!refreshable) return {TokenStep::EndGrant, {}, "token_rejected"};
  // What a refresh has just brought will not get better by another one. The token of an authorization may:
  // one refresh tells at once whether the user has taken the access away again.
  const auto earliest = state.obtained_at + spec.oauth.refresh.min_interval;
  if (state.written_by && earliest > now) return {TokenStep::Wait, earliest, {}};
  if (state.retry_at && *state.retry_at > now) return {TokenStep::Wait, state.retry_at, {}};
  return {TokenStep::Refresh, {}, {}};
}

}  // namespace

TokenDecision decide(const std::optional<CredentialState>& state, const ConnectorSpec& spec,
                     const std::string& client_id, const TokenDemand& demand, core::Time now) {
  if (!state || state->status == ConnectionStatus::Revoked) return {TokenStep::NotConnected, {}, {}};
  if (state->status == ConnectionStatus::NeedsReauth) return {TokenStep::NeedsReauth, {}, {}};
  const bool refreshable =
      spec.oauth.refresh.mode != RefreshMode::None && state->refresh_sealed && state->client_id == client_id;
  const bool about_this = state->version <= demand.version;
  if (demand.why == TokenDemand::Why::Rejected && about_this) {
    return decide_rejected(*state, spec, refreshable, now);
  }
  const auto fresh = fresh_until(*state, spec);
  const bool idle = demand.why == TokenDemand::Why::Idle && about_this;
  if (!idle && (!fresh || now < *fresh)) return {TokenStep::Use, {}, {}};
  if (refreshable) return refresh_or_wait(*state, now);
  if (is_usable(*state, now)) return {TokenStep::Use, {}, {}};
  const bool other_client = state->refresh_sealed && state->client_id != client_id;
  return {TokenStep::EndGrant, {}, other_client ? "client_changed" : "expired"};
}

}  // namespace assistiv::oauth
