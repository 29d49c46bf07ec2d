#pragma once
// The little that a connect flow needs to know of platforms and end users, and how it names the browser's
// user in the audit trail.
#include <optional>
#include <string>

#include "core/ids.h"
#include "core/json.h"
#include "oauth/identity/audit_context.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct FlowRow;

struct PlatformFacts {
  std::string platform_name;
  std::string end_user_label;               // the display name, or the platform's own id of the end user
  std::optional<std::string> verifier_url;  // settings.connect_verifier_url
};

// Empty when the platform or the end user is not there or not active.
std::optional<PlatformFacts> platform_facts(storage::Transaction& tx, core::PlatformId platform,
                                            core::EndUserId end_user);

bool owns_connection(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user,
                     const std::string& app, core::ConnectionId connection);

// An event that the end user caused with a browser, without a key.
storage::AuditEvent browser_event(std::string event, core::EndUserId end_user, std::string subject,
                                  std::string request_id, const core::Json& details);

// "connect.failed" by somebody else than the browser's user: the platform, the server.
storage::AuditEvent flow_failed(const AuditContext& context, const FlowRow& flow, const std::string& reason);

// `details` and, where it is known, the key that made the link ("link_key_id").
core::Json with_link_maker(const std::optional<core::KeyId>& key, core::Json details);

}  // namespace assistiv::oauth
