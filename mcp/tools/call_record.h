#pragma once
// What is left of one tool call: one audit entry and its metrics.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/ids.h"
#include "core/json.h"
#include "core/task.h"
#include "mcp/grants/policy.h"
#include "mcp/tools/tool.h"

namespace assistiv::storage {
class AuditLog;
}

namespace assistiv::mcp {

enum class CallEnd {
  Done,       // the upstream did it
  ToolError,  // the upstream was asked, the tool failed
  Cancelled,  // by the caller, while it ran
  TimedOut,   // the upstream did not answer in time
  Failed,     // our fault
  Unknown,    // no such tool for this caller
  Denied,     // by a rule
  InvalidArguments,
  NotConnected,
  NeedsReauth,  // the connection's grant has ended
  ScopeMissing,
  ApprovalRequired,  // waits, or was denied by the decider
  TooMany,           // calls of this end user at once, approvals, or refusals of this key
};
std::string_view call_end_name(CallEnd end);

struct CallRecord {
  CallRecord(const CallContext& context, std::string tool_name, const core::Json& arguments);

  oauth::PrincipalPtr principal;
  std::string request_id;
  std::string run_id;  // of an agent run, else empty
  std::string tool;
  std::string arguments_sha256;  // of the canonical JSON
  std::chrono::steady_clock::time_point started;

  // Filled in on the way.
  std::string app;
  bool known = false;     // the tool exists: its name may be a label
  bool executed = false;  // tool.called; else tool.denied
  CallEnd end = CallEnd::Failed;
  std::string code;  // of an error
  std::optional<Decision> decision;
  std::optional<core::ConnectionId> connection_id;
  std::optional<core::ApprovalId> approval_id;
  std::optional<int> upstream_status;
  // Refused calls of this caller since the last entry that left none (RefusalLimit).
  std::size_t unrecorded = 0;

  // "tool.started": in the trail before the vendor is asked to change something, so that whatever happens to
  // this server leaves a trace. Throws Unavailable when it cannot be written; then the tool must not run.
  static core::Task<> write_intent(std::shared_ptr<const CallRecord> record, storage::AuditLog* audit);
  // Counts, and queues the entry. A trail that cannot take it is logged as an error and does not fail the
  // call: the tool has acted already, and a failed call would be repeated.
  static core::Task<> write(std::shared_ptr<const CallRecord> record, storage::AuditLog* audit);
};

}  // namespace assistiv::mcp
