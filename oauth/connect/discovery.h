#pragma once
// How a protected resource tells where its tokens come from: 401 with WWW-Authenticate, protected resource
// metadata (RFC 9728), authorization server metadata (RFC 8414, OpenID Connect Discovery), as the
// authorization chapter of MCP wants it of clients. All of it is a stranger's text.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/http.h"
#include "core/http_client.h"
#include "core/json.h"
#include "core/task.h"

namespace assistiv::oauth {

// The Bearer challenge of a response (RFC 6750 section 3, RFC 9728 section 5.1).
struct BearerChallenge {
  std::string resource_metadata, scope, error;
};
std::optional<BearerChallenge> read_challenge(const core::HttpHeaders& headers);
// "a b" in its parts: what is no scope (RFC 6749 section 3.3) is left out, and what is more than 50.
std::vector<std::string> read_scopes(std::string_view text);

// What is known of a resource and its authorization server.
struct DiscoveredServer {
  std::string resource;  // the identifier for `resource` parameters (RFC 8707)
  std::string issuer;
  std::string authorization_endpoint, token_endpoint;
  std::string registration_endpoint, revocation_endpoint;          // "" when there is none
  std::vector<std::string> scopes;                                 // to ask for; empty: none is named
  std::vector<std::string> auth_methods, revocation_auth_methods;  // of the client at these endpoints
  bool takes_documents = false;                                    // client ID metadata documents
  bool always_names_issuer = false;
};

struct DiscoveryRules {
  // Why an address may not be called, in words that follow "it "; empty when it may.
  std::function<std::optional<std::string>(const std::string& url)> url_fault;
};

// Where the documents can be, in the order of asking.
std::vector<std::string> resource_metadata_urls(const std::string& resource);
std::vector<std::string> authorization_metadata_urls(const std::string& issuer);
// Readers of the two documents. Throw Error{InvalidArgument} with the field "/url" and what is wrong.
void read_resource_metadata(const core::Json& document, const std::string& url, DiscoveredServer& out);
void read_authorization_metadata(const core::Json& document, const DiscoveryRules& rules,
                                 DiscoveredServer& out);

// Asks the resource at `url` and whom it names. Throws as the readers do, also when nothing answers.
core::Task<DiscoveredServer> discover(core::HttpClient* http, DiscoveryRules rules, std::string url);

}  // namespace assistiv::oauth
