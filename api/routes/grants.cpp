#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "mcp/grants/grant_service.h"

namespace assistiv::api {

namespace {

core::Task<core::HttpReply> get_policy(Services* s, Call call) {
  co_return data_reply(200,
                       mcp::to_json(co_await s->grants.policy(call.platform_id(), call.params.at("app"))));
}

core::Task<core::HttpReply> put_policy(Services* s, Call call) {
  co_return data_reply(200, mcp::to_json(co_await s->grants.put_policy(
                                call.platform_id(), call.params.at("app"), *call.body, audit_context(call))));
}

core::Task<core::HttpReply> get_grants(Services* s, Call call) {
  co_return data_reply(200,
                       mcp::to_json(co_await s->grants.grants(call.platform_id(), end_user_param(call))));
}

core::Task<core::HttpReply> put_grants(Services* s, Call call) {
  co_return data_reply(200, mcp::to_json(co_await s->grants.put_grants(
                                call.platform_id(), end_user_param(call), *call.body, audit_context(call))));
}

core::Task<core::HttpReply> delete_grants(Services* s, Call call) {
  co_await s->grants.clear_grants(call.platform_id(), end_user_param(call), audit_context(call));
  co_return no_content();
}

}  // namespace

void add_grant_routes(RouteTable& table, Services& services) {
  const std::string policy = "/v1/platforms/{platform_id}/mcp/apps/{app}/policy";
  const std::string grants = "/v1/platforms/{platform_id}/end-users/{end_user_id}/grants";
  table.push_back({.method = "GET",
                   .path = policy,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "getPolicy",
                   .tag = "Grants",
                   .summary = "The platform's default policy for an app.",
                   .reply_schema = "Policy",
                   .handle = with_services(services, get_policy)});
  table.push_back({.method = "PUT",
                   .path = policy,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "putPolicy",
                   .tag = "Grants",
                   .summary = "Replace the policy.",
                   .body_schema = "Policy",
                   .reply_schema = "Policy",
                   .handle = with_services(services, put_policy)});
  table.push_back({.method = "GET",
                   .path = grants,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "getGrants",
                   .tag = "Grants",
                   .summary = "An end user's rules and what follows from them.",
                   .reply_schema = "Grants",
                   .handle = with_services(services, get_grants)});
  table.push_back({.method = "PUT",
                   .path = grants,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "putGrants",
                   .tag = "Grants",
                   .summary = "Replace all rules of an end user.",
                   .body_schema = "GrantsPut",
                   .reply_schema = "Grants",
                   .handle = with_services(services, put_grants)});
  table.push_back({.method = "DELETE",
                   .path = grants,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "deleteGrants",
                   .tag = "Grants",
                   .summary = "Remove all rules of an end user.",
                   .success = 204,
                   .handle = with_services(services, delete_grants)});
}

}  // namespace assistiv::api
