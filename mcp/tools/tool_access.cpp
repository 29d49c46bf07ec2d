#include "mcp/tools/tool_access.h"

#include <optional>

#include "core/error.h"
#include "core/metrics.h"
#include "core/snapshot_cache.h"
#include "mcp/connectors/app_book.h"
#include "mcp/grants/grant_store.h"
#include "oauth/connect/connected_app_store.h"

namespace assistiv::mcp {

namespace {

using SnapshotPtr = std::shared_ptr<const AccessSnapshot>;

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

constexpr std::size_t kEntryBytes = 512;  // of the cache and of what is not counted
constexpr std::size_t kSharedPart = 8;    // what is shared counts an eighth for each who shares it

std::size_t weight_of(const std::shared_ptr<const ToolList>& list) {
  if (!list) return 0;
  std::size_t out = sizeof(ToolList) + list->joined_json.size();
  for (const auto& tool : list->tools)
    out += sizeof(ToolView) + tool.definition_json.size() + tool.icons_json.size() + tool.title.size() +
           tool.description.size();
  return list.use_count() > 1 ? out / kSharedPart : out;
}

std::size_t weight_of(const AccessSnapshot& snapshot) {
  std::size_t out = kEntryBytes + weight_of(snapshot.all);
  for (const auto& app : snapshot.apps) {
    out += sizeof(AppAccess) + app.decisions.size() * sizeof(Decision) + weight_of(app.tools);
    for (const auto& account : app.accounts) {
      out += sizeof(Account) + account.label.size() + account.account_id.size();
      for (const auto& scope : account.scopes) out += sizeof(std::string) + scope.size();
    }
  }
  return out;
}

}  // namespace

struct ToolAccess::Impl : std::enable_shared_from_this<ToolAccess::Impl> {
  using Cache = core::SnapshotCache<SnapshotKey, AccessSnapshot>;

  Impl(storage::Database& db, AppBook& b, ToolAccessOptions o)
      : database(db), book(b), cache({o.ttl, o.snapshots_max, o.bytes_max}) {}

  storage::Database& database;
  AppBook& book;
  ToolLists lists;
  core::metrics::Counter& hits = core::metrics::counter(
      "assistiv_tool_access_total", "Look-ups of tool access snapshots.", {{"from", "memory"}});
  core::metrics::Counter& loads = core::metrics::counter(
      "assistiv_tool_access_total", "Look-ups of tool access snapshots.", {{"from", "database"}});
  Cache cache;

  Cache::Loaded load(storage::Transaction& tx, const SnapshotKey& key, const CatalogPtr& catalog,
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
    auto snapshot = make_snapshot(catalog, lists, apps, grants, who.via_key.value_or(key.key));
    const auto weight = weight_of(*snapshot);
    return {std::move(snapshot), weight};
  }

  core::Task<Cache::Loaded> load_alone(SnapshotKey key, oauth::PrincipalPtr who) {
    loads.add();
    const auto catalog = co_await book.get(key.platform);
    co_return co_await database.run(storage::Scope::tenant(key.platform),
                                    [self = shared_from_this(), key, catalog, who](storage::Transaction& tx) {
                                      return self->load(tx, key, catalog, *who);
                                    });
  }

  void drop(const Subject& subject) {
    const SnapshotKey from{subject.platform, subject.end_user.value_or(core::EndUserId{}), {}};
    cache.drop_while(from, [&subject](const SnapshotKey& key) {
      return key.platform == subject.platform && (!subject.end_user || key.end_user == *subject.end_user);
    });
  }
};

ToolAccess::ToolAccess(storage::Database& database, AppBook& book, ToolAccessOptions options)
    : impl_(std::make_shared<Impl>(database, book, options)) {}
ToolAccess::~ToolAccess() = default;

core::Task<SnapshotPtr> ToolAccess::get(oauth::PrincipalPtr principal) {
  const auto impl = impl_;
  const SnapshotKey key = snapshot_key(*principal);
  if (auto snapshot = impl->cache.find(key)) {
    impl->hits.add();
    co_return snapshot;
  }
  co_return co_await impl->cache.get(key,
                                     [impl, key, principal] { return impl->load_alone(key, principal); });
}

void ToolAccess::on_notify(std::string_view topic, std::string_view payload) {
  if (topic == "resync") return impl_->cache.drop_all();
  const bool of_platform = topic == "app" || topic == "platform";
  const bool of_end_user = topic == "connection" || topic == "grant" || topic == "end_user";
  if (!of_platform && !of_end_user) return;
  if (const auto subject = subject_of(payload, of_end_user)) impl_->drop(*subject);
}

std::size_t ToolAccess::size() const {
  return impl_->cache.size();
}

}  // namespace assistiv::mcp
