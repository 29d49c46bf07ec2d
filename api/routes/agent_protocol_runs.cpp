// Runs of the Agent Protocol: at the root, with the thread in the body.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agents/doors/agent_door.h"
#include "agents/service/assistant_service.h"
#include "agents/service/run_service.h"
#include "agents/store/agent_service.h"
#include "agents/store/run_store.h"
#include "api/agent_gateway.h"
#include "api/routes/agent_caller.h"
#include "api/routes/agent_protocol.h"
#include "api/routes/langgraph_run_streams.h"
#include "api/wire/agent_protocol.h"
#include "api/wire/langgraph.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::api {

namespace {

using agent_protocol::MessageKeys;
using core::Json;
using langgraph::plain;

agents::RunId protocol_run_in(const Call& call) {
  return call.id<agents::RunId>("run_id", "run");
}

// ---- runs that are made ----

struct ProtocolRun {
  agents::RunCaller caller;
  agents::RunRequest request;
  std::string key;  // of the conversation, or ""
  bool cancel_on_disconnect = true;
};

// Who may use one agent only need not say which.
core::Task<std::string> only_agent(Services* s, agents::Reach reach) {
  agents::AssistantSearch query;
  query.limit = 2;
  const auto page = co_await s->agent_gateway->assistants.search(reach, std::move(query));
  if (page.assistants.size() != 1)
    throw core::bad_request("Say which agent: POST .../agents/search lists them.", "/agent_id");
  co_return page.assistants.front().id.str();
}

core::Task<ProtocolRun> read_protocol_run(Services* s, Call call) {
  const auto& body = *call.body;
  ProtocolRun out;
  out.caller = co_await run_caller(*s, call);
  auto name = langgraph::text_of(body, "agent_id").value_or("");
  if (name.empty()) name = co_await only_agent(s, out.caller.reach);
  const auto of = co_await s->agent_gateway->assistants.resolve(out.caller.reach, name);
  const auto graph = co_await s->agent_gateway->agents.graph(out.caller.reach.platform, of.agent.id,
                                                             of.agent.active_version);
  out.key = agents::messages_key(*graph);
  out.cancel_on_disconnect = langgraph::text_of(body, "on_disconnect").value_or("cancel") == "cancel";
  out.request.thread = langgraph::id_of<agents::ThreadId>(body, "thread_id", "thread");
  out.request.body = {{"assistant_id", name}, {"input", agent_protocol::run_input(body, *graph)}};
  for (const char* member :
       {"metadata", "config", "webhook", "on_completion", "if_not_exists", "stream_mode"})
    if (body.contains(member)) out.request.body[member] = body[member];
  const auto key = call.request.headers.get("idempotency-key");
  if (key && !key->empty()) out.request.idempotency_key = std::string(key->substr(0, 255));
  co_return out;
}

std::string protocol_failure(const core::Error& error) {
  return core::dump_json(agent_protocol::error_view(error, ""));
}

RunWatch protocol_watch(Services* s, const Call& call, agents::Reach reach, agents::Run run,
                        std::string key) {
  RunWatch out;
  out.gateway = s->agent_gateway;
  out.reach = reach;
  out.path = "/runs/" + run.id.str();
  out.run = std::move(run);
  out.gone = call.request.gone;
  out.answer = [key = std::move(key)](const agents::RunResult& result) {
    return core::dump_json(agent_protocol::answer_view(result, key));
  };
  out.failure = protocol_failure;
  return out;
}

core::Task<core::HttpReply> create_protocol_run(Services* s, Call call) {
  auto asked = co_await read_protocol_run(s, call);
  const auto made = co_await s->agent_gateway->runs.create(asked.caller, std::move(asked.request));
  auto reply = plain(agent_protocol::run_view(made.run, asked.key));
  reply.headers.add("content-location", "/runs/" + made.run.id.str());
  if (made.repeated) reply.headers.add("idempotent-replayed", "true");
  co_return reply;
}

core::Task<RunWatch> begin_protocol_run(Services* s, Call call) {
  auto asked = co_await read_protocol_run(s, call);
  const auto made = co_await s->agent_gateway->runs.create(asked.caller, std::move(asked.request));
  auto out = protocol_watch(s, call, asked.caller.reach, made.run, asked.key);
  out.cancel_on_disconnect = asked.cancel_on_disconnect;
  out.modes = agents::stream_modes_of(made.run.kwargs.value("stream_mode", Json()));
  co_return out;
}

core::Task<core::HttpReply> wait_for_new_protocol_run(Services* s, Call call) {
  co_return co_await await_run(co_await begin_protocol_run(s, std::move(call)));
}

core::Task<core::HttpReply> stream_new_protocol_run(Services* s, Call call) {
  co_return stream_run(co_await begin_protocol_run(s, std::move(call)));
}

// ---- runs that are there ----

core::Task<RunWatch> watch_protocol_run(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  auto run = co_await s->agent_gateway->run_rows.get(caller.reach, protocol_run_in(call));
  MessageKeys known;
  auto key = co_await agent_protocol::messages_key_of(s, caller.reach, run.metadata, &known);
  co_return protocol_watch(s, call, caller.reach, std::move(run), std::move(key));
}

core::Task<core::HttpReply> wait_for_protocol_run(Services* s, Call call) {
  co_return co_await await_run(co_await watch_protocol_run(s, std::move(call)));
}

core::Task<core::HttpReply> stream_protocol_run(Services* s, Call call) {
  auto watch = co_await watch_protocol_run(s, call);
  for (const auto& mode : watch.run.kwargs.value("stream_mode", Json::array()))
    if (mode.is_string() && mode != "tools" && mode != "lifecycle") watch.modes.insert(mode);
  watch.cursor = agents::stream_cursor(call.request.headers.get("last-event-id"));
  co_return stream_run(std::move(watch));
}

core::Task<core::HttpReply> get_protocol_run(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto run = co_await s->agent_gateway->run_rows.get(caller.reach, protocol_run_in(call));
  MessageKeys known;
  const auto key = co_await agent_protocol::messages_key_of(s, caller.reach, run.metadata, &known);
  co_return plain(agent_protocol::run_view(run, key));
}

core::Task<core::HttpReply> delete_protocol_run(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  co_await s->agent_gateway->run_rows.remove(caller.reach, protocol_run_in(call));
  co_return no_content();
}

core::Task<core::HttpReply> cancel_protocol_run(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto action = call.query_or("action", "interrupt") == "rollback" ? agents::CancelAction::Rollback
                                                                         : agents::CancelAction::Interrupt;
  co_await s->agent_gateway->runs.cancel(caller.reach, protocol_run_in(call), action,
                                         langgraph::query_flag(call, "wait"), call.request.gone);
  co_return no_content();
}

core::Task<core::HttpReply> search_protocol_runs(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto& body = *call.body;
  agents::RunSearch query;
  query.thread = langgraph::id_of<agents::ThreadId>(body, "thread_id", "thread");
  query.metadata = langgraph::object_of(body, "metadata");
  if (const auto name = langgraph::text_of(body, "agent_id")) {
    const auto of = co_await s->agent_gateway->assistants.resolve(caller.reach, *name);
    query.metadata["assistant_id"] = of.assistant.id.str();
  }
  query.status = langgraph::text_of(body, "status");
  if (query.status == "pending") {  // which is two states here
    query.status.reset();
    query.open = true;
  }
  query.limit = langgraph::limit_of(body);
  query.offset = langgraph::offset_of(body);
  auto& store = s->agent_gateway->run_rows;
  const auto total = co_await store.count(caller.reach, query);
  const auto found = co_await store.list(caller.reach, query);
  Json rows = Json::array();
  MessageKeys known;
  for (const auto& run : found) {
    const auto key = co_await agent_protocol::messages_key_of(s, caller.reach, run.metadata, &known);
    rows.push_back(agent_protocol::run_view(run, key));
  }
  co_return langgraph::page_of(rows, query.offset, total);
}

}  // namespace

void add_agent_protocol_run_routes(RouteTable& table, Services& services) {
  const auto add = [&](Route route, ServiceHandler handler, const char* reply) {
    if (std::string_view(reply) == "text/event-stream") {
      route.reply_type = reply;
    } else if (*reply != '\0') {
      route.reply_schema = reply;
    } else {
      route.success = 204;
    }
    route.handle = with_services(services, handler);
    table.push_back(std::move(route));
  };
  const auto post = [&](const std::string& path, const char* operation, const char* summary,
                        const char* reply, ServiceHandler handler) {
    auto route = agent_protocol::route("POST", path, operation, summary);
    route.body_schema = "ProtocolRunCreate";
    route.idempotency = Idempotency::Taken;
    add(std::move(route), handler, reply);
  };
  post("/runs", "createProtocolRun", "Begin a run.", "ProtocolRun", create_protocol_run);
  post("/runs/wait", "waitForNewProtocolRun", "Begin a run and wait for its end.", "ProtocolRunAnswer",
       wait_for_new_protocol_run);
  post("/runs/stream", "streamNewProtocolRun", "Begin a run and follow it.", "text/event-stream",
       stream_new_protocol_run);
  auto search = agent_protocol::route("POST", "/runs/search", "searchProtocolRuns", "Runs, newest first.");
  search.body_schema = "ProtocolRunSearch";
  add(std::move(search), search_protocol_runs, "ProtocolRuns");
  const std::string one = "/runs/{run_id}";
  add(agent_protocol::route("GET", one, "getProtocolRun", "A run."), get_protocol_run, "ProtocolRun");
  add(agent_protocol::route("DELETE", one, "deleteProtocolRun", "Delete a run that is over."),
      delete_protocol_run, "");
  add(agent_protocol::route("GET", one + "/wait", "waitForProtocolRun", "Wait for the end of a run."),
      wait_for_protocol_run, "ProtocolRunAnswer");
  add(agent_protocol::route("GET", one + "/stream", "streamProtocolRun",
                            "Follow a run: from its beginning, or from Last-Event-ID on."),
      stream_protocol_run, "text/event-stream");
  auto cancel = agent_protocol::route("POST", one + "/cancel", "cancelProtocolRun", "Cancel a run.");
  cancel.query = {
      {"wait", "true: answer when it has stopped.", {}},
      {"action", "rollback also takes back what the run did to the thread.", {"interrupt", "rollback"}}};
  add(std::move(cancel), cancel_protocol_run, "");
}

}  // namespace assistiv::api
