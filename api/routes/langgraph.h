#pragma once
// What the routes of the LangGraph Server API have in common.
#include <string>

#include "agents/store/reach.h"
#include "api/agent_gateway.h"
#include "api/http/agent_paths.h"
#include "api/http/route.h"
#include "api/routes/agent_caller.h"
#include "api/routes/routes.h"

namespace assistiv::api::langgraph {

// `path` is without the base: "/threads". For keys of end users and platforms, with the scope "inference".
Route route(std::string method, const std::string& path, std::string operation, std::string summary);
void push(RouteTable& table, Services& services, Route route, ServiceHandler handler);

inline agents::ThreadId thread_param(const Call& call) {
  return call.id<agents::ThreadId>("thread_id", "thread");
}
inline agents::RunId run_param(const Call& call) {
  return call.id<agents::RunId>("run_id", "run");
}

}  // namespace assistiv::api::langgraph
