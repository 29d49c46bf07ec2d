// Assistants of the LangGraph Server API (agents/service/assistant_service.h), and what their graphs look
// like.
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "agents/definition/drawing.h"
#include "agents/service/assistant_service.h"
#include "agents/store/agent_service.h"
#include "agents/store/thread_store.h"
#include "api/routes/langgraph.h"
#include "api/wire/langgraph.h"
#include "core/error.h"

namespace assistiv::api {

namespace {

using core::Json;
using langgraph::plain;

constexpr std::initializer_list<std::string_view> kAssistantFields = {
    "assistant_id", "graph_id", "name",       "description", "config",
    "context",      "metadata", "created_at", "updated_at",  "version"};
constexpr int kDrawAll = 16;
constexpr int kThreadsOfOneDelete = 10'000;

oauth::AuditContext audit_of(const agents::RunCaller& caller) {
  return {caller.principal, caller.request_id};
}

std::string assistant_param(const Call& call) {
  return call.params.at("assistant_id");
}

std::optional<Json> optional_object(const Json& body, const char* name) {
  if (!body.contains(name) || body[name].is_null()) return {};
  return langgraph::object_of(body, name);
}

core::Task<core::HttpReply> create_assistant(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto& body = *call.body;
  agents::NewAssistant input;
  if (const auto id = langgraph::text_of(body, "assistant_id")) input.id = core::Uuid::parse(*id);
  input.graph_id = body.at("graph_id").get<std::string>();
  input.name = langgraph::text_of(body, "name").value_or("");
  input.description = langgraph::text_of(body, "description");
  input.config = langgraph::object_of(body, "config");
  input.context = langgraph::object_of(body, "context");
  input.metadata = langgraph::object_of(body, "metadata");
  input.existing_is_fine = langgraph::text_of(body, "if_exists") == "do_nothing";
  co_return plain(langgraph::assistant_view(
      co_await s->agent_gateway->assistants.create(caller.reach, std::move(input), audit_of(caller))));
}

agents::AssistantSearch assistant_search_of(const Json& body) {
  agents::AssistantSearch out;
  out.graph_id = langgraph::text_of(body, "graph_id");
  out.name = langgraph::text_of(body, "name");
  out.metadata = langgraph::object_of(body, "metadata");
  out.sort_by = langgraph::text_of(body, "sort_by").value_or("created_at");
  out.ascending = langgraph::text_of(body, "sort_order") == "asc";
  out.limit = langgraph::limit_of(body);
  out.offset = langgraph::offset_of(body);
  return out;
}

core::Task<core::HttpReply> search_assistants(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  auto query = assistant_search_of(*call.body);
  const auto offset = query.offset;
  const auto page = co_await s->agent_gateway->assistants.search(caller.reach, std::move(query));
  Json rows = Json::array();
  for (const auto& one : page.assistants)
    rows.push_back(langgraph::selected(langgraph::assistant_view(one), *call.body, kAssistantFields));
  co_return langgraph::page_of(rows, offset, page.total);
}

core::Task<core::HttpReply> count_assistants(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  auto query = assistant_search_of(*call.body);
  query.limit = query.offset = 0;
  co_return plain((co_await s->agent_gateway->assistants.search(caller.reach, std::move(query))).total);
}

core::Task<core::HttpReply> get_assistant(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto found = co_await s->agent_gateway->assistants.get(caller.reach, assistant_param(call));
  co_return plain(langgraph::assistant_view(found.assistant));
}

core::Task<core::HttpReply> update_assistant(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto& body = *call.body;
  agents::AssistantPatch patch;
  patch.graph_id = langgraph::text_of(body, "graph_id");
  patch.name = langgraph::text_of(body, "name");
  patch.description = langgraph::text_of(body, "description");
  patch.config = optional_object(body, "config");
  patch.context = optional_object(body, "context");
  patch.metadata = langgraph::object_of(body, "metadata");
  co_return plain(langgraph::assistant_view(co_await s->agent_gateway->assistants.update(
      caller.reach, assistant_param(call), std::move(patch), audit_of(caller))));
}

// The threads that its runs have made or used; one that is busy stays.
core::Task<> delete_threads_of(agents::ThreadStore* threads, agents::Reach reach, std::string assistant) {
  for (int gone = 0; gone < kThreadsOfOneDelete;) {
    agents::ThreadSearch query;
    query.metadata = {{"assistant_id", assistant}};
    query.limit = 100;
    query.with_values = false;
    std::vector<agents::ThreadId> ids;
    for (const auto& thread : (co_await threads->search(reach, std::move(query))).threads)
      ids.push_back(thread.id);
    if (ids.empty()) co_return;
    const auto done = co_await threads->prune(reach, std::move(ids), "delete");
    if (done == 0) co_return;
    gone += static_cast<int>(done);
  }
}

core::Task<core::HttpReply> delete_assistant(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  auto& assistants = s->agent_gateway->assistants;
  const auto found = co_await assistants.get(caller.reach, assistant_param(call));
  co_await assistants.remove(caller.reach, assistant_param(call), audit_of(caller));
  if (langgraph::query_flag(call, "delete_threads"))
    co_await delete_threads_of(&s->agent_gateway->threads, caller.reach, found.assistant.id.str());
  co_return no_content();
}

core::Task<core::HttpReply> list_assistant_versions(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto versions = co_await s->agent_gateway->assistants.versions(
      caller.reach, assistant_param(call), langgraph::object_of(*call.body, "metadata"),
      langgraph::limit_of(*call.body), langgraph::offset_of(*call.body));
  Json rows = Json::array();
  for (const auto& one : versions) rows.push_back(langgraph::assistant_view(one));
  co_return plain(rows);
}

core::Task<core::HttpReply> set_latest_assistant(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  co_return plain(langgraph::assistant_view(co_await s->agent_gateway->assistants.set_latest(
      caller.reach, assistant_param(call), call.body->at("version").get<int>(), audit_of(caller))));
}

struct AssistantGraph {
  agents::ResolvedAssistant resolved;
  agents::GraphPtr graph;
};

core::Task<AssistantGraph> graph_of_assistant(Services* s, const Call* call) {
  const auto caller = co_await run_caller(*s, *call);
  AssistantGraph out;
  out.resolved = co_await s->agent_gateway->assistants.get(caller.reach, assistant_param(*call));
  const auto& agent = out.resolved.agent;
  out.graph = co_await s->agent_gateway->agents.graph(caller.reach.platform, agent.id, agent.active_version);
  co_return out;
}

// "true", "false", or how many levels.
int xray_of(const Call& call) {
  const auto text = call.query_or("xray", "");
  if (text == "true") return kDrawAll;
  if (text.empty() || text == "false") return 0;
  return langgraph::query_number(call, "xray", 0, kDrawAll);
}

core::Task<core::HttpReply> get_assistant_graph(Services* s, Call call) {
  const auto depth = xray_of(call);
  const auto found = co_await graph_of_assistant(s, &call);
  co_return plain(agents::drawing_of(*found.graph, depth));
}

core::Task<core::HttpReply> get_assistant_schemas(Services* s, Call call) {
  const auto found = co_await graph_of_assistant(s, &call);
  auto out = agents::schemas_of(*found.graph);
  out["graph_id"] = found.resolved.assistant.graph_id;
  co_return plain(out);
}

core::Task<core::HttpReply> get_assistant_subgraphs(Services* s, Call call) {
  const auto found = co_await graph_of_assistant(s, &call);
  const auto from = call.params.find("namespace");
  co_return plain(agents::subgraph_schemas_of(*found.graph, from == call.params.end() ? "" : from->second,
                                              langgraph::query_flag(call, "recurse")));
}

Route assistant_route(std::string method, const std::string& path, std::string operation, std::string summary,
                      std::string body = "", std::string reply = "Assistant") {
  auto out =
      langgraph::route(std::move(method), "/assistants" + path, std::move(operation), std::move(summary));
  out.body_schema = std::move(body);
  out.reply_schema = std::move(reply);
  return out;
}

void add_graph_routes(RouteTable& table, Services& services, const std::string& one) {
  using langgraph::push;
  auto graph = assistant_route("GET", one + "/graph", "getAssistantGraph",
                               "Its graph's nodes and edges, to draw.", "", "AssistantGraph");
  graph.query = {{"xray", "true, or how many levels of subgraphs are drawn from inside.", {}}};
  push(table, services, std::move(graph), get_assistant_graph);
  push(table, services,
       assistant_route("GET", one + "/schemas", "getAssistantSchemas",
                       "JSON Schemas of its input, output and state.", "", "AssistantSchemas"),
       get_assistant_schemas);
  for (const auto* path : {"/subgraphs", "/subgraphs/{namespace}"}) {
    const bool is_one = std::string_view(path).ends_with('}');
    auto subgraphs =
        assistant_route("GET", one + path, is_one ? "getAssistantSubgraph" : "getAssistantSubgraphs",
                        "Schemas of its subgraphs by name.", "", "AssistantSubgraphs");
    subgraphs.query = {{"recurse", "Those inside subgraphs, too, as outer|inner.", {}}};
    push(table, services, std::move(subgraphs), get_assistant_subgraphs);
  }
}

}  // namespace

void add_langgraph_assistant_routes(RouteTable& table, Services& services) {
  using langgraph::push;
  const std::string one = "/{assistant_id}";
  push(table, services,
       assistant_route("POST", "", "createAssistant",
                       "Make an assistant: an agent with config and context of its own.", "AssistantCreate"),
       create_assistant);
  push(table, services,
       assistant_route("POST", "/search", "searchAssistants",
                       "Assistants, each agent's default one among them.", "AssistantSearch", "Assistants"),
       search_assistants);
  push(table, services,
       assistant_route("POST", "/count", "countAssistants", "How many a search finds.", "AssistantSearch",
                       "Count"),
       count_assistants);
  push(table, services, assistant_route("GET", one, "getAssistant", "An assistant by id, or by its graph's."),
       get_assistant);
  push(table, services,
       assistant_route("PATCH", one, "updateAssistant", "Make a new version of it.", "AssistantPatch"),
       update_assistant);
  auto remove = assistant_route("DELETE", one, "deleteAssistant", "Delete it with its versions.", "", "");
  remove.query = {{"delete_threads", "With the threads of its runs.", {}}};
  remove.success = 204;
  push(table, services, std::move(remove), delete_assistant);
  push(table, services,
       assistant_route("POST", one + "/versions", "listAssistantVersions", "Its versions, newest first.",
                       "AssistantVersionsQuery", "Assistants"),
       list_assistant_versions);
  push(table, services,
       assistant_route("POST", one + "/latest", "setLatestAssistantVersion",
                       "Make a version the current one.", "AssistantLatest"),
       set_latest_assistant);
  add_graph_routes(table, services, one);
}

}  // namespace assistiv::api
