#pragma once
// A platform's own OpenID provider as the REST API offers it: registered after a look at its metadata,
// changed and removed with an audit entry, and with the notice that drops what came from its tokens on every
// node.
#include <optional>
#include <string>
#include <vector>

#include "core/secret.h"
#include "core/task.h"
#include "oauth/authorize/authorize_world.h"
#include "oauth/authorize/issuer_store.h"
#include "oauth/identity/audit_context.h"

namespace assistiv::oauth {

struct NewIssuer {
  std::string issuer, client_id;
  std::optional<core::Secret> client_secret;
  std::vector<std::string> audiences;
  std::string end_user_claim = "sub";
  bool creates_end_users = false;
  bool sign_in = true;
};

struct IssuerPatch {
  std::optional<core::Secret> client_secret;
  std::optional<std::vector<std::string>> audiences;
  std::optional<bool> creates_end_users;
};

// What we need of an OpenID provider's metadata (OpenID Connect Discovery 1.0 section 3).
struct ProviderMetadata {
  std::string authorization_endpoint, token_endpoint, jwks_uri;
  bool takes_basic = true, takes_post = false;
  bool names_itself = false;
};
// Throws Error{InvalidArgument} (field "/issuer") that says what is wrong with it. Pure.
ProviderMetadata read_provider_metadata(const std::string& text, const std::string& issuer,
                                        bool allow_loopback);

// Thread-safe.
class IssuerService {
 public:
  explicit IssuerService(AuthorizeWorld& world) : world_(world) {}

  // Where a platform's client at the provider sends browsers back to.
  std::string redirect_uri() const { return world_.issuer + "/oauth/sign-in/callback"; }

  // An audience that names the platform, as a registration wants it.
  std::string audience_of(core::PlatformId platform) const;

  // Throws InvalidArgument for what is not good or does not answer, and for an audience that does not name
  // the platform, unless it is the operator who asks (decision 87). Conflict as IssuerStore::insert().
  core::Task<RegisteredIssuer> add(core::PlatformId platform, NewIssuer input, AuditContext context);
  core::Task<std::vector<RegisteredIssuer>> list(core::PlatformId platform);
  // These throw NotFound when it is not the platform's.
  core::Task<RegisteredIssuer> get(core::PlatformId platform, IssuerId id);
  core::Task<RegisteredIssuer> update(core::PlatformId platform, IssuerId id, IssuerPatch patch,
                                      AuditContext context);
  core::Task<> remove(core::PlatformId platform, IssuerId id, AuditContext context);

 private:
  core::Task<ProviderMetadata> discover(std::string issuer);
  void announce(storage::Transaction& tx, const RegisteredIssuer& row, const std::string& event,
                const AuditContext& context) const;
  void tell(core::PlatformId platform) const;
  AuthorizeWorld& world_;
};

}  // namespace assistiv::oauth
