#include "mcp/connectors/app_book.h"

#include "core/log.h"
#include "core/metrics.h"
#include "core/snapshot_cache.h"

namespace assistiv::mcp {

namespace {

// What a tool costs beside its definition: compiled schemas, the plan, its part of the document.
constexpr std::size_t kToolBytes = 4096;
constexpr char kNameTaken[] = "another app has its name, or one of its tools'";

std::size_t weight_of(const std::vector<AppPtr>& apps) {
  std::size_t out = 0;
  for (const auto& app : apps) {
    for (const auto& tool : app->tools)
      out += 4 * tool.definition_json.size() + tool.icons_json.size() + kToolBytes;
  }
  return out;
}

}  // namespace

struct AppBook::Impl : std::enable_shared_from_this<AppBook::Impl> {
  using Cache = core::SnapshotCache<core::PlatformId, Catalog>;

  Impl(storage::Database& db, Catalog b, std::vector<const AppSource*> s, AppBookOptions o)
      : database(db),
        built_in(std::make_shared<const Catalog>(std::move(b))),
        sources(std::move(s)),
        cache({o.ttl, o.platforms_max, o.bytes_max}) {}

  storage::Database& database;
  const CatalogPtr built_in;
  const std::vector<const AppSource*> sources;
  core::metrics::Counter& loads =
      core::metrics::counter("assistiv_app_book_loads_total", "Catalogues loaded from the database.");
  Cache cache;

  Cache::Loaded load(storage::Transaction& tx, core::PlatformId platform) const {
    loads.add();
    std::vector<AppPtr> own;
    std::vector<LeftOut> left_out(sources.size());
    std::vector<std::size_t> source_of;  // of each app
    for (std::size_t i = 0; i < sources.size(); ++i) {
      auto more = sources[i]->load(tx, platform, left_out[i]);
      own.insert(own.end(), more.begin(), more.end());
      source_of.resize(own.size(), i);
    }
    auto all = own.empty() ? built_in : std::make_shared<const Catalog>(built_in->with(own));
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (all->find_app(own[i]->id) == own[i].get()) continue;
      left_out[source_of[i]].emplace(own[i]->id, kNameTaken);
      core::log::warn("mcp.app_left_out",
                      {{"platform_id", platform.str()}, {"app", own[i]->id}, {"reason", kNameTaken}});
    }
    for (std::size_t i = 0; i < sources.size(); ++i) sources[i]->note(tx, platform, left_out[i]);
    return {std::move(all), weight_of(own)};
  }

  core::Task<Cache::Loaded> load_alone(core::PlatformId platform) {
    co_return co_await database.run(
        storage::Scope::tenant(platform),
        [self = shared_from_this(), platform](storage::Transaction& tx) { return self->load(tx, platform); });
  }
};

AppBook::AppBook(storage::Database& database, Catalog built_in, std::vector<const AppSource*> sources,
                 AppBookOptions options)
    : impl_(std::make_shared<Impl>(database, std::move(built_in), std::move(sources), options)) {}
AppBook::~AppBook() = default;

const CatalogPtr& AppBook::built_in() const {
  return impl_->built_in;
}

core::Task<CatalogPtr> AppBook::get(core::PlatformId platform) {
  const auto impl = impl_;
  if (impl->sources.empty()) co_return impl->built_in;
  co_return co_await impl->cache.get(platform, [impl, platform] { return impl->load_alone(platform); });
}

CatalogPtr AppBook::get_in(storage::Transaction& tx, core::PlatformId platform) {
  if (impl_->sources.empty()) return impl_->built_in;
  const auto generation = impl_->cache.generation();
  if (auto catalog = impl_->cache.find(platform)) return catalog;
  const auto loaded = impl_->load(tx, platform);
  impl_->cache.keep(platform, loaded, generation);
  return loaded.value;
}

void AppBook::on_notify(std::string_view topic, std::string_view payload) {
  if (topic == "resync") return impl_->cache.drop_all();
  if (topic != "app" && topic != "platform") return;
  if (const auto platform = core::PlatformId::parse(payload.substr(0, payload.find('/')))) {
    impl_->cache.drop(*platform);
  }
}

std::size_t AppBook::size() const {
  return impl_->cache.size();
}

}  // namespace assistiv::mcp
