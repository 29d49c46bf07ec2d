#pragma once
// What a tool of an app shows to clients: its schemas and its finished definition.
#include <string>

#include "core/json.h"
#include "mcp/connectors/catalog.h"
#include "mcp/connectors/plan.h"

namespace assistiv::mcp {

// Arguments that the engine adds: "limit" and "cursor" for lists, "fields" for everything that reads.
inline constexpr char kLimitArgument[] = "limit";
inline constexpr char kCursorArgument[] = "cursor";
inline constexpr char kFieldsArgument[] = "fields";
inline constexpr int kLimitDefault = 20;
inline constexpr int kLimitMax = 100;
inline constexpr int kCursorBytesMax = 4096;

// The manifest's input with the engine's arguments: what arguments are checked against.
core::Json full_input_schema(const core::Json& declared, const ToolPlan& plan, const Hints& hints);
// The same as clients see it: only keywords at the root that every model API takes (type, properties,
// required, additionalProperties).
core::Json portable_input_schema(core::Json full);
// Of structuredContent: {items, next_cursor?, truncated?, total?, rate?} or {item, truncated?, rate?}.
core::Json output_schema(const ResultPlan& result);

// name, title, description, inputSchema, outputSchema, annotations.
std::string definition_json(const Tool& tool, const core::Json& input, const core::Json& output);

}  // namespace assistiv::mcp
