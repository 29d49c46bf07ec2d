// POST in the modern protocol (2026-07-28 Streamable HTTP): each request stands for itself.
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "mcp/protocol/header_mirror.h"
#include "mcp/protocol/serve.h"
#include "mcp/protocol/services.h"

namespace assistiv::mcp {

namespace {

Fault unsupported_version(const std::string& requested) {
  return {kUnsupportedVersion, "This protocol version is not supported in a request without initialize.", 400,
          "{\"supported\":" + std::string(supported_versions_json()) +
              ",\"requested\":" + json_string(requested) + "}"};
}

// Everything that can be wrong before the method is looked at, in the order in which a client can mend it.
std::optional<Fault> check_request(const Incoming& incoming, const Message& message, ModernMeta& meta) {
  auto fault = read_modern_meta(message.params.get(), meta);
  if (fault && meta.version.empty()) return fault;
  if (auto mismatch =
          check_standard_headers(incoming.head, meta.version, message.method, message.params.get())) {
    return mismatch;
  }
  const auto version = parse_version(meta.version);
  if (!version || !is_modern(*version)) return unsupported_version(meta.version);
  return fault;
}

}  // namespace

core::Task<core::HttpReply> post_modern(EndpointServices& services, IncomingPtr incoming,
                                        ParsedMessage parsed) {
  Message& message = parsed.message;
  if (parsed.fault) co_return fault_reply(message.id, *parsed.fault);
  // The revision defines no client notification over HTTP, so nothing follows from one.
  if (message.kind == MessageKind::Notification) co_return accepted_reply();
  if (message.kind == MessageKind::Response) {
    co_return fault_reply(
        {}, {kInvalidRequest, "A client sends no responses in this protocol version.", 400, {}});
  }
  ModernMeta meta;
  if (auto fault = check_request(*incoming, message, meta)) co_return fault_reply(message.id, *fault);
  auto call = std::make_shared<Call>(services, std::move(incoming), std::move(message), Version::v2026_07_28);
  call->abilities = meta.abilities;
  call->selection = call->incoming->selection;
  if (services.doors.logging == LogSupport::Yes) call->log_level = meta.log_level;
  call->progress_token = progress_token(call->params());
  if (call->message.method == "subscriptions/listen") co_return co_await open_listen(std::move(call));
  const Method* method = find_method(call->message.method, call->version, services.doors);
  co_return co_await serve_call(std::move(call), method);
}

}  // namespace assistiv::mcp
