#include "mcp/tools/call_record.h"

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "core/metrics.h"
#include "mcp/grants/approval_service.h"
#include "oauth/connect/connector_spec.h"
#include "oauth/identity/audit_context.h"
#include "storage/audit.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kSubjectBytesMax = 128;  // an unknown tool's name is the caller's text

core::Json what_is_called(const CallRecord& record) {
  core::Json out = {{"arguments_sha256", record.arguments_sha256}};
  if (!record.app.empty()) out["app"] = record.app;
  if (!record.run_id.empty()) out["run_id"] = record.run_id;
  if (record.decision) {
    out["decision"] = verdict_name(record.decision->verdict);
    out["rule"] = decided_by_name(record.decision->rule);
  }
  if (record.connection_id) out["connection_id"] = record.connection_id->str();
  if (record.approval_id) out["approval_id"] = record.approval_id->str();
  return out;
}

core::Json audit_details(const CallRecord& record, std::chrono::milliseconds latency) {
  core::Json out = what_is_called(record);
  out["outcome"] = call_end_name(record.end);
  out["latency_ms"] = latency.count();
  if (!record.code.empty()) out["code"] = record.code;
  if (record.upstream_status) out["upstream_status"] = *record.upstream_status;
  if (record.unrecorded > 0) out["unrecorded_refusals"] = record.unrecorded;
  return out;
}

storage::AuditEvent entry_of(const CallRecord& record, std::string event, const core::Json& details) {
  return oauth::audit_event({record.principal, record.request_id}, std::move(event),
                            record.principal->end_user_id, record.tool.substr(0, kSubjectBytesMax), details);
}

// Looked up once for each tool and end: the registry has a lock and builds the labels anew.
struct CallMetrics {
  std::map<CallEnd, core::metrics::Counter*> ends;
  core::metrics::Histogram* seconds = nullptr;
};

void count(const CallRecord& record, double seconds) {
  // As many as the server has tools: a name that is no tool's is "unknown", and platforms' own are "own".
  const bool own = oauth::is_own_app(record.app);
  const std::string app = own ? "own" : record.app;
  const std::string tool = !record.known ? "unknown" : own ? "own" : record.tool;
  static std::mutex mutex;
  static std::map<std::pair<std::string, std::string>, CallMetrics> known;
  const std::lock_guard lock(mutex);
  auto& metrics = known[{app, tool}];
  if (metrics.seconds == nullptr) {
    metrics.seconds = &core::metrics::histogram("assistiv_tool_call_seconds", "How long tool calls took.",
                                                {{"app", app}, {"tool", tool}});
  }
  auto& calls = metrics.ends[record.end];
  if (calls == nullptr) {
    calls = &core::metrics::counter(
        "assistiv_tool_calls_total", "Tool calls.",
        {{"app", app}, {"tool", tool}, {"outcome", std::string(call_end_name(record.end))}});
  }
  calls->add();
  metrics.seconds->observe(seconds);
}

}  // namespace

std::string_view call_end_name(CallEnd end) {
  switch (end) {
    case CallEnd::Done:
      return "done";
    case CallEnd::ToolError:
      return "tool_error";
    case CallEnd::Cancelled:
      return "cancelled";
    case CallEnd::TimedOut:
      return "timed_out";
    case CallEnd::Failed:
      return "failed";
    case CallEnd::Unknown:
      return "unknown";
    case CallEnd::Denied:
      return "denied";
    case CallEnd::InvalidArguments:
      return "invalid_arguments";
    case CallEnd::NotConnected:
      return "not_connected";
    case CallEnd::NeedsReauth:
      return "needs_reauth";
    case CallEnd::ScopeMissing:
      return "scope_missing";
    case CallEnd::ApprovalRequired:
      return "approval_required";
    case CallEnd::TooMany:
      break;
  }
  return "too_many";
}

CallRecord::CallRecord(const CallContext& context, std::string tool_name, const core::Json& arguments)
    : principal(context.principal),
      request_id(context.request_id),
      run_id(context.run_id),
      tool(std::move(tool_name)),
      arguments_sha256(core::sha256_hex(canonical_json(arguments))),
      started(std::chrono::steady_clock::now()) {}

core::Task<> CallRecord::write_intent(std::shared_ptr<const CallRecord> record, storage::AuditLog* audit) {
  co_await audit->record_durably(record->principal->platform_id,
                                 entry_of(*record, "tool.started", what_is_called(*record)));
}

core::Task<> CallRecord::write(std::shared_ptr<const CallRecord> record, storage::AuditLog* audit) {
  const auto took = std::chrono::steady_clock::now() - record->started;
  count(*record, std::chrono::duration<double>(took).count());
  const std::string event = record->executed ? "tool.called" : "tool.denied";
  const auto details = audit_details(*record, std::chrono::duration_cast<std::chrono::milliseconds>(took));
  try {
    co_await audit->record(record->principal->platform_id, entry_of(*record, event, details));
  } catch (const core::Error& e) {
    static auto& lost =
        core::metrics::counter("assistiv_audit_dropped_total", "Audit entries that could not be written.",
                               {{"reason", "queue_full"}});
    lost.add();
    core::log::error("audit.lost", {{"event_lost", event},
                                    {"tool", record->tool.substr(0, kSubjectBytesMax)},
                                    {"details", core::dump_json(details)},
                                    {"request_id", record->request_id},
                                    {"error", e.what()}});
  }
}

}  // namespace assistiv::mcp
