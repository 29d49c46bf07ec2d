#pragma once
// The services around agents, as the routes use them. Made by the application (api/agent_runtime.h).
namespace assistiv::agents {
class AgentService;
class AssistantService;
class CronStore;
class EventLog;
class ItemStore;
class RunService;
class RunStore;
class ThreadStates;
class ThreadStore;
}  // namespace assistiv::agents

namespace assistiv::api {

// Everything outlives the routes.
struct AgentGateway {
  agents::AgentService& agents;
  agents::AssistantService& assistants;
  agents::RunService& runs;
  agents::ThreadStates& states;
  agents::ThreadStore& threads;
  agents::RunStore& run_rows;
  agents::EventLog& events;
  agents::CronStore& crons;
  agents::ItemStore& items;
};

}  // namespace assistiv::api
