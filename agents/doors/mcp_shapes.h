#pragma once
// Agents and their runs in MCP's shapes. Pure. Internal to the door.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agents/doors/agent_door.h"
#include "mcp/tools/tool.h"

namespace assistiv::agents {

core::Json tool_definition(const Agent& agent, const Graph& graph);

// The body of a run request: input for a new or idle thread. Throws InvalidArgument.
core::Json input_of_arguments(const Graph& graph, const core::Json& arguments);
// Of a call that answers what a thread waits for: "message" or "answer".
core::Json answer_of_arguments(const std::vector<Waiting>& waiting, const core::Json& arguments);

// Whether the call has an "answer" that is none of the graph's own input keys.
bool says_answer(const Graph& graph, const core::Json& arguments);

std::string done_result(const Graph& graph, const DoorAnswer& answer, const Run& run);
// When the client cannot be asked: what it waits for, and how to go on.
std::string waiting_result(const DoorAnswer& answer, const Run& run);

// What the client is asked, by interrupt id; nothing when it cannot be asked all of it.
std::optional<core::Json> input_requests(const std::vector<Waiting>& waiting,
                                         const mcp::ClientAbilities& client);
// The value to resume with, by interrupt id; those that the client left open are not in it.
core::Json answers_of_responses(const std::vector<Waiting>& waiting, const core::Json& responses);
// The end user did not open a link: asking again is of no use.
bool declined_sign_in(const std::vector<Waiting>& waiting, const core::Json& responses);

}  // namespace assistiv::agents
