#pragma once
// The route table, one file per resource. Handlers are thin: read the call, ask a service, show the answer.
#include <string>

#include "api/http/route.h"

namespace assistiv::core {
class Clock;
}
namespace assistiv::billing {
class PriceBook;
class RateLimiter;
class UsageReport;
}  // namespace assistiv::billing
namespace assistiv::storage {
class AuditLog;
class Database;
}  // namespace assistiv::storage
namespace assistiv::billing {
class BudgetService;
class WalletService;
class WebhookService;
}  // namespace assistiv::billing
namespace assistiv::agents {
class AgentService;
}
namespace assistiv::oauth {
class AppService;
class Authenticator;
class AuthorizationServer;
class ConnectFlow;
class ConnectionService;
class IdentityService;
class ProviderNotices;
}  // namespace assistiv::oauth
namespace assistiv::mcp {
class AppBook;
class ApprovalService;
class Endpoint;
class GrantService;
class OwnAppService;
class RemoteServers;
class ToolAccess;
struct OwnManifest;
}  // namespace assistiv::mcp

namespace assistiv::api {

struct AgentGateway;
class CatalogRegistry;
struct Config;
struct ModelGateway;

// What the handlers use. Everything outlives the table.
struct Services {
  const Config& config;
  const core::Clock& clock;
  storage::Database& database;
  storage::AuditLog& audit;
  oauth::IdentityService& identity;
  oauth::AppService& apps;
  const CatalogRegistry& registry;
  oauth::ConnectFlow& connect;
  oauth::ConnectionService& connections;
  mcp::GrantService& grants;
  mcp::ApprovalService& approvals;
  mcp::AppBook& book;
  mcp::Endpoint& endpoint;
  mcp::Endpoint* conformance;      // null unless conformance_fixtures is on
  ModelGateway* models = nullptr;  // set before the table is made
  // Set before the table is made.
  billing::PriceBook* prices = nullptr;
  billing::RateLimiter* rates = nullptr;
  billing::UsageReport* usage = nullptr;
  billing::WalletService* wallets = nullptr;
  billing::BudgetService* budgets = nullptr;
  billing::WebhookService* webhooks = nullptr;
  oauth::AuthorizationServer* authorization = nullptr;
  oauth::Authenticator* authenticator = nullptr;
  mcp::ToolAccess* access = nullptr;
  mcp::OwnAppService* own_apps = nullptr;
  mcp::RemoteServers* remotes = nullptr;
  oauth::ProviderNotices* notices = nullptr;
  agents::AgentService* agents = nullptr;
  AgentGateway* agent_gateway = nullptr;  // set before the table is made
};

using ServiceHandler = core::Task<core::HttpReply> (*)(Services*, Call);
// The handler of a route: `fn` with the services.
std::function<core::Task<core::HttpReply>(Call)> with_services(Services& services, ServiceHandler fn);

void add_platform_routes(RouteTable& table, Services& services);
void add_key_routes(RouteTable& table, Services& services);
void add_end_user_routes(RouteTable& table, Services& services);
void add_app_routes(RouteTable& table, Services& services);
void add_manifest_routes(RouteTable& table, Services& services);
void add_remote_server_routes(RouteTable& table, Services& services);
void add_grant_routes(RouteTable& table, Services& services);
void add_approval_routes(RouteTable& table, Services& services);
void add_connection_routes(RouteTable& table, Services& services);
void add_connect_pages(RouteTable& table, Services& services);
void add_provider_webhook_routes(RouteTable& table, Services& services);
void add_me_routes(RouteTable& table, Services& services);
void add_audit_routes(RouteTable& table, Services& services);
void add_inference_routes(RouteTable& table, Services& services);
void add_model_routes(RouteTable& table, Services& services);
void add_llm_config_routes(RouteTable& table, Services& services);
void add_admin_catalogue_routes(RouteTable& table, Services& services);
void add_usage_routes(RouteTable& table, Services& services);
void add_rate_limit_routes(RouteTable& table, Services& services);
void add_price_routes(RouteTable& table, Services& services);
void add_wallet_routes(RouteTable& table, Services& services);
void add_budget_routes(RouteTable& table, Services& services);
void add_webhook_routes(RouteTable& table, Services& services);
void add_authorization_metadata(RouteTable& table, Services& services);
void add_authorization_endpoints(RouteTable& table, Services& services);
void add_authorize_pages(RouteTable& table, Services& services);
void add_authorization_routes(RouteTable& table, Services& services);
void add_issuer_routes(RouteTable& table, Services& services);
void add_platform_client_routes(RouteTable& table, Services& services);
void add_agent_routes(RouteTable& table, Services& services);
void add_langgraph_assistant_routes(RouteTable& table, Services& services);
void add_langgraph_thread_routes(RouteTable& table, Services& services);
void add_langgraph_protocol_routes(RouteTable& table, Services& services);
void add_langgraph_state_routes(RouteTable& table, Services& services);
void add_langgraph_cron_routes(RouteTable& table, Services& services);
void add_langgraph_store_routes(RouteTable& table, Services& services);
void add_agent_protocol_routes(RouteTable& table, Services& services);
void add_agent_protocol_run_routes(RouteTable& table, Services& services);
void add_agent_protocol_store_routes(RouteTable& table, Services& services);
void add_agent_protocol_stream_routes(RouteTable& table, Services& services);
void add_agent_run_routes(RouteTable& table, Services& services);
void add_agent_a2a_routes(RouteTable& table, Services& services);
void add_langgraph_new_run_routes(RouteTable& table, Services& services);
void add_langgraph_run_routes(RouteTable& table, Services& services);
void add_mcp_routes(RouteTable& table, Services& services);
void add_operations_routes(RouteTable& table, Services& services);

// A manifest of a platform's own app, with its document where it has one.
core::Json manifest_view(const mcp::OwnManifest& manifest);

// All of them.
RouteTable make_routes(Services& services);

}  // namespace assistiv::api
