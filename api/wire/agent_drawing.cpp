#include "api/wire/agent_drawing.h"

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

namespace assistiv::api {
namespace {

class Drawing {
 public:
  explicit Drawing(const agents::Graph& graph) : graph_(graph) {}

  core::Json draw() {
    core::Json nodes = core::Json::array();
    nodes.push_back(node_json(std::string(agents::kStart), "start", ""));
    for (const auto& node : graph_.nodes) {
      auto one = node_json(node.id, std::string(node.type()), node.title);
      if (const auto* inner = std::get_if<agents::SubgraphNode>(&node.body);
          inner != nullptr && inner->local) {
        one["graph"] = drawing(*inner->local);
      }
      nodes.push_back(std::move(one));
      add_own_edges(node);
    }
    for (const auto& edge : graph_.edges) {
      for (const auto& to : edge.to) add(edge.from, to);
    }
    for (const auto& join : graph_.joins) {
      for (const auto& from : join.from) add(from, join.to);
    }
    for (const auto& node : graph_.nodes) {
      if (!leaves_.contains(node.id)) add(node.id, std::string(agents::kEnd));
    }
    nodes.push_back(node_json(std::string(agents::kEnd), "end", ""));
    return {{"nodes", std::move(nodes)}, {"edges", std::move(edges_)}};
  }

 private:
  static core::Json node_json(const std::string& id, const std::string& type, const std::string& title) {
    return {{"id", id}, {"type", type}, {"title", title}};
  }

  void add(const std::string& from, const std::string& to, bool conditional = false,
           const std::string& label = "") {
    leaves_.insert(from);
    edges_.push_back({{"source", from}, {"target", to}, {"conditional", conditional}, {"label", label}});
  }

  // Not the node's only way.
  void add_aside(const std::string& from, const std::string& to, const std::string& label) {
    edges_.push_back({{"source", from}, {"target", to}, {"conditional", true}, {"label", label}});
  }

  // Ways that are no edges of the document.
  void add_own_edges(const agents::Node& node) {
    if (const auto* router = std::get_if<agents::RouterNode>(&node.body)) {
      for (const auto& branch : router->branches) {
        const auto condition = branch.when ? std::string(branch.when->text()) : std::string("else");
        for (const auto& to : branch.to)
          add(node.id, to, true, branch.label.empty() ? condition : branch.label);
      }
    } else if (const auto* map = std::get_if<agents::MapNode>(&node.body)) {
      add(node.id, map->node, true, "each");
      if (!map->on_empty.empty()) add(node.id, map->on_empty, true, "none");
    } else if (const auto* approval = std::get_if<agents::ApprovalNode>(&node.body)) {
      if (!approval->on_expire.empty()) add_aside(node.id, approval->on_expire, "expired");
    } else if (std::holds_alternative<agents::EndNode>(node.body)) {
      add(node.id, std::string(agents::kEnd));
    }
    if (!node.policies.on_error.empty()) add_aside(node.id, node.policies.on_error, "on error");
  }

  const agents::Graph& graph_;
  core::Json edges_ = core::Json::array();
  std::set<std::string> leaves_;
};

}  // namespace

core::Json drawing(const agents::Graph& graph) {
  return Drawing(graph).draw();
}

}  // namespace assistiv::api
