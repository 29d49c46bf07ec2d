// Threads of the LangGraph Server API.
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/store/thread_store.h"
#include "api/routes/langgraph.h"
#include "api/wire/langgraph.h"
#include "core/error.h"

namespace assistiv::api {

namespace {

using core::Json;
using langgraph::plain;

constexpr int kThreadTtlMax = 10 * 366 * 24 * 60;  // minutes

// A number of minutes, or {"ttl": minutes, "strategy"}.
std::optional<agents::ThreadTtl> thread_ttl_of(const Json& body) {
  const auto found = body.find("ttl");
  if (found == body.end() || found->is_null()) return {};
  agents::ThreadTtl out;
  const Json& minutes = found->is_object() ? found->value("ttl", Json()) : *found;
  if (!minutes.is_number() || minutes.get<double>() < 1 || minutes.get<double>() > kThreadTtlMax)
    throw core::bad_request("A thread's TTL is 1 to " + std::to_string(kThreadTtlMax) + " minutes.", "/ttl");
  out.minutes = static_cast<int>(minutes.get<double>());
  if (found->is_object()) out.strategy = langgraph::text_of(*found, "strategy").value_or("delete");
  if (out.strategy != "delete" && out.strategy != "keep_latest")
    throw core::bad_request("A TTL's strategy is \"delete\" or \"keep_latest\".", "/ttl/strategy");
  return out;
}

core::Task<core::HttpReply> create_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto& body = *call.body;
  agents::NewThread input;
  input.id = langgraph::id_of<agents::ThreadId>(body, "thread_id", "thread");
  input.metadata = langgraph::object_of(body, "metadata");
  input.ttl = thread_ttl_of(body);
  input.existing_is_fine = langgraph::text_of(body, "if_exists") == "do_nothing";
  const auto thread = co_await s->agent_gateway->threads.create(caller.reach, std::move(input));
  co_return plain(langgraph::thread_view(thread));
}

core::Task<core::HttpReply> get_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto thread = co_await s->agent_gateway->threads.get(caller.reach, langgraph::thread_param(call));
  co_return plain(langgraph::thread_view(thread));
}

core::Task<core::HttpReply> delete_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  co_await s->agent_gateway->threads.remove(caller.reach, langgraph::thread_param(call));
  co_return no_content();
}

}  // namespace

void add_langgraph_thread_routes(RouteTable& table, Services& services) {
  using langgraph::push;
  using langgraph::route;
  auto create = route("POST", "/threads", "createThread", "Make a thread.");
  create.body_schema = "ThreadCreate";
  create.reply_schema = "Thread";
  push(table, services, std::move(create), create_thread);
  auto get = route("GET", "/threads/{thread_id}", "getThread", "A thread with its last state.");
  get.reply_schema = "Thread";
  push(table, services, std::move(get), get_thread);
  auto remove = route("DELETE", "/threads/{thread_id}", "deleteThread",
                      "Delete a thread with its runs and checkpoints.");
  remove.success = 204;
  push(table, services, std::move(remove), delete_thread);
}

}  // namespace assistiv::api
