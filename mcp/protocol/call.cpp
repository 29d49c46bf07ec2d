#include "mcp/protocol/call.h"

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "mcp/protocol/selection.h"
#include "mcp/protocol/services.h"
#include "mcp/protocol/task_start.h"

namespace assistiv::mcp {

namespace {

constexpr std::chrono::milliseconds kProgressEvery{20};

std::string number(double value) {
  if (std::trunc(value) == value && std::abs(value) < 1e15)
    return std::to_string(static_cast<std::int64_t>(value));
  return core::dump_json(core::Json(value));
}

// Progress must increase (specification, "Progress"), and is not sent faster than a person could follow it.
bool progress_due(Call& call, double done, std::optional<double> total) {
  if (call.progressed && done <= *call.progressed) return false;
  const auto now = std::chrono::steady_clock::now();
  const bool last = total && done >= *total;
  if (call.progressed && !last && now - call.progressed_at < kProgressEvery) return false;
  call.progressed = done;
  call.progressed_at = now;
  return true;
}

core::Task<> send_progress(CallPtr call, double done, std::optional<double> total, std::string message) {
  if (call->stop.stop_requested() || !std::isfinite(done) || !progress_due(*call, done, total)) co_return;
  std::string params = R"({"progressToken":)" + call->progress_token + R"(,"progress":)" + number(done);
  if (total) params += R"(,"total":)" + number(*total);
  if (!message.empty() && call->version >= Version::v2025_03_26)
    params += R"(,"message":)" + json_string(message);
  co_await call->answer->send(write_notification("notifications/progress", params + "}"));
}

core::Task<> send_log(CallPtr call, std::string level, std::string logger, std::string data_json) {
  const auto parsed = parse_log_level(level);
  if (!parsed || *parsed < call->log_level || call->stop.stop_requested()) co_return;
  std::string params = R"({"level":")" + level + "\"";
  if (!logger.empty()) params += R"(,"logger":)" + json_string(logger);
  params += R"(,"data":)" + data_json + "}";
  co_await call->answer->send(write_notification("notifications/message", params));
}

std::string_view result_type(Reply::Kind kind) {
  if (kind == Reply::Kind::InputRequired) return R"("resultType":"input_required",)";
  if (kind == Reply::Kind::Task) return R"("resultType":"task",)";
  return R"("resultType":"complete",)";
}

core::Task<> release_stream(CallPtr call) {
  co_await call->answer->release();
}
core::Task<> release_nothing() {
  co_return;
}

}  // namespace

Incoming::Incoming(core::HttpRequest request, oauth::PrincipalPtr caller, std::optional<std::string> app_name,
                   Transport which)
    : http(std::move(request)),
      principal(std::move(caller)),
      app(std::move(app_name)),
      transport(which),
      head(read_head(http.headers)),
      accepts(read_accept(head.accept)) {
  SelectionReading reading = read_selection(head, http.query);
  selection = std::move(reading.selection);
  selection_fault = std::move(reading.fault);
}

SessionOwner Incoming::owner() const {
  SessionOwner out{};
  if (principal) {
    out.platform = principal->platform_id;
    out.end_user = principal->end_user_id.value_or(core::EndUserId{});
  }
  out.endpoint = app.value_or("");
  if (transport == Transport::Sse) out.endpoint += kSseEndpoint;
  return out;
}

Reply completed(std::string members) {
  return {Reply::Kind::Complete, std::move(members), {}};
}
Reply listed(std::string members) {
  return {Reply::Kind::Listing, std::move(members), {}};
}
Reply discovered(std::string members) {
  return {Reply::Kind::Discovery, std::move(members), {}};
}
Reply reading(std::string members) {
  return {Reply::Kind::Reading, std::move(members), {}};
}
Reply failed(Fault fault) {
  return {Reply::Kind::Failed, {}, std::move(fault)};
}
Reply failed(int code, std::string message) {
  return failed({code, std::move(message), 200, {}});
}

CallContext make_context(const CallPtr& call) {
  const Incoming& incoming = *call->incoming;
  CallContext out;
  out.principal = incoming.principal;
  out.app = incoming.app;
  out.selection = call->selection;
  out.request_id = incoming.http.request_id;
  out.traceparent = incoming.http.traceparent;
  out.stop = call->stop.get_token();
  out.client = call->abilities;
  out.client.tasks = takes_tasks(*call);
  out.keep_results = call->services.doors.resources != nullptr;
  out.resource_links = out.keep_results && call->version >= Version::v2025_06_18;
  out.icons = has_icons(call->version);
  out.url_elicitation = call->abilities.elicitation_url;
  out.release_stream = release_nothing;
  if (!call->answer) return out;
  if (!call->progress_token.empty()) out.progress = std::bind_front(send_progress, call);
  if (call->log_level != ClientLogLevel::Off) out.log = std::bind_front(send_log, call);
  out.release_stream = std::bind_front(release_stream, call);
  return out;
}

std::string write_reply(const Call& call, const Reply& reply) {
  if (reply.kind == Reply::Kind::Failed) return write_error(call.message.id, reply.fault);
  if (!call.modern()) return write_result(call.message.id, reply.members);
  const EndpointServices& services = call.services;
  std::string members;
  members.reserve(reply.members.size() + services.server_meta.size() + 96);
  members.append(result_type(reply.kind));
  members.append(reply.members);
  if (!reply.members.empty()) members.push_back(',');
  const bool discovery = reply.kind == Reply::Kind::Discovery;
  if (discovery || reply.kind == Reply::Kind::Listing) members.append(services.cache_hints);
  if (reply.kind == Reply::Kind::Reading) members.append(R"("ttlMs":0,"cacheScope":"private",)");
  members.append(discovery ? services.discovery_meta : services.server_meta);
  return write_result(call.message.id, members);
}

}  // namespace assistiv::mcp
