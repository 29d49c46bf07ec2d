#pragma once
// How the end users of a platform sign in at a registered server: what was discovered, as it is stored, and
// as the connect engine wants it. Pure.
#include <string>
#include <vector>

#include "core/json.h"
#include "oauth/connect/client_registration.h"
#include "oauth/connect/connector_spec.h"
#include "oauth/connect/discovery.h"

namespace assistiv::mcp {

struct RemoteServer;

struct RemoteOauth {
  std::string resource, issuer;
  std::string authorization_endpoint, token_endpoint, revocation_endpoint;  // the last may be ""
  std::vector<std::string> scopes;  // asked for; grows when the server asks for more
  std::string client_auth;          // at the token endpoint: "none", "basic", "body"
  std::string revocation_auth;      // at the other one
  std::string registration;         // how we became a client: "given", "document", "dynamic"
  bool issuer_required = false;
};

inline constexpr std::size_t kRemoteScopesMax = 60;

RemoteOauth make_remote_oauth(const oauth::DiscoveredServer& server, const oauth::ObtainedClient& client);
core::Json to_json(const RemoteOauth& oauth);
RemoteOauth remote_oauth_of(const core::Json& stored);

// Throws Error{InvalidArgument} when the engine cannot work with what was discovered. `server.oauth` is
// there.
oauth::ConnectorPtr remote_connector(const RemoteServer& server);

}  // namespace assistiv::mcp
