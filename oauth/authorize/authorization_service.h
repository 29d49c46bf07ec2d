#pragma once
// From a consent to tokens, and their end: codes that work once, access tokens of a quarter of an hour,
// refresh tokens that rotate. Whatever is used a second time ends the whole authorization.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/encoding.h"
#include "core/secret.h"
#include "core/task.h"
#include "oauth/authorize/authorization_store.h"
#include "oauth/authorize/authorize_request.h"
#include "oauth/authorize/authorize_world.h"
#include "oauth/authorize/client_store.h"
#include "oauth/authorize/sign_in_service.h"
#include "oauth/authorize/signing_keys.h"
#include "oauth/identity/audit_context.h"
#include "oauth/identity/page.h"

namespace assistiv::oauth {

// What an end user pressed the button for.
struct Consent {
  core::KeyId id;  // of the consent page: the same page sent twice gives one authorization
  SignedIn who;
  OAuthClient client;
  AuthorizeRequest request;
  std::vector<std::string> scopes;  // of the requested ones
  std::string tools_json;           // {app: policy}, "*" for every other app
};

// What a client that the platform registered may do without asking anybody.
struct DirectGrant {
  core::PlatformId platform_id;
  core::EndUserId end_user_id;
  std::string client_id, client_name, resource;
  std::vector<std::string> scopes;
  std::string how;                            // for the audit trail: "client_credentials", "id_jag"
  std::optional<core::KeyId> issuer_id = {};  // whose grant it was
};

struct IssuedTokens {
  core::Secret access;
  std::optional<core::Secret> refresh;
  std::chrono::seconds expires_in{0};
  std::vector<std::string> scopes;
};

// Thread-safe.
class AuthorizationService {
 public:
  // How long a refresh token that was just exchanged gives the same successor again: several processes of a
  // client may share one token, and a reply may be lost.
  static constexpr std::chrono::seconds kGrace{30};

  AuthorizationService(AuthorizeWorld& world, SigningKeys& keys) : world_(world), keys_(keys) {}

  // Where the browser goes with the code; nothing when this consent was sent before.
  core::Task<std::optional<std::string>> grant(Consent consent, std::string request_id);
  // The token endpoint. Throws OAuthError.
  core::Task<IssuedTokens> exchange(core::FormFields fields, OAuthClient client, std::string request_id);
  // An access token without a code and without a refresh token. Throws OAuthError invalid_grant when the
  // platform or the end user is switched off.
  core::Task<IssuedTokens> issue_direct(DirectGrant grant, std::string request_id);
  // RFC 7009: ends the authorization that the token is of, if it is this client's. An unknown token is no
  // fault.
  core::Task<> revoke_token(std::string token, OAuthClient client, std::string request_id);

  core::Task<Page<Authorization>> list(core::PlatformId platform, core::EndUserId end_user, PageRequest page);
  // NotFound when it is not this end user's.
  core::Task<> revoke(core::PlatformId platform, core::EndUserId end_user, core::KeyId id,
                      AuditContext context);

 private:
  // What a transaction decided: tokens come after the commit.
  struct Outcome {
    std::optional<Authorization> row;
    std::uint32_t generation = 0;
    std::string refused;  // the description of invalid_grant
    bool ended = false;   // the authorization was ended
  };
  core::Task<IssuedTokens> of_code(core::FormFields fields, OAuthClient client, std::string request_id);
  core::Task<IssuedTokens> of_refresh_token(core::FormFields fields, OAuthClient client,
                                            std::string request_id);
  Outcome redeem(storage::Transaction& tx, const core::FormFields& fields, const OAuthClient& client,
                 const std::string& request_id) const;
  Outcome rotate(storage::Transaction& tx, const core::FormFields& fields, const OAuthClient& client,
                 const std::string& request_id) const;
  void end(storage::Transaction& tx, const Authorization& row, const std::string& reason,
           const AuditContext& context) const;
  void audit_end(storage::Transaction& tx, const Authorization& row, const std::string& reason,
                 const AuditContext& context) const;
  // Ends what the newest is too many for. True when there was any.
  bool end_oldest(storage::Transaction& tx, const Authorization& newest, const AuditContext& context) const;
  void tell(const Authorization& row) const;
  Authorization put_direct(storage::Transaction& tx, const DirectGrant& grant,
                           const std::string& request_id) const;
  IssuedTokens issue(const Outcome& outcome, std::vector<std::string> scopes) const;

  AuthorizeWorld& world_;
  SigningKeys& keys_;
};

}  // namespace assistiv::oauth
