// Runs of the LangGraph Server API.
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/service/run_service.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"
#include "api/routes/langgraph.h"
#include "api/routes/langgraph_run_streams.h"
#include "api/routes/repeated_posts.h"
#include "api/wire/langgraph.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/random.h"

namespace assistiv::api {

namespace {

using core::Json;
using langgraph::plain;
using langgraph::run_param;
using langgraph::run_view;
using langgraph::thread_param;

constexpr int kBulkMax = 1000;  // runs that one request cancels

// A request that makes a run.
struct RunPost {
  agents::RunCaller caller;
  agents::RunRequest request;
  std::set<std::string> modes;
  bool subgraphs = false;
  bool cancel_on_disconnect = true;
  std::stop_token gone;
  core::Time at;
};
using PostsPtr = std::shared_ptr<RepeatedPosts>;
using PostHandler = core::Task<core::HttpReply> (*)(Services*, PostsPtr, Call);

std::optional<std::string> idempotency_key(const Call& call) {
  const auto key = call.request.headers.get("idempotency-key");
  if (!key) return {};
  if (call.request.headers.count("idempotency-key") > 1 || key->empty() || key->size() > 255)
    throw core::bad_request("Send one Idempotency-Key of at most 255 characters.", "Idempotency-Key");
  return std::string(*key);
}

bool cancels_on_disconnect(const core::JsonReader& reader) {
  return !reader.has("on_disconnect") || reader.choice("on_disconnect", {"cancel", "continue"}) == "cancel";
}

core::Task<RunPost> read_post(Services* s, Call call) {
  const auto& body = *call.body;
  const core::JsonReader reader(body);
  if (const auto* keys = reader.array("feedback_keys"); keys != nullptr && !keys->empty())
    throw core::bad_request("There are no links for feedback here.", "/feedback_keys");
  RunPost out;
  out.modes = agents::stream_modes_of(body.value("stream_mode", Json()));
  out.subgraphs = reader.optional_bool("stream_subgraphs").value_or(false);
  out.cancel_on_disconnect = cancels_on_disconnect(reader);
  out.gone = call.request.gone;
  out.at = s->clock.now();
  out.request.body = body;
  out.request.idempotency_key = idempotency_key(call);
  if (call.params.contains("thread_id")) out.request.thread = thread_param(call);
  out.caller = co_await run_caller(*s, call);
  co_return out;
}

// Of a run without a thread: whether somebody may want to come back to it.
bool is_kept(const RunPost& post) {
  const core::JsonReader body(post.request.body);
  return post.request.thread || post.request.idempotency_key || !post.cancel_on_disconnect ||
         body.has("webhook") || body.has("after_seconds") ||
         body.optional_string("on_completion") == "keep" || body.optional_string("durability") == "sync" ||
         body.optional_bool("stream_resumable").value_or(false);
}

RepeatedPosts::Post known_by(const RunPost& post) {
  return {post.caller.reach, post.request.thread, post.request.body, post.at};
}

bool may_be_sent_again(const core::Error& error) {
  return core::http_status(error.kind()) >= 500;
}

struct MadeRun {
  agents::Run run;
  bool is_old = false;  // an earlier request made it
};

core::Task<MadeRun> make_run(Services* s, PostsPtr posts, std::shared_ptr<const RunPost> post) {
  auto& gateway = *s->agent_gateway;
  if (!post->request.idempotency_key) {
    if (auto first = co_await posts->find(gateway.run_rows, known_by(*post)))
      co_return MadeRun{std::move(*first), true};
  }
  try {
    auto made = co_await gateway.runs.create(post->caller, post->request);
    if (post->gone.stop_requested()) posts->lose(known_by(*post), made.run.id);
    co_return MadeRun{std::move(made.run), made.repeated};
  } catch (const core::Error& error) {
    if (may_be_sent_again(error)) posts->lose(known_by(*post), {});
    throw;
  }
}

RunWatch watch_of(Services* s, const RunPost& post, agents::Run run) {
  RunWatch out;
  out.gateway = s->agent_gateway;
  out.reach = post.caller.reach;
  out.run = std::move(run);
  out.modes = post.modes;
  out.subgraphs = post.subgraphs;
  out.cancel_on_disconnect = post.cancel_on_disconnect;
  out.gone = post.gone;
  return out;
}

RunHere here_of(Services* s, const RunPost& post) {
  core::SystemRandom random;
  RunHere out;
  out.gateway = s->agent_gateway;
  out.caller = post.caller;
  out.request = post.request;
  out.request.id = agents::RunId::make(s->clock, random);
  out.modes = post.modes;
  out.subgraphs = post.subgraphs;
  out.gone = post.gone;
  return out;
}

// ---- runs that are made ----

core::Task<core::HttpReply> create_run(Services* s, PostsPtr posts, Call call) {
  const auto post = std::make_shared<const RunPost>(co_await read_post(s, std::move(call)));
  const auto made = co_await make_run(s, posts, post);
  auto reply = plain(run_view(made.run));
  reply.headers.add("content-location", run_path(made.run));
  if (made.is_old) reply.headers.add("idempotent-replayed", "true");
  co_return reply;
}

core::Task<core::HttpReply> stream_new_run(Services* s, PostsPtr posts, Call call) {
  const auto post = std::make_shared<const RunPost>(co_await read_post(s, std::move(call)));
  if (!is_kept(*post)) co_return co_await stream_here(here_of(s, *post));
  co_return stream_run(watch_of(s, *post, (co_await make_run(s, posts, post)).run));
}

core::Task<core::HttpReply> wait_for_new_run(Services* s, PostsPtr posts, Call call) {
  const auto post = std::make_shared<const RunPost>(co_await read_post(s, std::move(call)));
  if (!is_kept(*post)) co_return co_await await_here(here_of(s, *post));
  const auto run = (co_await make_run(s, posts, post)).run;
  auto watch = watch_of(s, *post, run);
  watch.lost = [posts, post, id = run.id] { posts->lose(known_by(*post), id); };
  try {
    co_return co_await await_run(std::move(watch));
  } catch (const core::Error& error) {
    if (may_be_sent_again(error)) posts->lose(known_by(*post), run.id);
    throw;
  }
}

core::Task<core::HttpReply> create_batch(Services* s, PostsPtr posts, Call call) {
  Json out = Json::array();
  const auto bodies = call.body;
  for (const auto& body : *bodies) {
    call.body = std::make_shared<const Json>(body);
    const auto post = std::make_shared<const RunPost>(co_await read_post(s, call));
    out.push_back(run_view((co_await make_run(s, posts, post)).run));
  }
  co_return plain(out);
}

// ---- runs that are there ----

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
    for (const auto& run : co_await s->agent_gateway->run_rows.list(reach, query)) out.push_back(run.id);
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

struct PostRoutes {
  RouteTable& table;
  Services& services;
  PostsPtr posts = std::make_shared<RepeatedPosts>();

  void add(const std::string& path, std::string operation, std::string summary, std::string reply,
           PostHandler handler, std::string body = "RunCreate") {
    auto route = langgraph::route("POST", path, std::move(operation), std::move(summary));
    route.body_schema = std::move(body);
    if (reply == "text/event-stream") {
      route.reply_type = reply;
    } else {
      route.reply_schema = std::move(reply);
    }
    route.idempotency = Idempotency::Taken;
    route.handle = [s = &services, shared = posts, handler](Call call) {
      return handler(s, shared, std::move(call));
    };
    table.push_back(std::move(route));
  }
};

void add_new_runs(RouteTable& table, Services& services) {
  PostRoutes posts{table, services};
  const std::string of_thread = "/threads/{thread_id}/runs";
  posts.add(of_thread, "createThreadRun", "Begin a run on a thread.", "Run", create_run);
  posts.add(of_thread + "/stream", "streamThreadRun", "Begin a run on a thread and follow it.",
            "text/event-stream", stream_new_run);
  posts.add(of_thread + "/wait", "waitForThreadRun", "Begin a run on a thread and wait for its end.",
            "RunAnswer", wait_for_new_run);
  posts.add("/runs", "createRun", "Begin a run without a thread.", "Run", create_run);
  posts.add("/runs/stream", "streamRun", "Begin a run without a thread and follow it.", "text/event-stream",
            stream_new_run);
  posts.add("/runs/wait", "waitForRun", "Begin a run without a thread and wait for its end.", "RunAnswer",
            wait_for_new_run);
  posts.add("/runs/batch", "createRuns", "Begin several runs without threads.", "Runs", create_batch,
            "RunCreateBatch");
}

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
  add_new_runs(table, services);
  add_streams(table, services);
  add_run_rows(table, services);
  add_cancelling(table, services);
}

}  // namespace assistiv::api
