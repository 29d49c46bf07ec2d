#pragma once
// What resources, prompts and completions may speak of: the apps and tools that tools/call would let through
// at this address, with this selection. Pure.
#include <memory>
#include <string_view>
#include <vector>

#include "mcp/tools/access_snapshot.h"
#include "mcp/tools/tool.h"

namespace assistiv::mcp {

struct VisibleApp {
  const AppAccess* access = nullptr;  // the snapshot's
  std::vector<const Tool*> tools;     // not denied and selected; at least one
  const Tool* find(std::string_view tool) const;
  // Accounts of the end user's own: a credential of the platform is none.
  const std::vector<Account>& own_accounts() const;
};

struct VisibleApps {
  std::shared_ptr<const AccessSnapshot> snapshot;  // keeps what the rest points into
  std::vector<VisibleApp> apps;                    // by name
  const VisibleApp* find(std::string_view app) const;
  const VisibleApp* find_by_tool(std::string_view tool) const;
};

VisibleApps visible_apps(std::shared_ptr<const AccessSnapshot> snapshot, const CallContext& context);

}  // namespace assistiv::mcp
