#pragma once
// Confidential clients that a platform registered, and the two grants that they have: client_credentials (RFC
// 6749 section 4.4; MCP's extension of that name), for the one end user that the platform gave them, and a
// grant of the platform's issuer (RFC 7523, typ oauth-id-jag+jwt; MCP's enterprise-managed authorization),
// for whom it names. Tenant and end user come from the registration and the issuer's signature, never from a
// parameter.
#include <optional>
#include <string>
#include <vector>

#include "core/encoding.h"
#include "core/secret.h"
#include "core/task.h"
#include "oauth/authorize/authorization_service.h"
#include "oauth/authorize/authorize_world.h"
#include "oauth/authorize/external_tokens.h"
#include "oauth/authorize/platform_client_store.h"
#include "oauth/identity/audit_context.h"

namespace assistiv::oauth {

inline constexpr std::string_view kClientCredentialsGrant = "client_credentials";
inline constexpr std::string_view kJwtBearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
inline constexpr std::string_view kJwtAssertionType =
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

struct NewPlatformClient {
  std::string name;
  std::optional<core::EndUserId> end_user_id;
  PlatformClientAuth auth = PlatformClientAuth::SecretBasic;
  std::string jwks;  // a JWK set as compact JSON; "" but with PrivateKeyJwt
};

struct IssuedPlatformClient {
  PlatformClient client;
  core::Secret secret;  // empty with PrivateKeyJwt
};

// Thread-safe.
class PlatformClients {
 public:
  PlatformClients(AuthorizeWorld& world, ExternalTokens& external, AuthorizationService& authorizations)
      : world_(world), external_(external), authorizations_(authorizations) {}

  // Throws InvalidArgument ("/jwks"), NotFound for the end user, Conflict.
  core::Task<IssuedPlatformClient> add(core::PlatformId platform, NewPlatformClient input,
                                       AuditContext context);
  core::Task<Page<PlatformClient>> list(core::PlatformId platform, PageRequest page);
  // Its tokens end at once. Throws NotFound.
  core::Task<> remove(core::PlatformId platform, std::string client_id, AuditContext context);

  // Whether a token request is for this class and not for a client with an end user at hand: by its grant
  // type.
  static bool takes(const core::FormFields& fields);
  // `authorization` is the header's value, or "". Throws OAuthError.
  core::Task<IssuedTokens> exchange(core::FormFields fields, std::string authorization,
                                    std::string request_id);

 private:
  core::Task<std::optional<PlatformClient>> find(std::string client_id);
  core::Task<PlatformClient> authenticate(core::FormFields fields, std::string authorization);
  core::Task<PlatformClient> by_assertion(std::string assertion);
  core::Task<bool> use_once(core::PlatformId platform, std::string maker, ExternalClaims claims);
  core::Task<IssuedTokens> of_credentials(core::FormFields fields, PlatformClient client,
                                          std::string request_id);
  core::Task<IssuedTokens> of_grant(core::FormFields fields, PlatformClient client, std::string request_id);

  AuthorizeWorld& world_;
  ExternalTokens& external_;
  AuthorizationService& authorizations_;
};

}  // namespace assistiv::oauth
