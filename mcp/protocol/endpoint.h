#pragma once
// One MCP endpoint (Streamable HTTP), independent of how HTTP is served: api/ authenticates and hands each
// request of /mcp, /mcp/{app} or /mcp/conformance to handle(). Every published revision of the protocol is
// answered on one URL: the modern one (2026-07-28, stateless) and the legacy ones (2024-11-05 to 2025-11-25,
// sessions). Thread-safe: handle() runs on the executor of the request, any number at a time.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/http.h"
#include "core/ids.h"
#include "core/random.h"
#include "core/secret.h"
#include "core/task.h"
#include "mcp/protocol/doors.h"
#include "mcp/sessions/session_store.h"
#include "mcp/tools/icon.h"
#include "oauth/crypto/vault.h"
#include "oauth/principal.h"

namespace assistiv::mcp {

struct EndpointOptions {
  // What serverInfo says.
  std::string server_name = "assistiv";
  std::string server_title = "Assistiv Gateway";
  std::string server_version = "0.1.0";
  std::vector<Icon> server_icons;  // for revisions that have them
  std::string instructions;
  // Extensions that are declared beside those of the doors, in the modern capabilities.
  std::vector<std::string> extensions;

  // DNS rebinding guard. Hosts are "name" (any port) or "name:port", in lower case; origins are
  // "scheme://name[:port]". localhost, 127.0.0.1 and [::1] are always allowed as Host and, with http or https
  // and any port, as Origin.
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> allowed_origins;

  std::size_t list_page_size = 500;  // tools, resources, prompts of one list reply
  std::chrono::milliseconds list_ttl{60000};
  std::chrono::milliseconds heartbeat{15000};  // comment lines on every open stream
  std::chrono::milliseconds stream_after{
      10000};  // a slower answer becomes an event stream where the client takes one
  std::chrono::milliseconds call_time_max{600000};
  std::size_t streams_per_user_max = 32;  // GET and listen streams together
  std::size_t streams_max = 20000;        // of this endpoint in this process
  std::size_t sessions_per_user_max = 64;
  std::chrono::hours session_idle_max{24};
  std::chrono::milliseconds task_life{
      7'200'000};                             // from its creation; the time in which an approval may come
  std::chrono::milliseconds task_poll{2000};  // what clients are told to leave between two looks
  std::size_t tasks_per_user_max = 100;       // that are not over
};

// What an endpoint is plugged into. All must outlive it.
struct EndpointWorld {
  SessionStore& sessions;
  const oauth::Vault& vault;  // seals the state that input-required answers hand to the client
  const core::Clock& clock;
  core::Random& random;
  // Whether a key (what follows "Bearer ") would still be let in: open streams ask it when a notice says that
  // something about their key changed. False only when it certainly would not; throws when it cannot be told
  // now. Without it such streams just end, and their clients come back through the front door.
  std::function<core::Task<bool>(core::Secret)> still_valid = {};
};

enum class ListKind { Tools, Prompts, Resources };

class Endpoint {
 public:
  Endpoint(EndpointOptions options, Doors doors, EndpointWorld world);
  ~Endpoint();  // stop()

  // `principal` is null only at the fixture endpoint, which is anonymous. `app` is set for /mcp/{app}:
  // another app is another endpoint to the client, and a session of one is unknown (404) at the other. Never
  // throws core::Error.
  core::Task<core::HttpReply> handle(core::HttpRequest request, oauth::PrincipalPtr principal,
                                     std::optional<std::string> app);

  // The transport of 2024-11-05: GET opens the stream (the path ends in "/sse"), POST takes a message for one
  // ("/message?sessionId=..." beside it). Never throws core::Error.
  core::Task<core::HttpReply> handle_sse(core::HttpRequest request, oauth::PrincipalPtr principal);

  // Tells the user's open streams (all users' of the platform without `end_user`) of a change. Any thread.
  void on_list_changed(core::PlatformId platform, std::optional<core::EndUserId> end_user, ListKind kind);
  void on_resource_updated(core::PlatformId platform, core::EndUserId end_user, const std::string& uri);
  // Feed with every message of storage::Notifier, after the caches of the doors were dropped: list changes
  // of "connection", "grant" and "app", changes of "key", "end_user" and "platform", and the endpoint's own
  // topics "mcp_cancel", "mcp_stream", "mcp_session", "mcp_end" and "mcp_task". Any thread, quick.
  void on_notify(std::string_view topic, std::string_view payload);

  // Graceful end: listen streams get their result, GET streams close, new streams are refused; calls go on.
  void drain();
  // drain(), then cancels calls that still run and waits for them. Not on an I/O thread.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::mcp
