// GET and DELETE of a legacy session: its standing stream, coming back to the stream of a call, and its end
// (2025-11-25 transports, "Listening for Messages from the Server", "Resumability and Redelivery").
#include <charconv>
#include <functional>
#include <utility>

#include "core/encoding.h"
#include "mcp/protocol/open_stream.h"
#include "mcp/protocol/serve.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kEventIdMax = 256;

Fault stream_refused(std::string message, int status) {
  return {kTransportRefused, std::move(message), status, {}};
}

// `<stream>.<rest>`.
struct EventId {
  std::string stream, rest;
};

std::optional<EventId> read_event_id(std::string_view text) {
  const auto dot = text.find('.');
  if (text.size() > kEventIdMax || dot == 0 || dot == std::string_view::npos) return {};
  return EventId{std::string(text.substr(0, dot)), std::string(text.substr(dot + 1))};
}

std::optional<std::int64_t> read_seq(const std::string& text) {
  std::int64_t seq = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seq);
  if (error != std::errc() || end != text.data() + text.size() || seq < 1) return {};
  return seq;
}

struct Follow {
  EndpointServices& services;
  SessionPtr session;
  std::string stream;
  std::int64_t seq;  // the last event that the client has
};

// Writes what is stored after `seq`; true when the answer was among it.
core::Task<std::optional<bool>> write_stored(std::shared_ptr<Follow> follow,
                                             std::shared_ptr<core::EventSink> sink) {
  const auto events = co_await follow->services.world.sessions.read(
      follow->session->owner, follow->session->id, follow->stream, follow->seq - 1);
  if (!events) co_return std::nullopt;
  for (const auto& event : *events) {
    if (event.seq > follow->seq) {
      follow->seq = event.seq;
      if (!event.data.empty() &&
          !co_await sink->write(core::sse_event(event.data, event_id(follow->stream, event.seq)))) {
        co_return std::nullopt;
      }
    }
    if (event.last) co_return true;
  }
  co_return false;
}

// Goes on with the stream of a call, from what any node has stored of it.
core::Task<> follow_stream(std::shared_ptr<Follow> follow, std::stop_token gone,
                           std::shared_ptr<core::EventSink> sink) {
  EndpointServices& services = follow->services;
  const auto event = services.hub.watch(follow->session->id + "/" + follow->stream);
  const auto deadline = std::chrono::steady_clock::now() + services.options.call_time_max;
  if (!co_await sink->write(":\n\n")) co_return;
  while (!gone.stop_requested() && !services.hub.closed() && std::chrono::steady_clock::now() < deadline) {
    const auto ended = co_await write_stored(follow, sink);
    if (!ended || *ended) co_return;
    // The notice may have been lost with the database's connection, so the store is looked at now and then
    // anyway.
    if (!co_await event->wait_for(services.options.heartbeat, gone) && !co_await sink->write(":\n\n"))
      co_return;
  }
}

core::Task<core::HttpReply> resume_call(EndpointServices& services, IncomingPtr incoming, SessionPtr session,
                                        EventId id) {
  const auto seq = read_seq(id.rest);
  if (seq && co_await services.world.sessions.read(session->owner, session->id, id.stream, *seq)) {
    auto follow = std::make_shared<Follow>(Follow{services, session, id.stream, *seq});
    co_return event_reply(std::bind_front(follow_stream, std::move(follow), incoming->http.gone));
  }
  co_return fault_reply(
      {}, stream_refused("Last-Event-ID names no event of this session that is still kept.", 400));
}

core::HttpReply open_standing(EndpointServices& services, const IncomingPtr& incoming,
                              const SessionPtr& session, const std::optional<EventId>& resumed) {
  auto stream = std::make_shared<OpenStream>(services);
  stream->bearer = bearer_of(incoming->http.headers);
  StreamInterest interest{
      session->owner.platform,       session->owner.end_user, session->id,
      offered_kinds(services.doors), session->subscriptions,  core::sha256_hex(stream->bearer.reveal())};
  stream->place = services.hub.open(std::move(interest));
  if (!stream->place) {
    return fault_reply(
        {}, stream_refused("There are too many open streams. Close some, or try again later.", 429));
  }
  stream->principal = incoming->principal;
  stream->app = incoming->app;
  stream->session = session;
  stream->version = parse_version(session->protocol_version).value_or(kNewestLegacy);
  stream->event_prefix =
      standing_stream(session->id) + "." + core::random_token(services.world.random, 6) + ".";
  stream->resumed = resumed.has_value();
  if (resumed) {
    const std::string mark = resumed->rest.substr(resumed->rest.rfind('.') + 1);
    if (mark.size() == 16) stream->mark = mark;
  }
  return event_reply(std::bind_front(pump_open_stream, std::move(stream), incoming->http.gone));
}

// Common to GET and DELETE: the session that must be named.
core::Task<SessionPtr> named_session(EndpointServices& services, IncomingPtr incoming,
                                     std::shared_ptr<Fault> fault) {
  if (!incoming->head.ambiguous.empty()) {
    *fault = stream_refused("The header " + std::string(incoming->head.ambiguous) + " occurs twice.", 400);
    co_return nullptr;
  }
  const auto& stated = incoming->head.protocol_version;
  if (stated && !parse_version(*stated)) {
    *fault = stream_refused("Unsupported MCP-Protocol-Version.", 400);
    co_return nullptr;
  }
  if (!incoming->head.session_id) {
    *fault = stream_refused("The header Mcp-Session-Id is missing: send initialize first.", 400);
    co_return nullptr;
  }
  co_return co_await find_session(services, std::move(incoming), fault);
}

}  // namespace

core::Task<core::HttpReply> get_legacy(EndpointServices& services, IncomingPtr incoming) {
  if (!incoming->accepts.events) {
    co_return fault_reply({},
                          stream_refused("GET opens an event stream: send Accept: text/event-stream.", 406));
  }
  const auto fault = std::make_shared<Fault>();
  const SessionPtr session = co_await named_session(services, incoming, fault);
  if (!session) co_return fault_reply({}, *fault);
  if (!incoming->head.last_event_id) co_return open_standing(services, incoming, session, {});
  auto id = read_event_id(*incoming->head.last_event_id);
  if (!id) co_return fault_reply({}, stream_refused("Last-Event-ID is not one of our event ids.", 400));
  if (id->stream == standing_stream(session->id)) co_return open_standing(services, incoming, session, id);
  co_return co_await resume_call(services, std::move(incoming), session, std::move(*id));
}

core::Task<core::HttpReply> delete_legacy(EndpointServices& services, IncomingPtr incoming) {
  const auto fault = std::make_shared<Fault>();
  const SessionPtr session = co_await named_session(services, incoming, fault);
  if (!session) co_return fault_reply({}, *fault);
  co_await services.world.sessions.remove(session->owner, session->id);
  services.hub.close_session(session->owner.end_user, session->id);
  core::HttpReply reply;
  reply.status = 204;
  co_return reply;
}

}  // namespace assistiv::mcp
