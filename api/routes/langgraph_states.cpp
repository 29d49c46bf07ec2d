// States of threads in the LangGraph Server API (agents/service/thread_state.h).
#include <algorithm>
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

constexpr std::initializer_list<std::string_view> kStateFields = {
    "values", "next", "tasks", "interrupts", "checkpoint", "parent_checkpoint", "metadata", "created_at"};
constexpr std::size_t kNamespaceMax = 2048;

core::Error no_checkpoint() {
  return core::not_found("There is no such checkpoint.");
}

struct Place {
  std::optional<agents::CheckpointId> id;
  std::string ns;
};

// {"checkpoint_id", "checkpoint_ns"}, or an id alone.
Place place_of(const Json& given) {
  Place out;
  if (given.is_null()) return out;
  if (given.is_string()) {
    out.id = agents::CheckpointId::parse(given.get_ref<const std::string&>());
    if (!out.id) throw no_checkpoint();
    return out;
  }
  // An object of a run's config has it one level below.
  const auto nested = given.find("configurable");
  if (nested != given.end() && nested->is_object()) return place_of(*nested);
  out.ns = langgraph::text_of(given, "checkpoint_ns").value_or("");
  if (out.ns.size() > kNamespaceMax) throw no_checkpoint();
  const auto id = langgraph::text_of(given, "checkpoint_id").value_or("");
  if (!id.empty()) out.id = place_of(Json(id)).id;
  return out;
}

core::Task<core::HttpReply> read_state(Services* s, Call call, agents::StateQuery query) {
  const auto caller = co_await run_caller(*s, call);
  const auto state =
      co_await s->agent_gateway->states.get(caller.reach, langgraph::thread_param(call), std::move(query));
  co_return plain(langgraph::selected_by(state, call.query_or("select", ""), kStateFields));
}

core::Task<core::HttpReply> get_state(Services* s, Call call) {
  agents::StateQuery query;
  query.subgraphs = langgraph::query_flag(call, "subgraphs");
  return read_state(s, std::move(call), std::move(query));
}

core::Task<core::HttpReply> get_state_at(Services* s, Call call) {
  agents::StateQuery query;
  query.checkpoint = place_of(Json(call.params.at("checkpoint_id"))).id;
  query.subgraphs = langgraph::query_flag(call, "subgraphs");
  return read_state(s, std::move(call), std::move(query));
}

core::Task<core::HttpReply> get_state_of(Services* s, Call call) {
  const auto place = place_of(call.body->at("checkpoint"));
  agents::StateQuery query{place.id, place.ns, langgraph::flag_of(*call.body, "subgraphs")};
  return read_state(s, std::move(call), std::move(query));
}

core::Task<core::HttpReply> update_state(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto& body = *call.body;
  auto place = place_of(body.value("checkpoint", Json()));
  if (!place.id) place.id = place_of(body.value("checkpoint_id", Json())).id;
  agents::StateChange change;
  change.values = body.value("values", Json());
  change.as_node = langgraph::text_of(body, "as_node").value_or("");
  change.checkpoint = place.id;
  change.ns = place.ns;
  change.own = caller.is_end_user();
  const auto made = co_await s->agent_gateway->states.update(caller.reach, langgraph::thread_param(call),
                                                             std::move(change));
  co_return plain({{"checkpoint", made}, {"configurable", made}, {"checkpoint_id", made["checkpoint_id"]}});
}

// Checkpoints are never changed: what this adds is the thread's.
core::Task<core::HttpReply> patch_state(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  agents::ThreadPatch patch;
  patch.metadata = langgraph::object_of(*call.body, "metadata");
  co_await s->agent_gateway->threads.update(caller.reach, langgraph::thread_param(call), std::move(patch));
  co_return no_content();
}

core::Task<core::HttpReply> state_history(Services* s, Call call, agents::HistoryQuery query) {
  const auto caller = co_await run_caller(*s, call);
  const auto page = co_await s->agent_gateway->states.history(caller.reach, langgraph::thread_param(call),
                                                              std::move(query));
  Json rows = Json::array();
  for (const auto& state : page.states)
    rows.push_back(langgraph::selected_by(state, call.query_or("select", ""), kStateFields));
  co_return langgraph::states_reply(rows, page);
}

core::Task<core::HttpReply> get_history(Services* s, Call call) {
  agents::HistoryQuery query;
  query.limit = std::max(1, langgraph::query_number(call, "limit", 10, langgraph::kLimitMax));
  const auto before = call.query_or("before", "");
  if (!before.empty()) query.before = place_of(Json(before)).id;
  return state_history(s, std::move(call), std::move(query));
}

core::Task<core::HttpReply> post_history(Services* s, Call call) {
  const auto& body = *call.body;
  agents::HistoryQuery query;
  query.ns = place_of(body.value("checkpoint", Json())).ns;
  query.before = place_of(body.value("before", Json())).id;
  query.metadata = langgraph::object_of(body, "metadata");
  query.limit = std::max(1, langgraph::limit_of(body));
  return state_history(s, std::move(call), std::move(query));
}

Route state_route(std::string method, const std::string& path, std::string operation, std::string summary,
                  std::string body = "", std::string reply = "ThreadState") {
  auto out = langgraph::route(std::move(method), "/threads/{thread_id}" + path, std::move(operation),
                              std::move(summary));
  out.body_schema = std::move(body);
  out.reply_schema = std::move(reply);
  const QueryParam select{"select", "Fields of the state, separated by commas.", {}};
  if (out.method == "GET" && path.starts_with("/state"))
    out.query = {{"subgraphs", "With the states of open subgraphs.", {}}, select};
  if (out.method == "GET" && path == "/history") {
    out.query = {{"limit", "At most so many; 10 when absent.", {}},
                 {"before", "A checkpoint's id: only what is older.", {}},
                 select};
  }
  return out;
}

}  // namespace

void add_langgraph_state_routes(RouteTable& table, Services& services) {
  using langgraph::push;
  push(table, services, state_route("GET", "/state", "getThreadState", "The state at the head."), get_state);
  push(table, services,
       state_route("GET", "/state/{checkpoint_id}", "getThreadStateAt", "The state at a checkpoint."),
       get_state_at);
  push(table, services,
       state_route("POST", "/state/checkpoint", "getThreadStateOf",
                   "The state at a checkpoint, also of a subgraph.", "ThreadStateQuery"),
       get_state_of);
  push(table, services,
       state_route("POST", "/state", "updateThreadState",
                   "Write values as if a node had; from an older checkpoint it is a fork.",
                   "ThreadStateUpdate", "ThreadStateUpdated"),
       update_state);
  auto patch = state_route("PATCH", "/state", "patchThreadState", "Add to the thread's metadata.",
                           "ThreadStatePatch", "");
  patch.success = 204;
  push(table, services, std::move(patch), patch_state);
  push(table, services,
       state_route("GET", "/history", "getThreadHistory", "States, newest first.", "", "ThreadStates"),
       get_history);
  push(table, services,
       state_route("POST", "/history", "searchThreadHistory", "States by their metadata, newest first.",
                   "ThreadHistoryQuery", "ThreadStates"),
       post_history);
}

}  // namespace assistiv::api
