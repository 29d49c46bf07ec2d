#pragma once
// What a model request asks of an agent. Internal to the model's door.
#include <optional>
#include <string>
#include <vector>

#include "agents/doors/agent_door.h"
#include "inference/engine/turn.h"

namespace assistiv::agents {

struct ModelConversation {
  std::optional<ThreadId> thread;
  core::Json messages = core::Json::array();    // LangChain's form
  core::Json approvals = core::Json::object();  // {interrupt id: {"approved", "reason"?}}
  bool whole = false;                           // `messages` repeats what the thread has
};
// Throws InvalidArgument with the member's place.
ModelConversation conversation_of(const inference::InferenceCall& call);

// Members of the body that an agent does not take: its definition says them.
std::vector<std::string> dropped_members(const inference::InferenceCall& call);

// Interrupts that are shown as requests for approval.
bool asks_for_approval(const Waiting& waiting);
core::Json approval_request(const Agent& agent, const Waiting& waiting);

}  // namespace assistiv::agents
