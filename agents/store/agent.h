#pragma once
// The agents of a platform, as stored.
#include <string>
#include <vector>

#include "agents/definition/agent_spec.h"
#include "core/clock.h"
#include "core/ids.h"

namespace assistiv::agents {

using AgentId = core::Id<struct AgentTag>;

struct Agent {
  AgentId id;
  core::PlatformId platform_id;
  std::string slug;  // never changes: "agent/<slug>" is a model, the slug a graph id
  std::string name;
  std::string description;
  bool is_active = true;
  bool for_everyone = true;
  std::vector<core::EndUserId> end_users;  // who may use it unless everyone may; sorted
  std::string metadata_json = "{}";        // object
  int active_version = 1;                  // what new runs get
  int latest_version = 1;
  core::Time created_at, updated_at;
};

struct AgentVersion {
  int version = 1;
  AgentSpec spec;          // in lists without its graph
  bool own_graph = false;  // else the ready one
  std::string definition;  // JSON text of agentgraph/1; empty in lists
  core::Time created_at;
};

}  // namespace assistiv::agents
