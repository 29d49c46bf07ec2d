#include "agents/definition/drawing.h"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

namespace assistiv::agents {

namespace {

using core::Json;

class Drawing {
 public:
  void add(const Graph& graph, const std::string& prefix, int depth) {
    prefix_ = prefix;
    add_node(kStart, "start", std::string(kStart));
    for (const auto& node : graph.nodes) {
      if (!is_open(node, depth)) add_node(node.id, node.type(), node.title.empty() ? node.id : node.title);
    }
    add_node(kEnd, "end", std::string(kEnd));
    open_.clear();
    for (const auto& node : graph.nodes) {
      if (is_open(node, depth)) open_.insert(node.id);
    }
    add_edges(graph);
    for (const auto& node : graph.nodes) {
      if (is_open(node, depth))
        add(*std::get<SubgraphNode>(node.body).local, prefix + node.id + ":", depth - 1);
    }
  }

  Json take() { return {{"nodes", std::move(nodes_)}, {"edges", std::move(edges_)}}; }

 private:
  static bool is_open(const Node& node, int depth) {
    const auto* inner = std::get_if<SubgraphNode>(&node.body);
    return depth > 0 && inner != nullptr && inner->local != nullptr;
  }

  void add_node(std::string_view id, std::string_view type, const std::string& title) {
    nodes_.push_back(
        {{"id", prefix_ + std::string(id)},
         {"type", "runnable"},
         {"data",
          {{"id", {"agentgraph", type}}, {"name", std::string(id)}, {"title", title}, {"kind", type}}}});
  }

  void add_edge(const std::string& from, const std::string& to, bool conditional,
                const std::string& label = "") {
    left_.insert(from);
    const auto end = [&](const std::string& node, std::string_view side) {
      return prefix_ + node + (open_.contains(node) ? ":" + std::string(side) : "");
    };
    Json edge = {{"source", end(from, kEnd)}, {"target", end(to, kStart)}, {"conditional", conditional}};
    if (!label.empty()) edge["data"] = label;
    edges_.push_back(std::move(edge));
  }

  void add_edges(const Graph& graph) {
    left_.clear();
    for (const auto& edge : graph.edges) {
      for (const auto& to : edge.to) add_edge(edge.from, to, false);
    }
    for (const auto& join : graph.joins) {
      for (const auto& from : join.from) add_edge(from, join.to, false, "join");
    }
    for (const auto& node : graph.nodes) add_routes(node);
    for (const auto& node : graph.nodes) {
      if (!left_.contains(node.id)) add_edge(node.id, std::string(kEnd), false);
    }
  }

  void add_routes(const Node& node) {
    if (!node.policies.on_error.empty()) {
      const bool left = left_.contains(node.id);
      add_edge(node.id, node.policies.on_error, true, "error");
      // The way of an error is none of its own: without another the node still is an end.
      if (!left) left_.erase(node.id);
    }
    if (const auto* router = std::get_if<RouterNode>(&node.body)) {
      for (const auto& branch : router->branches) {
        for (const auto& to : branch.to) add_edge(node.id, to, true, branch.label);
      }
    } else if (const auto* map = std::get_if<MapNode>(&node.body)) {
      add_edge(node.id, map->node, true, "each " + map->as);
      if (!map->on_empty.empty()) add_edge(node.id, map->on_empty, true, "empty");
    } else if (const auto* approval = std::get_if<ApprovalNode>(&node.body)) {
      if (!approval->on_expire.empty()) {
        const bool left = left_.contains(node.id);
        add_edge(node.id, approval->on_expire, true, "expired");
        if (!left) left_.erase(node.id);
      }
    }
  }

  std::string prefix_;
  std::set<std::string> left_;  // nodes of this graph that have a way out
  std::set<std::string> open_;  // drawn from inside
  Json nodes_ = Json::array();
  Json edges_ = Json::array();
};

void collect_subgraphs(const Graph& graph, const std::string& prefix, bool recurse, int depth, Json& out) {
  if (depth == 0) return;
  for (const auto& node : graph.nodes) {
    const auto* inner = std::get_if<SubgraphNode>(&node.body);
    if (inner == nullptr || inner->local == nullptr) continue;
    const auto name = prefix + node.id;
    out[name] = schemas_of(*inner->local);
    if (recurse) collect_subgraphs(*inner->local, name + "|", true, depth - 1, out);
  }
}

constexpr int kDrawnDepthMax = 16;

}  // namespace

Json drawing_of(const Graph& graph, int depth) {
  Drawing out;
  out.add(graph, "", std::min(depth, kDrawnDepthMax));
  return out.take();
}

Json schemas_of(const Graph& graph) {
  Json state = {{"type", "object"}, {"title", graph.name}, {"properties", Json::object()}};
  for (const auto& key : graph.state) state["properties"][key.name] = key.schema;
  return {{"input_schema", graph.input_schema},
          {"output_schema", graph.output_schema},
          {"state_schema", std::move(state)},
          {"config_schema", nullptr},
          {"context_schema", graph.context_schema}};
}

Json subgraph_schemas_of(const Graph& graph, const std::string& from, bool recurse) {
  auto all = Json::object();
  collect_subgraphs(graph, "", recurse || from.find('|') != std::string::npos, kDrawnDepthMax, all);
  if (from.empty()) return all;
  auto out = Json::object();
  for (const auto& [name, schemas] : all.items()) {
    if (name == from || (recurse && name.starts_with(from + "|"))) out[name] = schemas;
  }
  return out;
}

}  // namespace assistiv::agents
