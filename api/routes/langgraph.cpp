#include "api/routes/langgraph.h"

#include <utility>

namespace assistiv::api::langgraph {

Route route(std::string method, const std::string& path, std::string operation, std::string summary) {
  Route out;
  out.method = std::move(method);
  out.path = std::string(kLangGraphBase) + path;
  out.access = Access::Tenant;
  out.scope = "inference";
  out.operation_id = std::move(operation);
  out.tag = "LangGraph";
  out.summary = std::move(summary);
  out.error_schema = "LangGraphError";
  out.enveloped = false;
  return out;
}

void push(RouteTable& table, Services& services, Route route, ServiceHandler handler) {
  route.handle = with_services(services, handler);
  table.push_back(std::move(route));
}

}  // namespace assistiv::api::langgraph
