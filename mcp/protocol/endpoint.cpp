#include "mcp/protocol/endpoint.h"

#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "mcp/protocol/selection.h"
#include "mcp/protocol/serve.h"
#include "mcp/protocol/services.h"

namespace assistiv::mcp {

namespace {

unsigned kinds_of(ListKind kind) {
  switch (kind) {
    case ListKind::Tools:
      return kToolsChanged;
    case ListKind::Prompts:
      return kPromptsChanged;
    case ListKind::Resources:
      return kResourcesChanged;
  }
  return 0;
}

// A request of the modern protocol says so in its body; without that, a header of it alone makes a malformed
// modern request, so that its sender learns what is missing. Everything else is legacy.
bool is_modern_message(const Incoming& incoming, const ParsedBody& body) {
  if (body.batch) return false;
  const Message& message = body.messages.front().message;
  if (message.kind != MessageKind::Response && states_version(message.params.get())) return true;
  const auto header = incoming.head.protocol_version;
  if (!header || message.method == "initialize") return false;
  const auto version = parse_version(*header);
  return version && is_modern(*version);
}

core::HttpReply not_allowed(const std::string& allow) {
  core::HttpReply reply = fault_reply(
      {}, {kTransportRefused, "This method is not allowed here. Allowed: " + allow + ".", 405, {}});
  reply.headers.add("allow", allow);
  return reply;
}

// GET and DELETE exist for legacy sessions only.
bool states_modern(const Incoming& incoming) {
  const auto header = incoming.head.protocol_version;
  const auto version = header ? parse_version(*header) : std::nullopt;
  return version && is_modern(*version);
}

core::Task<core::HttpReply> post(EndpointServices& services, IncomingPtr incoming) {
  if (!is_json_content(incoming->head.content_type)) {
    co_return fault_reply({}, {kTransportRefused, "Send Content-Type: application/json.", 415, {}});
  }
  if (!incoming->accepts.json && !incoming->accepts.events) {
    co_return fault_reply({},
                          {kTransportRefused, "Send Accept: application/json, text/event-stream.", 406, {}});
  }
  ParsedBody body = parse_body(incoming->http.body);
  // Clients hide what server/discover says when it fails; the next request tells them.
  const bool discovers = !body.batch && body.messages.front().message.method == "server/discover";
  const auto fault = discovers ? std::nullopt : co_await check_selection(services, incoming);
  if (fault) {
    co_return fault_reply(body.batch ? std::string() : body.messages.front().message.id, *fault);
  }
  if (is_modern_message(*incoming, body)) {
    co_return co_await post_modern(services, std::move(incoming), std::move(body.messages.front()));
  }
  co_return co_await post_legacy(services, std::move(incoming), std::move(body));
}

core::Task<core::HttpReply> route(EndpointServices& services, IncomingPtr incoming) {
  const std::string& method = incoming->http.method;
  if (method == "POST") co_return co_await post(services, std::move(incoming));
  const bool session_method = method == "GET" || method == "DELETE";
  if (!session_method) co_return not_allowed("POST, GET, DELETE");
  if (states_modern(*incoming)) co_return not_allowed("POST");
  if (method == "GET") co_return co_await get_legacy(services, std::move(incoming));
  co_return co_await delete_legacy(services, std::move(incoming));
}

// Ends the request where not even a JSON-RPC answer could be made.
core::HttpReply broken(const Incoming& incoming, const core::Error& error) {
  core::log::error(
      "mcp.request_failed",
      {{"request_id", incoming.http.request_id}, {"error", error.message()}, {"detail", error.detail()}});
  const bool ours = error.kind() == core::ErrorKind::Internal;
  core::HttpReply reply =
      fault_reply({}, {kInternalError,
                       ours ? "Something went wrong on our side (request " + incoming.http.request_id + ")."
                            : error.message(),
                       core::http_status(error.kind()),
                       {}});
  if (error.retry_after()) reply.headers.add("retry-after", std::to_string(error.retry_after()->count()));
  return reply;
}

using Serve = core::Task<core::HttpReply> (*)(EndpointServices& services, IncomingPtr incoming);

core::Task<core::HttpReply> serve_guarded(EndpointServices& services, IncomingPtr incoming, Serve serve) {
  if (const auto fault = services.guard.check(incoming->head)) co_return fault_reply({}, *fault);
  try {
    co_return co_await serve(services, incoming);
  } catch (const core::Error& e) {
    co_return broken(*incoming, e);
  } catch (const std::exception& e) {
    co_return broken(*incoming, core::internal(e.what()));
  }
}

// `<platform>/<end user>`; "*" or nothing stands for every end user.
struct NoticeSubject {
  core::PlatformId platform;
  std::optional<core::EndUserId> end_user;
};

std::optional<NoticeSubject> read_subject(std::string_view payload) {
  const auto slash = payload.find('/');
  const auto platform = core::PlatformId::parse(payload.substr(0, slash));
  if (!platform) return {};
  const auto rest = slash == std::string_view::npos ? std::string_view() : payload.substr(slash + 1);
  return NoticeSubject{*platform, core::EndUserId::parse(rest)};
}

}  // namespace

struct Endpoint::Impl : EndpointServices {
  using EndpointServices::EndpointServices;

  // `<end user>/<session>`.
  void on_session_end(std::string_view payload) {
    const auto slash = payload.find('/');
    const auto end_user = core::EndUserId::parse(payload.substr(0, slash));
    if (!end_user || slash == std::string_view::npos) return;
    world.sessions.on_notify("mcp_session", payload.substr(slash + 1));
    hub.close_session(*end_user, payload.substr(slash + 1));
  }

  // `<end user>/<task>`.
  void on_task(std::string_view payload) {
    const auto slash = payload.find('/');
    const auto end_user = core::EndUserId::parse(payload.substr(0, slash));
    if (end_user && slash != std::string_view::npos)
      hub.task_changed(*end_user, std::string(payload.substr(slash + 1)));
  }

  void on_tenant_notice(std::string_view topic, const NoticeSubject& subject) {
    if (topic == "connection" || topic == "grant" || topic == "app") {
      // An app's notice carries the app's name behind the platform: it concerns every end user.
      const auto whom = topic == "app" ? std::nullopt : subject.end_user;
      hub.list_changed(subject.platform, whom, kToolsChanged | kPromptsChanged | kResourcesChanged);
      const auto prefix =
          doors.resources == nullptr ? std::string_view() : doors.resources->changed_by(topic);
      if (!prefix.empty()) hub.resources_under_updated(subject.platform, whom, prefix);
    } else if (topic == "platform") {
      hub.recheck_platform(subject.platform);
    } else if (topic == "end_user" && subject.end_user) {
      hub.recheck_user(*subject.end_user);
    }
  }
};

Endpoint::Endpoint(EndpointOptions options, Doors doors, EndpointWorld world)
    : impl_(std::make_unique<Impl>(std::move(options), doors, std::move(world))) {}

Endpoint::~Endpoint() {
  stop();
}

core::Task<core::HttpReply> Endpoint::handle(core::HttpRequest request, oauth::PrincipalPtr principal,
                                             std::optional<std::string> app) {
  return serve_guarded(
      *impl_, std::make_shared<const Incoming>(std::move(request), std::move(principal), std::move(app)),
      route);
}

core::Task<core::HttpReply> Endpoint::handle_sse(core::HttpRequest request, oauth::PrincipalPtr principal) {
  return serve_guarded(*impl_,
                       std::make_shared<const Incoming>(std::move(request), std::move(principal),
                                                        std::nullopt, Transport::Sse),
                       serve_sse);
}

void Endpoint::on_list_changed(core::PlatformId platform, std::optional<core::EndUserId> end_user,
                               ListKind kind) {
  impl_->hub.list_changed(platform, end_user, kinds_of(kind));
}

void Endpoint::on_resource_updated(core::PlatformId platform, core::EndUserId end_user,
                                   const std::string& uri) {
  impl_->hub.resource_updated(platform, end_user, uri);
}

void Endpoint::on_notify(std::string_view topic, std::string_view payload) {
  if (topic == "mcp_cancel") {
    impl_->running.cancel(payload);
  } else if (topic == "mcp_stream") {
    impl_->hub.wake(payload);
  } else if (topic == "mcp_session") {
    impl_->world.sessions.on_notify(topic, payload);
  } else if (topic == "mcp_end") {
    impl_->on_session_end(payload);
  } else if (topic == "mcp_task") {
    impl_->on_task(payload);
  } else if (topic == "key") {
    impl_->hub.recheck_key(payload);
  } else if (topic == "resync") {
    impl_->world.sessions.on_notify(topic, payload);
    impl_->hub.resync();
  } else if (const auto subject = read_subject(payload)) {
    impl_->on_tenant_notice(topic, *subject);
  }
}

void Endpoint::drain() {
  impl_->hub.close_all();
}

void Endpoint::stop() {
  drain();
  impl_->tasks.stop();
}

}  // namespace assistiv::mcp
