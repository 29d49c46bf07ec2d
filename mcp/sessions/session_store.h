#pragma once
// Legacy sessions (2024-11-05 to 2025-11-25) and the events of their resumable streams, so that any node can
// go on with what another began. Modern requests never come here.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/task.h"

namespace assistiv::mcp {

// Whose session it is and at which endpoint. A session is found only with exactly this key: with another
// user's key, or at another app's URL, it does not exist.
struct SessionOwner {
  core::PlatformId platform;
  core::EndUserId end_user;
  std::string endpoint;  // the app of /mcp/{app}, "" for /mcp
  auto operator<=>(const SessionOwner&) const = default;
};

// Ends the endpoint of a session of the 2024-11-05 transport: no app has a slash in its name.
inline constexpr std::string_view kSseEndpoint = "/sse";

struct Session {
  SessionOwner owner;
  std::string id;  // visible ASCII, 256 random bits
  std::string protocol_version;
  std::string client_json;                 // clientInfo as it was sent, "{}" when absent
  std::string capabilities_json;           // the client's capabilities as they were sent
  std::string tool_selection;              // selection_text() of what initialize asked for
  std::string log_level;                   // "" until logging/setLevel
  std::string list_etag;                   // of the tool list that the client was shown last
  std::vector<std::string> subscriptions;  // URIs of resources/subscribe
};

inline constexpr std::size_t kSubscriptionsMax = 128;  // of one session

using SessionPtr = std::shared_ptr<const Session>;

// One event of a stream that answers a POST; `seq` counts from 1 within the stream.
struct StreamEvent {
  std::int64_t seq = 0;
  std::string data;   // one JSON-RPC message, "" for a priming event
  bool last = false;  // the answer: nothing follows
};

// Bounds of what is kept for resumption, per session; the oldest events go first. What a session's streams
// said is also forgotten when a key or a connection of its end user goes: `data` reads "" from then on, and a
// stream whose answer is forgotten is not known any more.
inline constexpr std::size_t kStoredEventsMax = 256;
inline constexpr std::size_t kStoredBytesMax = 4 << 20;
inline constexpr std::chrono::hours kStoredEventLife{1};

enum class Subscribing { Add, Remove };

// Thread-safe.
class SessionStore {
 public:
  virtual ~SessionStore() = default;

  // Makes room first: beyond `per_user_max` sessions of the end user the longest unused ones go.
  virtual core::Task<> create(Session session, std::size_t per_user_max) = 0;
  // Counts as use. Null when there is none, it has been unused for too long, or it is somebody else's.
  virtual core::Task<SessionPtr> find(SessionOwner owner, std::string id) = 0;
  // What `initialize` said and settled, for a session that began before it (the 2024-11-05 transport).
  virtual core::Task<> set_client(SessionOwner owner, std::string id, std::string protocol_version,
                                  std::string client_json, std::string capabilities_json) = 0;
  virtual core::Task<> set_log_level(SessionOwner owner, std::string id, std::string level) = 0;
  virtual core::Task<> set_list_etag(SessionOwner owner, std::string id, std::string etag) = 0;
  // False when the session has its maximum of subscriptions.
  virtual core::Task<bool> subscribe(SessionOwner owner, std::string id, std::string uri,
                                     Subscribing what) = 0;
  // Of the 2024-11-05 transport, whose sessions live as long as their stream: whoever holds it says until
  // when it is sure to. Counts as use.
  virtual core::Task<> mark_read(SessionOwner owner, std::string id, core::Time until) = 0;
  // False once that time is over: the process that held the stream is gone.
  virtual core::Task<bool> is_read(SessionOwner owner, std::string id) = 0;
  // False when there was none. Tells every node (topic "mcp_end", payload `<end user>/<session>`).
  virtual core::Task<bool> remove(SessionOwner owner, std::string id) = 0;

  // Wakes every node's readers of the stream (topic "mcp_stream", payload `<session>/<stream>`).
  virtual core::Task<> append(SessionOwner owner, std::string session, std::string stream,
                              StreamEvent event) = 0;
  // The same with the next number of the stream, for streams that many calls write to.
  virtual core::Task<> append_next(SessionOwner owner, std::string session, std::string stream,
                                   std::string data) = 0;
  // Events after `seq`, in order. Empty optional when nothing of the stream is known.
  virtual core::Task<std::optional<std::vector<StreamEvent>>> read(SessionOwner owner, std::string session,
                                                                   std::string stream,
                                                                   std::int64_t after) = 0;
  // Reaches every node's Endpoint::on_notify.
  virtual core::Task<> publish(SessionOwner owner, std::string topic, std::string payload) = 0;
  // Topics "mcp_session" (payload: a session's id) and "resync": forget what is cached.
  virtual void on_notify(std::string_view topic, std::string_view payload) = 0;
};

}  // namespace assistiv::mcp
