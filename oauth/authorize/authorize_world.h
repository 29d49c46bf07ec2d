#pragma once
// What the authorization server works with. All but the strings must outlive it.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/http_client.h"
#include "core/random.h"
#include "oauth/authorize/resources.h"
#include "oauth/crypto/reencryption.h"
#include "oauth/crypto/vault.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct AuthorizeWorld {
  storage::Database& database;
  storage::AuditLog& audit;
  const Vault& vault;
  core::HttpClient& http;
  const core::Clock& clock;
  core::Random& random;
  std::string issuer;  // the public URL, without a trailing slash
  Resources resources;
  bool allow_loopback_documents = false;  // client ID metadata documents at http://127.0.0.1 (tests)
  // Called after a commit with what Transaction::notify sent, so that this node's caches do not wait for the
  // round trip.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};

// Sealed columns of this folder, for re-encryption.
std::vector<SealedColumn> authorize_sealed_columns();

}  // namespace assistiv::oauth
