#pragma once
// A graph as pages draw it.
#include "agents/definition/graph.h"
#include "core/json.h"

namespace assistiv::api {

// {"nodes": [{"id", "type", "title", "graph"?}], "edges": [{"source", "target", "conditional", "label"}]},
// with the nodes __start__ and __end__; `graph` is the drawing of a subgraph of the document's own.
core::Json drawing(const agents::Graph& graph);

}  // namespace assistiv::api
