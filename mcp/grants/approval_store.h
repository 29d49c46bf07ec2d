#pragma once
// Rows of `approval`. `now` decides what is expired: a row whose time is over reads as expired even before
// anything has marked it.
#include <cstdint>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/ids.h"
#include "mcp/grants/approval_service.h"
#include "oauth/identity/page.h"
#include "storage/database.h"

namespace assistiv::mcp {

// What makes two calls identical.
struct ApprovalCall {
  core::EndUserId end_user_id;
  core::ConnectionId connection_id;
  std::string tool;
  std::string arguments_sha256;
};

// An approval as it is stored.
struct StoredApproval {
  Approval approval;             // without arguments_json
  std::string sealed_arguments;  // context: field "arguments" of the row
};

// Inside the caller's transaction; holds no state.
class ApprovalStore {
 public:
  // Makes room in the unique index for a new row.
  void expire(storage::Transaction& tx, core::PlatformId platform, const ApprovalCall& call,
              core::Time now) const;
  // The approved row becomes used; of concurrent calls exactly one gets it.
  std::optional<StoredApproval> use(storage::Transaction& tx, core::PlatformId platform,
                                    const ApprovalCall& call, core::Time now) const;
  // The newest one that still answers the call: pending or denied, and its time is not over.
  std::optional<StoredApproval> standing(storage::Transaction& tx, core::PlatformId platform,
                                         const ApprovalCall& call, core::Time now) const;
  // Until the end of the transaction nobody else counts or adds requests of this end user.
  void lock_end_user(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user) const;
  std::int64_t count_pending(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user,
                             core::Time now) const;
  // False when an identical call has an open one.
  bool insert(storage::Transaction& tx, core::PlatformId platform, const StoredApproval& row) const;

  std::optional<StoredApproval> get(storage::Transaction& tx, core::PlatformId platform, core::ApprovalId id,
                                    core::Time now) const;
  oauth::Page<StoredApproval> list(storage::Transaction& tx, core::PlatformId platform,
                                   const ApprovalFilter& filter, oauth::PageRequest page,
                                   core::Time now) const;
  // Empty when it is not pending any more, or unknown.
  std::optional<StoredApproval> decide(storage::Transaction& tx, core::PlatformId platform,
                                       core::ApprovalId id, ApprovalStatus status, const std::string& reason,
                                       core::Time expires_at, core::Time now) const;
  // Nobody asks for it any more: a pending one is expired from now on. False when it is not pending, or is
  // being decided at this moment.
  bool withdraw(storage::Transaction& tx, core::PlatformId platform, core::ApprovalId id,
                core::Time now) const;
  // Every tenant's: needs Scope::system().
  std::int64_t remove_over_before(storage::Transaction& tx, core::Time time) const;
};

}  // namespace assistiv::mcp
