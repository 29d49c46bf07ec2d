#include "oauth/connect/app_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "oauth/connect/app_store.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/connection_service.h"
#include "oauth/connect/return_url.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kReturnUrlsMax = 20;
constexpr std::size_t kScopesMax = 100;

core::Error unknown_app() {
  return core::Error(core::ErrorKind::NotFound,
                     "This server has no app of this name. GET /v1/mcp/catalog lists them.")
      .with_field("/app");
}

void check_plain(std::string_view text, std::size_t max, const char* field) {
  const bool plain = !text.empty() && text.size() <= max && text != "." && text != ".." &&
                     std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!plain) {
    throw core::bad_request("This must be 1 to " + std::to_string(max) + " visible ASCII characters.", field);
  }
}

void check_return_urls(const std::vector<std::string>& urls) {
  if (urls.size() > kReturnUrlsMax)
    throw core::bad_request("At most 20 return URLs are allowed.", "/return_urls");
  for (std::size_t i = 0; i < urls.size(); ++i) {
    const auto fault = return_url_fault(urls[i]);
    if (!fault.empty()) {
      throw core::bad_request("A return URL " + fault + ".", "/return_urls/" + std::to_string(i));
    }
  }
}

void check_scopes(const ConnectorSpec& spec, const std::optional<std::vector<std::string>>& scopes) {
  if (!scopes) return;
  if (spec.oauth.scope.param.empty() && !scopes->empty()) {
    throw core::bad_request("The app \"" + spec.id +
                                "\" has no scopes to choose: its permissions are set at the "
                                "provider.",
                            "/scopes");
  }
  if (scopes->size() > kScopesMax) throw core::bad_request("At most 100 scopes are allowed.", "/scopes");
  for (std::size_t i = 0; i < scopes->size(); ++i) {
    if (!spec.oauth.scope.titles.contains((*scopes)[i])) {
      throw core::bad_request("The app \"" + spec.id + "\" has no such scope.",
                              "/scopes/" + std::to_string(i));
    }
  }
}

core::Error app_not_found() {
  return core::not_found("This app is not activated on this platform.");
}

// What the row does not hold.
core::Task<App> with_catalog_parts(const ConnectWorld* world, core::PlatformId platform, App app) {
  const auto spec = co_await world->registry.find(platform, app.app);
  app.available = spec != nullptr;
  app.title = spec != nullptr ? spec->title : app.app;
  if (spec != nullptr) app.callback_url = callback_url(*world, platform, *spec);
  co_return app;
}

AppRow locked_app(const ConnectWorld& world, storage::Transaction& tx, core::PlatformId platform,
                  const std::string& app) {
  auto row = AppStore(world.vault).lock(tx, platform, app);
  if (!row) throw app_not_found();
  return std::move(*row);
}

void apply_patch(const ConnectorSpec& spec, App& app, const AppPatch& patch) {
  if (patch.client_id) {
    check_plain(*patch.client_id, 256, "/client_id");
    app.client_id = *patch.client_id;
  }
  if (patch.client_secret) check_plain(patch.client_secret->reveal(), 1024, "/client_secret");
  if (patch.return_urls) {
    check_return_urls(*patch.return_urls);
    app.return_urls = *patch.return_urls;
  }
  if (patch.scopes) {
    check_scopes(spec, patch.scopes);
    app.scopes = *patch.scopes;
  }
  if (patch.vars) {
    static_cast<void>(spec.given_vars(*patch.vars, SpecVar::Source::App));
    app.vars = *patch.vars;
  }
  if (patch.is_active) app.is_active = *patch.is_active;
}

core::Json changed_members(const AppPatch& patch) {
  core::Json names = core::Json::array();
  if (patch.client_id) names.push_back("client_id");
  if (patch.client_secret) names.push_back("client_secret");
  if (patch.return_urls) names.push_back("return_urls");
  if (patch.scopes) names.push_back("scopes");
  if (patch.vars) names.push_back("vars");
  if (patch.is_active) names.push_back("is_active");
  return {{"changed", names}};
}

}  // namespace

core::Task<App> AppService::activate(core::PlatformId platform, NewApp input, AuditContext context) {
  const auto known = co_await world_.registry.find(platform, input.app);
  if (known == nullptr) throw unknown_app();
  const auto& spec = *known;
  check_plain(input.client_id, 256, "/client_id");
  check_plain(input.client_secret.reveal(), 1024, "/client_secret");
  check_return_urls(input.return_urls);
  check_scopes(spec, input.scopes);
  static_cast<void>(spec.given_vars(input.vars, SpecVar::Source::App));
  App app;
  app.app = input.app;
  app.client_id = input.client_id;
  app.return_urls = input.return_urls;
  app.scopes = input.scopes;
  app.vars = input.vars;
  app.created_at = app.updated_at = world_.clock.now();
  co_await world_.database.run(
      storage::Scope::tenant(platform),
      [this, platform, app, secret = input.client_secret, context](storage::Transaction& tx) {
        AppStore(world_.vault).insert(tx, platform, app, secret);
        world_.audit.append(tx, platform,
                            audit_event(context, "app.created", {}, app.app, {{"client_id", app.client_id}}));
        tx.notify("app", platform.str() + "/" + app.app);
      });
  announce_app(world_, platform, app.app);
  co_return co_await with_catalog_parts(&world_, platform, std::move(app));
}

core::Task<Page<App>> AppService::list(core::PlatformId platform, PageRequest page) {
  page.check();
  auto out = co_await world_.database.run(storage::Scope::tenant(platform),
                                          [this, platform, page](storage::Transaction& tx) {
                                            return AppStore(world_.vault).list(tx, platform, page);
                                          });
  for (auto& app : out.items) app = co_await with_catalog_parts(&world_, platform, std::move(app));
  co_return out;
}

core::Task<App> AppService::get(core::PlatformId platform, std::string app) {
  auto row = co_await world_.database.run(storage::Scope::tenant(platform),
                                          [this, platform, app](storage::Transaction& tx) {
                                            return AppStore(world_.vault).get(tx, platform, app);
                                          });
  if (!row) throw app_not_found();
  co_return co_await with_catalog_parts(&world_, platform, std::move(row->app));
}

core::Task<App> AppService::update(core::PlatformId platform, std::string app, AppPatch patch,
                                   AuditContext context) {
  const auto spec = co_await world_.registry.find(platform, app);
  if (spec == nullptr) throw app_not_found();
  auto changed = co_await world_.database.run(
      storage::Scope::tenant(platform),
      [this, platform, app, patch, context, spec](storage::Transaction& tx) {
        App next = locked_app(world_, tx, platform, app).app;
        apply_patch(*spec, next, patch);
        next.updated_at = world_.clock.now();
        AppStore(world_.vault).update(tx, platform, next, patch.client_secret);
        world_.audit.append(tx, platform,
                            audit_event(context, "app.updated", {}, app, changed_members(patch)));
        tx.notify("app", platform.str() + "/" + app);
        return next;
      });
  announce_app(world_, platform, app);
  co_return co_await with_catalog_parts(&world_, platform, std::move(changed));
}

core::Task<> AppService::remove(core::PlatformId platform, std::string app, AuditContext context) {
  // Off first, so that nobody connects while the connections go, a round at a time.
  co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, app, context](storage::Transaction& tx) {
        App row = locked_app(world_, tx, platform, app).app;
        row.is_active = false;
        AppStore(world_.vault).update(tx, platform, row, {});
        world_.audit.append(
            tx, platform,
            audit_event(context, "app.updated", {}, app,
                        {{"changed", {"is_active"}}, {"is_active", false}, {"because", "removal"}}));
        tx.notify("app", platform.str() + "/" + app);
      });
  announce_app(world_, platform, app);
  co_await connections_.disconnect_all(platform, ConnectionFilter{{}, app, {}}, context);
  co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, app, context](storage::Transaction& tx) {
        if (!AppStore(world_.vault).remove(tx, platform, app)) throw app_not_found();
        world_.audit.append(tx, platform, audit_event(context, "app.removed", {}, app, core::Json::object()));
        tx.notify("app", platform.str() + "/" + app);
      });
  announce_app(world_, platform, app);
}

}  // namespace assistiv::oauth
