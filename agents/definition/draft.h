#pragma once
// A graph while it is read: what the checks need beside the graph itself, and the faults that are found.
// Internal to agents/definition.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "agents/definition/definition.h"
#include "agents/definition/graph.h"
#include "core/json_pointer.h"

namespace assistiv::agents {

class Faults {
 public:
  void add(std::string pointer, std::string_view rule, std::string message) {
    if (list_.size() < kDefinitionFaultsMax)
      list_.push_back({std::move(pointer), std::string(rule), std::move(message)});
  }
  bool full() const { return list_.size() >= kDefinitionFaultsMax; }
  bool empty() const { return list_.empty(); }
  std::vector<DefinitionFault> take() { return std::move(list_); }

 private:
  std::vector<DefinitionFault> list_;
};

// A name in the document, and where it stands.
struct Named {
  std::string name;
  std::string pointer;
};

struct GraphDraft {
  Graph graph;
  std::string at;                             // JSON pointer of the graph: "" or "/subgraphs/<name>"
  std::vector<Named> targets;                 // every node that something goes on to
  std::vector<Named> handlers;                // of on_error
  std::vector<std::string> edge_at, join_at;  // of graph.edges and graph.joins
};

// "/a~1b": a member's place in its object.
inline std::string pointer_to(std::string_view name) {
  return "/" + core::pointer_token(name);
}

}  // namespace assistiv::agents
