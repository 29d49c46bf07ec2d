// POST in the legacy protocol (2024-11-05 to 2025-11-25): sessions, and callers that never had one.
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "mcp/protocol/client_requests.h"
#include "mcp/protocol/legacy_messages.h"
#include "mcp/protocol/serve.h"
#include "mcp/protocol/services.h"
#include "mcp/tools/tool_selection.h"

namespace assistiv::mcp {

namespace {

Fault refused(std::string message) {
  return {kTransportRefused, std::move(message), 400, {}};
}

// The handshake: negotiates the version and begins a session. A stale session id on it is no fault: a client
// whose session is gone begins again this way.
core::Task<core::HttpReply> initialize(EndpointServices& services, IncomingPtr incoming, Message message) {
  if (incoming->head.session_id) {
    const auto fault = std::make_shared<Fault>();
    if (co_await find_session(services, incoming, fault)) {
      co_return fault_reply(message.id, {kInvalidRequest, "This session is initialized already.", 400, {}});
    }
  }
  auto session = read_initialize(services, incoming->owner(), message);
  if (const auto* fault = std::get_if<Fault>(&session)) co_return fault_reply(message.id, *fault);
  auto& begun = std::get<Session>(session);
  const std::string members = initialize_members(services, begun);
  begun.tool_selection = selection_text(incoming->selection);
  const std::string id = begun.id;
  co_await services.world.sessions.create(std::move(begun), services.options.sessions_per_user_max);
  auto reply = message_reply(incoming->accepts, 200, write_result(message.id, members));
  reply.headers.add(std::string(kSessionHeader), id);
  co_return reply;
}

// The answer to one message of a batch, "" for none.
core::Task<std::string> answer_in_batch(EndpointServices& services, IncomingPtr incoming, SessionPtr session,
                                        ParsedMessage parsed) {
  Message& message = parsed.message;
  if (parsed.fault) co_return write_error(message.id, *parsed.fault);
  if (message.kind == MessageKind::Notification) {
    co_await take_notification(services, session, std::move(message));
    co_return "";
  }
  if (message.kind == MessageKind::Response) {
    if (session) co_await take_response(services, session, std::move(message));
    co_return "";
  }
  if (message.method == "initialize") {
    co_return write_error(message.id, {kInvalidRequest, "initialize cannot be part of a batch.", 200, {}});
  }
  auto call = make_legacy_call(services, incoming, session, Version::v2025_03_26, std::move(message));
  const Method* method = find_method(call->message.method, call->version, services.doors);
  co_return co_await answer_call(std::move(call), method);
}

core::Task<core::HttpReply> post_batch(EndpointServices& services, IncomingPtr incoming, SessionPtr session,
                                       std::optional<Version> version, ParsedBody body) {
  if (version != Version::v2025_03_26) {
    co_return fault_reply({},
                          {kInvalidRequest, "Batches exist in protocol version 2025-03-26 only.", 400, {}});
  }
  std::string joined;
  for (auto& parsed : body.messages) {
    const std::string answer = co_await answer_in_batch(services, incoming, session, std::move(parsed));
    if (!answer.empty()) joined.append(joined.empty() ? "" : ",").append(answer);
  }
  if (joined.empty()) co_return accepted_reply();
  co_return message_reply(incoming->accepts, 200, "[" + joined + "]");
}

core::Task<core::HttpReply> post_single(EndpointServices& services, IncomingPtr incoming, SessionPtr session,
                                        Version version, ParsedMessage parsed) {
  Message& message = parsed.message;
  if (message.kind == MessageKind::Notification) {
    co_await take_notification(services, session, std::move(message));
    co_return accepted_reply();
  }
  if (message.kind == MessageKind::Response) {
    if (!session) co_return fault_reply({}, refused("A response needs the Mcp-Session-Id of its session."));
    co_await take_response(services, session, std::move(message));
    co_return accepted_reply();
  }
  auto call = make_legacy_call(services, incoming, session, version, std::move(message));
  const Method* method = find_method(call->message.method, version, services.doors);
  co_return co_await serve_call(std::move(call), method);
}

// The version of a request: what its session negotiated, else what its header says, else the one without a
// header.
std::optional<Version> effective_version(const Incoming& incoming, const SessionPtr& session) {
  const auto& header = incoming.head.protocol_version;
  const auto stated = header ? parse_version(*header) : std::optional(kAssumedLegacy);
  if (!stated || is_modern(*stated)) return {};
  return session ? parse_version(session->protocol_version) : stated;
}

}  // namespace

core::Task<core::HttpReply> post_legacy(EndpointServices& services, IncomingPtr incoming, ParsedBody body) {
  ParsedMessage& first = body.messages.front();
  const std::string id = body.batch ? "" : first.message.id;
  if (!incoming->head.ambiguous.empty()) {
    co_return fault_reply(id,
                          refused("The header " + std::string(incoming->head.ambiguous) + " occurs twice."));
  }
  if (!body.batch && first.fault) co_return fault_reply(id, *first.fault);
  if (!body.batch && first.message.kind == MessageKind::Request && first.message.method == "initialize") {
    co_return co_await initialize(services, std::move(incoming), std::move(first.message));
  }
  const auto fault = std::make_shared<Fault>();
  const SessionPtr session = co_await find_session(services, incoming, fault);
  if (!session && incoming->head.session_id) co_return fault_reply(id, *fault);
  const auto version = effective_version(*incoming, session);
  if (body.batch)
    co_return co_await post_batch(services, std::move(incoming), session, version, std::move(body));
  if (!version) {
    co_return fault_reply(id, refused("Unsupported MCP-Protocol-Version. Supported: 2025-11-25, 2025-06-18, "
                                      "2025-03-26, 2024-11-05; 2026-07-28 with params._meta."));
  }
  co_return co_await post_single(services, std::move(incoming), session, *version, std::move(first));
}

}  // namespace assistiv::mcp
