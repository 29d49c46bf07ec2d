#include "inference/providers/platform_targets.h"

#include "core/error.h"
#include "core/snapshot_cache.h"
#include "inference/providers/catalogue_store.h"
#include "inference/providers/target_snapshot.h"
#include "oauth/identity/platform_store.h"

namespace assistiv::inference {

namespace {

core::Error model_not_found(const std::string& model, bool no_provider) {
  const std::string hint =
      no_provider ? "it has no provider yet: POST /v1/platforms/{platform_id}/llm-configs adds one."
                  : "GET /v1/models lists those that are.";
  return core::not_found("The model \"" + model.substr(0, 200) + "\" is not available on this platform" +
                         (no_provider ? ", " : ". ") + hint)
      .with_code("model_not_found")
      .with_field("model");
}

}  // namespace

struct PlatformTargets::Impl : std::enable_shared_from_this<PlatformTargets::Impl> {
  using Cache = core::SnapshotCache<core::PlatformId, TargetSnapshot>;

  Impl(ProviderWorld& w, PlatformTargetsOptions o) : world(w), cache({o.ttl, o.platforms_max}) {}

  ProviderWorld& world;
  Cache cache;

  Cache::Loaded load(storage::Transaction& tx, core::PlatformId platform) const {
    SnapshotParts parts;
    const auto row = oauth::PlatformStore(world.clock, world.random).get(tx, platform);
    if (!row) throw core::not_found("No such platform.");
    parts.settings = read_settings(row->settings_json);
    const CatalogueStore catalogue;
    parts.providers = catalogue.providers(tx);
    parts.models = catalogue.models(tx);
    const ConfigStore configs(world.vault);
    for (auto& config : configs.active(tx, platform)) {
      auto key = configs.open(platform, config);
      parts.configs.push_back({std::move(config.config), std::move(key)});
    }
    return {std::make_shared<const TargetSnapshot>(std::move(parts), world.price_of)};
  }

  core::Task<Cache::Loaded> load_alone(core::PlatformId platform) {
    co_return co_await world.database.run(
        storage::Scope::tenant(platform),
        [self = shared_from_this(), platform](storage::Transaction& tx) { return self->load(tx, platform); });
  }

  core::Task<Cache::Ptr> get(core::PlatformId platform) {
    co_return co_await cache.get(
        platform, [self = shared_from_this(), platform] { return self->load_alone(platform); });
  }
};

PlatformTargets::PlatformTargets(ProviderWorld& world, PlatformTargetsOptions options)
    : impl_(std::make_shared<Impl>(world, options)) {}
PlatformTargets::~PlatformTargets() = default;

core::Task<TargetPlanPtr> PlatformTargets::targets(core::PlatformId platform, std::string model) {
  const auto impl = impl_;
  const auto snapshot = co_await impl->get(platform);
  auto plan = snapshot->plan(model);
  if (!plan) throw model_not_found(model, snapshot->empty());
  co_return plan;
}

core::Task<std::vector<OfferedModel>> PlatformTargets::models(core::PlatformId platform) {
  const auto impl = impl_;
  co_return (co_await impl->get(platform))->offered();
}

core::Task<std::shared_ptr<const PlatformSettings>> PlatformTargets::settings(core::PlatformId platform) {
  const auto impl = impl_;
  co_return (co_await impl->get(platform))->settings();
}

void PlatformTargets::on_notify(std::string_view topic, std::string_view payload) {
  if (topic == "resync" || topic == "llm_catalogue" || topic == "price") return impl_->cache.drop_all();
  if (topic != "llm_config" && topic != "platform") return;
  if (const auto platform = core::PlatformId::parse(payload.substr(0, payload.find('/')))) {
    impl_->cache.drop(*platform);
  }
}

}  // namespace assistiv::inference
