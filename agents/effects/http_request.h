#pragma once
// The request of an http node. Pure. Internal to effects/.
#include <string>

#include "agents/runtime/effects.h"
#include "core/error.h"
#include "core/http_client.h"

namespace assistiv::agents {

// The node's host is literal and was checked when the agent was saved; it is the only one allowed. A call
// that changes something carries the act's key as Idempotency-Key, the same each time it is tried. Throws
// InvalidArgument for what the templates made of it.
core::OutboundRequest outbound_request(const HttpCall& call, const std::string& traceparent);

// {lower-case name: value}, of a name that comes twice the first; cookies are left out.
core::Json response_headers(const core::HttpHeaders& headers);

// Why there was no answer, as the run tells it.
core::Error http_failure(const core::OutboundError& error);

}  // namespace assistiv::agents
