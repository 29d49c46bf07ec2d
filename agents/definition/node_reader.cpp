#include "agents/definition/node_reader.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/definition/alias_reader.h"
#include "agents/definition/compiler.h"
#include "agents/definition/state_reader.h"
#include "agents/definition/toolset.h"
#include "core/encoding.h"

namespace assistiv::agents {

namespace {

using core::Json;

std::string item_at(const std::string& at, std::size_t index) {
  return at + "/" + std::to_string(index);
}

class NodeReader {
 public:
  NodeReader(const std::string& id, const Json& json, const NodeWorld& world)
      : json_(json),
        world_(world),
        at_(world.draft.at + "/nodes" + pointer_to(id)),
        variables_(world.variables.of_node(id)),
        compiler_(world.faults) {
    node_.id = id;
  }

  Node read() {
    node_.title = json_.value("title", "");
    node_.description = json_.value("description", "");
    if (json_.contains("when")) node_.when = compiler_.condition(text("when"), at("when"), variables_);
    node_.defer = json_.value("defer", false);
    node_.policies = read_policies(json_, at_, world_.defaults, "/defaults", variables_, world_.faults);
    // What stands in the defaults is told once, by the reader of the document.
    if (json_.contains("on_error")) {
      world_.draft.targets.push_back({node_.policies.on_error, at("on_error")});
    }
    read_body();
    settle_cache();
    read_write();
    if (json_.contains("emit"))
      node_.emit = compiler_.value(json_.at("emit"), at("emit"), world_.variables.of_result(node_));
    return std::move(node_);
  }

 private:
  std::string at(const char* member) const { return at_ + "/" + member; }
  std::string text(const char* member) const { return json_.at(member).get<std::string>(); }
  void fault(const std::string& pointer, std::string_view rule, std::string message) {
    world_.faults.add(pointer, rule, std::move(message));
  }

  void read_body() {
    const std::string type = json_.at("type");
    if (type == "llm") return read_llm();
    if (type == "tool") return read_tool();
    if (type == "agent") return read_agent();
    if (type == "router") return read_router();
    if (type == "map") return read_map();
    if (type == "subgraph") return read_subgraph();
    if (type == "approval") return read_approval();
    if (type == "http") return read_http();
    if (type == "end") return read_end();
    node_.body = TransformNode{};
  }

  std::optional<cel::Template> template_of(const char* member) {
    if (!json_.contains(member)) return {};
    return compiler_.value(json_.at(member), at(member), variables_);
  }

  // ---- what llm and agent share ----

  std::string model_alias() {
    const std::string alias = json_.value("model", std::string(kDefaultModel));
    if (world_.draft.graph.models.contains(alias)) return alias;
    fault(json_.contains("model") ? at("model") : at_, "unknown_model",
          alias == kDefaultModel ? "needs a model: the agent has none of its own, so name one of \"models\""
                                 : "\"" + alias + "\" is no alias of \"models\"");
    return alias;
  }

  std::optional<cel::Template> instructions() {
    if (json_.contains("instructions")) return template_of("instructions");
    if (world_.world.instructions.empty()) return {};
    return compiler_.value(Json(world_.world.instructions), at("instructions"), variables_);
  }

  MessagesFrom messages() {
    if (!json_.contains("messages")) return default_messages();
    const Json& given = json_.at("messages");
    if (given.is_string()) {
      check_messages_key(given, at("messages"));
      return given.get<std::string>();
    }
    std::vector<MessageTemplate> out;
    for (std::size_t i = 0; i < given.size(); ++i) {
      const std::string place = item_at(at("messages"), i) + "/content";
      auto content = compiler_.value(given[i].at("content"), place, variables_);
      if (content) out.push_back({given[i].at("role"), std::move(*content)});
    }
    return out;
  }

  MessagesFrom default_messages() {
    const StateKey* key = world_.draft.graph.key("messages");
    if (key != nullptr && key->reducer == Reducer::Messages) return std::string("messages");
    if (!json_.contains("instructions") && world_.world.instructions.empty()) {
      fault(at_, "no_messages",
            "has nothing to say to its model: give \"messages\" or \"instructions\", or a state key "
            "\"messages\" "
            "with the reducer \"messages\"");
    }
    return std::string();
  }

  void check_messages_key(const std::string& name, const std::string& pointer) {
    const StateKey* key = world_.draft.graph.key(name);
    if (key == nullptr) {
      fault(pointer, "unknown_state_key", "\"" + name + "\" is no key of the state");
    } else if (key->reducer != Reducer::Messages) {
      fault(pointer, "reducer", "\"" + name + "\" needs the x-reducer \"messages\"");
    }
  }

  std::vector<std::string> toolsets() {
    const auto out = json_.value("tools", std::vector<std::string>());
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (!world_.draft.graph.tools.contains(out[i]))
        fault(item_at(at("tools"), i), "unknown_toolset", "\"" + out[i] + "\" is no alias of \"tools\"");
    }
    return out;
  }

  Json schema_of(const char* member) { return json_.contains(member) ? json_.at(member) : Json(); }
  SchemaCheck check_of(const char* member) {
    if (!json_.contains(member)) return nullptr;
    return compiled_schema(json_.at(member), at(member), world_.faults);
  }

  // What a node did outside is not done because an earlier node did it, unless the node itself says so.
  void settle_cache() {
    if (!node_.policies.cache) return;
    const auto type = node_.type();
    const bool never =
        type == "router" || type == "map" || type == "subgraph" || type == "approval" || type == "end";
    if (json_.contains("cache")) {
      if (never) fault(at("cache"), "cache", "is not for a node of the type \"" + std::string(type) + "\"");
      if (node_.policies.cache->per_platform && !node_.policies.cache->key)
        fault(at("cache"), "cache", "with the scope \"platform\" needs a \"key\"");
      return;
    }
    const auto* http = std::get_if<HttpNode>(&node_.body);
    if (type != "llm" && type != "transform" && (http == nullptr || http->method != "GET"))
      node_.policies.cache.reset();
  }

  // ---- the kinds ----

  void read_llm() {
    LlmNode out;
    out.model = model_alias();
    out.instructions = instructions();
    out.messages = messages();
    out.response_schema = schema_of("response_schema");
    out.response_check = check_of("response_schema");
    out.tools = toolsets();
    out.params = json_.value("params", Json::object());
    out.stream = json_.value("stream", true);
    node_.body = std::move(out);
  }

  void read_agent() {
    AgentNode out;
    out.model = model_alias();
    out.instructions = instructions();
    out.messages = messages();
    out.tools = toolsets();
    out.response_schema = schema_of("response_schema");
    out.response_check = check_of("response_schema");
    out.max_turns = json_.value("max_turns", out.max_turns);
    out.parallel_tools = json_.value("parallel_tools", true);
    out.params = json_.value("params", Json::object());
    node_.body = out;
    if (json_.contains("stop_when")) {
      out.stop_when =
          compiler_.condition(text("stop_when"), at("stop_when"), world_.variables.of_result(node_));
      node_.body = std::move(out);
    }
  }

  void read_tool() {
    ToolNode out;
    out.toolset = text("toolset");
    out.tool = template_of("tool").value_or(cel::Template());
    const auto found = world_.draft.graph.tools.find(out.toolset);
    if (found == world_.draft.graph.tools.end()) {
      fault(at("toolset"), "unknown_toolset", "\"" + out.toolset + "\" is no alias of \"tools\"");
    } else if (text("tool").find("${") == std::string::npos) {
      check_tool_name(found->second, text("tool"));
    }
    const Json nothing = Json::object();
    const Json& arguments = json_.contains("arguments") ? json_.at("arguments") : nothing;
    out.arguments = compiler_.value(arguments, at("arguments"), variables_).value_or(cel::Template());
    node_.body = std::move(out);
  }

  void check_tool_name(const Toolset& toolset, const std::string& name) {
    const auto& knows = world_.world.knows_tool;
    if (!toolset_allows(toolset, name)) {
      fault(at("tool"), "unknown_tool",
            "\"" + name + "\" is no tool that \"" + text("toolset") + "\" allows: add it to its \"allow\"");
    } else if (knows && !knows(toolset.connector, name)) {
      fault(at("tool"), "unknown_tool", "\"" + toolset.connector + "\" has no tool \"" + name + "\"");
    }
  }

  std::vector<std::string> targets_at(const Json& json, const std::string& pointer) {
    std::vector<std::string> out;
    if (json.is_string()) {
      out.push_back(json);
      world_.draft.targets.push_back({out.back(), pointer});
    }
    for (std::size_t i = 0; json.is_array() && i < json.size(); ++i) {
      out.push_back(json[i]);
      world_.draft.targets.push_back({out.back(), item_at(pointer, i)});
    }
    return out;
  }

  void read_router() {
    RouterNode out;
    const Json& branches = json_.at("branches");
    for (std::size_t i = 0; i < branches.size(); ++i) {
      const std::string place = item_at(at("branches"), i);
      Branch branch;
      branch.label = branches[i].value("label", "");
      if (branches[i].contains("else")) {
        branch.to = targets_at(branches[i].at("else"), place + "/else");
        if (i + 1 < branches.size())
          fault(place, "router_else", "must be the last branch: none after it is ever looked at");
      } else {
        branch.when = compiler_.condition(branches[i].at("when"), place + "/when", variables_);
        branch.to = targets_at(branches[i].at("to"), place + "/to");
      }
      out.branches.push_back(std::move(branch));
    }
    const bool has_else = std::any_of(branches.begin(), branches.end(),
                                      [](const Json& branch) { return branch.contains("else"); });
    if (!has_else && !is_total(branches)) {
      fault(at("branches"), "router_else",
            "needs a last branch {\"else\": ...}: its conditions may all be false");
    }
    node_.body = std::move(out);
  }

  // "true", a condition and its negation, or every value of an enumeration.
  bool is_total(const Json& branches) const {
    std::vector<std::string> conditions;
    for (const auto& branch : branches) conditions.push_back(branch.value("when", ""));
    const auto has = [&](const std::string& condition) {
      return std::find(conditions.begin(), conditions.end(), condition) != conditions.end();
    };
    if (has("true")) return true;
    for (const auto& condition : conditions) {
      if (has("!(" + condition + ")") || has("!" + condition)) return true;
    }
    const auto covers = [&](const StateKey& key) {
      if (key.initial.is_null() || !key.schema.contains("enum")) return false;
      const auto& values = key.schema.at("enum");
      return std::all_of(values.begin(), values.end(), [&](const Json& value) {
        return value.is_string() && (has("state." + key.name + " == '" + value.get<std::string>() + "'") ||
                                     has("state." + key.name + " == " + value.dump()));
      });
    };
    const auto& keys = world_.draft.graph.state;
    return std::any_of(keys.begin(), keys.end(), covers);
  }

  void read_map() {
    MapNode out;
    out.over = compiler_.list(text("over"), at("over"), variables_).value_or(cel::Expression());
    out.as = json_.value("as", "item");
    out.node = text("node");
    world_.draft.targets.push_back({out.node, at("node")});
    if (json_.contains("input")) {
      out.input = compiler_.value(json_.at("input"), at("input"), world_.variables.of_map_input(node_.id));
    }
    if (json_.contains("on_empty")) {
      out.on_empty = text("on_empty");
      world_.draft.targets.push_back({out.on_empty, at("on_empty")});
    }
    out.max_parallel = json_.value("max_parallel", 0);
    const std::string on_error = json_.value("on_item_error", "fail");
    out.on_item_error = on_error == "skip"      ? ItemError::Skip
                        : on_error == "collect" ? ItemError::Collect
                                                : ItemError::Fail;
    node_.body = std::move(out);
  }

  void read_subgraph() {
    SubgraphNode out;
    out.graph = text("graph");
    out.local = world_.subgraph(out.graph, at("graph"));
    if (json_.contains("input")) out.input = template_of("input");
    out.remembers = json_.value("memory", "fresh") == "thread";
    check_subgraph_input(out);
    node_.body = std::move(out);
  }

  void check_subgraph_input(const SubgraphNode& subgraph) {
    if (subgraph.local == nullptr || !json_.contains("input")) return;
    const Json& input = json_.at("input");
    if (!input.is_object()) {
      fault(at("input"), "subgraph_input", "must be an object of the graph's state keys");
      return;
    }
    const auto& keys = subgraph.local->input;
    for (const auto& [name, value] : input.items()) {
      if (std::find(keys.begin(), keys.end(), name) == keys.end()) {
        fault(at("input") + pointer_to(name), "unknown_state_key",
              "\"" + name + "\" is no input of the graph \"" + subgraph.graph + "\"");
      }
    }
  }

  void read_approval() {
    ApprovalNode out;
    out.prompt = template_of("prompt");
    out.payload = template_of("payload");
    out.response_schema = schema_of("response_schema");
    (void)check_of("response_schema");
    const std::string who = json_.value("who", "end_user");
    out.who = who == "both" ? Approver::Both : who == "platform" ? Approver::Platform : Approver::EndUser;
    if (json_.contains("expires_s")) out.expires = std::chrono::seconds(json_.at("expires_s").get<int>());
    if (json_.contains("on_expire")) {
      out.on_expire = text("on_expire");
      world_.draft.targets.push_back({out.on_expire, at("on_expire")});
      if (!out.expires)
        fault(at("on_expire"), "approval_expiry", "is never taken: say when with \"expires_s\"");
      if (out.on_expire == node_.id)
        fault(at("on_expire"), "approval_expiry", "must be another node: this one would ask forever");
    }
    node_.body = std::move(out);
  }

  void read_http() {
    static constexpr std::array<std::string_view, 10> kRefused = {
        "authorization",     "proxy-authorization", "cookie",  "host", "content-length",
        "transfer-encoding", "connection",          "upgrade", "te",   "expect"};
    HttpNode out;
    out.method = text("method");
    const std::string wrong = http_url_fault(text("url"), world_.world);
    if (!wrong.empty()) fault(at("url"), "http_host", wrong);
    out.url = template_of("url").value_or(cel::Template());
    const Json headers = json_.value("headers", Json::object());
    for (const auto& [name, value] : headers.items()) {
      const std::string place = at("headers") + pointer_to(name);
      std::string lower = name;
      std::transform(lower.begin(), lower.end(), lower.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      if (std::find(kRefused.begin(), kRefused.end(), lower) != kRefused.end())
        fault(place, "http_header", "is not for a graph to set: what needs credentials is a tool");
      if (auto content = compiler_.value(value, place, variables_))
        out.headers.emplace_back(name, std::move(*content));
    }
    out.query = template_of("query");
    if (json_.contains("query") && !json_.at("query").is_object())
      fault(at("query"), "schema", "must be an object");
    out.body = template_of("body");
    if (json_.contains("body") && out.method == "GET")
      fault(at("body"), "schema", "a GET has no body: use \"query\"");
    out.max_bytes = json_.value("max_bytes", out.max_bytes);
    node_.body = std::move(out);
  }

  void read_end() {
    EndNode out;
    out.failure = json_.value("status", "success") == "error";
    out.error = template_of("error");
    if (out.error && !out.failure) fault(at("error"), "schema", "is told with \"status\": \"error\" only");
    node_.body = std::move(out);
  }

  void read_write() {
    if (!json_.contains("write")) return;
    const auto variables = world_.variables.of_result(node_);
    for (const auto& [key, value] : json_.at("write").items()) {
      const std::string place = at("write") + pointer_to(key);
      if (world_.draft.graph.key(key) == nullptr) {
        fault(place, "unknown_state_key",
              "\"" + key + "\" is no key of the state: add it to state/properties");
      }
      if (auto content = compiler_.value(value, place, variables))
        node_.write.emplace_back(key, std::move(*content));
    }
  }

  const Json& json_;
  const NodeWorld& world_;
  const std::string at_;
  const cel::Declarations variables_;
  Compiler compiler_;
  Node node_;
};

}  // namespace

Node read_node(const std::string& id, const Json& json, const NodeWorld& world) {
  return NodeReader(id, json, world).read();
}

}  // namespace assistiv::agents
