// Runs of the LangGraph Server API: those that are there.
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agents/service/run_service.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"
#include "api/routes/langgraph.h"
#include "api/routes/langgraph_run_streams.h"
#include "api/wire/langgraph.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::api {

namespace {

using core::Json;
using langgraph::plain;
using langgraph::run_param;
using langgraph::run_view;
using langgraph::thread_param;

constexpr int kBulkMax = 1000;  // runs that one request cancels

// Of the thread in the path, where there is one.
core::Task<agents::Run> run_of(Services* s, agents::Reach reach, Call call) {
  auto run = co_await s->agent_gateway->run_rows.get(reach, run_param(call));
  if (call.params.contains("thread_id") && run.thread != thread_param(call))
    throw core::not_found("There is no such run.");
  co_return run;
}

core::Task<core::HttpReply> list_runs(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  agents::RunSearch query;
  query.thread = thread_param(call);
  query.limit = langgraph::query_number(call, "limit", 10, langgraph::kLimitMax);
  query.offset = langgraph::query_number(call, "offset", 0, 1'000'000);
  if (call.query.contains("status")) query.status = call.query.at("status");
  const auto total = co_await s->agent_gateway->run_rows.count(caller.reach, query);
  Json out = Json::array();
  for (const auto& run : co_await s->agent_gateway->run_rows.list(caller.reach, query)) {
    out.push_back(langgraph::selected_by(run_view(run), call.query_or("select", ""),
                                         {"run_id", "thread_id", "assistant_id", "created_at", "updated_at",
                                          "status", "metadata", "kwargs", "multitask_strategy"}));
  }
  co_return langgraph::page_of(out, query.offset, total);
}

core::Task<core::HttpReply> get_run(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  co_return plain(run_view(co_await run_of(s, caller.reach, std::move(call))));
}

core::Task<core::HttpReply> delete_run(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto run = co_await run_of(s, caller.reach, std::move(call));
  co_await s->agent_gateway->run_rows.remove(caller.reach, run.id);
  co_return no_content();
}

core::Task<RunWatch> watch_existing(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  RunWatch out;
  out.gateway = s->agent_gateway;
  out.reach = caller.reach;
  out.cancel_on_disconnect = langgraph::query_flag(call, "cancel_on_disconnect");
  out.gone = call.request.gone;
  out.run = co_await run_of(s, caller.reach, std::move(call));
  co_return out;
}

core::Task<core::HttpReply> join_run(Services* s, Call call) {
  co_return co_await await_run(co_await watch_existing(s, std::move(call)));
}

// A list in a query: JSON text, or names with commas between them.
Json list_of(const std::string& text) {
  if (auto json = core::try_parse_json(text); json && !json->is_null()) return *json;
  Json out = Json::array();
  std::size_t at = 0;
  while (at <= text.size() && !text.empty()) {
    const auto end = std::min(text.find(',', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

// Without a choice what the run was made to tell; what only the newer protocol knows is left out.
std::set<std::string> modes_of(const Call& call, const agents::Run& run) {
  const auto asked = call.query_or("stream_mode", "");
  if (!asked.empty()) return agents::stream_modes_of(list_of(asked));
  std::set<std::string> out;
  for (const auto& mode : run.kwargs.value("stream_mode", Json::array()))
    if (mode.is_string() && mode != "tools" && mode != "lifecycle") out.insert(mode);
  return out;
}

core::Task<core::HttpReply> stream_existing_run(Services* s, Call call) {
  auto watch = co_await watch_existing(s, call);
  watch.modes = modes_of(call, watch.run);
  watch.subgraphs = watch.run.kwargs.value("stream_subgraphs", false);
  watch.cursor = agents::stream_cursor(call.request.headers.get("last-event-id"));
  co_return stream_run(std::move(watch));
}

// From now on, or from where the client was.
core::Task<core::HttpReply> stream_of_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  ThreadWatch watch;
  watch.gateway = s->agent_gateway;
  watch.reach = caller.reach;
  watch.thread = thread_param(call);
  watch.gone = call.request.gone;
  const auto thread = co_await s->agent_gateway->threads.get(caller.reach, watch.thread);
  const auto last = call.request.headers.get("last-event-id");
  watch.cursor = agents::stream_cursor(last);
  if (!last) watch.cursor.after = thread.last_seq;
  const auto asked = call.query_or("stream_mode", call.query_or("stream_modes", "run_modes"));
  const auto modes = asked == "run_modes" || asked == "lifecycle" || asked == "state_update"
                         ? Json::array({asked})
                         : list_of(asked);
  for (const auto& mode : modes) {
    if (mode == "run_modes") watch.runs = true;
    if (mode == "lifecycle") watch.lifecycle = true;
    if (mode != "run_modes" && mode != "lifecycle" && mode != "state_update")
      throw core::bad_request("A thread's stream_mode is run_modes, lifecycle or state_update.",
                              "stream_mode");
  }
  co_return stream_thread(std::move(watch));
}

// ---- cancelling ----

agents::CancelAction action_of(const std::string& text) {
  if (text == "interrupt") return agents::CancelAction::Interrupt;
  if (text == "rollback") return agents::CancelAction::Rollback;
  throw core::bad_request("\"action\" is interrupt or rollback.", "action");
}

core::Task<core::HttpReply> cancel_run(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto action = action_of(call.query_or("action", "interrupt"));
  const bool wait = langgraph::query_flag(call, "wait");
  const auto gone = call.request.gone;
  const auto run = co_await run_of(s, caller.reach, std::move(call));
  co_await s->agent_gateway->runs.cancel(caller.reach, run.id, action, wait, gone);
  core::HttpReply reply;
  reply.status = wait ? 204 : 202;
  co_return reply;
}

// The runs that a request names, or those of a status.
core::Task<std::vector<agents::RunId>> runs_to_cancel(Services* s, agents::Reach reach, const Json* body) {
  const core::JsonReader reader(*body);
  const auto thread = langgraph::id_of<agents::ThreadId>(*body, "thread_id", "thread");
  std::vector<agents::RunId> out;
  if (!reader.has("status")) {
    for (const auto& text : reader.strings("run_ids", kBulkMax, 64)) {
      const auto id = agents::RunId::parse(text);
      if (!id) throw core::not_found("There is no such run.");
      const auto run = co_await s->agent_gateway->run_rows.get(reach, *id);
      if (thread && run.thread != *thread) throw core::not_found("There is no such run.");
      out.push_back(*id);
    }
    co_return out;
  }
  if (thread || reader.has("run_ids"))
    throw core::bad_request("Name runs of a thread, or a status: not both.", "/status");
  const auto status = reader.choice("status", {"pending", "running", "all"});
  for (const auto* one : {"pending", "running"}) {
    if (status != "all" && status != one) continue;
    agents::RunSearch query;
    query.status = one;
    query.limit = kBulkMax;
    for (const auto& id : co_await s->agent_gateway->run_rows.ids(reach, query)) out.push_back(id);
  }
  co_return out;
}

core::Task<core::HttpReply> cancel_runs(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto action =
      action_of(call.query_or("action", langgraph::text_of(*call.body, "action").value_or("interrupt")));
  for (const auto& id : co_await runs_to_cancel(s, caller.reach, call.body.get()))
    co_await s->agent_gateway->runs.cancel(caller.reach, id, action, false, call.request.gone);
  co_return no_content();
}

// ---- the table ----

void add_streams(RouteTable& table, Services& services) {
  const std::vector<QueryParam> query = {
      {"stream_mode", "Of the modes that the run was made with; all of them when absent.", {}},
      {"cancel_on_disconnect", "Cancel the run when this client goes.", {}}};
  for (const std::string path : {"/threads/{thread_id}/runs/{run_id}/stream", "/runs/{run_id}/stream"}) {
    const bool of_thread = path[1] == 't';
    auto route = langgraph::route("GET", path, of_thread ? "joinThreadRunStream" : "joinRunStream",
                                  "Follow a run: from its beginning, or from Last-Event-ID on.");
    route.query = query;
    route.query[0].repeated = true;
    route.reply_type = "text/event-stream";
    langgraph::push(table, services, std::move(route), stream_existing_run);
  }
  auto thread = langgraph::route("GET", "/threads/{thread_id}/stream", "joinThreadStream",
                                 "Follow the runs of a thread, those to come, too.");
  thread.query = {{"stream_mode", "run_modes, lifecycle or state_update.", {}, true},
                  {"stream_modes", "The same.", {}, true}};
  thread.reply_type = "text/event-stream";
  langgraph::push(table, services, std::move(thread), stream_of_thread);
}

void add_run_rows(RouteTable& table, Services& services) {
  const std::string all = "/threads/{thread_id}/runs";
  const std::string one = all + "/{run_id}";
  auto list = langgraph::route("GET", all, "listThreadRuns", "The runs of a thread, the newest first.");
  list.query = {
      {"limit", "At most 1000; 10 when absent.", {}},
      {"offset", "How many to pass over.", {}},
      {"status", "Only these.", {"pending", "running", "error", "success", "timeout", "interrupted"}},
      {"select", "Names of members.", {}, true}};
  list.reply_schema = "Runs";
  langgraph::push(table, services, std::move(list), list_runs);
  auto get = langgraph::route("GET", one, "getThreadRun", "A run of a thread.");
  get.reply_schema = "Run";
  langgraph::push(table, services, std::move(get), get_run);
  auto remove = langgraph::route("DELETE", one, "deleteThreadRun", "Delete a run that is over.");
  remove.success = 204;
  langgraph::push(table, services, std::move(remove), delete_run);
  for (const std::string& path : {one + "/join", std::string("/runs/{run_id}/join")}) {
    auto join = langgraph::route("GET", path, path[1] == 't' ? "joinThreadRun" : "joinRun",
                                 "Wait for the end of a run.");
    join.query = {{"cancel_on_disconnect", "Cancel the run when this client goes.", {}}};
    join.reply_schema = "RunAnswer";
    langgraph::push(table, services, std::move(join), join_run);
  }
}

void add_cancelling(RouteTable& table, Services& services) {
  const QueryParam action{
      "action", "rollback also takes back what the run did to the thread.", {"interrupt", "rollback"}};
  auto one = langgraph::route("POST", "/threads/{thread_id}/runs/{run_id}/cancel", "cancelThreadRun",
                              "Cancel a run.");
  one.query = {{"wait", "1: answer when it has stopped.", {}}, action};
  one.success = 202;
  one.also_success = 204;
  langgraph::push(table, services, std::move(one), cancel_run);
  auto several = langgraph::route("POST", "/runs/cancel", "cancelRuns",
                                  "Cancel runs of a thread, or those of a status.");
  several.query = {action};
  several.body_schema = "RunsCancel";
  several.success = 204;
  langgraph::push(table, services, std::move(several), cancel_runs);
}

}  // namespace

void add_langgraph_run_routes(RouteTable& table, Services& services) {
  add_streams(table, services);
  add_run_rows(table, services);
  add_cancelling(table, services);
}

}  // namespace assistiv::api
