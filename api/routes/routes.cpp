#include "api/routes/routes.h"

#include "api/config.h"

namespace assistiv::api {

std::function<core::Task<core::HttpReply>(Call)> with_services(Services& services, ServiceHandler fn) {
  return [&services, fn](Call call) { return fn(&services, std::move(call)); };
}

RouteTable make_routes(Services& services) {
  RouteTable table;
  if (services.config.has_role("api")) {
    add_platform_routes(table, services);
    add_key_routes(table, services);
    add_end_user_routes(table, services);
    add_app_routes(table, services);
    add_manifest_routes(table, services);
    add_remote_server_routes(table, services);
    add_grant_routes(table, services);
    add_approval_routes(table, services);
    add_connection_routes(table, services);
    add_connect_pages(table, services);
    add_provider_webhook_routes(table, services);
    add_me_routes(table, services);
    add_audit_routes(table, services);
    add_usage_routes(table, services);
    add_rate_limit_routes(table, services);
    add_price_routes(table, services);
    add_inference_routes(table, services);
    add_model_routes(table, services);
    add_llm_config_routes(table, services);
    add_admin_catalogue_routes(table, services);
    add_wallet_routes(table, services);
    add_budget_routes(table, services);
    add_webhook_routes(table, services);
    add_authorization_endpoints(table, services);
    add_authorize_pages(table, services);
    add_issuer_routes(table, services);
    add_platform_client_routes(table, services);
    add_authorization_routes(table, services);
    add_agent_routes(table, services);
    if (services.agent_gateway != nullptr) {
      add_langgraph_assistant_routes(table, services);
      add_langgraph_thread_routes(table, services);
      add_langgraph_state_routes(table, services);
      add_langgraph_cron_routes(table, services);
      add_langgraph_store_routes(table, services);
      add_langgraph_new_run_routes(table, services);
      add_langgraph_run_routes(table, services);
      add_langgraph_protocol_routes(table, services);
      add_agent_protocol_routes(table, services);
      add_agent_protocol_run_routes(table, services);
      add_agent_protocol_store_routes(table, services);
      add_agent_protocol_stream_routes(table, services);
      add_agent_run_routes(table, services);
    }
    add_agent_a2a_routes(table, services);
  }
  if (services.config.has_role("mcp")) add_mcp_routes(table, services);
  // Either name of the server: clients look at the origin of the MCP URL, too.
  add_authorization_metadata(table, services);
  add_operations_routes(table, services);
  return table;
}

}  // namespace assistiv::api
