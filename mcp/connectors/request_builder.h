#pragma once
// From a plan and its bindings to the request that is sent, and what the executor decides about answers.
#include <chrono>
#include <optional>
#include <string>
#include <variant>

#include "core/http_client.h"
#include "core/json.h"
#include "mcp/connectors/cursor.h"
#include "mcp/connectors/failure.h"
#include "mcp/connectors/plan.h"
#include "mcp/connectors/token_source.h"

namespace assistiv::mcp {

// Arguments with their defaults, derived values and {call_id}. The engine's own arguments are left out.
Bindings bind_arguments(const ToolPlan& plan, const core::Json& arguments, const std::string& call_id);

// `page` is null where the tool does not page. A value that cannot go where the plan puts it is a Failure.
std::variant<core::OutboundRequest, Failure> build_request(const ToolPlan& plan, const RequestPlan& request,
                                                           const Bindings& arguments, const PageState* page,
                                                           const AccessToken& token);

}  // namespace assistiv::mcp
