#pragma once
// What one caller may see and call, worked out once from its apps, connections and rules. tools/list and
// tools/call read the same decisions, so that they cannot disagree. Pure.
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "mcp/grants/policy.h"
#include "mcp/tools/accounts.h"
#include "mcp/tools/tool.h"

namespace assistiv::oauth {
struct ConnectedApp;
}

namespace assistiv::mcp {

class Catalog;
class GrantSet;
struct App;
struct Tool;

// The built-in tool of /mcp that gives the way to connect an app; listed while there is one to connect.
inline constexpr char kConnectTool[] = "assistiv_connect_app";

// One app that the platform activated and switched on, as one caller may use it.
struct AppAccess {
  const App* app = nullptr;
  ConnectionState state = ConnectionState::None;
  std::optional<core::ConnectionId> connection_id;  // none in ConnectionState::None
  std::vector<std::string> granted_scopes;
  std::vector<Account> accounts;          // all that are connected, the default (above) first
  std::vector<Decision> decisions;        // one per tool, in the catalogue's order
  std::shared_ptr<const ToolList> tools;  // what /mcp/{app} lists: what is not denied

  bool usable() const;   // some tool is not denied
  bool by_link() const;  // an end user can connect it in a browser
};

struct AccessSnapshot {
  std::shared_ptr<const Catalog> catalog;  // of the caller's platform; what `apps` points into
  std::vector<AppAccess> apps;             // by name
  std::shared_ptr<const ToolList>
      all;  // what /mcp lists: connected apps, and the connect tool while it is of use
  const AppAccess* find(std::string_view app) const;
};

using AccountSchemas = std::map<std::string, std::string, std::less<>>;  // by app

// Makes tool lists. Callers with the same tools share one list, however many they are. Thread-safe.
class ToolLists {
 public:
  // `accounts` has the account argument (accounts.h) of the apps whose tools take one.
  std::shared_ptr<const ToolList> list(const std::vector<const Tool*>& tools, bool with_connect_tool,
                                       const AccountSchemas& accounts = {});

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const ToolList>> shared_;  // by etag
  std::size_t prune_at_ = 64;
};

// Apps that the catalogue does not know and apps that are switched off are left out.
std::shared_ptr<const AccessSnapshot> make_snapshot(std::shared_ptr<const Catalog> catalog, ToolLists& lists,
                                                    const std::vector<oauth::ConnectedApp>& apps,
                                                    const GrantSet& grants, core::KeyId key);

}  // namespace assistiv::mcp
