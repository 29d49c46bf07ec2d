#include "billing/actor.h"

#include "core/json_read.h"

namespace assistiv::billing {

storage::AuditEvent audit_event(const Actor& actor, std::string event,
                                std::optional<core::EndUserId> end_user, std::string subject,
                                const core::Json& details) {
  storage::AuditEvent out;
  out.event = std::move(event);
  out.actor_kind = actor.kind;
  out.key_id = actor.key_id;
  out.end_user_id = end_user;
  out.subject = std::move(subject);
  out.details_json = core::dump_json(details);
  out.request_id = actor.request_id;
  return out;
}

}  // namespace assistiv::billing
