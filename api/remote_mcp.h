#pragma once
// Remote MCP servers, put together: the client with its connections, the registry, what serves their tools.
#include <functional>
#include <string_view>

#include "api/config.h"
#include "core/clock.h"
#include "core/http_client.h"
#include "core/random.h"
#include "mcp/connectors/token_source.h"
#include "mcp/remote/remote_client.h"
#include "mcp/remote/remote_executor.h"
#include "mcp/remote/remote_servers.h"
#include "net/resolver.h"
#include "net/upstream_client.h"
#include "oauth/crypto/vault.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::api {

// All must outlive it.
struct RemoteMcpWorld {
  const Config& config;
  storage::Database& database;
  storage::AuditLog& audit;
  const oauth::Vault& vault;
  net::Resolver& resolver;
  core::HttpClient& http;
  mcp::TokenSource& tokens;
  const core::Clock& clock;
  core::Random& random;
  // As storage::Notifier callbacks: caches of this node after a change of its own.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};

class RemoteMcp {
 public:
  explicit RemoteMcp(RemoteMcpWorld world);
  mcp::RemoteServers& servers() { return servers_; }
  mcp::RemoteExecutor& executor() { return executor_; }

 private:
  net::PooledUpstreamClient upstream_;
  mcp::RemoteClient client_;
  mcp::RemoteExecutor executor_;
  mcp::RemoteServers servers_;
};

}  // namespace assistiv::api
