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

}  // namespace assistiv::api
