#pragma once
// Agents as MCP tools: one for each agent that the end user may use, named by its slug. What a call does is a
// run, durable before anything of it happens.
//
// Where the run waits for somebody, the client is asked if it can be (a form, or a link to open), within the
// call or within its task; else the result says what it waits for, and calling again with `thread_id` and the
// answer goes on. A run that takes long becomes a task where the client takes tasks.
#include <atomic>
#include <memory>
#include <string>

#include "agents/doors/agent_door.h"
#include "mcp/tools/tool.h"

namespace assistiv::agents {

// What /mcp/agents is to the endpoint.
inline constexpr std::string_view kAgentsEndpoint = "agents";

class AgentTools final : public mcp::ToolDoor {
 public:
  explicit AgentTools(DoorWorld world) : world_(world) {}

  core::Task<std::shared_ptr<const mcp::ToolList>> list(mcp::CallContext context) override;
  core::Task<mcp::ToolCallResult> call(mcp::CallContext context, std::string name,
                                       core::Json arguments) override;
  // From now on a turn of a task that is stopped is given back to another node, and its run goes on.
  void drain() { draining_ = true; }

 private:
  DoorWorld world_;
  std::atomic<bool> draining_ = false;
};

// The tools of an endpoint: agents at /mcp/agents, those of apps elsewhere.
class ToolsOfEndpoint final : public mcp::ToolDoor {
 public:
  explicit ToolsOfEndpoint(mcp::ToolDoor& apps) : apps_(apps) {}
  // Before the first call; outlives this.
  void use(mcp::ToolDoor& agents) { agents_ = &agents; }

  core::Task<std::shared_ptr<const mcp::ToolList>> list(mcp::CallContext context) override;
  core::Task<mcp::ToolCallResult> call(mcp::CallContext context, std::string name,
                                       core::Json arguments) override;
  core::Task<std::vector<std::string>> unknown_names(mcp::CallContext context) override;
  const std::vector<mcp::MirroredArgument>* mirrored(const std::string& name) const override;

 private:
  mcp::ToolDoor& of(const mcp::CallContext& context) const;
  mcp::ToolDoor& apps_;
  mcp::ToolDoor* agents_ = nullptr;
};

}  // namespace assistiv::agents
