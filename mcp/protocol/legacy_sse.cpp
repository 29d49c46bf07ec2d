// The HTTP+SSE transport of 2024-11-05: GET opens a stream whose first event names the URL to post to; a POST
// is answered with 202, and what there is to say comes on the stream. A POST may reach another node than the
// stream: messages wait in the session's store, which also bounds them.
#include <functional>
#include <utility>

#include "core/encoding.h"
#include "mcp/protocol/client_requests.h"
#include "mcp/protocol/legacy_messages.h"
#include "mcp/protocol/open_stream.h"
#include "mcp/protocol/selection.h"
#include "mcp/protocol/serve.h"
#include "mcp/tools/tool_selection.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kSseSessionIdBytes = 32;
constexpr std::size_t kSseSessionIdMax = 128;
constexpr std::string_view kSessionParam = "sessionId=";
constexpr std::string_view kStreamPath = "/sse";

Fault sse_refused(std::string message, int status) {
  return {kTransportRefused, std::move(message), status, {}};
}

// "/mcp/sse" -> "/mcp/message?sessionId=...". Ids are base64url: nothing in them needs to be encoded.
std::string post_url(const std::string& stream_path, const std::string& session) {
  std::string path = stream_path;
  while (path.ends_with('/')) path.pop_back();
  if (path.ends_with(kStreamPath)) path.resize(path.size() - kStreamPath.size());
  return path + "/message?" + std::string(kSessionParam) + session;
}

std::string session_param(std::string_view query) {
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    if (query.substr(0, end).starts_with(kSessionParam))
      return std::string(query.substr(kSessionParam.size(), end - kSessionParam.size()));
    query.remove_prefix(std::min(query.size(), end + 1));
  }
  return {};
}

core::Task<core::HttpReply> open_sse_stream(EndpointServices& services, IncomingPtr incoming) {
  if (!incoming->accepts.events)
    co_return fault_reply({}, sse_refused("GET opens an event stream: send Accept: text/event-stream.", 406));
  if (const auto fault = co_await check_selection(services, incoming)) co_return fault_reply({}, *fault);
  auto session = std::make_shared<Session>();
  session->owner = incoming->owner();
  session->tool_selection = selection_text(incoming->selection);
  session->id = core::random_token(services.world.random, kSseSessionIdBytes);
  session->protocol_version = version_name(Version::v2024_11_05);
  session->client_json = session->capabilities_json = "{}";
  auto stream = std::make_shared<OpenStream>(services);
  stream->bearer = bearer_of(incoming->http.headers);
  stream->place = services.hub.open({session->owner.platform,
                                     session->owner.end_user,
                                     session->id,
                                     offered_kinds(services.doors),
                                     {},
                                     core::sha256_hex(stream->bearer.reveal())});
  if (!stream->place) {
    co_return fault_reply(
        {}, sse_refused("There are too many open streams. Close some, or try again later.", 429));
  }
  services.hub.watch(session->id + "/" + std::string(kSseStream), stream->place->event());
  co_await services.world.sessions.create(*session, services.options.sessions_per_user_max);
  co_await services.world.sessions.mark_read(session->owner, session->id,
                                             services.world.clock.now() + kSseReaderLife);
  stream->principal = incoming->principal;
  stream->app = incoming->app;
  stream->post_url = post_url(incoming->http.path, session->id);
  stream->session = std::move(session);
  stream->version = Version::v2024_11_05;
  co_return event_reply(std::bind_front(pump_open_stream, std::move(stream), incoming->http.gone));
}

core::Task<> send_on_stream(EndpointServices* services, SessionPtr session, std::string message) {
  co_await services->world.sessions.append_next(session->owner, session->id, std::string(kSseStream),
                                                std::move(message));
}

core::Task<> take_initialize(EndpointServices& services, SessionPtr session, Message message) {
  auto asked = read_initialize(services, session->owner, message);
  if (const auto* fault = std::get_if<Fault>(&asked))
    co_return co_await send_on_stream(&services, session, write_error(message.id, *fault));
  const auto& settled = std::get<Session>(asked);
  co_await services.world.sessions.set_client(session->owner, session->id, settled.protocol_version,
                                              settled.client_json, settled.capabilities_json);
  co_await send_on_stream(&services, session,
                          write_result(message.id, initialize_members(services, settled)));
}

core::Task<> take_message(EndpointServices& services, IncomingPtr incoming, SessionPtr session,
                          ParsedMessage parsed) {
  Message& message = parsed.message;
  if (parsed.fault)
    co_return co_await send_on_stream(&services, session, write_error(message.id, *parsed.fault));
  if (message.kind == MessageKind::Notification)
    co_return co_await take_notification(services, session, std::move(message));
  if (message.kind == MessageKind::Response)
    co_return co_await take_response(services, session, std::move(message));
  if (message.method == "initialize")
    co_return co_await take_initialize(services, session, std::move(message));
  const auto version = parse_version(session->protocol_version).value_or(kNewestLegacy);
  auto call = make_legacy_call(services, incoming, session, version, std::move(message));
  call->answer = std::make_shared<Answer>(std::bind_front(send_on_stream, &services, session));
  const Method* method = find_method(call->message.method, version, services.doors);
  co_await start_call(std::move(call), method);
}

core::Task<core::HttpReply> take_post(EndpointServices& services, IncomingPtr incoming) {
  if (!is_json_content(incoming->head.content_type))
    co_return fault_reply({}, sse_refused("Send Content-Type: application/json.", 415));
  const std::string id = session_param(incoming->http.query);
  SessionPtr session;
  if (!id.empty() && id.size() <= kSseSessionIdMax)
    session = co_await services.world.sessions.find(incoming->owner(), id);
  // Where the process that held the stream is gone, nobody would ever read the answer.
  if (!session || !co_await services.world.sessions.is_read(session->owner, id)) {
    co_return fault_reply(
        {}, {kSessionNotFound, "Session not found. Open the event stream again: GET /mcp/sse.", 404, {}});
  }
  ParsedBody body = parse_body(incoming->http.body);
  if (!body.batch && body.messages.front().fault) {
    co_return fault_reply(body.messages.front().message.id, *body.messages.front().fault);
  }
  for (auto& parsed : body.messages) co_await take_message(services, incoming, session, std::move(parsed));
  co_return accepted_reply();
}

}  // namespace

core::Task<core::HttpReply> serve_sse(EndpointServices& services, IncomingPtr incoming) {
  if (incoming->http.method == "GET") co_return co_await open_sse_stream(services, std::move(incoming));
  co_return co_await take_post(services, std::move(incoming));
}

}  // namespace assistiv::mcp
