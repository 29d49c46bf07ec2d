#pragma once
// One authorization request (RFC 6749 section 4.1.1, RFC 7636, RFC 8707), checked. Pure.
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/encoding.h"
#include "oauth/authorize/client_metadata.h"
#include "oauth/authorize/resources.h"

namespace assistiv::oauth {

struct AuthorizeRequest {
  std::string client_id, redirect_uri;
  std::optional<std::string> state;
  std::string code_challenge;  // S256
  Resource resource;
  std::vector<std::string> scopes;  // known ones, sorted
};

struct AuthorizeFault {
  std::string code, description;  // as OAuthError
  // Where the fault goes; none: client and redirect URI do not belong together, so it stays on our page.
  std::optional<std::string> redirect_uri;
  std::optional<std::string> state;
};

// The one value of a parameter; nothing when it is absent, empty or repeated.
std::optional<std::string> one_param(const core::FormFields& fields, std::string_view name);

std::variant<AuthorizeRequest, AuthorizeFault> read_authorize_request(const core::FormFields& fields,
                                                                      const ClientMetadata& client,
                                                                      const Resources& resources);

// `redirect_uri` with the answer's parameters and `iss` (RFC 9207).
std::string answer_url(const std::string& redirect_uri, const std::optional<std::string>& state,
                       const std::string& issuer, core::FormFields answer);

}  // namespace assistiv::oauth
