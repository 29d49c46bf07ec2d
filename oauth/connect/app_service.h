#pragma once
// Apps that a platform activated: its OAuth client, where users may be sent back to, which scopes to ask for.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/secret.h"
#include "core/task.h"
#include "oauth/connect/connector_spec.h"
#include "oauth/identity/audit_context.h"
#include "oauth/identity/page.h"

namespace assistiv::oauth {

struct ConnectWorld;
class ConnectionService;

// Without the secret: that is never read back.
struct App {
  std::string app, title;
  std::string client_id;
  std::vector<std::string> return_urls;
  std::optional<std::vector<std::string>> scopes;  // none: the manifest's defaults
  Values vars;
  bool is_active = true;
  std::string callback_url;  // what to register at the provider
  bool available = true;     // false: this server cannot use its manifest (any more)
  core::Time created_at, updated_at;
};

struct NewApp {
  std::string app;
  std::string client_id;
  core::Secret client_secret;
  std::vector<std::string> return_urls;
  std::optional<std::vector<std::string>> scopes;
  Values vars;
};

// Absent members stay as they are. Another client_id makes existing connections ask for consent again when
// their token expires: a grant belongs to the client that got it.
struct AppPatch {
  std::optional<std::string> client_id;
  std::optional<core::Secret> client_secret;
  std::optional<std::vector<std::string>> return_urls;
  std::optional<std::vector<std::string>> scopes;
  std::optional<Values> vars;
  std::optional<bool> is_active;
};

// Thread-safe. Faulty values throw Error{InvalidArgument} with a JSON pointer, an app that is not activated
// (or not known to this server) Error{NotFound}, a second activation Error{Conflict}. Each change leaves an
// audit entry (app.created, app.updated, app.removed) and a notice on the topic "app".
class AppService {
 public:
  AppService(ConnectWorld& world, ConnectionService& connections)
      : world_(world), connections_(connections) {}

  core::Task<App> activate(core::PlatformId platform, NewApp input, AuditContext context);
  core::Task<Page<App>> list(core::PlatformId platform, PageRequest page);
  core::Task<App> get(core::PlatformId platform, std::string app);
  core::Task<App> update(core::PlatformId platform, std::string app, AppPatch patch, AuditContext context);
  // Ends every connection of the app (their tokens are revoked upstream by the worker) and removes it.
  core::Task<> remove(core::PlatformId platform, std::string app, AuditContext context);

 private:
  ConnectWorld& world_;
  ConnectionService& connections_;
};

}  // namespace assistiv::oauth
