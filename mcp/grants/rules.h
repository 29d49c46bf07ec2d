#pragma once
// The body of PUT .../grants, read and checked. Pure.
#include <vector>

#include "core/json.h"
#include "mcp/grants/policy.h"

namespace assistiv::mcp {

class Catalog;

inline constexpr std::size_t kRulesMax = 200;  // of one end user

// Reads {grants: [{app, key_id?, mode, tools?, deny?, require_approval?}]}. Unknown apps, tools, classes and
// fields, and two rules for the same app and key, throw core::Error{InvalidArgument} with the pointer.
std::vector<Rule> parse_rules(const core::Json& body, const Catalog& catalog);
core::Json to_json(const Rule& rule);

// The tools' names of a known app. Throws InvalidArgument with `pointer` when the server does not know the
// app.
std::vector<std::string> tool_names(const Catalog& catalog, const std::string& app,
                                    const std::string& pointer);

}  // namespace assistiv::mcp
