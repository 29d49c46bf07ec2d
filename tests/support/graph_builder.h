#pragma once
// Graphs made by hand, for tests of the planner and the executor.
#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agents/definition/graph.h"

namespace assistiv::test {

class GraphBuilder {
 public:
  GraphBuilder() { graph_.name = "made"; }

  GraphBuilder& key(std::string name, agents::Reducer reducer = agents::Reducer::Last,
                    core::Json initial = {}, int max_items = 0,
                    agents::Channel channel = agents::Channel::Durable) {
    agents::StateKey key;
    key.name = name;
    key.reducer = reducer;
    key.initial = std::move(initial);
    key.max_items = max_items;
    key.channel = channel;
    graph_.state.push_back(std::move(key));
    graph_.input.push_back(name);
    graph_.output.push_back(std::move(name));
    return *this;
  }
  GraphBuilder& node(std::string id, agents::NodeBody body = agents::TransformNode{}, bool defer = false) {
    agents::Node node;
    node.id = std::move(id);
    node.body = std::move(body);
    node.defer = defer;
    graph_.nodes.push_back(std::move(node));
    return *this;
  }
  GraphBuilder& node(agents::Node node) {
    graph_.nodes.push_back(std::move(node));
    return *this;
  }
  GraphBuilder& edge(std::string from, std::vector<std::string> to) {
    graph_.edges.push_back({std::move(from), std::move(to)});
    return *this;
  }
  GraphBuilder& join(std::vector<std::string> from, std::string to) {
    graph_.joins.push_back({std::move(from), std::move(to)});
    return *this;
  }
  agents::Graph& raw() { return graph_; }
  std::shared_ptr<const agents::Graph> build() {
    std::sort(graph_.state.begin(), graph_.state.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    std::sort(graph_.nodes.begin(), graph_.nodes.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    return std::make_shared<const agents::Graph>(graph_);
  }

 private:
  agents::Graph graph_;
};

}  // namespace assistiv::test
