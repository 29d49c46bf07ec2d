#include "mcp/content/visible_apps.h"

#include <algorithm>
#include <utility>

#include "mcp/connectors/catalog.h"
#include "mcp/tools/tool_selection.h"

namespace assistiv::mcp {

namespace {

VisibleApp visible_app(const AppAccess& access, const CallContext& context) {
  VisibleApp out;
  out.access = &access;
  for (std::size_t i = 0; i < access.decisions.size(); ++i) {
    const Tool& tool = access.app->tools[i];
    if (access.decisions[i].verdict == Verdict::Deny) continue;
    const ToolSelection::Traits traits{tool.name, tool.app, tool.group, tool.hints.read_only};
    if (!context.selection || context.selection->admits(traits)) out.tools.push_back(&tool);
  }
  return out;
}

}  // namespace

const Tool* VisibleApp::find(std::string_view tool) const {
  const auto it = std::find_if(tools.begin(), tools.end(), [tool](const Tool* t) { return t->name == tool; });
  return it == tools.end() ? nullptr : *it;
}

const std::vector<Account>& VisibleApp::own_accounts() const {
  static const std::vector<Account> kNone;
  return access->app->shared_credential ? kNone : access->accounts;
}

const VisibleApp* VisibleApps::find(std::string_view app) const {
  const auto it =
      std::find_if(apps.begin(), apps.end(), [app](const VisibleApp& a) { return a.access->app->id == app; });
  return it == apps.end() ? nullptr : &*it;
}

const VisibleApp* VisibleApps::find_by_tool(std::string_view tool) const {
  const auto it =
      std::find_if(apps.begin(), apps.end(), [tool](const VisibleApp& a) { return a.find(tool) != nullptr; });
  return it == apps.end() ? nullptr : &*it;
}

VisibleApps visible_apps(std::shared_ptr<const AccessSnapshot> snapshot, const CallContext& context) {
  VisibleApps out;
  out.snapshot = std::move(snapshot);
  for (const auto& access : out.snapshot->apps) {
    if (context.app && *context.app != access.app->id) continue;
    auto app = visible_app(access, context);
    if (!app.tools.empty()) out.apps.push_back(std::move(app));
  }
  return out;
}

}  // namespace assistiv::mcp
