#pragma once
// How routes reach the doors to agents that are not LangGraph's (agents/doors).
#include "agents/doors/agent_door.h"
#include "api/http/route.h"
#include "inference/canonical.h"

namespace assistiv::api {

struct AgentGateway;
struct Services;

agents::DoorWorld door_world(AgentGateway& gateway);
agents::DoorWorld door_world(const Services& services);

// A model request whose model is "agent/<slug>".
core::Task<core::HttpReply> answer_by_agent(Services* services, Call call, inference::DialectId dialect,
                                            std::string request_type, std::string model, bool stream);

}  // namespace assistiv::api
