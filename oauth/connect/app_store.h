#pragma once
// Rows of `mcp_app`. The callers' transactions are in the platform's scope, or in the system's.
#include <optional>
#include <string>

#include "core/secret.h"
#include "oauth/connect/app_service.h"
#include "oauth/connect/provider_client.h"
#include "storage/database.h"

namespace assistiv::oauth {

class Vault;

// An activation as stored: no title and no callback URL, and the secret sealed.
struct AppRow {
  App app;
  std::string sealed_secret;
};

class AppStore {
 public:
  explicit AppStore(const Vault& vault) : vault_(vault) {}

  // Throws Error{Conflict} when the app is activated, Error{NotFound} when there is no such platform.
  void insert(storage::Transaction& tx, core::PlatformId platform, const App& app,
              const core::Secret& secret) const;
  // Locks the row until the end of the transaction.
  std::optional<AppRow> lock(storage::Transaction& tx, core::PlatformId platform,
                             const std::string& app) const;
  std::optional<AppRow> get(storage::Transaction& tx, core::PlatformId platform,
                            const std::string& app) const;
  Page<App> list(storage::Transaction& tx, core::PlatformId platform, PageRequest page) const;  // by name
  // `secret` replaces the stored one when it is there.
  void update(storage::Transaction& tx, core::PlatformId platform, const App& app,
              const std::optional<core::Secret>& secret) const;
  bool remove(storage::Transaction& tx, core::PlatformId platform, const std::string& app) const;

  ClientCredentials open(core::PlatformId platform, const AppRow& row) const;

 private:
  const Vault& vault_;
};

}  // namespace assistiv::oauth
