#include "mcp/grants/grant_service.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "mcp/connectors/app_book.h"
#include "mcp/grants/grant_store.h"
#include "mcp/grants/rules.h"
#include "oauth/connect/connected_app_store.h"
#include "oauth/identity/end_user_store.h"
#include "oauth/identity/key_store.h"

namespace assistiv::mcp {

namespace {

// Larger sets of rules go into the trail as their hash.
constexpr std::size_t kAuditBytesMax = 16 * 1024;

void require_end_user(const oauth::EndUserStore& store, storage::Transaction& tx, core::PlatformId platform,
                      core::EndUserId end_user) {
  if (!store.get(tx, platform, end_user)) throw core::not_found("There is no such end user.");
}

void require_activated(storage::Transaction& tx, core::PlatformId platform, const std::string& app) {
  if (!oauth::app_activated(tx, platform, app))
    throw core::not_found("This platform has not activated such an app.");
}

// The name of an app in a path: unknown to the server is as good as not activated.
void require_known(const Catalog& catalog, const std::string& app) {
  if (catalog.find_app(app) == nullptr) throw core::not_found("This platform has not activated such an app.");
}

void require_own_keys(const oauth::KeyStore& store, storage::Transaction& tx, core::PlatformId platform,
                      core::EndUserId end_user, const std::vector<Rule>& rules) {
  const bool named =
      std::any_of(rules.begin(), rules.end(), [](const Rule& rule) { return rule.key_id.has_value(); });
  if (!named) return;
  const auto keys = store.list(tx, platform, oauth::PrincipalKind::EndUser, end_user,
                               {1, oauth::KeyStore::kMaxKeysPerOwner});
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto owned = [&](const oauth::ApiKey& key) { return key.id == rules[i].key_id; };
    if (!rules[i].key_id || std::any_of(keys.items.begin(), keys.items.end(), owned)) continue;
    throw core::bad_request("This end user has no such key.", "/grants/" + std::to_string(i) + "/key_id");
  }
}

GrantView::App effective_app(const App& app, const BindingRules& rules) {
  GrantView::App out{app.id, {}};
  for (const auto& tool : app.tools) {
    out.tools.push_back({tool.name, evaluate(rules, {tool.name, tool.risk, tool.hints.read_only})});
  }
  return out;
}

GrantView make_view(const Catalog& catalog, const std::vector<oauth::ConnectedApp>& apps,
                    const GrantSet& grants) {
  std::map<std::string, bool> active;
  for (const auto& rule : grants.rules()) active[rule.app] = false;
  for (const auto& app : apps) active[app.app] = app.is_active;
  GrantView view{grants.rules(), {}};
  for (const auto& [name, is_active] : active) {
    const App* app = catalog.find_app(name);
    if (app != nullptr)
      view.effective.push_back(effective_app(*app, grants.binding(name, is_active, std::nullopt)));
  }
  return view;
}

GrantView read_view(const GrantParts& parts, const Catalog& catalog, storage::Transaction& tx,
                    core::PlatformId platform, core::EndUserId end_user) {
  require_end_user(parts.end_users, tx, platform, end_user);
  const GrantStore store;
  const GrantSet grants(store.policies(tx, platform), store.rules(tx, platform, end_user));
  return make_view(catalog, oauth::connected_apps(tx, platform, end_user), grants);
}

core::Json rules_json(const std::vector<Rule>& rules) {
  core::Json out = core::Json::array();
  for (const auto& rule : rules) out.push_back(to_json(rule));
  return out;
}

core::Json audit_details(const std::vector<Rule>& rules) {
  core::Json list = rules_json(rules);
  const std::string text = core::dump_json(list);
  if (text.size() <= kAuditBytesMax) return {{"grants", std::move(list)}};
  return {{"grants_count", rules.size()}, {"grants_sha256", core::sha256_hex(text)}};
}

std::string grant_notice(core::PlatformId platform, const std::string& end_user) {
  return platform.str() + "/" + end_user;
}

}  // namespace

core::Json to_json(const GrantView& view) {
  core::Json effective = core::Json::object();
  for (const auto& app : view.effective) {
    core::Json tools = core::Json::array();
    for (const auto& tool : app.tools) {
      tools.push_back({{"tool", tool.name},
                       {"decision", verdict_name(tool.decision.verdict)},
                       {"rule", decided_by_name(tool.decision.rule)}});
    }
    effective[app.app] = std::move(tools);
  }
  return {{"grants", rules_json(view.grants)}, {"effective", std::move(effective)}};
}

core::Task<Policy> GrantService::policy(core::PlatformId platform, std::string app) {
  require_known(*co_await parts_.book.get(platform), app);
  co_return co_await parts_.database.run(storage::Scope::tenant(platform),
                                         [platform, app = std::move(app)](storage::Transaction& tx) {
                                           require_activated(tx, platform, app);
                                           return GrantStore().policy(tx, platform, app).value_or(Policy{});
                                         });
}

core::Task<Policy> GrantService::put_policy(core::PlatformId platform, std::string app, core::Json body,
                                            oauth::AuditContext context) {
  const auto catalog = co_await parts_.book.get(platform);
  require_known(*catalog, app);
  const Policy policy = parse_policy(body, "", tool_names(*catalog, app, ""));
  const std::string notice = grant_notice(platform, "*");
  co_await parts_.database.run(storage::Scope::tenant(platform), [this, platform, app, policy, notice,
                                                                  context](storage::Transaction& tx) {
    require_activated(tx, platform, app);
    GrantStore().put_policy(tx, platform, app, policy);
    parts_.audit.append(
        tx, platform,
        oauth::audit_event(context, "policy.updated", {}, app, {{"app", app}, {"policy", to_json(policy)}}));
    tx.notify("grant", notice);
  });
  if (parts_.changed) parts_.changed("grant", notice);
  co_return policy;
}

core::Task<GrantView> GrantService::grants(core::PlatformId platform, core::EndUserId end_user) {
  const auto catalog = co_await parts_.book.get(platform);
  co_return co_await parts_.database.run(storage::Scope::tenant(platform),
                                         [this, catalog, platform, end_user](storage::Transaction& tx) {
                                           return read_view(parts_, *catalog, tx, platform, end_user);
                                         });
}

core::Task<GrantView> GrantService::put_grants(core::PlatformId platform, core::EndUserId end_user,
                                               core::Json body, oauth::AuditContext context) {
  const auto catalog = co_await parts_.book.get(platform);
  co_return co_await replace(platform, end_user, parse_rules(body, *catalog), std::move(context));
}

core::Task<> GrantService::clear_grants(core::PlatformId platform, core::EndUserId end_user,
                                        oauth::AuditContext context) {
  co_await replace(platform, end_user, {}, std::move(context));
}

core::Task<GrantView> GrantService::replace(core::PlatformId platform, core::EndUserId end_user,
                                            std::vector<Rule> rules, oauth::AuditContext context) {
  const std::string notice = grant_notice(platform, end_user.str());
  const auto catalog = co_await parts_.book.get(platform);
  auto view = co_await parts_.database.run(
      storage::Scope::tenant(platform), [this, catalog, platform, end_user, rules = std::move(rules), notice,
                                         context](storage::Transaction& tx) {
        require_end_user(parts_.end_users, tx, platform, end_user);
        require_own_keys(parts_.keys, tx, platform, end_user, rules);
        GrantStore().replace_rules(tx, platform, end_user, rules);
        parts_.audit.append(
            tx, platform,
            oauth::audit_event(context, "grant.updated", end_user, end_user.str(), audit_details(rules)));
        tx.notify("grant", notice);
        return read_view(parts_, *catalog, tx, platform, end_user);
      });
  if (parts_.changed) parts_.changed("grant", notice);
  co_return view;
}

}  // namespace assistiv::mcp
