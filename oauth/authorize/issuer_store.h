#pragma once
// Rows of `registered_issuer` and `issuer_audience`: OpenID providers that platforms registered. Whose a
// token is, and which provider a sign-in page offers, is asked before the tenant is known: in the system's
// scope.
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/secret.h"
#include "oauth/crypto/vault.h"
#include "oauth/identity/page.h"
#include "storage/database.h"

namespace assistiv::oauth {

using IssuerId = core::Id<struct IssuerTag>;

// How we say who we are at its token endpoint, as in token_endpoint_auth_method.
enum class TokenAuth { None, SecretBasic, SecretPost };

struct RegisteredIssuer {
  core::PlatformId platform_id;
  IssuerId id;
  std::string issuer, client_id;
  std::optional<core::Secret> client_secret;
  TokenAuth token_auth = TokenAuth::None;
  std::vector<std::string> audiences;  // whose tokens are taken in place of keys
  std::string end_user_claim;
  bool creates_end_users = false;
  bool sign_in = true;
  std::string authorization_endpoint, token_endpoint, jwks_uri;
  bool names_itself = false;  // its answers carry iss (RFC 9207)
  core::Time created_at, updated_at;
};

// What the sign-in page shows of the platforms that have a provider of their own.
struct ProviderOffer {
  bool any = false;
  std::optional<std::string> only_slug;  // when there is one such platform only
  std::string only_name;
};

class IssuerStore {
 public:
  static constexpr int kMaxPerPlatform = 5;

  explicit IssuerStore(const Vault& vault) : vault_(vault) {}

  // Throws Conflict when the platform has this issuer, has another one for sign-in, or has its fill, and when
  // one of the audiences is another registration's.
  void insert(storage::Transaction& tx, const RegisteredIssuer& row) const;
  // Secret, audiences, creates_end_users, updated_at. Throws as insert().
  void update(storage::Transaction& tx, const RegisteredIssuer& row) const;
  std::optional<RegisteredIssuer> get(storage::Transaction& tx, core::PlatformId platform, IssuerId id) const;
  std::vector<RegisteredIssuer> list(storage::Transaction& tx, core::PlatformId platform) const;
  bool remove(storage::Transaction& tx, core::PlatformId platform, IssuerId id) const;

  // The one registration that takes tokens of this issuer for one of these audiences. Nothing when there is
  // none, and when the audiences are of two of them.
  std::optional<RegisteredIssuer> of_token(storage::Transaction& tx, const std::string& issuer,
                                           const std::vector<std::string>& audiences) const;
  std::optional<RegisteredIssuer> of_platform(storage::Transaction& tx, core::PlatformId platform,
                                              const std::string& issuer) const;
  // Where the end users of an active platform sign in.
  std::optional<RegisteredIssuer> for_sign_in(storage::Transaction& tx,
                                              const std::string& platform_slug) const;
  ProviderOffer offer(storage::Transaction& tx) const;

 private:
  RegisteredIssuer read(const storage::Row& row) const;
  void put_audiences(storage::Transaction& tx, const RegisteredIssuer& row) const;
  storage::Param sealed(const RegisteredIssuer& row) const;
  const Vault& vault_;
};

}  // namespace assistiv::oauth
