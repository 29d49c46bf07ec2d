// The agents of a platform (agents/store/agent_service.h) and the format of their graphs.
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "agents/definition/published_schema.h"
#include "agents/store/agent_service.h"
#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::api {

namespace {

using core::Json;

// What an agent's version is made of; the rest is the agent's own.
constexpr std::string_view kSpecMembers[] = {"instructions", "model", "fallbacks", "apps",
                                             "tools",        "hosts", "limits",    "graph"};

Json spec_members(const Json& body) {
  Json out = Json::object();
  for (const auto member : kSpecMembers) {
    const auto found = body.find(member);
    if (found != body.end()) out[std::string(member)] = *found;
  }
  return out;
}

Json end_users_json(const agents::Agent& agent) {
  if (agent.for_everyone) return "all";
  Json out = Json::array();
  for (const auto& id : agent.end_users) out.push_back(id.str());
  return out;
}

Json agent_json(const agents::Agent& agent) {
  return {{"id", agent.id.str()},
          {"platform_id", agent.platform_id.str()},
          {"slug", agent.slug},
          {"name", agent.name},
          {"description", agent.description},
          {"is_active", agent.is_active},
          {"end_users", end_users_json(agent)},
          {"metadata", core::parse_json(agent.metadata_json)},
          {"active_version", agent.active_version},
          {"latest_version", agent.latest_version},
          {"created_at", core::format_time(agent.created_at)},
          {"updated_at", core::format_time(agent.updated_at)}};
}

Json version_json(const agents::AgentVersion& version) {
  Json out = agents::to_json(version.spec);
  out.erase("graph");
  out["version"] = version.version;
  out["ready_graph"] = !version.own_graph;
  out["created_at"] = core::format_time(version.created_at);
  if (!version.definition.empty()) out["graph"] = core::parse_json(version.definition);
  return out;
}

Json agent_view_json(const agents::AgentView& view) {
  Json out = agent_json(view.agent);
  out["version"] = version_json(view.version);
  return out;
}

// {"end_users": "all" | [ids]}
void read_end_users(const Json& body, bool& for_everyone, std::vector<core::EndUserId>& ids) {
  const Json& given = body.at("end_users");
  for_everyone = given.is_string();
  for (std::size_t i = 0; given.is_array() && i < given.size(); ++i) {
    const auto id = core::EndUserId::parse(given[i].get_ref<const std::string&>());
    if (!id) throw core::bad_request("There is no such end user.", "/end_users/" + std::to_string(i));
    ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

agents::NewAgent read_new_agent(const Json& json) {
  const core::JsonReader body(json);
  agents::NewAgent out;
  out.slug = body.string("slug");
  out.name = body.optional_string("name").value_or(out.slug);
  out.description = body.optional_string("description").value_or("");
  if (body.has("end_users")) read_end_users(json, out.for_everyone, out.end_users);
  if (body.has("metadata")) out.metadata_json = core::dump_json(json.at("metadata"));
  out.spec = agents::read_spec(spec_members(json));
  return out;
}

agents::AgentPatch read_agent_patch(const Json& json) {
  const core::JsonReader body(json);
  agents::AgentPatch out;
  out.name = body.optional_string("name");
  out.description = body.optional_string("description");
  out.is_active = body.optional_bool("is_active");
  if (body.has("end_users")) read_end_users(json, out.for_everyone.emplace(), out.end_users.emplace());
  if (body.has("metadata")) out.metadata_json = core::dump_json(json.at("metadata"));
  out.spec = spec_members(json);
  out.activate = body.optional_bool("activate").value_or(true);
  return out;
}

int version_param(const Call& call) {
  const auto& text = call.params.at("version");
  int out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || out < 1)
    throw not_found_id("version of the agent");
  return out;
}

core::Task<core::HttpReply> list_agents(Services* s, Call call) {
  const auto page = co_await s->agents->list(call.platform_id(), page_request(call));
  Json rows = Json::array();
  for (const auto& agent : page.items) rows.push_back(agent_json(agent));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> create_agent(Services* s, Call call) {
  co_return data_reply(201, agent_view_json(co_await s->agents->create(
                                call.platform_id(), read_new_agent(*call.body), audit_context(call))));
}

core::Task<core::HttpReply> validate_agent(Services* s, Call call) {
  const auto read = co_await s->agents->validate(call.platform_id(), call.body->value("slug", "agent"),
                                                 agents::read_spec(spec_members(*call.body)));
  Json faults = Json::array();
  for (const auto& fault : read.faults)
    faults.push_back({{"pointer", fault.pointer}, {"rule", fault.rule}, {"message", fault.message}});
  co_return data_reply(200, {{"valid", read.faults.empty()}, {"faults", std::move(faults)}});
}

core::Task<core::HttpReply> get_agent(Services* s, Call call) {
  co_return data_reply(200,
                       agent_view_json(co_await s->agents->get(call.platform_id(), call.params.at("agent"))));
}

core::Task<core::HttpReply> patch_agent(Services* s, Call call) {
  co_return data_reply(
      200, agent_view_json(co_await s->agents->update(call.platform_id(), call.params.at("agent"),
                                                      read_agent_patch(*call.body), audit_context(call))));
}

core::Task<core::HttpReply> delete_agent(Services* s, Call call) {
  co_await s->agents->remove(call.platform_id(), call.params.at("agent"), audit_context(call));
  co_return no_content();
}

core::Task<core::HttpReply> list_agent_versions(Services* s, Call call) {
  const auto page =
      co_await s->agents->versions(call.platform_id(), call.params.at("agent"), page_request(call));
  Json rows = Json::array();
  for (const auto& version : page.items) rows.push_back(version_json(version));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> get_agent_version(Services* s, Call call) {
  const auto view =
      co_await s->agents->get_version(call.platform_id(), call.params.at("agent"), version_param(call));
  co_return data_reply(200, version_json(view.version));
}

core::Task<core::HttpReply> activate_agent_version(Services* s, Call call) {
  co_return data_reply(
      200, agent_view_json(co_await s->agents->activate(call.platform_id(), call.params.at("agent"),
                                                        version_param(call), audit_context(call))));
}

core::Task<core::HttpReply> get_graph_schema(Services*, Call) {
  co_return core::json_reply(200, std::string(agents::published_schema_text()));
}

Route agent_route(std::string method, std::string path, std::string operation, std::string summary) {
  Route out;
  out.method = std::move(method);
  out.path = std::move(path);
  out.access = Access::Platform;
  out.scope = "management";
  out.operation_id = std::move(operation);
  out.tag = "Agents";
  out.summary = std::move(summary);
  out.reply_schema = "Agent";
  return out;
}

void push(RouteTable& table, Services& services, Route route, ServiceHandler handler) {
  route.handle = with_services(services, handler);
  table.push_back(std::move(route));
}

void add_version_routes(RouteTable& table, Services& services, const std::string& one) {
  Route list = agent_route("GET", one + "/versions", "listAgentVersions",
                           "The versions of an agent, newest first, without their graphs.");
  list.paginated = true;
  list.reply_schema = "AgentVersion";
  push(table, services, std::move(list), list_agent_versions);
  Route get = agent_route("GET", one + "/versions/{version}", "getAgentVersion", "Read one of them.");
  get.reply_schema = "AgentVersion";
  push(table, services, std::move(get), get_agent_version);
  push(table, services,
       agent_route("POST", one + "/versions/{version}/activate", "activateAgentVersion",
                   "Make it what new runs get; runs that have begun keep theirs."),
       activate_agent_version);
}

}  // namespace

void add_agent_routes(RouteTable& table, Services& services) {
  const std::string base = "/v1/platforms/{platform_id}/agents";
  const std::string one = base + "/{agent}";
  Route list = agent_route("GET", base, "listAgents", "The agents of a platform, newest first.");
  list.paginated = true;
  push(table, services, std::move(list), list_agents);
  Route create =
      agent_route("POST", base, "createAgent", "Create an agent: a model with tools, or a graph of its own.");
  create.body_schema = "AgentCreate";
  create.success = 201;
  push(table, services, std::move(create), create_agent);
  Route validate = agent_route("POST", base + "/validate", "validateAgent",
                               "Check an agent without saving it; every fault with its place.");
  validate.body_schema = "AgentValidate";
  validate.reply_schema = "AgentValidation";
  push(table, services, std::move(validate), validate_agent);
  push(table, services,
       agent_route("GET", one, "getAgent", "An agent by id or slug, with its active version."), get_agent);
  Route patch =
      agent_route("PATCH", one, "updateAgent", "Change an agent; what belongs to a version makes a new one.");
  patch.body_schema = "AgentPatch";
  push(table, services, std::move(patch), patch_agent);
  Route remove = agent_route("DELETE", one, "deleteAgent", "Delete an agent with its versions.");
  remove.success = 204;
  remove.reply_schema.clear();
  push(table, services, std::move(remove), delete_agent);
  add_version_routes(table, services, one);
  Route schema = agent_route("GET", "/schemas/agentgraph-1.json", "getGraphSchema",
                             "The JSON Schema of agentgraph/1, the format of graphs.");
  schema.access = Access::Public;
  schema.scope.clear();
  schema.reply_schema = "JsonSchema";
  schema.enveloped = false;
  schema.any_origin = true;
  push(table, services, std::move(schema), get_graph_schema);
}

}  // namespace assistiv::api
