#pragma once
// Rows of `platform_client` and `used_assertion`. A client is found by the id that it presents: in the
// system's scope.
#include <cstdint>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/ids.h"
#include "oauth/identity/page.h"
#include "storage/database.h"

namespace assistiv::oauth {

enum class PlatformClientAuth { SecretBasic, PrivateKeyJwt };
std::string_view to_string(PlatformClientAuth auth);  // as in token_endpoint_auth_method

struct PlatformClient {
  core::PlatformId platform_id;
  std::string client_id, name;
  std::optional<core::EndUserId> end_user_id;  // whom it acts for by itself
  PlatformClientAuth auth = PlatformClientAuth::SecretBasic;
  std::string secret_hash;  // SHA-256, hex; "" with PrivateKeyJwt
  std::string jwks;         // a JWK set; "" with SecretBasic
  core::Time created_at;
};

class PlatformClientStore {
 public:
  static constexpr int kMaxPerPlatform = 1000;

  // Throws NotFound for an end user that is not the platform's, Conflict when it has its fill of clients.
  void insert(storage::Transaction& tx, const PlatformClient& row) const;
  std::optional<PlatformClient> find(storage::Transaction& tx, const std::string& client_id) const;
  Page<PlatformClient> list(storage::Transaction& tx, core::PlatformId platform, PageRequest page) const;
  // Nothing when it is not the platform's.
  std::optional<PlatformClient> remove(storage::Transaction& tx, core::PlatformId platform,
                                       const std::string& client_id) const;

  // False when it was used before. `maker` is the client or the issuer whose `jti` it is.
  bool use_assertion(storage::Transaction& tx, core::PlatformId platform, const std::string& maker,
                     const std::string& jti, core::Time expires_at) const;
  void discard_expired(storage::Transaction& tx, core::Time before, std::int64_t limit) const;
};

}  // namespace assistiv::oauth
