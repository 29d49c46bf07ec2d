#pragma once
// What a completed authorization gave: who the account is, what was granted, and the tokens of each slot.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/secret.h"
#include "oauth/connect/provider_client.h"

namespace assistiv::oauth {

// One credential with absolute times.
struct LiveToken {
  core::Secret access;
  std::optional<core::Secret> refresh;
  std::optional<core::Time> expires_at, refresh_expires_at;
};

LiveToken live_token(const TokenSet& tokens, core::Time received);

struct GrantRecord {
  std::string app, client_id;
  std::string account_id, account_label;
  std::vector<std::string> scopes;  // granted
  Values vars;
  std::map<std::string, LiveToken> slots;
};

// The same as one secret text, for a flow that waits for its platform.
core::Secret to_secret_text(const GrantRecord& grant);
GrantRecord grant_of_secret_text(const core::Secret& text);

}  // namespace assistiv::oauth
