#include "mcp/tools/access_snapshot.h"

#include <algorithm>

#include "core/encoding.h"
#include "mcp/connectors/catalog.h"
#include "mcp/grants/grant_store.h"
#include "mcp/tools/connect_tool.h"
#include "oauth/connect/connected_app_store.h"

namespace assistiv::mcp {

namespace {

Account account_of(const oauth::ConnectedApp::Link& link) {
  return {
      link.id,
      link.status == oauth::ConnectionStatus::Active ? ConnectionState::Active : ConnectionState::NeedsReauth,
      link.scopes, link.label, link.account_id};
}

std::vector<const Tool*> not_denied(const AppAccess& access) {
  std::vector<const Tool*> out;
  for (std::size_t i = 0; i < access.decisions.size(); ++i) {
    if (access.decisions[i].verdict != Verdict::Deny) out.push_back(&access.app->tools[i]);
  }
  return out;
}

AppAccess app_access(const App& app, const oauth::ConnectedApp& connected, const BindingRules& rules,
                     ToolLists& lists, AccountSchemas& schemas) {
  AppAccess out;
  out.app = &app;
  if (connected.link) {
    out.accounts.push_back(account_of(*connected.link));
    for (const auto& link : connected.others) out.accounts.push_back(account_of(link));
    out.state = out.accounts.front().state;
    out.connection_id = out.accounts.front().id;
    out.granted_scopes = out.accounts.front().scopes;
  }
  for (const auto& tool : app.tools) {
    out.decisions.push_back(evaluate(rules, {tool.name, tool.risk, tool.hints.read_only}));
  }
  auto schema = account_schema(out.accounts);
  if (!schema.empty()) schemas[app.id] = std::move(schema);
  out.tools = lists.list(not_denied(out), false, schemas);
  return out;
}

std::string definition_of(const Tool& tool, const AccountSchemas& accounts) {
  const auto schema = accounts.find(tool.app);
  return schema == accounts.end()
             ? tool.definition_json
             : with_account_argument(tool.definition_json, schema->second, tool.account_argument);
}

ToolView view_of(const Tool& tool, const AccountSchemas& accounts) {
  return {.name = tool.name,
          .definition_json = definition_of(tool, accounts),
          .app = tool.app,
          .group = tool.group,
          .title = tool.title,
          .description = tool.description,
          .read_only = tool.hints.read_only,
          .destructive = tool.hints.destructive,
          .idempotent = tool.hints.idempotent,
          .icons_json = tool.icons_json};
}

std::shared_ptr<const ToolList> build_list(const std::vector<const Tool*>& tools, bool with_connect_tool,
                                           const AccountSchemas& accounts, std::string etag) {
  auto list = std::make_shared<ToolList>();
  list->etag = std::move(etag);
  for (const Tool* tool : tools) list->tools.push_back(view_of(*tool, accounts));
  if (with_connect_tool)
    list->tools.push_back({.name = kConnectTool,
                           .definition_json = std::string(connect_tool_definition()),
                           .title = "Connect an app"});
  join_definitions(*list);
  return list;
}

}  // namespace

bool AppAccess::usable() const {
  return std::any_of(decisions.begin(), decisions.end(),
                     [](const Decision& decision) { return decision.verdict != Verdict::Deny; });
}

bool AppAccess::by_link() const {
  return app->kind != AppKind::Remote || app->connector != nullptr;
}

const AppAccess* AccessSnapshot::find(std::string_view app) const {
  for (const auto& access : apps) {
    if (access.app->id == app) return &access;
  }
  return nullptr;
}

std::shared_ptr<const ToolList> ToolLists::list(const std::vector<const Tool*>& tools, bool with_connect_tool,
                                                const AccountSchemas& accounts) {
  std::string content;
  for (const Tool* tool : tools) {
    content += tool->definition_sha256;
    const auto schema = accounts.find(tool->app);
    if (schema != accounts.end()) content += core::sha256(schema->second);
  }
  if (with_connect_tool) content += core::sha256(connect_tool_definition());
  std::string etag = core::sha256_hex(content).substr(0, 32);
  std::lock_guard lock(mutex_);
  auto& slot = shared_[etag];
  if (auto list = slot.lock()) return list;
  auto list = build_list(tools, with_connect_tool, accounts, std::move(etag));
  slot = list;
  if (shared_.size() >= prune_at_) {
    std::erase_if(shared_, [](const auto& entry) { return entry.second.expired(); });
    prune_at_ = 2 * shared_.size() + 64;
  }
  return list;
}

std::shared_ptr<const AccessSnapshot> make_snapshot(std::shared_ptr<const Catalog> catalog, ToolLists& lists,
                                                    const std::vector<oauth::ConnectedApp>& apps,
                                                    const GrantSet& grants, core::KeyId key) {
  auto out = std::make_shared<AccessSnapshot>();
  out->catalog = std::move(catalog);
  std::vector<const Tool*> visible;
  AccountSchemas schemas;
  bool connectable = false;
  for (const auto& connected : apps) {
    const App* app = out->catalog->find_app(connected.app);
    if (app == nullptr || !connected.is_active) continue;
    out->apps.push_back(app_access(*app, connected, grants.binding(app->id, true, key), lists, schemas));
    const AppAccess& access = out->apps.back();
    if (access.state == ConnectionState::None) {
      connectable = connectable || (access.usable() && access.by_link());
      continue;
    }
    const auto tools = not_denied(access);
    visible.insert(visible.end(), tools.begin(), tools.end());
  }
  out->all = lists.list(visible, connectable, schemas);
  return out;
}

}  // namespace assistiv::mcp
