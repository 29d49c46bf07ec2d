#include "storage/audit.h"

#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "api/wire/views.h"
#include "oauth/identity/identity_service.h"

namespace assistiv::api {

namespace {

core::Task<core::HttpReply> list_audit(Services* s, Call call) {
  storage::AuditFilter filter;
  if (call.query.contains("event")) filter.event = call.query.at("event");
  if (call.query.contains("end_user_id")) {
    filter.end_user_id = core::EndUserId::parse(call.query.at("end_user_id"));
    if (!filter.end_user_id) throw core::bad_request("\"end_user_id\" must be an id.", "end_user_id");
  }
  filter.page = call.page();
  filter.limit = call.limit();
  co_await s->identity.get_platform(call.platform_id());
  // What this node has recorded so far is part of the answer.
  co_await s->audit.flush();
  const auto page = co_await s->audit.list(call.platform_id(), filter);
  core::Json rows = core::Json::array();
  for (const auto& entry : page.entries) rows.push_back(audit_view(entry));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> verify_audit(Services* s, Call call) {
  // Without its platform there is no trail: "valid, 0 entries" would be a false comfort.
  co_await s->identity.get_platform(call.platform_id());
  co_await s->audit.flush();
  const auto verdict = co_await s->audit.verify(call.platform_id());
  core::Json view = {{"valid", verdict.valid},
                     {"entries", verdict.entries},
                     {"head", {{"seq", verdict.head_seq}, {"hash", verdict.head_hash}}}};
  if (verdict.broken_at) view["broken_at"] = *verdict.broken_at;
  co_return data_reply(200, view);
}

}  // namespace

void add_audit_routes(RouteTable& table, Services& services) {
  const std::string base = "/v1/platforms/{platform_id}/audit";
  table.push_back({.method = "GET",
                   .path = base,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "listAudit",
                   .tag = "Audit",
                   .summary = "The audit trail, newest first.",
                   .query = {{"event", "Only this event, e.g. tool.called.", {}},
                             {"end_user_id", "Only this end user.", {}}},
                   .paginated = true,
                   .reply_schema = "AuditEntry",
                   .handle = with_services(services, list_audit)});
  table.push_back({.method = "GET",
                   .path = base + "/verify",
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "verifyAudit",
                   .tag = "Audit",
                   .summary = "Recompute the hash chain.",
                   .reply_schema = "AuditVerdict",
                   .handle = with_services(services, verify_audit)});
}

}  // namespace assistiv::api
