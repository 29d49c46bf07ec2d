#pragma once
// A stream that stays open and tells of changes: the GET stream of a legacy session, the answer to a modern
// subscriptions/listen. One coroutine, no thread, and no more state than this while it is silent.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/http.h"
#include "core/secret.h"
#include "mcp/protocol/call.h"
#include "mcp/protocol/services.h"

namespace assistiv::mcp {

struct OpenStream {
  explicit OpenStream(EndpointServices& endpoint_services) : services(endpoint_services) {}

  EndpointServices& services;
  std::shared_ptr<StreamPlace> place;
  oauth::PrincipalPtr principal;
  std::optional<std::string> app;
  core::Secret bearer;  // to ask again whether the key is still good

  // Modern: the id of the listen request as JSON text, and the acknowledged filter.
  std::string listen_id;
  std::string acknowledged_json;

  // Legacy.
  SessionPtr session;
  Version version = kNewestLegacy;
  std::string event_prefix;  // `<standing stream of the session>.<this connection>.`
  std::int64_t seq = 0;
  std::optional<std::string> mark;  // of the tool list that the client is known to have heard of
  bool resumed = false;

  // The 2024-11-05 transport: where the client posts, and the last stored message that it was given.
  std::string post_url;  // "" for the others
  std::int64_t given = 0;
};

// The stored stream of all messages to a client of the 2024-11-05 transport.
inline constexpr std::string_view kSseStream = "sse";
// How long after its last sign a process that holds such a stream counts as there.
inline constexpr std::chrono::seconds kSseReaderLife{45};

// What `owner` listens for.
unsigned offered_kinds(const Doors& doors);
// The key that the request came with, "" without one.
core::Secret bearer_of(const core::HttpHeaders& headers);
// The standing stream's name within its session: fixed, so that an event id of another session is seen to be
// foreign.
std::string standing_stream(const std::string& session_id);

core::Task<> pump_open_stream(std::shared_ptr<OpenStream> stream, std::stop_token gone,
                              std::shared_ptr<core::EventSink> sink);

}  // namespace assistiv::mcp
