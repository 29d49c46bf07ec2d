#include "inference/providers/platform_targets.h"

#include <exception>
#include <map>
#include <mutex>

#include "core/async.h"
#include "core/error.h"
#include "inference/providers/catalogue_store.h"
#include "inference/providers/target_snapshot.h"
#include "oauth/identity/platform_store.h"

namespace assistiv::inference {

namespace {

using TargetSnapshotPtr = std::shared_ptr<const TargetSnapshot>;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::chrono::seconds kLoadWaitMax{30};

// One load that any number of callers wait for.
struct SnapshotFlight {
  std::vector<std::shared_ptr<core::AsyncEvent>> waiters;
  bool overtaken = false;  // something changed meanwhile: good for those who wait, not for later ones
  TargetSnapshotPtr snapshot;
  std::exception_ptr error;
};

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
  struct Entry {
    TargetSnapshotPtr snapshot;
    SteadyTime loaded_at;
  };

  Impl(ProviderWorld& w, PlatformTargetsOptions o) : world(w), options(o) {}

  ProviderWorld& world;
  const PlatformTargetsOptions options;
  std::mutex mutex;
  std::map<core::PlatformId, Entry> entries;
  std::map<core::PlatformId, std::shared_ptr<SnapshotFlight>> flights;

  // Needs the lock.
  TargetSnapshotPtr fresh(core::PlatformId platform) {
    const auto it = entries.find(platform);
    if (it == entries.end()) return nullptr;
    if (std::chrono::steady_clock::now() - it->second.loaded_at < options.ttl) return it->second.snapshot;
    entries.erase(it);
    return nullptr;
  }

  TargetSnapshotPtr load(storage::Transaction& tx, core::PlatformId platform) {
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
    return std::make_shared<const TargetSnapshot>(std::move(parts), world.price_of);
  }

  core::Task<TargetSnapshotPtr> lead(core::PlatformId platform, std::shared_ptr<SnapshotFlight> flight) {
    const auto started = std::chrono::steady_clock::now();
    TargetSnapshotPtr snapshot;
    std::exception_ptr error;
    try {
      snapshot = co_await world.database.run(storage::Scope::tenant(platform),
                                             [self = shared_from_this(), platform](storage::Transaction& tx) {
                                               return self->load(tx, platform);
                                             });
    } catch (const std::exception&) {
      error = std::current_exception();
    }
    land(platform, *flight, snapshot, error, started);
    if (error) std::rethrow_exception(error);
    co_return snapshot;
  }

  void land(core::PlatformId platform, SnapshotFlight& flight, const TargetSnapshotPtr& snapshot,
            const std::exception_ptr& error, SteadyTime started) {
    std::vector<std::shared_ptr<core::AsyncEvent>> waiters;
    {
      std::lock_guard lock(mutex);
      flight.snapshot = snapshot;
      flight.error = error;
      waiters.swap(flight.waiters);
      if (!flight.overtaken) {
        flights.erase(platform);
        if (snapshot) {
          if (entries.size() >= options.platforms_max) entries.erase(entries.begin());
          entries[platform] = {snapshot, started};
        }
      }
    }
    for (const auto& waiter : waiters) waiter->set();
  }

  core::Task<TargetSnapshotPtr> follow(std::shared_ptr<SnapshotFlight> flight,
                                       std::shared_ptr<core::AsyncEvent> landed) {
    co_await landed->wait_for(kLoadWaitMax);
    TargetSnapshotPtr snapshot;
    std::exception_ptr error;
    {
      std::lock_guard lock(mutex);
      snapshot = flight->snapshot;
      error = flight->error;
    }
    if (error) std::rethrow_exception(error);
    if (!snapshot)
      throw core::Error(core::ErrorKind::Unavailable, "The database is slow. Try again shortly.");
    co_return snapshot;
  }

  core::Task<TargetSnapshotPtr> get(core::PlatformId platform) {
    std::shared_ptr<SnapshotFlight> flight;
    std::shared_ptr<core::AsyncEvent> landed;
    {
      std::lock_guard lock(mutex);
      if (auto snapshot = fresh(platform)) co_return snapshot;
      auto& slot = flights[platform];
      if (slot) {
        landed = slot->waiters.emplace_back(std::make_shared<core::AsyncEvent>());
      } else {
        slot = std::make_shared<SnapshotFlight>();
      }
      flight = slot;
    }
    if (landed) co_return co_await follow(std::move(flight), std::move(landed));
    co_return co_await lead(platform, std::move(flight));
  }

  void drop(core::PlatformId platform) {
    std::lock_guard lock(mutex);
    entries.erase(platform);
    if (const auto it = flights.find(platform); it != flights.end()) {
      it->second->overtaken = true;
      flights.erase(it);
    }
  }

  void drop_all() {
    std::lock_guard lock(mutex);
    entries.clear();
    for (auto& [platform, flight] : flights) flight->overtaken = true;
    flights.clear();
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
  if (topic == "resync" || topic == "llm_catalogue" || topic == "price") return impl_->drop_all();
  if (topic != "llm_config" && topic != "platform") return;
  if (const auto platform = core::PlatformId::parse(payload.substr(0, payload.find('/')))) {
    impl_->drop(*platform);
  }
}

}  // namespace assistiv::inference
