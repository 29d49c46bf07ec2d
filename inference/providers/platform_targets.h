#pragma once
// Which models a platform can call, and where: its configurations joined with the catalogue, in memory until
// a notice says that something of it changed.
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "inference/providers/provider_world.h"
#include "inference/providers/settings.h"
#include "inference/routing/target.h"

namespace assistiv::inference {

// As GET /v1/models shows it.
struct OfferedModel {
  std::string id;
  std::string owned_by;  // slug of the provider that would be asked first
  core::Time created_at;
};

struct PlatformTargetsOptions {
  std::size_t platforms_max = 10'000;
  // How long a snapshot is used without a reload, should a notice get lost or a dated price begin.
  std::chrono::milliseconds ttl{60'000};
};

// Thread-safe.
class PlatformTargets final : public TargetSource {
 public:
  explicit PlatformTargets(ProviderWorld& world, PlatformTargetsOptions options = {});
  ~PlatformTargets() override;

  // A model is named by its slug, by an alias (the platform's own first), or as "<provider>/<name>"; a
  // provider with open models and no allow-list takes any other name.
  core::Task<TargetPlanPtr> targets(core::PlatformId platform, std::string model) override;
  // Models that an active configuration offers by name, sorted; names that only an open provider could know
  // are not in it.
  core::Task<std::vector<OfferedModel>> models(core::PlatformId platform);
  core::Task<std::shared_ptr<const PlatformSettings>> settings(core::PlatformId platform);

  // Notifier callback: topics llm_config, platform (payload: the platform), llm_catalogue, price, resync.
  void on_notify(std::string_view topic, std::string_view payload);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace assistiv::inference
