#pragma once
// The shape of a graph as the planner needs it: who follows whom. Immutable, shared between threads.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agents/definition/graph.h"
#include "agents/pregel/value.h"

namespace assistiv::agents::pregel {

class Program {
 public:
  explicit Program(std::shared_ptr<const Graph> graph);

  const Graph& graph() const { return *graph_; }
  // Targets of the node's own edges, kEnd left out. kStart is a node here.
  const std::vector<std::string>& after(std::string_view node) const;
  struct Join {
    std::string channel;  // "join:a+b:c"
    std::set<std::string> from;
    std::string to;
  };
  const std::vector<Join>& joins() const { return joins_; }
  bool deferred(std::string_view node) const;
  bool has_node(std::string_view node) const { return graph_->node(node) != nullptr; }
  const Values& initial() const { return initial_; }
  const std::set<std::string, std::less<>>& untracked() const { return untracked_; }
  const std::set<std::string, std::less<>>& ephemeral() const { return ephemeral_; }

 private:
  std::shared_ptr<const Graph> graph_;
  std::map<std::string, std::vector<std::string>, std::less<>> after_;
  std::vector<Join> joins_;
  Values initial_;
  std::set<std::string, std::less<>> untracked_;
  std::set<std::string, std::less<>> ephemeral_;
};

}  // namespace assistiv::agents::pregel
