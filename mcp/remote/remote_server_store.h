#pragma once
// Rows of `remote_server` and `remote_tool`. The callers' transactions are in the platform's scope unless a
// comment says otherwise.
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/secret.h"
#include "mcp/remote/remote_server.h"
#include "mcp/remote/tool_definition.h"
#include "oauth/crypto/reencryption.h"
#include "oauth/identity/page.h"
#include "storage/database.h"

namespace assistiv::oauth {
class Vault;
}

namespace assistiv::mcp {

// As stored: the shared credential sealed, "" when there is none.
struct RemoteServerRow {
  RemoteServer server;
  std::string sealed_header;
};

struct RemoteToolRow {
  std::string remote_name;
  std::optional<RemoteToolDefinition> approved, seen;
  std::string refused;  // "" when the definition at the server is usable, or gone
  std::optional<core::Time> approved_at;
  core::Time changed_at;
};

class RemoteServerStore {
 public:
  explicit RemoteServerStore(const oauth::Vault& vault) : vault_(vault) {}

  void insert(storage::Transaction& tx, core::PlatformId platform, const RemoteServer& server,
              const core::Secret& header) const;
  // `header` replaces the stored one when it is there.
  void update(storage::Transaction& tx, core::PlatformId platform, const RemoteServer& server,
              const std::optional<core::Secret>& header) const;
  std::optional<RemoteServerRow> get(storage::Transaction& tx, core::PlatformId platform,
                                     const std::string& app) const;
  // Locks the row until the end of the transaction.
  std::optional<RemoteServerRow> lock(storage::Transaction& tx, core::PlatformId platform,
                                      const std::string& app) const;
  // By name.
  std::vector<RemoteServerRow> all(storage::Transaction& tx, core::PlatformId platform) const;
  core::Secret open(core::PlatformId platform, const RemoteServerRow& row) const;

  // Asks for these from now on, too; false when it did already, or would ask for too many.
  bool add_scopes(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                  const std::vector<std::string>& scopes) const;

  // What a refresh found: the state of the server itself.
  void set_refreshed(storage::Transaction& tx, core::PlatformId platform, const RemoteServer& server,
                     core::Time due) const;
  // In the system's scope: up to `limit` servers whose tools are to be read again, put off by `lease`, so
  // that no other node takes them meanwhile.
  std::vector<std::pair<core::PlatformId, std::string>> claim_due(storage::Transaction& tx, core::Time now,
                                                                  core::Time lease, std::size_t limit) const;

  // By name.
  std::vector<RemoteToolRow> tools(storage::Transaction& tx, core::PlatformId platform,
                                   const std::string& app) const;
  // Only tools with an approved definition, of all servers; (app, definition), in order.
  std::vector<std::pair<std::string, RemoteToolDefinition>> approved_tools(storage::Transaction& tx,
                                                                           core::PlatformId platform) const;
  void put_seen(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                const RemoteToolRow& tool) const;
  // What was seen becomes what is served. False when it is not (any more) what `digest` says.
  bool approve(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
               const std::string& remote_name, const std::string& digest, core::Time now) const;
  void remove_tool(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                   const std::string& remote_name) const;

 private:
  const oauth::Vault& vault_;
};

// For oauth::Reencryption.
std::vector<oauth::SealedColumn> remote_sealed_columns();

}  // namespace assistiv::mcp
