#pragma once
// Calls that may need an answer of the user before they can end: tools/call, prompts/get, resources/read.
// Doors say what they need (InputRequired) and are called again with the answers; how the client is asked is
// decided here. Modern: the result is `input_required` and the client repeats the request (2026-07-28 "Multi
// Round-Trip Requests"); the door's state travels through the client, sealed and bound to the caller, the
// method and its arguments. Legacy: the client gets real requests on the call's own stream, and the door is
// called again at once.
#include <optional>
#include <string>

#include "mcp/protocol/call.h"

namespace assistiv::mcp {

// What one turn of a door came to: a reply, or what has to be asked.
struct Turn {
  std::optional<Reply> reply;
  std::string input_requests_json;
  std::string input_state;
};

using TakeTurn = core::Task<Turn> (*)(CallPtr call, CallContext context);

core::Task<Reply> run_rounds(CallPtr call, TakeTurn take_turn);

// An InputRequired reply with these requests (an object, as in ToolCallResult), or -32021 when the client did
// not declare that it can be asked. Modern only.
Reply ask_by_result(const CallPtr& call, const std::string& input_requests_json,
                    const std::string& input_state);

}  // namespace assistiv::mcp
