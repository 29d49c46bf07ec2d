#pragma once
// How we become a client of an authorization server that was discovered: with what the platform brought, with
// a client ID metadata document, or by dynamic registration (RFC 7591).
#include <string>
#include <string_view>

#include "core/http_client.h"
#include "core/secret.h"
#include "core/task.h"
#include "oauth/connect/connector_spec.h"
#include "oauth/connect/discovery.h"

namespace assistiv::oauth {

inline constexpr char kClientName[] = "Assistiv Gateway";

struct WantedClient {
  std::string redirect_uri;
  std::string document_url;  // of our client ID metadata document; "" when no server could fetch it
  std::string client_id;     // what the platform brought, or ""
  core::Secret client_secret;
};

struct ObtainedClient {
  std::string client_id;
  core::Secret client_secret;  // empty for a public client
  ClientAuth auth = ClientAuth::None;
  std::string registration;  // "given", "document" or "dynamic"
};

// Throws Error{InvalidArgument} with the field "/url" or "/auth" and what is wrong.
core::Task<ObtainedClient> obtain_client(core::HttpClient* http, DiscoveredServer server,
                                         WantedClient wanted);

// "none", "basic", "body"
std::string_view client_auth_name(ClientAuth auth);
// What our client ID metadata document says.
core::Json client_document(const std::string& document_url, const std::string& redirect_uri);

}  // namespace assistiv::oauth
