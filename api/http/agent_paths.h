#pragma once
// The paths of the LangGraph Server API and its neighbours: decides the error envelope and where the key may
// stand.
#include <string_view>

namespace assistiv::api {

inline constexpr std::string_view kLangGraphBase = "/v1/agents/api";

inline bool is_langgraph_path(std::string_view path) {
  return path.starts_with(kLangGraphBase) &&
         (path.size() == kLangGraphBase.size() || path[kLangGraphBase.size()] == '/');
}

// The Agent Protocol's, whose errors have a shape of their own.
inline constexpr std::string_view kAgentProtocolBase = "/v1/agents/protocol";

inline bool is_agent_protocol_path(std::string_view path) {
  return path.starts_with(kAgentProtocolBase) &&
         (path.size() == kAgentProtocolBase.size() || path[kAgentProtocolBase.size()] == '/');
}

// Where a key may also stand in x-api-key, and a faulty request is a 422.
inline bool is_agent_path(std::string_view path) {
  return is_langgraph_path(path) || is_agent_protocol_path(path);
}

}  // namespace assistiv::api
