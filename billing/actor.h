#pragma once
// Who changes money or its rules, for the audit trail and for the space of idempotency keys. oauth::Principal
// in billing's own words: billing does not know oauth.
#include <optional>
#include <string>

#include "core/ids.h"
#include "core/json.h"
#include "storage/audit.h"

namespace assistiv::billing {

struct Actor {
  std::string kind = "system";  // "operator", "platform", "end_user", "system"
  std::optional<core::KeyId> key_id;
  std::string request_id;
};

// `subject` is what it is about (an id); `details` is an object without secrets.
storage::AuditEvent audit_event(const Actor& actor, std::string event,
                                std::optional<core::EndUserId> end_user, std::string subject,
                                const core::Json& details);

}  // namespace assistiv::billing
