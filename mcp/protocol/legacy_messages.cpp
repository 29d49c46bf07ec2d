#include "mcp/protocol/legacy_messages.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/json_read.h"
#include "mcp/protocol/services.h"
#include "mcp/tools/tool_selection.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kClientInfoMax = 4 << 10;
constexpr std::size_t kCapabilitiesMax = 16 << 10;
constexpr std::size_t kSessionIdBytes = 32;

// A member of the params as JSON text: "{}" when absent, nothing when it is no object or too large.
std::optional<std::string> object_text(const core::Json& params, std::string_view name, std::size_t max) {
  const auto it = params.find(name);
  if (it == params.end()) return "{}";
  if (!it->is_object()) return {};
  std::string text = core::dump_json(*it);
  return text.size() <= max ? std::optional(std::move(text)) : std::nullopt;
}

// notifications/cancelled: stops the call where it runs.
core::Task<> cancel_call(EndpointServices& services, SessionPtr session, Message message) {
  if (!session || !message.params) co_return;
  const auto id = message.params->find("requestId");
  if (id == message.params->end() || !(id->is_string() || id->is_number())) co_return;
  const std::string key = RunningCalls::key(session->id, core::dump_json(*id));
  if (services.running.cancel(key)) co_return;
  co_await services.world.sessions.publish(session->owner, "mcp_cancel", key);
}

}  // namespace

std::variant<Fault, Session> read_initialize(EndpointServices& services, SessionOwner owner,
                                             const Message& message) {
  const core::Json none = core::Json::object();
  const core::Json& params = message.params ? *message.params : none;
  const auto asked = params.find("protocolVersion");
  if (asked == params.end() || !asked->is_string())
    return Fault{kInvalidParams, "params.protocolVersion must be a string.", 200, {}};
  const auto info = object_text(params, "clientInfo", kClientInfoMax);
  const auto capabilities = object_text(params, "capabilities", kCapabilitiesMax);
  if (!info || !capabilities) {
    return Fault{kInvalidParams,
                 "params.clientInfo and params.capabilities must be objects of moderate size.",
                 200,
                 {}};
  }
  Version version = parse_version(asked->get_ref<const std::string&>()).value_or(kNewestLegacy);
  if (is_modern(version)) version = kNewestLegacy;
  Session session;
  session.owner = std::move(owner);
  session.id = core::random_token(services.world.random, kSessionIdBytes);
  session.protocol_version = version_name(version);
  session.client_json = *info;
  session.capabilities_json = *capabilities;
  return session;
}

std::string initialize_members(const EndpointServices& services, const Session& session) {
  std::string out = "\"protocolVersion\":\"" + session.protocol_version + "\"";
  const bool icons = has_icons(parse_version(session.protocol_version).value_or(kAssumedLegacy));
  out += ",\"capabilities\":" + services.capabilities;
  out += ",\"serverInfo\":" + (icons ? services.server_introduction : services.server_info);
  if (!services.options.instructions.empty())
    out += ",\"instructions\":" + json_string(services.options.instructions);
  return out;
}

core::Task<> take_notification(EndpointServices& services, SessionPtr session, Message message) {
  if (message.method == "notifications/cancelled")
    co_await cancel_call(services, session, std::move(message));
}

CallPtr make_legacy_call(EndpointServices& services, const IncomingPtr& incoming, const SessionPtr& session,
                         Version version, Message message) {
  auto call = std::make_shared<Call>(services, incoming, std::move(message), version);
  call->session = session;
  call->selection = session ? stored_selection(session->tool_selection) : incoming->selection;
  call->progress_token = progress_token(call->params());
  if (!session) return call;
  call->abilities = parse_abilities(session->capabilities_json);
  if (services.doors.logging == LogSupport::Yes) {
    call->log_level = parse_log_level(session->log_level).value_or(ClientLogLevel::Info);
  }
  return call;
}

}  // namespace assistiv::mcp
