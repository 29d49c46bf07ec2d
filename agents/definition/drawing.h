#pragma once
// A graph as something to draw, in the form of LangGraph's get_graph(). Pure.
#include <nlohmann/json.hpp>
#include <string>

#include "agents/definition/graph.h"
#include "core/json.h"

namespace assistiv::agents {

// {"nodes": [{id, type, data}], "edges": [{source, target, conditional, data?}]}. Subgraphs down to `depth`
// levels are drawn in place of their node, with "<node>:" before their ids.
core::Json drawing_of(const Graph& graph, int depth);

// {input_schema, output_schema, state_schema, config_schema, context_schema}
core::Json schemas_of(const Graph& graph);

// {name: schemas_of}, of nested ones "outer|inner" when `recurse`; only below `from` ("": all).
core::Json subgraph_schemas_of(const Graph& graph, const std::string& from, bool recurse);

}  // namespace assistiv::agents
