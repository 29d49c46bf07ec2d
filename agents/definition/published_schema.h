#pragma once
// The JSON Schema of agentgraph/1 as it is published.
#include <string_view>
#include <vector>

#include "agents/definition/definition.h"
#include "core/json.h"

namespace assistiv::agents {

std::string_view published_schema_text();
const core::Json& published_schema();

// What the schema says about a document, at most kDefinitionFaultsMax.
std::vector<DefinitionFault> schema_faults(const core::Json& document);
// The same for one of its definitions: "limits".
std::vector<DefinitionFault> schema_faults(const core::Json& value, std::string_view definition);

}  // namespace assistiv::agents
