#pragma once
// The registered MCP servers of a platform as apps of its catalogue: the tools that were approved, as they
// were approved.
#include <map>
#include <string>
#include <vector>

#include "core/secret.h"
#include "mcp/connectors/app_book.h"
#include "mcp/remote/remote_server.h"
#include "mcp/remote/tool_definition.h"

namespace assistiv::oauth {
class Vault;
}

namespace assistiv::mcp {

// An app of AppKind::Remote, with what its executor needs.
struct RemoteApp : App {
  std::string url;
  RemoteAuth auth = RemoteAuth::None;
  std::string header_name;
  core::Secret header;  // of SharedHeader
  struct Plan {
    std::string remote_name;
    std::vector<MirroredArgument> mirrored;
  };
  std::map<std::string, Plan, std::less<>> plans;  // by the tool's name
};

// Thread-safe.
class RemoteApps final : public AppSource {
 public:
  explicit RemoteApps(const oauth::Vault& vault) : vault_(vault) {}
  std::vector<AppPtr> load(storage::Transaction& tx, core::PlatformId platform,
                           LeftOut& left_out) const override;

 private:
  const oauth::Vault& vault_;
};

}  // namespace assistiv::mcp
