#pragma once
// An agent as a model: "agent/<slug>" on chat completions, messages and responses, whole and streamed.
//
// The request's messages are the agent's input (input_of_messages), its answer is the last message of the
// agent, the usage is the sum of the run's model calls, which are metered as the run's own: the request costs
// nothing more. The run is durable, on a thread that goes after a week.
//
// A conversation goes on with previous_response_id (responses) or metadata.thread_id (elsewhere). While its
// thread waits for somebody, what is said next is the answer; in responses a mcp_approval_response, too.
#include <string>
#include <string_view>

#include "agents/doors/agent_door.h"
#include "core/http.h"
#include "core/task.h"
#include "inference/engine/turn.h"

namespace assistiv::agents {

inline constexpr std::string_view kAgentModelPrefix = "agent/";
inline bool is_agent_model(std::string_view model) {
  return model.starts_with(kAgentModelPrefix);
}

// `call.body` is the client's; `call.request` has the model and whether to stream, for Responses nothing
// more. Throws core::Error before the first byte; later faults end the stream in the dialect's form. When the
// caller leaves, the run is cancelled.
core::Task<core::HttpReply> answer_as_model(DoorWorld world, RunCaller caller, inference::InferenceCall call);

// "resp_agent_<run><thread>": what a later request names to go on.
std::string response_id(RunId run, ThreadId thread);
std::optional<ThreadId> thread_of_response(std::string_view response_id);

}  // namespace assistiv::agents
