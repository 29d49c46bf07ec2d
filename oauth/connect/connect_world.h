#pragma once
// What every part of the connect engine works with. api/ makes one; all of it outlives the engine.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/http_client.h"
#include "core/random.h"
#include "oauth/connect/connector_spec.h"
#include "oauth/crypto/reencryption.h"
#include "oauth/crypto/vault.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct ConnectWorld {
  storage::Database& database;
  storage::AuditLog& audit;
  const Vault& vault;
  core::HttpClient& http;
  const ConnectorRegistry& registry;
  const core::Clock& clock;
  core::Random& random;
  std::string public_url;  // "https://mcp.example.com", without a trailing slash
  // Called after a commit with what Transaction::notify sent (topics "app" and "connection"), so that this
  // node's caches need not wait for the round trip. May be empty. Same duties as a Notifier callback.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};

// For after the commit: `changed` with the payload "platform/app", or "platform/end user".
void announce_app(const ConnectWorld& world, core::PlatformId platform, const std::string& app);
void announce_connection(const ConnectWorld& world, core::PlatformId platform, core::EndUserId end_user);

// The redirect_uri of this connector, and what to register at the provider. A platform's own app has the
// platform in it: providers that two tenants brought can never get each other's codes.
std::string callback_url(const ConnectWorld& world, core::PlatformId platform, const ConnectorSpec& spec);

// For Reencryption.
std::vector<SealedColumn> connect_sealed_columns();

}  // namespace assistiv::oauth
