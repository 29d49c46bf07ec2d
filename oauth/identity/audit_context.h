#pragma once
// Who did it and in which request, as the audit trail wants it.
#include <optional>
#include <string>

#include "core/json.h"
#include "oauth/principal.h"
#include "storage/audit.h"

namespace assistiv::oauth {

struct AuditContext {
  PrincipalPtr actor;  // null: the server itself; without a key_id: the operator at the command line
  std::string request_id;
};

// `subject` is what it is about (an id, a name); `details` is an object without secrets.
storage::AuditEvent audit_event(const AuditContext& context, std::string event,
                                std::optional<core::EndUserId> end_user, std::string subject,
                                const core::Json& details);

}  // namespace assistiv::oauth
