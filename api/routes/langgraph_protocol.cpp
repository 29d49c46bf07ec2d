// The thread protocol ("v2") of the LangGraph Server API: commands, and the events of a thread as a stream.
// Every stream follows for itself, so two of them both get everything.
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/store/event_log.h"
#include "agents/store/thread_store.h"
#include "api/routes/agent_protocol.h"
#include "api/routes/langgraph.h"
#include "api/routes/thread_commands.h"
#include "api/wire/langgraph.h"
#include "api/wire/thread_protocol.h"
#include "core/async.h"
#include "core/error.h"

namespace assistiv::api {

namespace {

using core::Json;
using Steady = std::chrono::steady_clock;

// Clients take the rhythm of the comment lines for the stream's pulse.
constexpr std::chrono::seconds kPulse{5};
// A stream may be opened before the first run makes its thread.
constexpr std::chrono::minutes kThreadWait{2};
constexpr std::chrono::milliseconds kThreadLook{250};
// Then the client connects anew, with a key that is looked at anew.
constexpr std::chrono::hours kStreamMax{1};

struct Watch {
  AgentGateway& gateway;
  agents::Reach reach;
  agents::ThreadId thread;
  ThreadFilter filter;
  std::stop_token gone;
  std::shared_ptr<core::EventSink> sink;
  Steady::time_point written = Steady::now();

  std::int64_t after() const { return (filter.since + 1) / kEventsPerSeq - 1; }
};

// False: the client is gone.
core::Task<bool> write_to(std::shared_ptr<Watch> watch, std::string bytes) {
  if (bytes.empty()) {
    if (Steady::now() - watch->written < kPulse) co_return true;
    bytes = ": heartbeat\n\n";
  }
  watch->written = Steady::now();
  co_return co_await watch->sink->write(std::move(bytes));
}

core::Task<std::optional<agents::Thread>> thread_when_there(std::shared_ptr<Watch> watch) {
  const auto deadline = Steady::now() + kThreadWait;
  while (!watch->gone.stop_requested() && Steady::now() < deadline) {
    auto thread = co_await watch->gateway.threads.find(watch->reach, watch->thread);
    if (thread) co_return thread;
    if (!co_await write_to(watch, "")) break;
    co_await core::sleep_for(kThreadLook, watch->gone);
  }
  co_return std::nullopt;
}

StoredStanding standing_of(const agents::Thread& thread) {
  StoredStanding out;
  out.last_seq = thread.last_seq;
  out.status = thread.status;
  if (thread.error.is_object()) out.error = thread.error.value("message", "The run failed.");
  out.values = thread.values;
  out.interrupts = thread.interrupts;
  out.at = thread.state_updated_at.value_or(thread.updated_at);
  return out;
}

std::string wanted(const Watch& watch, const std::vector<ProtocolEvent>& events, bool kept) {
  std::string out;
  for (const auto& event : events) {
    if (kept && event.seq <= watch.filter.since) continue;
    if (passes(watch.filter, event)) out += to_sse(event);
  }
  return out;
}

core::Task<> follow_events(std::shared_ptr<Watch> watch, agents::Thread thread) {
  auto after = std::min(std::max<std::int64_t>(watch->after(), 0), thread.last_seq);
  const auto follower = co_await watch->gateway.events.follow(watch->reach, watch->thread, after);
  ThreadEncoder encoder(after);
  const auto end = Steady::now() + kStreamMax;
  auto events = co_await follower->next(std::chrono::seconds(0), watch->gone);
  if (follower->seq() == after && after < thread.last_seq) {
    // The events are no longer kept: how the thread stands is all that there is to say.
    if (!co_await write_to(watch, wanted(*watch, standing_events(standing_of(thread)), true))) co_return;
  }
  while (true) {
    std::string bytes;
    for (const auto& one : events)
      bytes += wanted(*watch, encoder.encode(one, follower->seq()), one.event.seq > 0);
    if (!co_await write_to(watch, std::move(bytes))) co_return;
    if (watch->gone.stop_requested() || Steady::now() >= end) co_return;
    events = co_await follower->next(kPulse, watch->gone);
  }
}

core::Task<> watch_thread(std::shared_ptr<Watch> watch, std::shared_ptr<core::EventSink> sink) {
  watch->sink = std::move(sink);
  auto thread = co_await thread_when_there(watch);
  if (thread) co_await follow_events(watch, std::move(*thread));
}

core::Task<core::HttpReply> stream_thread_events(Services* s, Call call) {
  const auto thread = langgraph::thread_param(call);
  auto filter = read_thread_filter(*call.body);
  const auto caller = co_await run_caller(*s, call);
  auto watch = std::make_shared<Watch>(
      Watch{*s->agent_gateway, caller.reach, thread, std::move(filter), call.request.gone, nullptr});
  core::HttpReply reply;
  reply.headers.add("content-type", "text/event-stream");
  reply.headers.add("cache-control", "no-cache");
  reply.headers.add("x-accel-buffering", "no");
  reply.stream = std::bind_front(watch_thread, std::move(watch));
  co_return reply;
}

core::Task<core::HttpReply> refuse_web_socket(Services*, Call) {
  throw core::Error(core::ErrorKind::MethodNotAllowed,
                    "There is no WebSocket here: POST the filter to this path for server-sent events, and "
                    "commands to .../commands.");
}

core::Task<core::HttpReply> run_thread_command(Services* s, Call call) {
  ThreadCommand command;
  command.thread = langgraph::thread_param(call);
  command.caller = co_await run_caller(*s, call);
  command.body = *call.body;
  command.idempotency_key = std::string(call.request.headers.get("idempotency-key").value_or(""));
  command.gone = call.request.gone;
  co_return langgraph::plain(co_await answer_command(*s->agent_gateway, std::move(command)));
}

using MakeRoute = Route (*)(std::string, const std::string&, std::string, std::string);

// The two APIs differ in the path of the stream and in the names of the operations.
void add_thread_protocol(RouteTable& table, Services& services, MakeRoute route,
                         const std::string& stream_path, const std::string& noun) {
  using langgraph::push;
  auto command =
      route("POST", "/threads/{thread_id}/commands", "run" + noun + "Command",
            "One command of the thread protocol: start a run, answer an interrupt, read the state.");
  command.body_schema = "ThreadCommand";
  command.reply_schema = "ThreadCommandReply";
  push(table, services, std::move(command), run_thread_command);
  auto stream = route("POST", stream_path, "stream" + noun + "Events",
                      "The events of a thread, over all its runs, as server-sent events.");
  stream.body_schema = "ThreadEventFilter";
  stream.reply_type = "text/event-stream";
  push(table, services, std::move(stream), stream_thread_events);
  auto socket = route("GET", stream_path, "open" + noun + "Socket",
                      "Not offered: the protocol's WebSocket. Says so with 405.");
  push(table, services, std::move(socket), refuse_web_socket);
}

}  // namespace

void add_langgraph_protocol_routes(RouteTable& table, Services& services) {
  add_thread_protocol(table, services, langgraph::route, "/threads/{thread_id}/stream/events", "Thread");
}

void add_agent_protocol_stream_routes(RouteTable& table, Services& services) {
  add_thread_protocol(table, services, agent_protocol::route, "/threads/{thread_id}/stream", "Protocol");
}

}  // namespace assistiv::api
