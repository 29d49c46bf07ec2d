#include "mcp/connectors/app_book.h"

#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <optional>

#include "core/async.h"
#include "core/error.h"
#include "core/metrics.h"

namespace assistiv::mcp {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::chrono::seconds kBookWaitMax{30};
// What a tool costs beside its definition: compiled schemas, the plan, its part of the document.
constexpr std::size_t kToolBytes = 4096;

std::size_t weight_of(const std::vector<AppPtr>& apps) {
  std::size_t out = 0;
  for (const auto& app : apps) {
    for (const auto& tool : app->tools) out += 4 * tool.definition_json.size() + kToolBytes;
  }
  return out;
}

// One load that any number of callers wait for.
struct BookFlight {
  std::vector<std::shared_ptr<core::AsyncEvent>> waiters;
  CatalogPtr catalog;
  std::exception_ptr error;
};

}  // namespace

struct AppBook::Impl : std::enable_shared_from_this<AppBook::Impl> {
  struct Entry {
    CatalogPtr catalog;
    std::size_t weight = 0;
    SteadyTime loaded_at;
    std::list<core::PlatformId>::iterator place;
  };
  struct Loaded {
    CatalogPtr catalog;
    std::size_t weight = 0;
  };
  using Entries = std::map<core::PlatformId, Entry>;

  Impl(storage::Database& db, Catalog b, std::vector<const AppSource*> s, AppBookOptions o)
      : database(db),
        built_in(std::make_shared<const Catalog>(std::move(b))),
        sources(std::move(s)),
        options(o) {}

  storage::Database& database;
  const CatalogPtr built_in;
  const std::vector<const AppSource*> sources;
  const AppBookOptions options;
  core::metrics::Counter& loads =
      core::metrics::counter("assistiv_app_book_loads_total", "Catalogues loaded from the database.");

  mutable std::mutex mutex;
  Entries entries;
  std::list<core::PlatformId> by_use;  // the least recently used one in front
  std::size_t bytes = 0;
  std::uint64_t changes = 0;  // notices so far: a load that one overtook is not kept
  std::map<core::PlatformId, std::shared_ptr<BookFlight>> flights;

  // Needs the lock.
  Entries::iterator erase(Entries::iterator it) {
    by_use.erase(it->second.place);
    bytes -= it->second.weight;
    return entries.erase(it);
  }

  // Needs the lock.
  CatalogPtr fresh(core::PlatformId platform) {
    const auto it = entries.find(platform);
    if (it == entries.end()) return nullptr;
    if (std::chrono::steady_clock::now() - it->second.loaded_at >= options.ttl) {
      erase(it);
      return nullptr;
    }
    by_use.splice(by_use.end(), by_use, it->second.place);
    return it->second.catalog;
  }

  // Needs the lock.
  void keep(core::PlatformId platform, const Loaded& loaded, SteadyTime started) {
    if (const auto it = entries.find(platform); it != entries.end()) erase(it);
    if (loaded.weight > options.bytes_max) return;
    while (!entries.empty() &&
           (entries.size() >= options.platforms_max || bytes + loaded.weight > options.bytes_max)) {
      erase(entries.find(by_use.front()));
    }
    bytes += loaded.weight;
    entries[platform] = {loaded.catalog, loaded.weight, started, by_use.insert(by_use.end(), platform)};
  }

  Loaded load(storage::Transaction& tx, core::PlatformId platform) const {
    loads.add();
    std::vector<AppPtr> own;
    for (const AppSource* source : sources) {
      auto more = source->load(tx, platform);
      own.insert(own.end(), more.begin(), more.end());
    }
    if (own.empty()) return {built_in, 0};
    return {std::make_shared<const Catalog>(built_in->with(own)), weight_of(own)};
  }

  CatalogPtr get_in(storage::Transaction& tx, core::PlatformId platform) {
    std::uint64_t before = 0;
    {
      std::lock_guard lock(mutex);
      if (auto catalog = fresh(platform)) return catalog;
      before = changes;
    }
    const auto started = std::chrono::steady_clock::now();
    const auto loaded = load(tx, platform);
    std::lock_guard lock(mutex);
    if (changes == before) keep(platform, loaded, started);
    return loaded.catalog;
  }

  core::Task<CatalogPtr> lead(core::PlatformId platform, std::shared_ptr<BookFlight> flight) {
    CatalogPtr catalog;
    std::exception_ptr error;
    try {
      catalog = co_await database.run(storage::Scope::tenant(platform),
                                      [self = shared_from_this(), platform](storage::Transaction& tx) {
                                        return self->get_in(tx, platform);
                                      });
    } catch (const std::exception&) {
      error = std::current_exception();
    }
    std::vector<std::shared_ptr<core::AsyncEvent>> waiters;
    {
      std::lock_guard lock(mutex);
      flight->catalog = catalog;
      flight->error = error;
      waiters.swap(flight->waiters);
      const auto it = flights.find(platform);
      if (it != flights.end() && it->second == flight) flights.erase(it);
    }
    for (const auto& waiter : waiters) waiter->set();
    if (error) std::rethrow_exception(error);
    co_return catalog;
  }

  core::Task<CatalogPtr> follow(std::shared_ptr<BookFlight> flight,
                                std::shared_ptr<core::AsyncEvent> landed) {
    co_await landed->wait_for(kBookWaitMax);
    CatalogPtr catalog;
    std::exception_ptr error;
    {
      std::lock_guard lock(mutex);
      catalog = flight->catalog;
      error = flight->error;
    }
    if (error) std::rethrow_exception(error);
    if (!catalog) throw core::Error(core::ErrorKind::Unavailable, "The database is slow. Try again shortly.");
    co_return catalog;
  }

  // Without a platform: everything.
  void drop(const std::optional<core::PlatformId>& platform) {
    std::lock_guard lock(mutex);
    ++changes;
    if (!platform) {
      entries.clear();
      by_use.clear();
      flights.clear();
      bytes = 0;
      return;
    }
    if (const auto it = entries.find(*platform); it != entries.end()) erase(it);
    // Who waits already gets what was true when they asked; who asks from now on starts another load.
    flights.erase(*platform);
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
  std::shared_ptr<BookFlight> flight;
  std::shared_ptr<core::AsyncEvent> landed;
  {
    std::lock_guard lock(impl->mutex);
    if (auto catalog = impl->fresh(platform)) co_return catalog;
    auto& slot = impl->flights[platform];
    if (slot) {
      landed = slot->waiters.emplace_back(std::make_shared<core::AsyncEvent>());
    } else {
      slot = std::make_shared<BookFlight>();
    }
    flight = slot;
  }
  if (landed) co_return co_await impl->follow(std::move(flight), std::move(landed));
  co_return co_await impl->lead(platform, std::move(flight));
}

CatalogPtr AppBook::get_in(storage::Transaction& tx, core::PlatformId platform) {
  return impl_->sources.empty() ? impl_->built_in : impl_->get_in(tx, platform);
}

void AppBook::on_notify(std::string_view topic, std::string_view payload) {
  if (topic == "resync") return impl_->drop(std::nullopt);
  if (topic != "app" && topic != "platform") return;
  if (const auto platform = core::PlatformId::parse(payload.substr(0, payload.find('/')))) {
    impl_->drop(platform);
  }
}

std::size_t AppBook::size() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->entries.size();
}

}  // namespace assistiv::mcp
