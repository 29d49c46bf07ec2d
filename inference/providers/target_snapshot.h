#pragma once
// One platform's models as they stand at one moment. Internal to inference/providers.
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "inference/providers/config_store.h"
#include "inference/providers/platform_targets.h"

namespace assistiv::inference {

// What a snapshot is made of; read in one transaction.
struct SnapshotParts {
  PlatformSettings settings;
  std::vector<CatalogProvider> providers;
  std::vector<CatalogModel> models;
  struct OpenedConfig {
    ProviderConfig config;
    core::Secret key;
  };
  std::vector<OpenedConfig> configs;  // active ones, in order
};

// Immutable but for the memo of plans; thread-safe.
class TargetSnapshot {
 public:
  using PriceOf = std::function<billing::PricePtr(const std::string& provider, const std::string& model)>;
  TargetSnapshot(SnapshotParts parts, PriceOf price_of);

  // Null for a model that nothing offers.
  TargetPlanPtr plan(const std::string& model) const;
  const std::vector<OfferedModel>& offered() const { return offered_; }
  // The platform has no configuration that is active.
  bool empty() const { return parts_.configs.empty(); }
  std::shared_ptr<const PlatformSettings> settings() const { return settings_; }

 private:
  using Targets = std::vector<TargetPtr>;
  const CatalogProvider* provider(ProviderId id) const;
  TargetPtr make_target(const SnapshotParts::OpenedConfig& config, const CatalogProvider& provider,
                        const CatalogModel* model, const std::string& provider_model) const;
  void offer(const std::string& slug, const CatalogModel* model, const CatalogProvider& provider,
             const SnapshotParts::OpenedConfig& config);
  void offer_models(const SnapshotParts::OpenedConfig& config, const CatalogProvider& provider);
  std::string canonical_name(const std::string& name) const;
  Targets open_targets(std::string_view provider_slug, const std::string& model) const;
  TargetPlan::Model resolve(const std::string& name) const;
  TargetPlanPtr make_plan(const std::string& name) const;

  SnapshotParts parts_;
  PriceOf price_of_;
  std::shared_ptr<const PlatformSettings> settings_;
  std::map<std::string, Targets, std::less<>> by_slug_;
  std::map<std::string, std::string, std::less<>> aliases_;  // of the catalogue
  std::vector<OfferedModel> offered_;

  mutable std::mutex mutex_;
  mutable std::map<std::string, TargetPlanPtr, std::less<>> plans_;
};

}  // namespace assistiv::inference
