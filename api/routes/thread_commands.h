#pragma once
// The commands of the thread protocol (POST /threads/{thread_id}/commands): {"id", "method", "params"}. What
// a command cannot do is an answer of its own, with HTTP 200; what concerns the caller (a thread out of
// reach, no money, too many calls) is thrown as everywhere.
#include <stop_token>
#include <string>

#include "agents/service/run_service.h"
#include "api/agent_gateway.h"
#include "core/json.h"
#include "core/task.h"

namespace assistiv::api {

struct ThreadCommand {
  agents::RunCaller caller;
  agents::ThreadId thread;
  core::Json body;
  std::string idempotency_key;  // or ""
  std::stop_token gone;
};

// {"type": "success", "id", "result", "meta": {"thread_id", "applied_through_seq"?}} or {"type": "error",
// "id", "error", "message"}.
core::Task<core::Json> answer_command(AgentGateway& gateway, ThreadCommand command);

}  // namespace assistiv::api
