#include "mcp/connectors/own_app_service.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "mcp/connectors/clean_text.h"
#include "mcp/connectors/own_app_store.h"
#include "oauth/connect/connected_app_store.h"
#include "oauth/identity/audit_context.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kFaultsShown = 50;
constexpr std::size_t kFaultCharacters = 2000;
constexpr std::array<std::pair<ManifestStatus, std::string_view>, 5> kStatusNames = {
    {{ManifestStatus::Pending, "pending"},
     {ManifestStatus::Serving, "serving"},
     {ManifestStatus::Refused, "refused"},
     {ManifestStatus::Replaced, "replaced"},
     {ManifestStatus::Withdrawn, "withdrawn"}}};

core::Error refused_manifest(const std::vector<ManifestFault>& faults) {
  std::string text = "The manifest has " + (faults.size() == 1 ? std::string("a fault.")
                                                               : std::to_string(faults.size()) + " faults.");
  for (std::size_t i = 0; i < faults.size() && i < kFaultsShown; ++i) {
    text += "\n/manifest" + faults[i].pointer + ": " + faults[i].message;
  }
  return core::bad_request(std::move(text), "/manifest" + faults.front().pointer);
}

AppPtr checked_app(const std::string& text, const OwnAppParts& parts) {
  try {
    auto app = read_own_app(text, parts.rules);
    auto faults = imitation_faults(*app, *parts.book.built_in());
    if (!faults.empty()) throw ManifestError(std::move(faults));
    return app;
  } catch (const ManifestError& error) {
    throw refused_manifest(error.faults());
  }
}

core::Error manifest_not_found() {
  return core::not_found("There is no such manifest.");
}

storage::AuditEvent manifest_event(const oauth::AuditContext& context, std::string event,
                                   const OwnManifest& manifest) {
  core::Json details = {
      {"manifest_id", manifest.id.str()}, {"number", manifest.number}, {"version", manifest.version}};
  if (!manifest.reason.empty()) details["reason"] = manifest.reason;
  return oauth::audit_event(context, std::move(event), {}, manifest.app, details);
}

// Two apps of one platform may not have tools of one name: own_a with own_a_b_list, own_a_b with the same.
void require_free_names(const OwnAppParts& parts, storage::Transaction& tx, core::PlatformId platform,
                        const App& app) {
  const auto catalog = parts.book.get_in(tx, platform);
  for (std::size_t i = 0; i < app.tools.size(); ++i) {
    const Tool* other = catalog->find_tool(app.tools[i].name);
    if (other == nullptr || other->app == app.id) continue;
    throw core::Error(core::ErrorKind::Conflict,
                      "The tool \"" + other->name + "\" is one of your app \"" + other->app + "\".")
        .with_field("/manifest/tools/" + std::to_string(i) + "/name");
  }
}

}  // namespace

std::string_view manifest_status_name(ManifestStatus status) {
  for (const auto& [value, name] : kStatusNames) {
    if (value == status) return name;
  }
  return "withdrawn";
}

std::optional<ManifestStatus> parse_manifest_status(std::string_view name) {
  for (const auto& [value, text] : kStatusNames) {
    if (text == name) return value;
  }
  return {};
}

void OwnAppService::announce(core::PlatformId platform, const std::string& app) const {
  if (parts_.changed) parts_.changed("app", platform.str() + "/" + app);
}

OwnManifest OwnAppService::submit_in(storage::Transaction& tx, OwnManifest fresh, const App& app,
                                     const oauth::AuditContext& context) const {
  const OwnAppStore store;
  const auto platform = fresh.platform_id;
  store.lock_platform(tx, platform);
  const auto versions = store.versions(tx, platform, fresh.app);
  const auto waits = [](const OwnManifest& one) { return one.status == ManifestStatus::Pending; };
  const auto pending = std::find_if(versions.begin(), versions.end(), waits);
  if (pending != versions.end() && pending->document == fresh.document) return *pending;
  if (versions.empty() && store.count_apps(tx, platform) >= kAppsMax) {
    throw core::conflict("A platform can have " + std::to_string(kAppsMax) +
                         " apps of its own. Delete one first.");
  }
  require_free_names(parts_, tx, platform, app);
  if (pending != versions.end()) {
    OwnManifest old = *pending;
    old.status = ManifestStatus::Withdrawn;
    old.decided_at = fresh.created_at;
    store.set_status(tx, old);
  }
  for (std::size_t i = kVersionsMax - 1; i < versions.size(); ++i) {
    if (versions[i].status != ManifestStatus::Serving) store.remove(tx, platform, versions[i].id);
  }
  fresh.number = versions.empty() ? 1 : versions.front().number + 1;
  store.insert(tx, fresh);
  parts_.audit.append(tx, platform, manifest_event(context, "manifest.submitted", fresh));
  return fresh;
}

core::Task<OwnManifest> OwnAppService::submit(core::PlatformId platform, core::Json manifest,
                                              oauth::AuditContext context) {
  OwnManifest fresh;
  fresh.document = core::dump_json(manifest);
  const auto app = co_await reader_.run([this, text = fresh.document] { return checked_app(text, parts_); });
  fresh.id = ManifestId::make(parts_.clock, parts_.random);
  fresh.platform_id = platform;
  fresh.app = app->id;
  fresh.title = app->title;
  fresh.version = app->version;
  fresh.created_at = parts_.clock.now();
  co_return co_await parts_.database.run(
      storage::Scope::tenant(platform),
      [this, fresh, app, context](storage::Transaction& tx) { return submit_in(tx, fresh, *app, context); });
}

core::Task<oauth::Page<OwnManifest>> OwnAppService::list(core::PlatformId platform, ManifestFilter filter,
                                                         oauth::PageRequest page) {
  page.check();
  co_return co_await parts_.database.run(storage::Scope::tenant(platform),
                                         [platform, filter, page](storage::Transaction& tx) {
                                           return OwnAppStore().list(tx, platform, filter, page);
                                         });
}

core::Task<OwnManifest> OwnAppService::get(core::PlatformId platform, ManifestId id) {
  const auto found = co_await parts_.database.run(
      storage::Scope::tenant(platform),
      [platform, id](storage::Transaction& tx) { return OwnAppStore().get(tx, platform, id); });
  if (!found) throw manifest_not_found();
  co_return *found;
}

core::Task<LeftOut> OwnAppService::left_out(core::PlatformId platform) {
  co_return co_await parts_.database.run(
      storage::Scope::tenant(platform),
      [platform](storage::Transaction& tx) { return OwnAppStore().faults(tx, platform); });
}

core::Task<> OwnAppService::remove(core::PlatformId platform, std::string app, oauth::AuditContext context) {
  co_await parts_.database.run(
      storage::Scope::tenant(platform), [this, platform, app, context](storage::Transaction& tx) {
        const OwnAppStore store;
        store.lock_platform(tx, platform);
        if (oauth::app_activated(tx, platform, app)) {
          throw core::conflict("Deactivate the app first, which ends its connections: DELETE /v1/platforms/" +
                               platform.str() + "/mcp/apps/" + app + ".");
        }
        if (!store.remove_app(tx, platform, app)) throw core::not_found("There is no such app of your own.");
        parts_.audit.append(tx, platform,
                            oauth::audit_event(context, "manifest.removed", {}, app, core::Json::object()));
        tx.notify("app", platform.str() + "/" + app);
      });
  announce(platform, app);
}

core::Task<oauth::Page<OwnManifest>> OwnAppService::list_all(ManifestFilter filter, oauth::PageRequest page) {
  page.check();
  // The operator's view of every tenant.
  co_return co_await parts_.database.run(storage::Scope::system(), [filter, page](storage::Transaction& tx) {
    return OwnAppStore().list(tx, std::nullopt, filter, page);
  });
}

core::Task<OwnManifest> OwnAppService::get_any(ManifestId id) {
  // The operator's view of every tenant.
  const auto found = co_await parts_.database.run(storage::Scope::system(), [id](storage::Transaction& tx) {
    return OwnAppStore().get(tx, std::nullopt, id);
  });
  if (!found) throw manifest_not_found();
  co_return *found;
}

OwnManifest OwnAppService::decide_in(storage::Transaction& tx, ManifestId id, ManifestStatus status,
                                     const std::string& reason, const oauth::AuditContext& context) const {
  const OwnAppStore store;
  const auto named = store.get(tx, std::nullopt, id);
  if (!named) throw manifest_not_found();
  store.lock_platform(tx, named->platform_id);
  auto found = store.get(tx, std::nullopt, id);
  if (!found) throw manifest_not_found();
  if (found->status != ManifestStatus::Pending) {
    throw core::conflict("This manifest is " + std::string(manifest_status_name(found->status)) +
                         ": only a pending one can be decided.");
  }
  found->decided_at = parts_.clock.now();
  if (status == ManifestStatus::Serving) {
    // The rules and the other apps may have changed since it was submitted.
    require_free_names(parts_, tx, found->platform_id, *checked_app(found->document, parts_));
    for (auto& old : store.versions(tx, found->platform_id, found->app)) {
      if (old.status != ManifestStatus::Serving) continue;
      old.status = ManifestStatus::Replaced;
      store.set_status(tx, old);
    }
  }
  found->status = status;
  found->reason = reason;
  store.set_status(tx, *found);
  const bool approved = status == ManifestStatus::Serving;
  parts_.audit.append(tx, found->platform_id,
                      manifest_event(context, approved ? "manifest.approved" : "manifest.refused", *found));
  if (approved) tx.notify("app", found->platform_id.str() + "/" + found->app);
  return *found;
}

core::Task<OwnManifest> OwnAppService::decide(ManifestId id, ManifestStatus status, std::string reason,
                                              oauth::AuditContext context) {
  // The operator names no tenant: the row does.
  auto decided = co_await parts_.database.run(storage::Scope::system(),
                                              [this, id, status, reason, context](storage::Transaction& tx) {
                                                return decide_in(tx, id, status, reason, context);
                                              });
  if (status == ManifestStatus::Serving) announce(decided.platform_id, decided.app);
  co_return decided;
}

core::Task<OwnManifest> OwnAppService::approve(ManifestId id, oauth::AuditContext context) {
  return decide(id, ManifestStatus::Serving, "", std::move(context));
}

core::Task<OwnManifest> OwnAppService::refuse(ManifestId id, std::string reason,
                                              oauth::AuditContext context) {
  return decide(id, ManifestStatus::Refused, std::move(reason), std::move(context));
}

AppPtr OwnAppSource::read(const std::string& document) const {
  const auto hash = core::sha256(document);
  {
    std::lock_guard lock(mutex_);
    const auto found =
        std::find_if(read_.begin(), read_.end(), [&](const auto& entry) { return entry.first == hash; });
    if (found != read_.end()) return found->second;
  }
  auto app = read_own_app(document, rules_);
  std::lock_guard lock(mutex_);
  read_.emplace_back(hash, app);
  if (read_.size() > kReadMax) read_.pop_front();
  return app;
}

std::vector<AppPtr> OwnAppSource::load(storage::Transaction& tx, core::PlatformId platform,
                                       LeftOut& left_out) const {
  std::vector<AppPtr> out;
  for (const auto& manifest : OwnAppStore().serving(tx, platform)) {
    try {
      out.push_back(read(manifest.document));
    } catch (const ManifestError& error) {
      // It kept to the rules of the version that approved it.
      core::log::error("own_app.unreadable",
                       {{"platform_id", platform.str()}, {"app", manifest.app}, {"error", error.what()}});
      left_out.emplace(manifest.app, clip_text(clean_text(error.what()), kFaultCharacters));
    }
  }
  return out;
}

// Once for each change, whichever nodes see it: the row tells.
void OwnAppSource::note(storage::Transaction& tx, core::PlatformId platform, const LeftOut& left_out) const {
  if (audit_ == nullptr) return;
  const OwnAppStore store;
  const auto before = store.faults(tx, platform);
  if (before == left_out) return;
  const auto tell = [&](const std::string& app, const char* event, const core::Json& details) {
    audit_->append(tx, platform, oauth::audit_event({}, event, {}, app, details));
  };
  for (const auto& [app, reason] : left_out) {
    if (store.set_fault(tx, platform, app, reason)) tell(app, "manifest.unusable", {{"reason", reason}});
  }
  for (const auto& [app, reason] : before) {
    if (left_out.contains(app) || !store.set_fault(tx, platform, app, {})) continue;
    tell(app, "manifest.usable", core::Json::object());
  }
}

}  // namespace assistiv::mcp
