// What clients read before anything else: whose tokens an MCP URL takes (RFC 9728), what the authorization
// server can do (RFC 8414), and its keys (RFC 7517).
#include <nlohmann/json.hpp>

#include "api/config.h"
#include "api/routes/routes.h"
#include "core/json_read.h"
#include "mcp/connectors/app_book.h"
#include "oauth/authorize/authorization_server.h"

namespace assistiv::api {

namespace {

core::HttpReply public_json(const core::Json& body) {
  auto reply = core::json_reply(200, core::dump_json(body));
  reply.headers.add("cache-control", "public, max-age=300");
  return reply;
}

core::HttpReply resource_metadata(Services* s, const std::string& path) {
  const auto& resources = s->authorization->world().resources;
  const auto resource = resources.find(s->config.mcp_public_url + path);
  if (!resource) throw core::not_found("There is no MCP URL at " + path + ".");
  // Nobody says which platform is asked about, so its own apps have no name here.
  const auto* app = resource->app ? s->book.built_in()->find_app(*resource->app) : nullptr;
  return public_json({{"resource", resource->url},
                      {"resource_name", app != nullptr ? app->title : "Assistiv Gateway"},
                      {"authorization_servers", core::Json::array({s->config.public_url})},
                      {"scopes_supported", core::Json::array({oauth::kScopeMcp, oauth::kScopeWrite})},
                      {"bearer_methods_supported", core::Json::array({"header"})}});
}

core::Task<core::HttpReply> metadata_of_all_apps(Services* s, Call) {
  co_return resource_metadata(s, "/mcp");
}

core::Task<core::HttpReply> metadata_of_app(Services* s, Call call) {
  co_return resource_metadata(s, "/mcp/" + call.params.at("app"));
}

core::Json server_metadata(const std::string& issuer) {
  using core::Json;
  const Json auth = Json::array({"none", "client_secret_basic", "client_secret_post"});
  return {
      {"issuer", issuer},
      {"authorization_endpoint", issuer + "/authorize"},
      {"token_endpoint", issuer + "/token"},
      {"registration_endpoint", issuer + "/register"},
      {"revocation_endpoint", issuer + "/revoke"},
      {"jwks_uri", issuer + "/.well-known/jwks.json"},
      {"scopes_supported", Json::array({oauth::kScopeMcp, oauth::kScopeWrite, oauth::kScopeOffline})},
      {"response_types_supported", Json::array({"code"})},
      {"response_modes_supported", Json::array({"query"})},
      {"grant_types_supported", Json::array({"authorization_code", "refresh_token",
                                             oauth::kClientCredentialsGrant, oauth::kJwtBearerGrant})},
      {"authorization_grant_profiles_supported", Json::array({"urn:ietf:params:oauth:grant-profile:id-jag"})},
      {"token_endpoint_auth_methods_supported",
       Json::array({"none", "client_secret_basic", "client_secret_post", "private_key_jwt"})},
      {"token_endpoint_auth_signing_alg_values_supported",
       Json::array({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"})},
      {"revocation_endpoint_auth_methods_supported", auth},
      {"code_challenge_methods_supported", Json::array({"S256"})},
      {"authorization_response_iss_parameter_supported", true},
      {"client_id_metadata_document_supported", true}};
}

core::Task<core::HttpReply> authorization_server(Services* s, Call) {
  co_return public_json(server_metadata(s->config.public_url));
}

// Clients probe this address, too, and hold it against OpenID's list of required members. No ID tokens are
// issued.
core::Task<core::HttpReply> openid_configuration(Services* s, Call) {
  auto metadata = server_metadata(s->config.public_url);
  metadata["subject_types_supported"] = core::Json::array({"public"});
  metadata["id_token_signing_alg_values_supported"] = core::Json::array({"ES256"});
  co_return public_json(metadata);
}

core::Task<core::HttpReply> key_set(Services* s, Call) {
  co_return public_json(s->authorization->keys().public_set());
}

void add_metadata(RouteTable& table, Services& services, std::string path, std::string id,
                  std::string summary, std::string schema, ServiceHandler handler) {
  table.push_back({.method = "GET",
                   .path = std::move(path),
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = std::move(id),
                   .tag = "Authorization server",
                   .summary = std::move(summary),
                   .reply_schema = std::move(schema),
                   .enveloped = false,
                   .any_origin = true,
                   .handle = with_services(services, handler)});
}

}  // namespace

void add_authorization_metadata(RouteTable& table, Services& services) {
  const std::string resource = "/.well-known/oauth-protected-resource";
  for (const std::string path : {"", "/mcp"}) {
    add_metadata(table, services, resource + path, path.empty() ? "resourceMetadata" : "mcpResourceMetadata",
                 "Which authorization server gives tokens for /mcp (RFC 9728).", "ProtectedResource",
                 metadata_of_all_apps);
  }
  add_metadata(table, services, resource + "/mcp/{app}", "mcpAppResourceMetadata",
               "Which authorization server gives tokens for /mcp/{app} (RFC 9728).", "ProtectedResource",
               metadata_of_app);
  add_metadata(table, services, "/.well-known/oauth-authorization-server", "authorizationServerMetadata",
               "What the authorization server can do (RFC 8414).", "AuthorizationServer",
               authorization_server);
  add_metadata(table, services, "/.well-known/openid-configuration", "openidConfiguration",
               "The same, where clients of OpenID look for it.", "AuthorizationServer", openid_configuration);
  add_metadata(table, services, "/.well-known/jwks.json", "keySet",
               "The keys that sign access tokens (RFC 7517).", "KeySet", key_set);
}

}  // namespace assistiv::api
