#include "oauth/connect/platform_facts.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "oauth/connect/flow_store.h"

namespace assistiv::oauth {

std::optional<PlatformFacts> platform_facts(storage::Transaction& tx, core::PlatformId platform,
                                            core::EndUserId end_user) {
  const auto rows = tx.exec(
      "select p.name, coalesce(u.display_name, u.external_id) as label, p.settings ->> "
      "'connect_verifier_url' as verifier"
      " from platform p join end_user u on u.platform_id = p.platform_id"
      " where p.platform_id = $1::uuid and u.end_user_id = $2::uuid and p.is_active and u.is_active",
      {platform.str(), end_user.str()});
  if (rows.empty()) return {};
  return PlatformFacts{rows[0].text("name"), rows[0].text("label"), rows[0].optional_text("verifier")};
}

bool owns_connection(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user,
                     const std::string& app, core::ConnectionId connection) {
  return !tx.exec(
                "select 1 as found from connection where platform_id = $1::uuid and connection_id = $2::uuid"
                " and end_user_id = $3::uuid and app = $4",
                {platform.str(), connection.str(), end_user.str(), app})
              .empty();
}

storage::AuditEvent browser_event(std::string event, core::EndUserId end_user, std::string subject,
                                  std::string request_id, const core::Json& details) {
  storage::AuditEvent out;
  out.event = std::move(event);
  out.actor_kind = "end_user";
  out.end_user_id = end_user;
  out.subject = std::move(subject);
  out.details_json = core::dump_json(details);
  out.details_are_canonical = details.is_object();
  out.request_id = std::move(request_id);
  return out;
}

storage::AuditEvent flow_failed(const AuditContext& context, const FlowRow& flow, const std::string& reason) {
  return audit_event(context, "connect.failed", flow.end_user_id, flow.id.str(),
                     with_link_maker(flow.created_by, {{"app", flow.app}, {"reason", reason}}));
}

core::Json with_link_maker(const std::optional<core::KeyId>& key, core::Json details) {
  if (key) details["link_key_id"] = key->str();
  return details;
}

}  // namespace assistiv::oauth
