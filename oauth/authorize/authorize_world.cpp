#include "oauth/authorize/authorize_world.h"

namespace assistiv::oauth {

std::vector<SealedColumn> authorize_sealed_columns() {
  return {{"oauth_signing_key", "kid", "text", "private_jwk", "private_jwk"},
          {"client_authorization", "authorization_id", "uuid", "refresh_secret", "refresh_secret"},
          {"registered_issuer", "issuer_id", "uuid", "client_secret", "client_secret"}};
}

}  // namespace assistiv::oauth
