#pragma once
// The variables that expressions of a graph see, by the place where they stand. Internal to
// agents/definition.
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "agents/cel/types.h"
#include "agents/definition/graph.h"
#include "core/json.h"

namespace assistiv::agents {

class Variables {
 public:
  // `mapped`: nodes that a map runs; `handlers`: those of on_error.
  Variables(const Graph& graph, std::set<std::string> mapped, std::set<std::string> handlers);

  cel::Declarations of_graph() const { return base_; }
  // `input` where a map runs the node, `error` where it handles one.
  cel::Declarations of_node(const std::string& node) const;
  cel::Declarations of_map_input(const std::string& node) const;  // with `item` and `index`
  cel::Declarations of_arguments() const;                         // with `arguments`, without `state`
  cel::Declarations of_result(const Node& node) const;            // with `result`

 private:
  cel::Declarations shared_;  // what every graph of the document sees
  cel::Declarations base_;    // and its own state
  std::set<std::string> mapped_, handlers_;
};

// JSON Schema of a node's `result`; null when it has none.
core::Json result_schema(const Node& node);

}  // namespace assistiv::agents
