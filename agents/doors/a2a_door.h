#pragma once
// The A2A 1.0 interface of one agent: JSON-RPC, one POST for each call, event streams for
// SendStreamingMessage and SubscribeToTask. No push notifications, no extended card: the card says so.
//
// The life of a task is its own: a client that leaves ends its stream, not the task. A stream ends when the
// task is over or waits for somebody; SubscribeToTask on a task that waits tells of it going on.
#include <stop_token>
#include <string>

#include "agents/doors/agent_door.h"
#include "core/http.h"

namespace assistiv::agents {

struct A2aCall {
  RunCaller caller;
  std::string slug;
  std::string body;
  std::string version;  // A2A-Version: only 1.0 is spoken, and nothing means 0.3
  std::stop_token gone;
};

// NotFound for an agent that the caller may not use; everything else is JSON-RPC's.
core::Task<core::HttpReply> answer_a2a(DoorWorld world, A2aCall call);

// GET .well-known/agent-card.json; `url` is where the calls go.
core::Task<core::HttpReply> a2a_card(DoorWorld world, Reach reach, std::string slug, std::string url);

}  // namespace assistiv::agents
