#pragma once
// How a client says who it is at the token and revocation endpoints (RFC 6749 section 2.3). Pure.
#include <optional>
#include <string>
#include <string_view>

#include "core/encoding.h"
#include "core/secret.h"
#include "oauth/authorize/client_store.h"

namespace assistiv::oauth {

struct PresentedClient {
  std::string client_id;
  std::optional<core::Secret> secret;
  bool basic = false;  // in the Authorization header
};

// `authorization` is the header's value, or "" without one. Throws OAuthError invalid_request or
// invalid_client.
PresentedClient read_presented_client(std::string_view authorization, const core::FormFields& fields);
// Throws OAuthError invalid_client unless the secret is the one of `client` (or neither has one).
void check_client_secret(const OAuthClient& client, const PresentedClient& presented);

}  // namespace assistiv::oauth
