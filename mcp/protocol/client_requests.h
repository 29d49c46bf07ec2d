#pragma once
// Requests from the server to a legacy client (sampling, elicitation, roots): sent on the stream of the call
// that needs them, answered by a POST that may reach another node. The answer waits in the session's store
// under a stream of its own, so that it finds the asking node wherever it arrives.
#include <memory>
#include <optional>
#include <string>

#include "core/json.h"
#include "mcp/protocol/call.h"

namespace assistiv::mcp {

struct ClientAnswer {
  std::shared_ptr<core::Json> result;  // null: there is none
  std::string error;                   // why
};

// Whether the call has a session, and a stream to ask on.
bool can_ask(const Call& call);
// Asks and waits: until the answer, the end of the call, or for as long as a person may need.
core::Task<ClientAnswer> ask_client(CallPtr call, std::string method, std::string params_json);
// Hands the response that a client posted to whoever asked. Responses that nobody waits for are dropped.
core::Task<> take_response(EndpointServices& services, SessionPtr session, Message response);

}  // namespace assistiv::mcp
