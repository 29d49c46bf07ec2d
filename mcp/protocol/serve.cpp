#include "mcp/protocol/serve.h"

#include <functional>
#include <utility>

#include "core/async.h"
#include "mcp/protocol/call_metrics.h"
#include "mcp/protocol/services.h"

namespace assistiv::mcp {

namespace {

struct Outcome {
  std::string message;  // "" after a cancellation
  int status = 200;
};

struct RequestStop {
  std::stop_source source;
  void operator()() const { std::stop_source(source).request_stop(); }
};

Outcome outcome_of(const Call& call, Reply reply) {
  if (call.cancelled) return {};
  if (reply.kind == Reply::Kind::Failed && call.stop.stop_requested()) {
    reply.fault = {kInternalError, "The call was interrupted before it ended.", 200, {}};
  }
  return {write_reply(call, reply), reply.kind == Reply::Kind::Failed ? reply.fault.status : 200};
}

core::Task<Outcome> run_to_end(CallPtr call, const Method* method) {
  const RunningCall listed(call->services.running, call);
  // A modern client that goes away cancels its call; a legacy one may come back for the answer (2025-11-25
  // transports).
  const std::stop_callback on_gone(call->modern() ? call->incoming->http.gone : std::stop_token(),
                                   RequestStop{call->stop});
  const std::stop_callback on_end(call->services.tasks.token(), RequestStop{call->stop});
  CallTimer timer(method, call->version);
  Reply reply = co_await run_method(call, method);
  timer.done(call->cancelled                     ? CallEnd::Cancelled
             : reply.kind == Reply::Kind::Failed ? CallEnd::Fault
                                                 : CallEnd::Result);
  co_return outcome_of(*call, std::move(reply));
}

core::Task<> run_beside(CallPtr call, const Method* method, std::stop_token) {
  Outcome outcome = co_await run_to_end(call, method);
  co_await call->answer->finish(std::move(outcome.message), outcome.status);
}

std::optional<AnswerLog> answer_log(const Call& call) {
  if (!call.session) return {};
  return AnswerLog{call.services.world.sessions, call.session->owner, call.session->id,
                   core::random_token(call.services.world.random, 12),
                   call.version >= Version::v2025_11_25 ? Priming::Yes : Priming::No};
}

core::HttpReply plain_reply(const Call& call, int status, std::string message) {
  // Cancelled: nothing may be said, but HTTP wants an end.
  if (message.empty()) return call.incoming->accepts.events ? event_reply({}) : accepted_reply();
  return message_reply(call.incoming->accepts, status, std::move(message));
}

core::Task<core::HttpReply> serve_beside(CallPtr call, const Method* method) {
  EndpointServices& services = call->services;
  call->answer = std::make_shared<Answer>(answer_log(*call), services.options.heartbeat);
  const auto answer = call->answer;
  services.tasks.spawn(co_await core::current_executor(), "mcp call",
                       std::bind_front(run_beside, call, method));
  const auto form = co_await answer->choose(services.options.stream_after, call->incoming->accepts.json);
  if (form == Answer::Form::Plain) co_return plain_reply(*call, answer->status(), answer->plain());
  co_return event_reply(std::bind_front(Answer::pump, answer, call->incoming->http.gone));
}

core::Task<> write_nothing(std::shared_ptr<core::EventSink>) {
  co_return;
}

}  // namespace

core::HttpReply fault_reply(std::string_view id, const Fault& fault) {
  return core::json_reply(fault.status, write_error(id, fault));
}

core::HttpReply accepted_reply() {
  core::HttpReply reply;
  reply.status = 202;
  return reply;
}

core::HttpReply event_reply(std::function<core::Task<>(std::shared_ptr<core::EventSink>)> stream) {
  core::HttpReply reply;
  reply.headers.add("content-type", "text/event-stream");
  reply.headers.add("cache-control", "no-cache, no-transform");
  reply.headers.add("x-accel-buffering", "no");
  reply.stream = stream ? std::move(stream) : write_nothing;
  return reply;
}

core::HttpReply message_reply(const Accepts& accepts, int status, std::string message) {
  if (accepts.json || !accepts.events || status != 200) return core::json_reply(status, std::move(message));
  core::HttpReply reply = event_reply({});
  reply.body = core::sse_event(message);
  return reply;
}

core::Task<core::HttpReply> serve_call(CallPtr call, const Method* method) {
  if (method != nullptr && method->streams == Streams::May && call->incoming->accepts.events) {
    co_return co_await serve_beside(std::move(call), method);
  }
  Outcome outcome = co_await run_to_end(call, method);
  co_return plain_reply(*call, outcome.status, std::move(outcome.message));
}

core::Task<> start_call(CallPtr call, const Method* method) {
  call->services.tasks.spawn(co_await core::current_executor(), "mcp call",
                             std::bind_front(run_beside, call, method));
}

core::Task<std::string> answer_call(CallPtr call, const Method* method) {
  Outcome outcome = co_await run_to_end(std::move(call), method);
  co_return std::move(outcome.message);
}

core::Task<SessionPtr> find_session(EndpointServices& services, IncomingPtr incoming,
                                    std::shared_ptr<Fault> fault) {
  const auto& id = incoming->head.session_id;
  if (!id) co_return nullptr;
  SessionPtr session;
  if (!id->empty() && id->size() <= 128) {
    session = co_await services.world.sessions.find(incoming->owner(), std::string(*id));
  }
  if (!session) *fault = {kSessionNotFound, "Session not found. Send initialize again.", 404, {}};
  co_return session;
}

}  // namespace assistiv::mcp
