#pragma once
// What the authorization server works with. All but the strings must outlive it.
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/http_client.h"
#include "core/ids.h"
#include "core/random.h"
#include "core/task.h"
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
  // Client ID metadata documents and registered issuers at http://127.0.0.1, for tests and trials.
  bool allow_loopback_documents = false;
  // Called after a commit with what Transaction::notify sent, so that this node's caches do not wait for the
  // round trip.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
  // The end user with this external_id, made with an audit entry where `create` says so. Nothing when there
  // is none, or when the id is none that an end user can have.
  std::function<core::Task<std::optional<core::EndUserId>>(core::PlatformId, std::string external_id,
                                                           bool create, std::string request_id)>
      end_user_of = {};
};

// Sealed columns of this folder, for re-encryption.
std::vector<SealedColumn> authorize_sealed_columns();

}  // namespace assistiv::oauth
