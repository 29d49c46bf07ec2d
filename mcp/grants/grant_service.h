#pragma once
// The platform's policies and the end users' grants: read and changed by the management API, audited, and
// announced to every node with the topic "grant".
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "core/json.h"
#include "core/task.h"
#include "mcp/grants/policy.h"
#include "oauth/identity/audit_context.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::oauth {
class EndUserStore;
class KeyStore;
}  // namespace assistiv::oauth

namespace assistiv::mcp {

class AppBook;

// One end user's rules with what follows from them for every tool (without a key, so without key rules).
struct GrantView {
  struct Tool {
    std::string name;
    Decision decision;
  };
  struct App {
    std::string app;
    std::vector<Tool> tools;  // catalogue order
  };
  std::vector<Rule> grants;    // by app, the rule without a key first
  std::vector<App> effective;  // the platform's activated apps and those that a rule names, by name
};

// {grants: [{app, key_id?, mode, ...}], effective: {app: [{tool, decision, rule}]}}
core::Json to_json(const GrantView& view);

// What GrantService works with. All but `changed` must outlive it.
struct GrantParts {
  storage::Database& database;
  storage::AuditLog& audit;
  AppBook& book;
  const oauth::EndUserStore& end_users;
  const oauth::KeyStore& keys;
  // Called after a commit with what Transaction::notify sent, so that this node's caches do not wait for the
  // round trip.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};

// Thread-safe.
class GrantService {
 public:
  explicit GrantService(GrantParts parts) : parts_(std::move(parts)) {}

  // The policy in force: the default when none was set. NotFound when the platform has not activated the app.
  core::Task<Policy> policy(core::PlatformId platform, std::string app);
  // `body` is the request's body; it replaces the policy.
  core::Task<Policy> put_policy(core::PlatformId platform, std::string app, core::Json body,
                                oauth::AuditContext context);

  // NotFound when the end user is not the platform's.
  core::Task<GrantView> grants(core::PlatformId platform, core::EndUserId end_user);
  // `body` is {grants: [...]}; it replaces all rules of the end user. A key must be one of the end user's.
  core::Task<GrantView> put_grants(core::PlatformId platform, core::EndUserId end_user, core::Json body,
                                   oauth::AuditContext context);
  core::Task<> clear_grants(core::PlatformId platform, core::EndUserId end_user, oauth::AuditContext context);

 private:
  core::Task<GrantView> replace(core::PlatformId platform, core::EndUserId end_user, std::vector<Rule> rules,
                                oauth::AuditContext context);
  GrantParts parts_;
};

}  // namespace assistiv::mcp
