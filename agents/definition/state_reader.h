#pragma once
// State keys and what goes in and out of a graph. Internal to agents/definition.
#include "agents/definition/draft.h"
#include "core/json.h"

namespace assistiv::agents {

// Fills state, input, output and their schemas, and the context's; the shape of `json` has been checked.
void read_state(const core::Json& json, GraphDraft& draft, Faults& faults);

// The faults of a JSON Schema that stands in a document at `at`.
void check_value_schema(const core::Json& schema, const std::string& at, Faults& faults);
// The same; null when there are faults.
SchemaCheck compiled_schema(const core::Json& schema, const std::string& at, Faults& faults);

}  // namespace assistiv::agents
