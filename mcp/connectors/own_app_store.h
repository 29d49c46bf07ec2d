#pragma once
// Rows of `own_app_manifest`.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "mcp/connectors/own_app_service.h"
#include "oauth/identity/page.h"
#include "storage/database.h"

namespace assistiv::mcp {

struct ServingManifest {
  std::string app, document;
};

// Inside the caller's transaction; holds no state.
class OwnAppStore {
 public:
  // Until the end of the transaction nobody else adds, decides or removes manifests of this platform.
  void lock_platform(storage::Transaction& tx, core::PlatformId platform) const;
  std::int64_t count_apps(storage::Transaction& tx, core::PlatformId platform) const;
  // Every manifest of the app, the newest first.
  std::vector<OwnManifest> versions(storage::Transaction& tx, core::PlatformId platform,
                                    const std::string& app) const;
  // With its document.
  void insert(storage::Transaction& tx, const OwnManifest& manifest) const;
  void set_status(storage::Transaction& tx, const OwnManifest& manifest) const;
  void remove(storage::Transaction& tx, core::PlatformId platform, ManifestId id) const;
  bool remove_app(storage::Transaction& tx, core::PlatformId platform, const std::string& app) const;

  // Newest first, without documents. Without a platform every tenant's: needs Scope::system().
  oauth::Page<OwnManifest> list(storage::Transaction& tx, std::optional<core::PlatformId> platform,
                                const ManifestFilter& filter, oauth::PageRequest page) const;
  // With its document; across tenants without a platform, as list().
  std::optional<OwnManifest> get(storage::Transaction& tx, std::optional<core::PlatformId> platform,
                                 ManifestId id) const;
  std::vector<ServingManifest> serving(storage::Transaction& tx, core::PlatformId platform) const;
  // Of those that serve and are left out.
  LeftOut faults(storage::Transaction& tx, core::PlatformId platform) const;
  // Nothing: there is none any more. False when it was so before.
  bool set_fault(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                 const std::optional<std::string>& fault) const;
};

}  // namespace assistiv::mcp
