#pragma once
// The client's side of MCP over Streamable HTTP, to servers that platforms registered. Speaks 2026-07-28 to a
// server that does (server/discover; then one request, one answer, nothing kept), else the legacy revisions
// with `initialize` and a session for each caller. Everything that a server can send without end is bounded.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "core/json.h"
#include "core/secret.h"
#include "core/task.h"
#include "core/upstream.h"
#include "mcp/connectors/failure.h"
#include "mcp/tools/tool.h"

namespace assistiv::mcp {

// Which server, as whom.
struct RemoteTarget {
  std::string session_key;  // the caller: a session is never shared between two of them
  std::string url;
  std::string title;        // for messages to agents
  std::string header_name;  // "" without a credential
  core::Secret header_value;
  bool personal = false;  // the credential is the end user's own
};

struct RemoteListing {
  std::vector<core::Json> tools;            // as they came, unchecked
  std::string protocol;                     // "2026-07-28"
  std::string server_name, server_version;  // cleaned
};

struct RemoteCall {
  std::string tool;  // the server's name of it
  std::shared_ptr<const core::Json> arguments;
  std::vector<MirroredArgument> mirrored;
  bool safe = false;  // changes nothing
  std::string traceparent;
  std::stop_token stop;
  std::function<core::Task<>(double, std::optional<double>, std::string)> progress;  // may be empty
};

struct RemoteClientOptions {
  std::string client_version;
  std::chrono::milliseconds list_time{20'000};
  std::chrono::milliseconds call_time{60'000};
  std::size_t bytes_max = 8 << 20;  // of all answers to one operation
  std::size_t events_max = 10'000;  // of one stream
  std::size_t pages_max = 50;
  std::size_t tools_max = 500;
  int resumptions_max = 5;                            // of one answer whose stream breaks
  std::chrono::milliseconds resume_wait{1'000};       // before each, when the server does not say
  std::chrono::milliseconds resume_wait_max{10'000};  // whatever it says
  int declined_max = 8;               // requests of the server that are answered, per operation
  std::size_t sessions_max = 10'000;  // remembered; past it the oldest go
  std::chrono::minutes session_time{30};
};

// Thread-safe. Outcomes are Failures in words for agents; nothing is thrown for what a server did.
class RemoteClient {
 public:
  RemoteClient(core::UpstreamClient& upstream, RemoteClientOptions options);
  ~RemoteClient();

  core::Task<std::variant<RemoteListing, Failure>> list_tools(RemoteTarget target, std::stop_token stop);
  // The CallToolResult as it came: an object, unchecked inside. A call is sent again only when the server
  // refused it unread (its session had ended).
  core::Task<std::variant<core::Json, Failure>> call_tool(RemoteTarget target, RemoteCall call);
  // What is known of servers and sessions, e.g. after a change of address.
  void forget_all();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace assistiv::mcp
