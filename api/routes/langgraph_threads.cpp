// Threads of the LangGraph Server API: the objects themselves. Their states are in langgraph_states.cpp.
#include <algorithm>
#include <exception>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "agents/service/thread_state.h"
#include "agents/store/thread_store.h"
#include "api/routes/langgraph.h"
#include "api/wire/langgraph.h"
#include "core/error.h"

namespace assistiv::api {

namespace {

using core::Json;
using langgraph::plain;

constexpr int kThreadTtlMax = 10 * 366 * 24 * 60;  // minutes
constexpr std::initializer_list<std::string_view> kThreadFields = {
    "thread_id",  "created_at", "updated_at", "state_updated_at", "metadata", "config", "status", "values",
    "interrupts", "error",      "ttl",        "context"};

// A number of minutes, or {"ttl": minutes, "strategy"}.
std::optional<agents::ThreadTtl> thread_ttl_of(const Json& body) {
  const auto found = body.find("ttl");
  if (found == body.end() || found->is_null()) return {};
  agents::ThreadTtl out;
  const Json& minutes = found->is_object() ? found->at("ttl") : *found;
  if (minutes.get<double>() < 1 || minutes.get<double>() > kThreadTtlMax)
    throw core::bad_request("A thread's TTL is 1 to " + std::to_string(kThreadTtlMax) + " minutes.", "/ttl");
  out.minutes = static_cast<int>(minutes.get<double>());
  if (found->is_object()) out.strategy = found->value("strategy", "delete");
  return out;
}

std::vector<agents::Superstep> supersteps_of(const Json& body) {
  std::vector<agents::Superstep> out;
  const auto steps = body.find("supersteps");
  if (steps == body.end() || steps->is_null()) return out;
  for (const auto& step : *steps) {
    auto& writes = out.emplace_back();
    for (const auto& update : step.at("updates")) {
      const auto command = langgraph::object_of(update, "command");
      writes.push_back({update.value("values", Json()), command.value("update", Json()),
                        command.value("goto", Json()), langgraph::text_of(update, "as_node").value_or("")});
    }
  }
  return out;
}

core::Task<core::HttpReply> create_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  auto& threads = s->agent_gateway->threads;
  const auto& body = *call.body;
  const auto steps = supersteps_of(body);
  agents::NewThread input;
  input.id = langgraph::id_of<agents::ThreadId>(body, "thread_id", "thread");
  input.metadata = langgraph::object_of(body, "metadata");
  input.ttl = thread_ttl_of(body);
  input.existing_is_fine = langgraph::text_of(body, "if_exists") == "do_nothing";
  const bool was_there =
      input.id && input.existing_is_fine && (co_await threads.find(caller.reach, *input.id)).has_value();
  auto thread = co_await threads.create(caller.reach, std::move(input));
  // Of a thread that was there, its state stays as it is.
  if (steps.empty() || thread.head) co_return plain(langgraph::thread_view(thread));
  std::exception_ptr failure;
  try {
    co_await s->agent_gateway->states.replay(caller.reach, thread.id, steps, caller.is_end_user());
    thread = co_await threads.get(caller.reach, thread.id);
  } catch (const core::Error&) {
    failure = std::current_exception();
  }
  if (failure) {
    if (!was_there) co_await threads.remove(caller.reach, thread.id);
    std::rethrow_exception(failure);
  }
  co_return plain(langgraph::thread_view(thread));
}

agents::ThreadSearch thread_search_of(const Json& body) {
  agents::ThreadSearch out;
  out.metadata = langgraph::object_of(body, "metadata");
  out.values = langgraph::object_of(body, "values");
  out.status = langgraph::text_of(body, "status");
  out.sort_by = langgraph::text_of(body, "sort_by").value_or("created_at");
  out.ascending = langgraph::text_of(body, "sort_order") == "asc";
  out.limit = langgraph::limit_of(body);
  out.offset = langgraph::offset_of(body);
  if (!body.contains("ids") || body["ids"].is_null()) return out;
  for (const auto& id : body["ids"])
    out.ids.push_back(agents::ThreadId::of(id.get_ref<const std::string&>()));
  return out;
}

bool is_selected(const Json& body, const std::string& field) {
  const auto found = body.find("select");
  return found == body.end() || found->is_null() ||
         std::find(found->begin(), found->end(), Json(field)) != found->end();
}

core::Task<core::HttpReply> search_threads(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  auto query = thread_search_of(*call.body);
  query.with_values = is_selected(*call.body, "values");
  const auto offset = query.offset;
  const auto page = co_await s->agent_gateway->threads.search(caller.reach, std::move(query));
  Json rows = Json::array();
  for (const auto& thread : page.threads)
    rows.push_back(langgraph::selected(langgraph::thread_view(thread), *call.body, kThreadFields));
  co_return langgraph::page_of(rows, offset, page.total);
}

core::Task<core::HttpReply> count_threads(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  co_return plain(co_await s->agent_gateway->threads.count(caller.reach, thread_search_of(*call.body)));
}

core::Task<core::HttpReply> prune_threads(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  std::vector<agents::ThreadId> ids;
  for (const auto& id : call.body->at("thread_ids"))
    ids.push_back(agents::ThreadId::of(id.get_ref<const std::string&>()));
  const auto pruned = co_await s->agent_gateway->threads.prune(
      caller.reach, std::move(ids), langgraph::text_of(*call.body, "strategy").value_or("delete"));
  co_return plain({{"pruned_count", pruned}});
}

core::Task<core::HttpReply> get_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto thread = co_await s->agent_gateway->threads.get(caller.reach, langgraph::thread_param(call));
  co_return plain(langgraph::thread_view(thread));
}

core::Task<core::HttpReply> update_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  agents::ThreadPatch patch;
  patch.metadata = langgraph::object_of(*call.body, "metadata");
  patch.ttl = thread_ttl_of(*call.body);
  const auto thread = co_await s->agent_gateway->threads.update(caller.reach, langgraph::thread_param(call),
                                                                std::move(patch));
  if (langgraph::wants_minimal(call)) co_return no_content();
  co_return plain(langgraph::thread_view(thread));
}

core::Task<core::HttpReply> delete_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  co_await s->agent_gateway->threads.remove(caller.reach, langgraph::thread_param(call));
  co_return no_content();
}

core::Task<core::HttpReply> copy_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  if (caller.is_end_user())
    co_await s->agent_gateway->states.check_own(caller.reach, langgraph::thread_param(call));
  co_return plain(langgraph::thread_view(
      co_await s->agent_gateway->threads.copy(caller.reach, langgraph::thread_param(call))));
}

Route thread_route(std::string method, const std::string& path, std::string operation, std::string summary,
                   std::string body) {
  auto out = langgraph::route(std::move(method), path, std::move(operation), std::move(summary));
  out.body_schema = std::move(body);
  out.reply_schema = "Thread";
  return out;
}

}  // namespace

void add_langgraph_thread_routes(RouteTable& table, Services& services) {
  using langgraph::push;
  const std::string one = "/threads/{thread_id}";
  push(table, services,
       thread_route("POST", "/threads", "createThread", "Make a thread, with states where given.",
                    "ThreadCreate"),
       create_thread);
  auto search = thread_route("POST", "/threads/search", "searchThreads",
                             "Threads by what their metadata and values contain.", "ThreadSearch");
  search.reply_schema = "Threads";
  push(table, services, std::move(search), search_threads);
  auto count =
      thread_route("POST", "/threads/count", "countThreads", "How many a search finds.", "ThreadSearch");
  count.reply_schema = "Count";
  push(table, services, std::move(count), count_threads);
  auto prune = thread_route("POST", "/threads/prune", "pruneThreads",
                            "Delete threads, or all but their newest state.", "ThreadPrune");
  prune.reply_schema = "Pruned";
  push(table, services, std::move(prune), prune_threads);
  push(table, services, thread_route("GET", one, "getThread", "A thread with its last state.", ""),
       get_thread);
  push(table, services,
       thread_route("PATCH", one, "updateThread", "Add to a thread's metadata, or set its TTL.",
                    "ThreadPatch"),
       update_thread);
  auto remove =
      thread_route("DELETE", one, "deleteThread", "Delete a thread with its runs and checkpoints.", "");
  remove.success = 204;
  remove.reply_schema.clear();
  push(table, services, std::move(remove), delete_thread);
  push(table, services,
       thread_route("POST", one + "/copy", "copyThread", "A new thread with the same states.", ""),
       copy_thread);
}

}  // namespace assistiv::api
