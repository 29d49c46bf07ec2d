#pragma once
// MCP servers that platforms register as apps: their tools are read, held for review where they are new or
// have changed, and approved by the platform. What is approved is served (remote_apps.h) until the platform
// says otherwise or the server has no such tool any more.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/async.h"
#include "core/clock.h"
#include "core/http_client.h"
#include "core/ids.h"
#include "core/random.h"
#include "core/secret.h"
#include "core/task.h"
#include "mcp/connectors/token_source.h"
#include "mcp/remote/remote_client.h"
#include "mcp/remote/remote_server.h"
#include "oauth/identity/audit_context.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::oauth {
class Vault;
}

namespace assistiv::mcp {

struct NewRemoteServer {
  std::string app, title, description, url;
  RemoteAuth auth = RemoteAuth::None;
  std::string header_name;    // "Authorization" when empty
  core::Secret header_value;  // with UserHeader it may be there to read the tools with
  // With Oauth: the client that the platform registered itself, if it did, and where end users may be sent
  // back to after they have connected.
  std::string client_id;
  core::Secret client_secret;
  std::vector<std::string> return_urls;
  bool approve_all = false;  // what the first refresh finds
};

// Absent members stay as they are.
struct RemoteServerPatch {
  std::optional<std::string> title, description, url;
  std::optional<core::Secret> header_value;
  std::optional<bool> is_active;
};

struct RemoteServerView {
  RemoteServer server;
  std::vector<RemoteTool> tools;  // by name
};

// One definition as somebody has looked at it.
struct ReviewedTool {
  std::string remote_name, digest;
};

struct RemoteServersOptions {
  std::chrono::seconds refresh_interval{15 * 60};
  std::chrono::minutes refresh_interval_max{360};  // after failures in a row
  std::chrono::seconds round_interval{30};         // of the worker
  std::size_t refreshes_per_round = 20;            // of each reader
  std::size_t readers = 8;                         // servers that are read at once on this node
  std::size_t servers_max = 50;                    // per platform
};

// All must outlive the service.
struct RemoteServersParts {
  storage::Database& database;
  storage::AuditLog& audit;
  const oauth::Vault& vault;
  const core::Clock& clock;
  core::Random& random;
  RemoteClient& client;
  core::HttpClient& http;  // for discovery
  TokenSource& tokens;     // with Oauth, tools are read as an end user who is connected
  std::string public_url;  // as ConnectWorld has it
  // Whether authorization servers can fetch documents from public_url.
  bool documents = false;
  // Why an address may not be called, in words that follow "it "; empty when it may.
  std::function<std::optional<std::string>(const std::string& url)> url_fault;
  // Called after a commit with what Transaction::notify sent: caches of this node need not wait for it.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};

// Thread-safe. Faulty values throw Error{InvalidArgument} with a JSON pointer, servers that are not the
// platform's Error{NotFound}. Each change leaves an audit entry and a notice on the topic "app".
class RemoteServers {
 public:
  explicit RemoteServers(RemoteServersParts parts, RemoteServersOptions options = {});

  // Reads the tools at once. A server that cannot be read is registered all the same; the view says why. With
  // Oauth, how its end users sign in must be discoverable.
  core::Task<RemoteServerView> add(core::PlatformId platform, NewRemoteServer input,
                                   oauth::AuditContext context);
  core::Task<std::vector<RemoteServer>> list(core::PlatformId platform);
  core::Task<RemoteServerView> get(core::PlatformId platform, std::string app);
  // A stored credential is not sent to another origin: a new address there needs it again, and with the end
  // users' own ones it is another server.
  core::Task<RemoteServerView> update(core::PlatformId platform, std::string app, RemoteServerPatch patch,
                                      oauth::AuditContext context);
  core::Task<RemoteServerView> refresh(core::PlatformId platform, std::string app,
                                       oauth::AuditContext context, std::stop_token stop);
  // These definitions, or without any every one that waits. Conflict when one of them is not (any more) what
  // the server says.
  core::Task<RemoteServerView> approve(core::PlatformId platform, std::string app,
                                       std::vector<ReviewedTool> tools, oauth::AuditContext context);
  // An end user's own credential, for UserHeader: makes or renews the user's connection.
  core::Task<core::ConnectionId> set_user_header(core::PlatformId platform, core::EndUserId end_user,
                                                 std::string app, core::Secret value,
                                                 oauth::AuditContext context);

  // Reads servers again whose time has come, one after the other; for the worker role. start() has several
  // readers do that in rounds until stop(), so that a server that hangs does not delay the others.
  core::Task<> refresh_due(std::stop_token stop);
  void start(core::AnyExecutor executor);
  void stop();

 private:
  struct Reading;
  struct Target;
  core::Task<oauth::ObtainedClient> set_up_sign_in(core::PlatformId platform, NewRemoteServer input,
                                                   RemoteServer* server);
  core::Task<std::variant<RemoteListing, Failure>> list_tools(Target target, std::stop_token stop);
  bool keep(storage::Transaction& tx, const Reading& reading) const;
  core::Task<> round(std::stop_token stop);
  core::Task<> read_tools(core::PlatformId platform, std::string app, bool approve_all,
                          oauth::AuditContext context, std::stop_token stop);
  void announce(core::PlatformId platform, const std::string& app) const;

  RemoteServersParts parts_;
  RemoteServersOptions options_;
  core::TaskGroup group_{"remote servers"};
};

}  // namespace assistiv::mcp
