#include "agents/definition/definition.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "agents/definition/alias_reader.h"
#include "agents/definition/flow.h"
#include "agents/definition/node_reader.h"
#include "agents/definition/published_schema.h"
#include "agents/definition/state_reader.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace {

using core::Json;

constexpr std::size_t kReferencesMax = 64;

// How many levels of graphs are below a graph.
int depth_below(const Graph& graph, std::map<const Graph*, int>& known) {
  const auto found = known.find(&graph);
  if (found != known.end()) return found->second;
  int deepest = 0;
  for (const auto& node : graph.nodes) {
    const auto* subgraph = std::get_if<SubgraphNode>(&node.body);
    if (subgraph == nullptr || subgraph->local == nullptr) continue;
    deepest = std::max(deepest, 1 + depth_below(*subgraph->local, known));
  }
  return known[&graph] = deepest;
}

class DocumentReader {
 public:
  DocumentReader(const Json& document, const DefinitionWorld& world, Faults& faults)
      : document_(document), world_(world), faults_(faults) {}

  GraphPtr read() {
    models_ = read_models(document_, world_, faults_);
    if (document_.contains("defaults")) {
      defaults_ = document_.at("defaults");
      check_default_cache();
      inner_defaults_ = defaults_;
      inner_defaults_.erase("on_error");
    }
    const Json limits = document_.value("limits", Json::object());
    limits_ = read_limits(limits);
    if (!limits_.max_active) limits_.max_active = kUsualActive;
    if (world_.ceiling) limits_ = tighter(limits_, *world_.ceiling);
    GraphDraft draft;
    auto graph = read_graph(document_, draft);
    if (graph == nullptr) return nullptr;
    read_unused_subgraphs();
    finish(*graph);
    return graph;
  }

 private:
  void check_default_cache() {
    const Json cache = defaults_.value("cache", Json::object());
    if (cache.value("scope", "user") == "platform" && !cache.contains("key"))
      faults_.add("/defaults/cache", "cache", "with the scope \"platform\" needs a \"key\"");
  }

  // Null when what is left to check would not find its way in it.
  std::shared_ptr<Graph> read_graph(const Json& json, GraphDraft& draft) {
    const bool inner = !draft.at.empty();
    Graph& graph = draft.graph;
    read_state(json, draft, faults_);
    const Variables variables(graph, names_in(json, "node"), names_in(json, "on_error"));
    if (!inner) tools_ = read_toolsets(document_, world_, variables, faults_);
    graph.models = models_;
    graph.tools = tools_;
    graph.limits = limits_;
    if (!inner && defaults_.contains("on_error"))
      draft.targets.push_back({defaults_.at("on_error").get<std::string>(), "/defaults/on_error"});
    read_nodes(json, draft, variables, inner ? inner_defaults_ : defaults_);
    read_edges(json.at("edges"), draft);
    if (!targets_exist(draft)) return nullptr;
    settle_handlers(draft);
    check_flow(draft);
    return std::make_shared<Graph>(std::move(graph));
  }

  // The nodes that maps run ("node"), or that handle errors ("on_error").
  std::set<std::string> names_in(const Json& json, const char* member) const {
    std::set<std::string> out;
    const auto add = [&](const Json& object) {
      if (object.contains(member)) out.insert(object.at(member).get<std::string>());
    };
    for (const auto& [id, node] : json.at("nodes").items()) add(node);
    if (defaults_.is_object()) add(defaults_);
    return out;
  }

  void read_nodes(const Json& json, GraphDraft& draft, const Variables& variables, const Json& defaults) {
    nodes_ += json.at("nodes").size();
    if (nodes_ > kDefinitionNodesMax) {
      faults_.add(draft.at + "/nodes", "size",
                  "the document has more than " + std::to_string(kDefinitionNodesMax) + " nodes");
      return;
    }
    const NodeWorld world{
        world_,
        draft,
        variables,
        faults_,
        defaults.is_object() ? &defaults : nullptr,
        [this](const std::string& name, const std::string& at) { return subgraph(name, at); }};
    for (const auto& [id, node] : json.at("nodes").items()) {
      draft.graph.nodes.push_back(read_node(id, node, world));
    }
  }

  void read_edges(const Json& edges, GraphDraft& draft) {
    std::set<std::pair<std::string, std::string>> seen;
    for (std::size_t i = 0; i < edges.size(); ++i) {
      const std::string at = draft.at + "/edges/" + std::to_string(i);
      if (edges[i].contains("join")) {
        Join join{edges[i].at("join").get<std::vector<std::string>>(), edges[i].at("to")};
        for (std::size_t k = 0; k < join.from.size(); ++k)
          check_source(join.from[k], at + "/join/" + std::to_string(k), draft);
        draft.targets.push_back({join.to, at + "/to"});
        draft.graph.joins.push_back(std::move(join));
        draft.join_at.push_back(at);
        continue;
      }
      const Json& to = edges[i].at("to");
      Edge edge{edges[i].at("from"), {}};
      if (edge.from != kStart) check_source(edge.from, at + "/from", draft);
      for (std::size_t k = 0; k < (to.is_array() ? to.size() : 1); ++k) {
        edge.to.push_back(to.is_array() ? to[k].get<std::string>() : to.get<std::string>());
        const std::string place = to.is_array() ? at + "/to/" + std::to_string(k) : at + "/to";
        draft.targets.push_back({edge.to.back(), place});
        if (!seen.emplace(edge.from, edge.to.back()).second)
          faults_.add(place, "duplicate_edge",
                      "the edge from \"" + edge.from + "\" to \"" + edge.to.back() + "\" is there already");
      }
      draft.graph.edges.push_back(std::move(edge));
      draft.edge_at.push_back(at);
    }
  }

  void check_source(const std::string& name, const std::string& at, GraphDraft& draft) {
    const Node* node = draft.graph.node(name);
    if (node == nullptr) {
      draft.targets.push_back({name, at});
      return;
    }
    const char* instead = std::holds_alternative<RouterNode>(node->body) ? "a router goes on by its branches"
                          : std::holds_alternative<MapNode>(node->body)
                              ? "a map goes on by the node that it maps, and by \"on_empty\""
                          : std::holds_alternative<EndNode>(node->body) ? "an end goes nowhere"
                                                                        : nullptr;
    if (instead == nullptr) return;
    faults_.add(at, "edge_source", "\"" + name + "\" has no edges: " + instead);
    broken_ = true;
  }

  bool targets_exist(const GraphDraft& draft) {
    for (const auto& target : draft.targets) {
      if (target.name == kEnd || draft.graph.node(target.name) != nullptr) continue;
      faults_.add(target.pointer, "unknown_target", "there is no node \"" + target.name + "\"");
      broken_ = true;
    }
    return !broken_;
  }

  // Handlers never handle handlers.
  void settle_handlers(GraphDraft& draft) {
    std::set<std::string> handlers;
    for (const auto& node : draft.graph.nodes) handlers.insert(node.policies.on_error);
    for (auto& node : draft.graph.nodes) {
      if (handlers.contains(node.id)) node.policies.on_error.clear();
    }
  }

  void check_flow(const GraphDraft& draft) {
    const Flow flow(draft);
    edges_ += flow.edges();
    if (edges_ > kDefinitionEdgesMax) {
      faults_.add(
          draft.at + "/edges", "size",
          "the document has more than " + std::to_string(kDefinitionEdgesMax) + " ways between nodes");
      return;
    }
    check_reachable(draft, flow, faults_);
    check_cycles(draft, flow, faults_);
    check_joins(draft, flow, faults_);
    check_parallel_writers(draft, flow, faults_);
    check_map_chains(draft);
  }

  // Maps that map maps. Those inside subgraphs are counted when the document is whole.
  void check_map_chains(const GraphDraft& draft) {
    for (const auto& node : draft.graph.nodes) {
      const Node* at = &node;
      int depth = 0;
      while (const auto* map = std::get_if<MapNode>(&at->body)) {
        if (++depth > kMapDepthMax) break;
        at = draft.graph.node(map->node);
      }
      if (depth > kMapDepthMax) too_many_maps(draft.at + "/nodes" + pointer_to(node.id) + "/node");
    }
  }

  void too_many_maps(const std::string& at) {
    faults_.add(at, "map_depth",
                "maps may be " + std::to_string(kMapDepthMax) + " deep: map one list of pairs instead");
  }

  // ---- subgraphs ----

  GraphPtr subgraph(const std::string& name, const std::string& at) {
    if (const auto reference = parse_agent_reference(name)) return of_agent(*reference, at);
    const Json* graphs = document_.contains("subgraphs") ? &document_.at("subgraphs") : nullptr;
    if (graphs == nullptr || !graphs->contains(name)) {
      faults_.add(at, "unknown_subgraph", "\"" + name + "\" is no name of \"subgraphs\"");
      return nullptr;
    }
    if (open_.contains(name)) {
      faults_.add(at, "subgraph_recursion", "\"" + name + "\" would contain itself");
      return nullptr;
    }
    return local(name, graphs->at(name));
  }

  GraphPtr local(const std::string& name, const Json& json) {
    const auto known = subgraphs_.find(name);
    if (known != subgraphs_.end()) return known->second;
    open_.insert(name);
    GraphDraft draft;
    draft.at = "/subgraphs" + pointer_to(name);
    draft.graph.name = name;
    draft.graph.description = json.value("description", "");
    const bool was_broken = std::exchange(broken_, false);
    const GraphPtr graph = read_graph(json, draft);
    broken_ = was_broken;
    open_.erase(name);
    return subgraphs_[name] = graph;
  }

  GraphPtr of_agent(const AgentReference& reference, const std::string& at) {
    if (!world_.agent_graph) return nullptr;
    auto graph = world_.agent_graph(reference.slug, reference.version);
    if (graph == nullptr)
      faults_.add(at, "unknown_agent",
                  "there is no version " + std::to_string(reference.version) + " of an agent \"" +
                      reference.slug + "\"");
    return graph;
  }

  // Their faults are told, too.
  void read_unused_subgraphs() {
    const Json graphs = document_.value("subgraphs", Json::object());
    for (const auto& [name, json] : graphs.items()) {
      if (subgraphs_.contains(name)) continue;
      faults_.add("/subgraphs" + pointer_to(name), "unused_subgraph", "no node of the document runs it");
    }
  }

  // ---- the whole ----

  void finish(Graph& graph) {
    graph.name = document_.at("name");
    graph.description = document_.value("description", "");
    graph.metadata = document_.value("metadata", Json::object());
    for (const auto& [name, subgraph] : subgraphs_) graph.subgraphs.emplace(name, subgraph);
    read_interrupts(graph, "interrupt_before", graph.interrupt_before);
    read_interrupts(graph, "interrupt_after", graph.interrupt_after);
    std::map<const Graph*, int> depths;
    if (depth_below(graph, depths) > limits_.max_depth)
      faults_.add("/subgraphs", "subgraph_depth",
                  "graphs are more than " + std::to_string(limits_.max_depth) + " deep (limits/max_depth)");
    check_map_depth(graph, "", 0);
  }

  void read_interrupts(const Graph& graph, const char* member, std::vector<std::string>& into) {
    into = document_.value(member, std::vector<std::string>());
    for (std::size_t i = 0; i < into.size(); ++i) {
      if (graph.node(into[i]) == nullptr)
        faults_.add(std::string("/") + member + "/" + std::to_string(i), "unknown_interrupt",
                    "there is no node \"" + into[i] + "\"");
    }
  }

  // `maps`: that run this graph. What is mapped through a subgraph counts, too.
  void check_map_depth(const Graph& graph, const std::string& at, int maps) {
    if (maps > kMapDepthMax || !visited_.emplace(&graph, maps).second) return;
    std::map<std::string, int> mapped;
    for (const auto& node : graph.nodes) {
      const auto* map = std::get_if<MapNode>(&node.body);
      if (map == nullptr) continue;
      int chain = 1;
      for (const Node* next = graph.node(map->node); chain <= kMapDepthMax; ++chain) {
        const auto* inner = std::get_if<MapNode>(&next->body);
        if (inner == nullptr) break;
        next = graph.node(inner->node);
      }
      mapped[map->node] = std::max(mapped[map->node], chain);
      if (maps > 0 && maps + chain > kMapDepthMax)
        too_many_maps(at + "/nodes" + pointer_to(node.id) + "/node");
    }
    for (const auto& node : graph.nodes) {
      const auto* subgraph = std::get_if<SubgraphNode>(&node.body);
      if (subgraph == nullptr || subgraph->local == nullptr) continue;
      const bool own = document_.value("subgraphs", Json::object()).contains(subgraph->graph);
      const std::string below = own ? "/subgraphs" + pointer_to(subgraph->graph) : at;
      const auto around = mapped.find(node.id);
      check_map_depth(*subgraph->local, below, maps + (around == mapped.end() ? 0 : around->second));
    }
  }

  const Json& document_;
  const DefinitionWorld& world_;
  Faults& faults_;
  Json defaults_, inner_defaults_;
  std::map<std::string, ModelAlias> models_;
  std::map<std::string, Toolset> tools_;
  Limits limits_;
  std::map<std::string, GraphPtr> subgraphs_;
  std::set<std::string> open_;  // subgraphs that are being read
  std::set<std::pair<const Graph*, int>> visited_;
  std::size_t nodes_ = 0, edges_ = 0;
  bool broken_ = false;  // the graph that is being read has names that lead nowhere
};

void find_references(const Json& json, std::set<AgentReference>& into, int depth) {
  if (depth == 0 || into.size() >= kReferencesMax) return;
  if (json.is_string()) {
    if (const auto found = parse_agent_reference(json.get_ref<const std::string&>())) into.insert(*found);
  } else if (json.is_structured()) {
    for (const auto& item : json) find_references(item, into, depth - 1);
  }
}

}  // namespace

Definition read_definition(const Json& document, const DefinitionWorld& world) {
  Definition out;
  if (core::dump_json(document).size() > kDefinitionBytesMax) {
    out.faults = {{"", "size", "the document is larger than 1 MiB"}};
    return out;
  }
  out.faults = schema_faults(document);
  if (!out.faults.empty()) return out;
  Faults faults;
  GraphPtr graph = DocumentReader(document, world, faults).read();
  out.faults = faults.take();
  if (out.faults.empty()) out.graph = std::move(graph);
  return out;
}

std::optional<AgentReference> parse_agent_reference(std::string_view text) {
  constexpr std::string_view kPrefix = "agent:";
  const auto sign = text.rfind('@');
  if (!text.starts_with(kPrefix) || sign == std::string_view::npos || sign <= kPrefix.size()) return {};
  AgentReference out;
  out.slug = text.substr(kPrefix.size(), sign - kPrefix.size());
  const auto digits = text.substr(sign + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.version);
  if (error != std::errc() || end != digits.data() + digits.size() || out.version < 1) return {};
  return out;
}

std::vector<AgentReference> agent_references(const Json& document) {
  std::set<AgentReference> out;
  find_references(document, out, 64);
  return {out.begin(), out.end()};
}

}  // namespace assistiv::agents
