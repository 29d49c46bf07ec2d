#pragma once
// What a client would have to be able to do for what it is to be asked. Pure.
#include <optional>

#include "core/json.h"
#include "mcp/protocol/fault.h"
#include "mcp/tools/tool.h"

namespace assistiv::mcp {

// -32021 with the capabilities that these requests (as in ToolCallResult) need and the client did not
// declare.
std::optional<Fault> missing_capability(const ClientAbilities& client, const core::Json& requests);

}  // namespace assistiv::mcp
