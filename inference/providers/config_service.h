#pragma once
// A platform's provider configurations: its keys at the providers, and in which order they are used.
#include "core/task.h"
#include "inference/providers/config_store.h"
#include "inference/providers/provider_world.h"
#include "oauth/identity/audit_context.h"

namespace assistiv::inference {

// Thread-safe. Faulty values throw Error{InvalidArgument} with a JSON pointer, what does not exist NotFound.
// Each change leaves an audit entry (llm_config.created, .updated, .removed) and a notice on the topic
// "llm_config". Keys are sealed and never given back.
class ConfigService {
 public:
  explicit ConfigService(ProviderWorld& world) : world_(world) {}

  core::Task<oauth::Page<ProviderConfig>> list(core::PlatformId platform, oauth::PageRequest page);
  core::Task<ProviderConfig> get(core::PlatformId platform, ConfigId id);
  core::Task<ProviderConfig> create(core::PlatformId platform, ProviderConfigInput input,
                                    oauth::AuditContext context);
  core::Task<ProviderConfig> update(core::PlatformId platform, ConfigId id, ProviderConfigInput input,
                                    oauth::AuditContext context);
  core::Task<> remove(core::PlatformId platform, ConfigId id, oauth::AuditContext context);

 private:
  CatalogProvider wanted_provider(storage::Transaction& tx, const ProviderConfigInput& input) const;
  void apply(ProviderConfig& out, const CatalogProvider& provider, const ProviderConfigInput& input,
             const oauth::AuditContext& context) const;
  void announce(core::PlatformId platform) const;
  ProviderWorld& world_;
};

}  // namespace assistiv::inference
