#include "mcp/tools/tool_access.h"

#include <exception>
#include <list>
#include <map>
#include <mutex>

#include "core/async.h"
#include "core/error.h"
#include "core/metrics.h"
#include "mcp/connectors/app_book.h"
#include "mcp/grants/grant_store.h"
#include "oauth/connect/connected_app_store.h"

namespace assistiv::mcp {

namespace {

using SnapshotPtr = std::shared_ptr<const AccessSnapshot>;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::chrono::seconds kLoadWaitMax{30};

struct SnapshotKey {
  core::PlatformId platform;
  core::EndUserId end_user;
  core::KeyId key;
  auto operator<=>(const SnapshotKey&) const = default;
};

SnapshotKey snapshot_key(const oauth::Principal& principal) {
  if (principal.kind != oauth::PrincipalKind::EndUser || !principal.end_user_id) {
    throw core::forbidden("Tools are listed and called with an end user's key (sk-eu_...).");
  }
  return {principal.platform_id, *principal.end_user_id, principal.key_id};
}

// One load that any number of callers wait for.
struct Flight {
  std::vector<std::shared_ptr<core::AsyncEvent>> waiters;
  bool overtaken =
      false;  // something changed while it was loaded: for those who wait already, not for later ones
  SnapshotPtr snapshot;
  std::exception_ptr error;
};

// What a notice is about. Without an end user: the whole platform.
struct Subject {
  core::PlatformId platform;
  std::optional<core::EndUserId> end_user;
};

std::optional<Subject> subject_of(std::string_view payload, bool names_end_user) {
  const auto slash = payload.find('/');
  const auto platform = core::PlatformId::parse(payload.substr(0, slash));
  if (!platform) return {};
  Subject out{*platform, {}};
  if (names_end_user && slash != std::string_view::npos) {
    out.end_user = core::EndUserId::parse(payload.substr(slash + 1));
  }
  return out;
}

}  // namespace

struct ToolAccess::Impl : std::enable_shared_from_this<ToolAccess::Impl> {
  struct Entry {
    SnapshotPtr snapshot;
    SteadyTime loaded_at;
    std::list<SnapshotKey>::iterator place;
  };

  Impl(storage::Database& db, AppBook& b, ToolAccessOptions o) : database(db), book(b), options(o) {}

  storage::Database& database;
  AppBook& book;
  const ToolAccessOptions options;
  ToolLists lists;
  core::metrics::Counter& hits = core::metrics::counter(
      "assistiv_tool_access_total", "Look-ups of tool access snapshots.", {{"from", "memory"}});
  core::metrics::Counter& loads = core::metrics::counter(
      "assistiv_tool_access_total", "Look-ups of tool access snapshots.", {{"from", "database"}});

  mutable std::mutex mutex;
  std::map<SnapshotKey, Entry> entries;
  std::list<SnapshotKey> by_use;  // the least recently used one in front
  std::map<SnapshotKey, std::shared_ptr<Flight>> flights;

  // Needs the lock.
  SnapshotPtr fresh(const SnapshotKey& key) {
    const auto it = entries.find(key);
    if (it == entries.end()) return nullptr;
    if (std::chrono::steady_clock::now() - it->second.loaded_at >= options.ttl) {
      erase(it);
      return nullptr;
    }
    by_use.splice(by_use.end(), by_use, it->second.place);
    hits.add();
    return it->second.snapshot;
  }

  // Needs the lock.
  std::map<SnapshotKey, Entry>::iterator erase(std::map<SnapshotKey, Entry>::iterator it) {
    by_use.erase(it->second.place);
    return entries.erase(it);
  }

  // Needs the lock.
  void keep(const SnapshotKey& key, const SnapshotPtr& snapshot, SteadyTime loaded_at) {
    if (const auto it = entries.find(key); it != entries.end()) erase(it);
    while (!entries.empty() && entries.size() >= options.snapshots_max) erase(entries.find(by_use.front()));
    entries[key] = {snapshot, loaded_at, by_use.insert(by_use.end(), key)};
  }

  SnapshotPtr load(storage::Transaction& tx, const SnapshotKey& key, const CatalogPtr& catalog,
                   const oauth::Principal& who) {
    const GrantStore store;
    std::optional<Consents> consent;
    if (!who.tools_json.empty()) consent = stored_consents(who.tools_json);
    const GrantSet grants(store.policies(tx, key.platform), store.rules(tx, key.platform, key.end_user),
                          std::move(consent));
    auto apps = oauth::connected_apps(tx, key.platform, key.end_user);
    for (auto& one : apps) {
      const App* app = catalog->find_app(one.app);
      if (app != nullptr && app->shared_credential && one.is_active && !one.link)
        one.link = oauth::shared_connection(tx, key.platform, key.end_user, one.app);
    }
    return make_snapshot(catalog, lists, apps, grants, who.via_key.value_or(key.key));
  }

  core::Task<SnapshotPtr> lead(SnapshotKey key, oauth::PrincipalPtr who, std::shared_ptr<Flight> flight) {
    loads.add();
    const auto started = std::chrono::steady_clock::now();
    SnapshotPtr snapshot;
    std::exception_ptr error;
    try {
      const auto catalog = co_await book.get(key.platform);
      snapshot =
          co_await database.run(storage::Scope::tenant(key.platform),
                                [self = shared_from_this(), key, catalog, who](storage::Transaction& tx) {
                                  return self->load(tx, key, catalog, *who);
                                });
    } catch (const std::exception&) {
      error = std::current_exception();
    }
    land(key, *flight, snapshot, error, started);
    if (error) std::rethrow_exception(error);
    co_return snapshot;
  }

  void land(const SnapshotKey& key, Flight& flight, const SnapshotPtr& snapshot,
            const std::exception_ptr& error, SteadyTime started) {
    std::vector<std::shared_ptr<core::AsyncEvent>> waiters;
    {
      std::lock_guard lock(mutex);
      flight.snapshot = snapshot;
      flight.error = error;
      waiters.swap(flight.waiters);
      if (!flight.overtaken) {
        flights.erase(key);
        if (snapshot) keep(key, snapshot, started);
      }
    }
    for (const auto& waiter : waiters) waiter->set();
  }

  core::Task<SnapshotPtr> follow(std::shared_ptr<Flight> flight, std::shared_ptr<core::AsyncEvent> landed) {
    co_await landed->wait_for(kLoadWaitMax);
    SnapshotPtr snapshot;
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

  // Drops every entry and overtakes every load with a key in [from, end of the subject).
  void drop(const std::optional<Subject>& subject) {
    std::lock_guard lock(mutex);
    const auto concerns = [&subject](const SnapshotKey& key) {
      if (!subject) return true;
      return key.platform == subject->platform && (!subject->end_user || key.end_user == *subject->end_user);
    };
    const SnapshotKey from =
        subject ? SnapshotKey{subject->platform, subject->end_user.value_or(core::EndUserId{}), {}}
                : SnapshotKey{};
    for (auto it = entries.lower_bound(from); it != entries.end() && concerns(it->first);) it = erase(it);
    for (auto it = flights.lower_bound(from); it != flights.end() && concerns(it->first);) {
      it->second->overtaken = true;
      it = flights.erase(it);
    }
  }
};

ToolAccess::ToolAccess(storage::Database& database, AppBook& book, ToolAccessOptions options)
    : impl_(std::make_shared<Impl>(database, book, options)) {}
ToolAccess::~ToolAccess() = default;

core::Task<SnapshotPtr> ToolAccess::get(oauth::PrincipalPtr principal) {
  const auto impl = impl_;
  const SnapshotKey key = snapshot_key(*principal);
  std::shared_ptr<Flight> flight;
  std::shared_ptr<core::AsyncEvent> landed;
  {
    std::lock_guard lock(impl->mutex);
    if (auto snapshot = impl->fresh(key)) co_return snapshot;
    auto& slot = impl->flights[key];
    if (slot) {
      landed = slot->waiters.emplace_back(std::make_shared<core::AsyncEvent>());
    } else {
      slot = std::make_shared<Flight>();
    }
    flight = slot;
  }
  if (landed) co_return co_await impl->follow(std::move(flight), std::move(landed));
  co_return co_await impl->lead(key, std::move(principal), std::move(flight));
}

void ToolAccess::on_notify(std::string_view topic, std::string_view payload) {
  if (topic == "resync") return impl_->drop(std::nullopt);
  const bool of_platform = topic == "app" || topic == "platform";
  const bool of_end_user = topic == "connection" || topic == "grant" || topic == "end_user";
  if (!of_platform && !of_end_user) return;
  if (const auto subject = subject_of(payload, of_end_user)) impl_->drop(subject);
}

std::size_t ToolAccess::size() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->entries.size();
}

}  // namespace assistiv::mcp
