#pragma once
// Calls that wait for a decision. An approval is bound to (platform, end user, connection, tool, SHA-256 of
// the canonical arguments), has an expiry, and lets one call through once.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/json.h"
#include "core/random.h"
#include "core/task.h"
#include "mcp/tools/risk.h"
#include "oauth/crypto/reencryption.h"
#include "oauth/crypto/vault.h"
#include "oauth/identity/audit_context.h"
#include "oauth/identity/page.h"
#include "oauth/principal.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::mcp {

enum class ApprovalStatus { Pending, Approved, Denied, Used, Expired };
std::string_view approval_status_name(ApprovalStatus status);
std::optional<ApprovalStatus> parse_approval_status(std::string_view name);

struct Approval {
  core::ApprovalId id;
  core::EndUserId end_user_id;
  core::ConnectionId connection_id;
  std::string app;
  std::string tool;
  Risk risk = Risk::Destructive;
  std::string arguments_sha256;  // hex, of the canonical JSON
  std::string arguments_json;    // canonical JSON, for the decider; empty in the answer to a call
  ApprovalStatus status = ApprovalStatus::Pending;
  std::string reason;  // the decider's words to the agent
  core::Time created_at;
  core::Time expires_at;
  std::optional<core::Time> decided_at;
};

core::Json to_json(const Approval& approval);
struct StoredApproval;

struct ApprovalLimits {
  std::chrono::minutes pending_for{60};   // a decision must come within this time
  std::chrono::minutes approved_for{15};  // and the call within this time after it
  std::int64_t pending_max = 100;         // per end user
  std::size_t arguments_bytes_max = 256 * 1024;
  std::chrono::hours kept_for{24 * 30};  // decided and expired approvals
};

// One exact call that a rule wants approved.
struct ApprovalRequest {
  oauth::PrincipalPtr principal;  // an end user's
  core::ConnectionId connection_id;
  std::string app;
  std::string tool;
  Risk risk = Risk::Destructive;
  std::string arguments_json;  // canonical
  std::string request_id;
};

struct ApprovalFilter {
  std::optional<ApprovalStatus> status;
  std::optional<core::EndUserId> end_user_id;
};

enum class ApprovalChoice { Approve, Deny };

// Thread-safe.
class ApprovalService {
 public:
  ApprovalService(storage::Database& database, storage::AuditLog& audit, const oauth::Vault& vault,
                  const core::Clock& clock, core::Random& random, ApprovalLimits limits = {});

  // In one transaction: an approved identical call is marked used (status Used: go on, exactly one caller
  // gets this); otherwise the identical pending or denied one, or a new pending one. A denial holds until the
  // request would have expired, so that asking again does not nag the decider. Throws RateLimited past
  // pending_max and PayloadTooLarge past arguments_bytes_max.
  core::Task<Approval> claim(ApprovalRequest request);

  // Newest first.
  core::Task<oauth::Page<Approval>> list(core::PlatformId platform, ApprovalFilter filter,
                                         oauth::PageRequest page);
  core::Task<Approval> get(core::PlatformId platform, core::ApprovalId id);
  // Conflict when it is not pending any more; the message names its status.
  core::Task<Approval> decide(core::PlatformId platform, core::ApprovalId id, ApprovalChoice choice,
                              std::string reason, oauth::AuditContext context);

  // Deletes what has been over for longer than kept_for; for the worker role, hourly. Returns how many.
  core::Task<std::int64_t> sweep();

 private:
  class Claim;
  void announce(storage::Transaction& tx, core::PlatformId platform, const std::string& event,
                const Approval& approval, const oauth::AuditContext& context) const;
  Approval opened(core::PlatformId platform, StoredApproval row) const;
  Approval decide_in(storage::Transaction& tx, core::PlatformId platform, core::ApprovalId id,
                     ApprovalChoice choice, const std::string& reason,
                     const oauth::AuditContext& context) const;

  storage::Database& database_;
  storage::AuditLog& audit_;
  const oauth::Vault& vault_;
  const core::Clock& clock_;
  core::Random& random_;
  ApprovalLimits limits_;
};

// For oauth::Reencryption.
std::vector<oauth::SealedColumn> approval_sealed_columns();

// JSON with sorted members and no white space: equal arguments have equal bytes.
std::string canonical_json(const core::Json& value);

}  // namespace assistiv::mcp
