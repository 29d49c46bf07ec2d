#include "oauth/identity/audit_context.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::oauth {

storage::AuditEvent audit_event(const AuditContext& context, std::string event,
                                std::optional<core::EndUserId> end_user, std::string subject,
                                const core::Json& details) {
  storage::AuditEvent out;
  out.event = std::move(event);
  out.actor_kind = context.actor ? to_string(context.actor->kind) : "system";
  if (context.actor && context.actor->key_id != core::KeyId{}) out.key_id = context.actor->key_id;
  out.end_user_id = end_user;
  out.subject = std::move(subject);
  out.details_json = core::dump_json(details);
  out.details_are_canonical = details.is_object();
  out.request_id = context.request_id;
  return out;
}

}  // namespace assistiv::oauth
