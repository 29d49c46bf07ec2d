#pragma once
// Rows of `llm_config`. The callers' transactions are in the platform's scope.
#include <optional>
#include <string>
#include <vector>

#include "core/secret.h"
#include "inference/providers/values.h"
#include "oauth/crypto/reencryption.h"
#include "oauth/identity/page.h"
#include "storage/database.h"

namespace assistiv::oauth {
class Vault;
}

namespace assistiv::inference {

// As stored: the key sealed, empty when there is none.
struct ConfigRow {
  ProviderConfig config;
  std::string sealed_key;
};

class ConfigStore {
 public:
  explicit ConfigStore(const oauth::Vault& vault) : vault_(vault) {}

  void insert(storage::Transaction& tx, core::PlatformId platform, const ProviderConfig& config,
              const core::Secret& key) const;
  // `key` replaces the stored one when it is there; an empty one takes it away.
  void update(storage::Transaction& tx, core::PlatformId platform, const ProviderConfig& config,
              const std::optional<core::Secret>& key) const;
  std::optional<ConfigRow> lock(storage::Transaction& tx, core::PlatformId platform, ConfigId id) const;
  std::optional<ConfigRow> get(storage::Transaction& tx, core::PlatformId platform, ConfigId id) const;
  // By priority, then age.
  oauth::Page<ProviderConfig> list(storage::Transaction& tx, core::PlatformId platform,
                                   oauth::PageRequest page) const;
  std::vector<ConfigRow> active(storage::Transaction& tx, core::PlatformId platform) const;
  std::int64_t count(storage::Transaction& tx, core::PlatformId platform) const;
  bool remove(storage::Transaction& tx, core::PlatformId platform, ConfigId id) const;
  // Before another configuration of the provider becomes the default.
  void clear_default(storage::Transaction& tx, core::PlatformId platform, ProviderId provider) const;

  core::Secret open(core::PlatformId platform, const ConfigRow& row) const;

 private:
  const oauth::Vault& vault_;
};

std::vector<oauth::SealedColumn> inference_sealed_columns();

}  // namespace assistiv::inference
