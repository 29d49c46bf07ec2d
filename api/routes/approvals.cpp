#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "core/json_read.h"
#include "mcp/grants/approval_service.h"

namespace assistiv::api {

namespace {

core::ApprovalId approval_param(const Call& call) {
  return call.id<core::ApprovalId>("approval_id", "approval");
}

core::Task<core::HttpReply> list_approvals(Services* s, Call call) {
  mcp::ApprovalFilter filter;
  if (call.query.contains("status")) filter.status = mcp::parse_approval_status(call.query.at("status"));
  if (call.query.contains("end_user_id")) {
    filter.end_user_id = core::EndUserId::parse(call.query.at("end_user_id"));
    if (!filter.end_user_id) throw core::bad_request("\"end_user_id\" must be an id.", "end_user_id");
  }
  const auto page = co_await s->approvals.list(call.platform_id(), filter, page_request(call));
  core::Json rows = core::Json::array();
  for (const auto& approval : page.items) rows.push_back(mcp::to_json(approval));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> get_approval(Services* s, Call call) {
  co_return data_reply(200,
                       mcp::to_json(co_await s->approvals.get(call.platform_id(), approval_param(call))));
}

core::Task<core::HttpReply> decide(Services* s, Call call, mcp::ApprovalChoice choice, std::string reason) {
  co_return data_reply(
      200, mcp::to_json(co_await s->approvals.decide(call.platform_id(), approval_param(call), choice,
                                                     std::move(reason), audit_context(call))));
}

core::Task<core::HttpReply> approve(Services* s, Call call) {
  return decide(s, std::move(call), mcp::ApprovalChoice::Approve, "");
}

core::Task<core::HttpReply> deny(Services* s, Call call) {
  std::string reason;
  if (!call.request.body.empty()) {
    const core::Json body = core::parse_json(call.request.body);
    const core::JsonReader reader(body);
    reader.only({"reason"});
    reason = reader.optional_string("reason", 0, 500).value_or("");
  }
  return decide(s, std::move(call), mcp::ApprovalChoice::Deny, std::move(reason));
}

}  // namespace

void add_approval_routes(RouteTable& table, Services& services) {
  const std::string base = "/v1/platforms/{platform_id}/approvals";
  const std::string one = base + "/{approval_id}";
  table.push_back({.method = "GET",
                   .path = base,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "listApprovals",
                   .tag = "Approvals",
                   .summary = "Tool calls that wait for a decision, or got one.",
                   .query = {{"status", "", {"pending", "approved", "denied", "used", "expired"}},
                             {"end_user_id", "Only this end user.", {}}},
                   .paginated = true,
                   .reply_schema = "Approval",
                   .handle = with_services(services, list_approvals)});
  table.push_back({.method = "GET",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "getApproval",
                   .tag = "Approvals",
                   .summary = "Read an approval.",
                   .reply_schema = "Approval",
                   .handle = with_services(services, get_approval)});
  table.push_back({.method = "POST",
                   .path = one + "/approve",
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "approve",
                   .tag = "Approvals",
                   .summary = "Let the identical call through, once.",
                   .reply_schema = "Approval",
                   .handle = with_services(services, approve)});
  table.push_back({.method = "POST",
                   .path = one + "/deny",
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "deny",
                   .tag = "Approvals",
                   .summary = "Refuse the call; body {reason?}.",
                   .reply_schema = "Approval",
                   .handle = with_services(services, deny)});
}

}  // namespace assistiv::api
