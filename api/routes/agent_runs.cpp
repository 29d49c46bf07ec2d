// The runs of agents for people: read across threads with what they cost, followed, and shown in the browser
// (api/web/run_page.h). What clients of LangGraph use is in langgraph_*.cpp.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "agents/service/thread_state.h"
#include "agents/store/agent_service.h"
#include "agents/store/event_log.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"
#include "api/agent_gateway.h"
#include "api/routes/agent_caller.h"
#include "api/routes/routes.h"
#include "api/web/pages.h"
#include "api/web/run_page.h"
#include "api/wire/agent_drawing.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/money.h"

namespace assistiv::api {

namespace {

using core::Json;

constexpr auto kRunBeat = std::chrono::seconds(5);
// Events whose data a follower gets; of the others it only learns that they came: states are read from the
// thread's history.
constexpr std::string_view kToldMethods[] = {"calls", "lifecycle", "input.requested", "error", "end"};

Json optional_time(const std::optional<core::Time>& time) {
  return time ? Json(core::format_time(*time)) : Json();
}

Json run_usage(const Json& stored) {
  const auto totals = agents::totals_of(stored.is_object() ? stored : Json::object());
  return {{"cost_usd", core::format_usd({totals.cost_nano_usd})},
          {"tokens", totals.tokens},
          {"llm_calls", totals.llm_calls},
          {"tool_calls", totals.tool_calls},
          {"active_ms", totals.active_ms},
          {"supersteps", totals.supersteps}};
}

// Whether it goes on from where its thread stood: with an answer, or without an input.
bool goes_on(const agents::Run& run) {
  if (!run.kwargs.is_object()) return false;
  const auto has = [&](const char* name) {
    const auto found = run.kwargs.find(name);
    return found != run.kwargs.end() && !found->is_null() && *found != "";
  };
  return has("command") || (!has("input") && !has("checkpoint_id"));
}

Json run_json(const agents::Run& run, const std::optional<agents::Agent>& agent, core::PlatformId platform) {
  return {{"id", run.id.str()},
          {"thread_id", run.thread.str()},
          {"platform_id", platform.str()},
          {"agent", agent ? Json(agent->slug) : Json()},
          {"agent_name", agent ? Json(agent->name.empty() ? agent->slug : agent->name) : Json()},
          {"version", run.agent_version},
          {"assistant_id", run.assistant.str()},
          {"end_user_id", run.end_user ? Json(run.end_user->str()) : Json()},
          {"status", run.status},
          {"resumes", goes_on(run)},
          {"usage", run_usage(run.usage)},
          {"error", run.error},
          {"created_at", core::format_time(run.created_at)},
          {"started_at", optional_time(run.started_at)},
          {"ended_at", optional_time(run.ended_at)}};
}

core::Task<std::optional<agents::Agent>> agent_of(Services* s, core::PlatformId platform,
                                                  const core::Uuid agent) {
  try {
    co_return (co_await s->agents->get(platform, agent.str())).agent;
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::NotFound) throw;
  }
  co_return std::nullopt;
}

core::Task<bool> is_last(Services* s, agents::Reach reach, agents::ThreadId thread, agents::RunId run) {
  agents::RunSearch query;
  query.thread = thread;
  query.limit = 1;
  const auto last = co_await s->agent_gateway->run_rows.list(reach, std::move(query));
  co_return !last.empty() && last[0].id == run;
}

// Of a run that failed over an answer the question is open again.
bool may_wait(const agents::Run& run) {
  return run.status == "interrupted" || run.status == "error";
}

core::Task<bool> waits(Services* s, agents::Reach reach, agents::Run run) {
  if (!may_wait(run) || !co_await is_last(s, reach, run.thread, run.id)) co_return false;
  const auto thread = co_await s->agent_gateway->threads.find(reach, run.thread);
  co_return thread && thread->interrupts.is_object() && !thread->interrupts.empty();
}

core::Task<core::HttpReply> list_agent_runs(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  agents::RunSearch query;
  if (call.query.contains("thread_id")) {
    query.thread = agents::ThreadId::parse(call.query.at("thread_id"));
    if (!query.thread) throw core::bad_request("\"thread_id\" must be an id.", "thread_id");
  }
  if (call.query.contains("status")) query.status = call.query.at("status");
  query.limit = call.limit();
  query.offset = (call.page() - 1) * call.limit();
  const auto total = co_await s->agent_gateway->run_rows.count(caller.reach, query);
  std::map<std::string, std::optional<agents::Agent>> known;
  Json rows = Json::array();
  // Their inputs may be megabytes and are not told: as many at a time as fit.
  while (query.limit > 0) {
    const auto runs = co_await s->agent_gateway->run_rows.list(caller.reach, query);
    if (runs.empty()) break;
    query.offset += static_cast<int>(runs.size());
    query.limit -= static_cast<int>(runs.size());
    for (const auto& run : runs) {
      auto found = known.find(run.agent.str());
      if (found == known.end()) {
        auto agent = co_await agent_of(s, caller.reach.platform, run.agent);
        found = known.emplace(run.agent.str(), std::move(agent)).first;
      }
      auto row = run_json(run, found->second, caller.reach.platform);
      row["waits"] = co_await waits(s, caller.reach, run);
      rows.push_back(std::move(row));
    }
  }
  co_return list_reply(rows, total, call);
}

Json limits_json(const agents::Limits& limits) {
  Json out = {{"max_supersteps", limits.max_supersteps}};
  const auto add = [&](const char* name, const std::optional<std::int64_t>& value) {
    if (value) out[name] = *value;
  };
  if (limits.max_cost_nano_usd) out["max_cost_usd"] = core::format_usd({*limits.max_cost_nano_usd});
  add("max_tokens", limits.max_tokens);
  add("max_llm_calls", limits.max_llm_calls);
  add("max_tool_calls", limits.max_tool_calls);
  if (limits.max_active) out["max_active_s"] = static_cast<double>(limits.max_active->count()) / 1000;
  return out;
}

// The graph of the version that it runs, drawn; its limits, and what of its state no page shows.
core::Task<> add_graph(Services* s, core::PlatformId platform, const agents::Run& run, Json& view) {
  view["graph"] = nullptr;
  view["limits"] = Json::object();
  view["redact"] = Json::array();
  try {
    const auto graph = co_await s->agents->graph(platform, agents::AgentId(run.agent), run.agent_version);
    view["graph"] = drawing(*graph);
    view["limits"] = limits_json(graph->limits);
    for (const auto& key : graph->state) {
      if (key.redact) view["redact"].push_back(key.name);
    }
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::NotFound) throw;
  }
}

core::Task<core::HttpReply> get_agent_run(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto run =
      co_await s->agent_gateway->run_rows.get(caller.reach, call.id<agents::RunId>("run_id", "run"));
  auto view = run_json(run, co_await agent_of(s, caller.reach.platform, run.agent), caller.reach.platform);
  co_await add_graph(s, caller.reach.platform, run, view);
  const bool last = co_await is_last(s, caller.reach, run.thread, run.id);
  view["is_last"] = last;
  view["interrupts"] = Json::array();
  view["next"] = Json::array();
  if (last && may_wait(run)) {
    const auto thread = co_await s->agent_gateway->threads.get(caller.reach, run.thread);
    for (const auto& [task, open] : thread.interrupts.items()) {
      for (const auto& one : open) view["interrupts"].push_back(one);
    }
    const auto state = co_await s->agent_gateway->states.get(caller.reach, run.thread, {});
    view["next"] = state.value("next", Json::array());
  }
  view["waits"] = !view["interrupts"].empty();
  co_return data_reply(200, view);
}

// ---- following ----

bool is_told(const agents::RunEvent& event) {
  if (event.method == "messages") return event.seq == 0;
  return std::find(std::begin(kToldMethods), std::end(kToldMethods), event.method) != std::end(kToldMethods);
}

std::string told(const agents::RunEvent& event) {
  const Json data = {{"ns", event.ns},
                     {"node", event.node},
                     {"at", core::format_time(event.at)},
                     {"data", is_told(event) ? event.data : Json()}};
  return core::sse_event(core::dump_json(data), event.seq > 0 ? std::to_string(event.seq) : "", event.method);
}

struct RunFollowed {
  Services* services;
  agents::Reach reach;
  agents::RunId run;
  std::unique_ptr<agents::EventFollower> follower;
  std::stop_token gone;
};

// Of a run whose events are not kept any more only its end is told.
core::Task<bool> has_ended(std::shared_ptr<RunFollowed> followed, std::shared_ptr<core::EventSink> sink) {
  const auto run = co_await followed->services->agent_gateway->run_rows.await_row(
      followed->reach, followed->run, followed->gone);
  if (!run.is_over()) co_return false;
  agents::RunEvent end;
  end.method = "end";
  end.at = run.ended_at.value_or(run.updated_at);
  end.data = {{"run_id", run.id.str()}, {"status", run.status}};
  (void)co_await sink->write(told(end));
  co_return true;
}

core::Task<> write_run_events(std::shared_ptr<RunFollowed> followed, std::shared_ptr<core::EventSink> sink) {
  while (!followed->gone.stop_requested()) {
    const auto events = co_await followed->follower->next(kRunBeat, followed->gone);
    std::string out;
    bool ended = false;
    for (const auto& [run, event] : events) {
      if (run != followed->run) continue;
      out += told(event);
      ended = ended || event.method == "end";
    }
    if (!co_await sink->write(out.empty() ? ": still here\n\n" : std::move(out)) || ended) co_return;
    if (events.empty() && co_await has_ended(followed, sink)) co_return;
  }
}

core::Task<core::HttpReply> follow_agent_run(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto run =
      co_await s->agent_gateway->run_rows.get(caller.reach, call.id<agents::RunId>("run_id", "run"));
  std::int64_t after = run.base_seq;
  if (const auto last = call.request.headers.get("last-event-id")) {
    std::int64_t seen = 0;
    const auto [end, fault] = std::from_chars(last->data(), last->data() + last->size(), seen);
    if (fault == std::errc() && end == last->data() + last->size()) after = std::max(after, seen);
  }
  auto followed = std::make_shared<RunFollowed>();
  followed->services = s;
  followed->reach = caller.reach;
  followed->run = run.id;
  followed->follower = co_await s->agent_gateway->events.follow(caller.reach, run.thread, after, run.id);
  followed->gone = call.request.gone;
  core::HttpReply reply;
  reply.headers.add("content-type", "text/event-stream");
  reply.headers.add("cache-control", "no-store");
  reply.headers.add("x-accel-buffering", "no");
  reply.stream = [followed](std::shared_ptr<core::EventSink> sink) {
    return write_run_events(followed, std::move(sink));
  };
  co_return reply;
}

// ---- pages ----

core::Task<core::HttpReply> show_runs(Services*, Call) {
  co_return run_page();
}

core::Task<core::HttpReply> run_asset(Services*, Call call) {
  const auto& path = call.request.path;
  const bool style = path.ends_with(".css");
  co_return asset(path.substr(std::string_view("/assets/").size()), style ? "text/css" : "text/javascript");
}

Route run_route(const std::string& path, std::string operation, std::string summary) {
  Route out;
  out.method = "GET";
  out.path = "/v1/agents/runs" + path;
  out.access = Access::Tenant;
  out.scope = "inference";
  out.operation_id = std::move(operation);
  out.tag = "Agents";
  out.summary = std::move(summary);
  return out;
}

void add_run_page_routes(RouteTable& table, Services& services) {
  const auto page = [&](std::string path, std::string operation, std::string summary, std::string type,
                        ServiceHandler handle) {
    table.push_back({.method = "GET",
                     .path = std::move(path),
                     .access = Access::Public,
                     .scope = "",
                     .operation_id = std::move(operation),
                     .tag = "Pages",
                     .summary = std::move(summary),
                     .reply_type = std::move(type),
                     .handle = with_services(services, handle)});
  };
  page("/agents/runs", "runsPage", "A page with the runs that a key reaches.", "text/html", show_runs);
  page("/agents/runs/{thread_id}/{run_id}", "runPage",
       "A run in the browser: its graph, steps, calls, cost and questions, live.", "text/html", show_runs);
  page("/assets/run.css", "runStyle", "The style sheet of /agents/runs.", "text/css", run_asset);
  for (const char* name : {"page", "steps", "graph", "client", "parts", "questions"}) {
    std::string operation = std::string("runScript_") + name;
    page(std::string("/assets/run_") + name + ".js", std::move(operation),
         "A part of the script of /agents/runs.", "text/javascript", run_asset);
  }
}

}  // namespace

void add_agent_run_routes(RouteTable& table, Services& services) {
  auto list = run_route("", "listAgentRuns", "Runs of agents, newest first, with what they used.");
  list.query = {{"status", "", {"pending", "running", "success", "error", "timeout", "interrupted"}},
                {"thread_id", "Only this thread.", {}}};
  list.paginated = true;
  list.reply_schema = "AgentRun";
  list.handle = with_services(services, list_agent_runs);
  table.push_back(std::move(list));
  auto get = run_route("/{run_id}", "getAgentRun",
                       "A run with the drawing of its graph, its limits and what it waits for.");
  get.reply_schema = "AgentRun";
  get.handle = with_services(services, get_agent_run);
  table.push_back(std::move(get));
  auto follow = run_route("/{run_id}/events", "followAgentRun",
                          "The events of a run as they come, to its end; Last-Event-ID goes on after one.");
  follow.reply_type = "text/event-stream";
  follow.handle = with_services(services, follow_agent_run);
  table.push_back(std::move(follow));
  add_run_page_routes(table, services);
}

}  // namespace assistiv::api
