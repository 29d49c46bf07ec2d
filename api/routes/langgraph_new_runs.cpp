// Runs of the LangGraph Server API: those that a request makes.
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "agents/service/run_service.h"
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
using langgraph::run_view;
using langgraph::thread_param;

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
    auto one = co_await read_post(s, call);
    // One key for the request is one for each of its runs.
    if (one.request.idempotency_key) *one.request.idempotency_key += "#" + std::to_string(out.size());
    const auto post = std::make_shared<const RunPost>(std::move(one));
    out.push_back(run_view((co_await make_run(s, posts, post)).run));
  }
  co_return plain(out);
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

}  // namespace

void add_langgraph_new_run_routes(RouteTable& table, Services& services) {
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

}  // namespace assistiv::api
