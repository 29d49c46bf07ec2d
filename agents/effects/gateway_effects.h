#pragma once
// The effects of a run bound to this server: models through inference/ (paid from the wallet and the end
// user's budget), tools through the door of mcp/ as the run's end user, HTTP through the outbound rules.
#include <memory>
#include <string>

#include "agents/runtime/effects.h"
#include "core/random.h"
#include "oauth/principal.h"

namespace assistiv::core {
class HttpClient;
}
namespace assistiv::inference {
class InferenceService;
}
namespace assistiv::mcp {
class ToolDoor;
}

namespace assistiv::agents {

class AgentService;
class ResultCache;

// All of it outlives every run.
struct EffectsWorld {
  inference::InferenceService& inference;
  mcp::ToolDoor& tools;
  core::HttpClient& http;
  AgentService& agents;
  core::Random& random;
  ResultCache* results = nullptr;  // of nodes with `cache`; null: nothing is kept
};

// Who a run acts as. What its agent may use stands in the graph (aliases of models, toolsets), what it may
// still spend in RunSpec::limits.
struct RunIdentity {
  // An end user's, or the platform's own: then no tool of an app can be used. Never null.
  oauth::PrincipalPtr principal;
  std::string agent;  // slug
  int agent_version = 0;
  std::string tag;            // of x-aig-tag, for the usage rows; may be empty
  std::string traceparent;    // of the request that made the run; empty: the run begins a trace of its own
  std::string agent_id = {};  // a slug may be given away again; empty: results of nodes are not kept
};

// For one attempt at one run.
std::unique_ptr<Effects> make_gateway_effects(EffectsWorld& world, RunIdentity identity);

}  // namespace assistiv::agents
