// The Agent Protocol (langchain-ai/agent-protocol 0.1.6): agents and threads. Its runs are in
// agent_protocol_runs.cpp, its store in agent_protocol_store.cpp, its streams in langgraph_protocol.cpp.
#include "api/routes/agent_protocol.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/definition/drawing.h"
#include "agents/doors/agent_door.h"
#include "agents/service/assistant_service.h"
#include "agents/service/thread_state.h"
#include "agents/store/agent_service.h"
#include "agents/store/thread_store.h"
#include "api/agent_gateway.h"
#include "api/http/agent_paths.h"
#include "api/routes/agent_caller.h"
#include "api/routes/langgraph.h"
#include "api/wire/agent_protocol.h"
#include "api/wire/langgraph.h"
#include "core/error.h"

namespace assistiv::api {

namespace agent_protocol {

Route route(std::string method, const std::string& path, std::string operation, std::string summary) {
  auto out = langgraph::route(std::move(method), path, std::move(operation), std::move(summary));
  out.path = std::string(kAgentProtocolBase) + path;
  out.tag = "Agent Protocol";
  out.error_schema = "AgentProtocolError";
  return out;
}

core::Task<std::string> messages_key_of(Services* services, agents::Reach reach, core::Json metadata,
                                        MessageKeys* known) {
  const auto name = metadata.is_object() ? metadata.value("graph_id", core::Json()) : core::Json();
  if (!name.is_string()) co_return "";
  const auto graph_id = name.get<std::string>();
  if (const auto found = known->find(graph_id); found != known->end()) co_return found->second;
  std::string key;
  try {
    const auto of = co_await services->agent_gateway->assistants.resolve(reach, graph_id);
    const auto graph =
        co_await services->agent_gateway->agents.graph(reach.platform, of.agent.id, of.agent.active_version);
    key = agents::messages_key(*graph);
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::NotFound) throw;
  }
  known->emplace(graph_id, key);
  co_return key;
}

}  // namespace agent_protocol

namespace {

using agent_protocol::MessageKeys;
using core::Json;
using langgraph::plain;

constexpr int kAgentsMax = 100;  // of one search: each is looked at

// ---- agents ----

struct ProtocolAgent {
  agents::ResolvedAssistant resolved;
  agents::GraphPtr graph;
};

core::Task<ProtocolAgent> agent_of(Services* s, agents::Reach reach, std::string name) {
  ProtocolAgent out;
  out.resolved = co_await s->agent_gateway->assistants.resolve(reach, std::move(name));
  const auto& agent = out.resolved.agent;
  out.graph = co_await s->agent_gateway->agents.graph(reach.platform, agent.id, agent.active_version);
  co_return out;
}

core::Task<core::HttpReply> search_protocol_agents(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  agents::AssistantSearch query;
  query.name = langgraph::text_of(*call.body, "name");
  query.metadata = langgraph::object_of(*call.body, "metadata");
  query.sort_by = "name";
  query.ascending = true;
  query.limit = std::min(langgraph::limit_of(*call.body), kAgentsMax);
  query.offset = langgraph::offset_of(*call.body);
  const auto offset = query.offset;
  const auto page = co_await s->agent_gateway->assistants.search(caller.reach, std::move(query));
  Json rows = Json::array();
  for (const auto& one : page.assistants) {
    const auto found = co_await agent_of(s, caller.reach, one.id.str());
    rows.push_back(agent_protocol::agent_view(one, *found.graph));
  }
  co_return langgraph::page_of(rows, offset, page.total);
}

core::Task<core::HttpReply> get_protocol_agent(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto found = co_await agent_of(s, caller.reach, call.params.at("agent_id"));
  co_return plain(agent_protocol::agent_view(found.resolved.assistant, *found.graph));
}

core::Task<core::HttpReply> get_protocol_schemas(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto found = co_await agent_of(s, caller.reach, call.params.at("agent_id"));
  const auto& assistant = found.resolved.assistant;
  const auto all = agents::schemas_of(*found.graph);
  Json out = {{"agent_id", agent_protocol::agent_id(assistant.id, assistant.graph_id)}};
  for (const char* name : {"input_schema", "output_schema", "state_schema", "config_schema"}) {
    if (all.contains(name) && all[name].is_object()) out[name] = all[name];
  }
  co_return plain(out);
}

// ---- threads ----

agents::ThreadId thread_in_path(const Call& call) {
  return call.id<agents::ThreadId>("thread_id", "thread");
}

core::Task<core::HttpReply> thread_reply(Services* s, agents::Reach reach, agents::Thread thread) {
  MessageKeys known;
  const auto key = co_await agent_protocol::messages_key_of(s, reach, thread.metadata, &known);
  co_return plain(agent_protocol::thread_view(thread, key));
}

core::Task<core::HttpReply> create_protocol_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  agents::NewThread input;
  input.id = langgraph::id_of<agents::ThreadId>(*call.body, "thread_id", "thread");
  input.metadata = langgraph::object_of(*call.body, "metadata");
  input.existing_is_fine = langgraph::text_of(*call.body, "if_exists") == "do_nothing";
  auto thread = co_await s->agent_gateway->threads.create(caller.reach, std::move(input));
  co_return co_await thread_reply(s, caller.reach, std::move(thread));
}

core::Task<core::HttpReply> search_protocol_threads(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  agents::ThreadSearch query;
  query.metadata = langgraph::object_of(*call.body, "metadata");
  query.values = langgraph::object_of(*call.body, "values");
  query.status = langgraph::text_of(*call.body, "status");
  query.limit = langgraph::limit_of(*call.body);
  query.offset = langgraph::offset_of(*call.body);
  const auto offset = query.offset;
  const auto page = co_await s->agent_gateway->threads.search(caller.reach, std::move(query));
  Json rows = Json::array();
  MessageKeys known;
  for (const auto& thread : page.threads) {
    const auto key = co_await agent_protocol::messages_key_of(s, caller.reach, thread.metadata, &known);
    rows.push_back(agent_protocol::thread_view(thread, key));
  }
  co_return langgraph::page_of(rows, offset, page.total);
}

core::Task<core::HttpReply> get_protocol_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  auto thread = co_await s->agent_gateway->threads.get(caller.reach, thread_in_path(call));
  co_return co_await thread_reply(s, caller.reach, std::move(thread));
}

core::Task<core::HttpReply> delete_protocol_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  co_await s->agent_gateway->threads.remove(caller.reach, thread_in_path(call));
  co_return no_content();
}

core::Task<core::HttpReply> copy_protocol_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  if (caller.is_end_user()) co_await s->agent_gateway->states.check_own(caller.reach, thread_in_path(call));
  auto thread = co_await s->agent_gateway->threads.copy(caller.reach, thread_in_path(call));
  co_return co_await thread_reply(s, caller.reach, std::move(thread));
}

std::optional<agents::CheckpointId> checkpoint_in(const std::string& text) {
  const auto id = agents::CheckpointId::parse(text);
  if (!id) throw core::not_found("There is no such checkpoint.");
  return id;
}

// Values and messages as if the node that ran last had written them.
agents::StateChange change_of(const Json& body, const std::string& key) {
  agents::StateChange out;
  out.values = langgraph::object_of(body, "values");
  const auto messages = body.value("messages", Json());
  if (!messages.is_null()) {
    if (key.empty()) throw core::bad_request("The thread's agent keeps no messages.", "/messages");
    out.values[key] = messages;
  }
  const auto checkpoint = langgraph::object_of(body, "checkpoint");
  if (!checkpoint.empty())
    out.checkpoint = checkpoint_in(langgraph::text_of(checkpoint, "checkpoint_id").value_or(""));
  return out;
}

core::Task<core::HttpReply> patch_protocol_thread(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto id = thread_in_path(call);
  const auto& body = *call.body;
  auto thread = co_await s->agent_gateway->threads.get(caller.reach, id);
  MessageKeys known;
  const auto key = co_await agent_protocol::messages_key_of(s, caller.reach, thread.metadata, &known);
  auto change = change_of(body, key);
  change.own = caller.is_end_user();
  if (!change.values.empty()) co_await s->agent_gateway->states.update(caller.reach, id, std::move(change));
  agents::ThreadPatch patch;
  patch.metadata = langgraph::object_of(body, "metadata");
  thread = co_await s->agent_gateway->threads.update(caller.reach, id, std::move(patch));
  co_return plain(agent_protocol::thread_view(thread, key));
}

core::Task<core::HttpReply> protocol_history(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto id = thread_in_path(call);
  agents::HistoryQuery query;
  query.limit = std::max(1, langgraph::query_number(call, "limit", 10, langgraph::kLimitMax));
  if (const auto before = call.query_or("before", ""); !before.empty()) query.before = checkpoint_in(before);
  const auto thread = co_await s->agent_gateway->threads.get(caller.reach, id);
  MessageKeys known;
  const auto key = co_await agent_protocol::messages_key_of(s, caller.reach, thread.metadata, &known);
  Json rows = Json::array();
  const auto page = co_await s->agent_gateway->states.history(caller.reach, id, std::move(query));
  for (const auto& state : page.states) rows.push_back(agent_protocol::state_view(state, key));
  co_return langgraph::states_reply(rows, page);
}

struct Adder {
  RouteTable& table;
  Services& services;
  void add(Route route, ServiceHandler handler, std::string body, std::string reply) {
    route.body_schema = std::move(body);
    route.reply_schema = std::move(reply);
    if (route.reply_schema.empty()) route.success = 204;
    route.handle = with_services(services, handler);
    table.push_back(std::move(route));
  }
};

}  // namespace

void add_agent_protocol_routes(RouteTable& table, Services& services) {
  using agent_protocol::route;
  Adder to{table, services};
  to.add(route("POST", "/agents/search", "searchProtocolAgents", "Agents that the caller may use."),
         search_protocol_agents, "ProtocolAgentSearch", "ProtocolAgents");
  to.add(
      route("GET", "/agents/{agent_id}", "getProtocolAgent", "An agent, by its slug or an assistant's id."),
      get_protocol_agent, "", "ProtocolAgent");
  to.add(route("GET", "/agents/{agent_id}/schemas", "getProtocolAgentSchemas",
               "JSON Schemas of its input, output and state."),
         get_protocol_schemas, "", "ProtocolAgentSchemas");
  to.add(route("POST", "/threads", "createProtocolThread", "Make a thread."), create_protocol_thread,
         "ProtocolThreadCreate", "ProtocolThread");
  to.add(route("POST", "/threads/search", "searchProtocolThreads", "Threads by their members, newest first."),
         search_protocol_threads, "ProtocolThreadSearch", "ProtocolThreads");
  const std::string one = "/threads/{thread_id}";
  to.add(route("GET", one, "getProtocolThread", "A thread."), get_protocol_thread, "", "ProtocolThread");
  to.add(route("PATCH", one, "updateProtocolThread", "Add to its metadata, its values or its messages."),
         patch_protocol_thread, "ProtocolThreadPatch", "ProtocolThread");
  to.add(route("DELETE", one, "deleteProtocolThread", "Delete a thread with its runs."),
         delete_protocol_thread, "", "");
  to.add(route("POST", one + "/copy", "copyProtocolThread", "A new thread with the same states."),
         copy_protocol_thread, "", "ProtocolThread");
  auto history = route("GET", one + "/history", "getProtocolThreadHistory", "Its states, newest first.");
  history.query = {{"limit", "At most so many; 10 when absent.", {}},
                   {"before", "A checkpoint's id: only what is older.", {}}};
  to.add(std::move(history), protocol_history, "", "ProtocolThreadStates");
}

}  // namespace assistiv::api
