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

namespace assistiv::core {
class TaskGroup;
}

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
  // Owns what a request leaves running beside its reply; stopped while the I/O threads still run.
  core::TaskGroup* background = nullptr;
};

}  // namespace assistiv::api
