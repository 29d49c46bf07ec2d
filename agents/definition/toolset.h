#pragma once
// What a toolset says about one tool, whose name is without the app's prefix. Pure.
#include <optional>
#include <string_view>

#include "agents/definition/graph.h"

namespace assistiv::agents {

// "*" stands for any characters. Linear in the text for each "*".
bool fits_pattern(std::string_view pattern, std::string_view text);

// In `allow` and not in `deny`, and in the agent's own list where it has one.
bool toolset_allows(const Toolset& toolset, std::string_view tool);
// The rule with the longest pattern that fits; null: none, so the tool needs no approval of the graph's.
const ApprovalRule* approval_rule(const Toolset& toolset, std::string_view tool);
// Absent: from the tool's own hints.
std::optional<SideEffect> declared_side_effect(const Toolset& toolset, std::string_view tool);

}  // namespace assistiv::agents
