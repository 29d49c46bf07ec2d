#pragma once
// What a client says of itself, in a registration (RFC 7591) or in its client ID metadata document. Pure; all
// of it is a stranger's text.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace assistiv::oauth {

enum class EndpointAuth { None, SecretBasic, SecretPost };
std::string_view to_string(EndpointAuth auth);  // as in token_endpoint_auth_method

struct ClientMetadata {
  std::string name;                        // clean, at most 100 characters; "" when it gave none
  std::vector<std::string> redirect_uris;  // 1 to 10
  bool refreshes = false;                  // grant_types has refresh_token
  EndpointAuth auth = EndpointAuth::None;
};

inline constexpr std::size_t kRedirectUrisMax = 10;
inline constexpr std::size_t kMetadataBytesMax = 16384;

// Members that are not listed here are ignored, as RFC 7591 section 2 wants. Throws OAuthError
// invalid_redirect_uri or invalid_client_metadata.
ClientMetadata read_client_metadata(const core::Json& body, EndpointAuth auth_when_absent);
// What clients get back, and what is stored.
core::Json to_json(const ClientMetadata& metadata);

// https, http on a loopback address, or a private-use scheme of a native application (RFC 8252 section 7.1:
// it has a dot; a few known ones have none); no fragment, no user.
bool is_good_redirect_uri(std::string_view uri);
// Exactly one of `registered`, or one of them on a loopback address with another port (RFC 8252 section 7.3).
bool is_registered_redirect(const std::vector<std::string>& registered, std::string_view uri);
bool is_loopback_redirect(std::string_view uri);
// Who receives the code, for people: "claude.ai", "127.0.0.1", "cursor:".
std::string redirect_host(std::string_view uri);

// An https URL with a path, which could be a client ID metadata document; http on a loopback address with
// `allow_loopback` (tests).
bool is_document_client_id(std::string_view client_id, bool allow_loopback);

}  // namespace assistiv::oauth
