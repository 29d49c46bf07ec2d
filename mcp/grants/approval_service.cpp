#include "mcp/grants/approval_service.h"

#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "mcp/grants/approval_store.h"
#include "mcp/tasks/pg_task_store.h"

namespace assistiv::mcp {

namespace {

constexpr std::pair<ApprovalStatus, std::string_view> kStatuses[] = {{ApprovalStatus::Pending, "pending"},
                                                                     {ApprovalStatus::Approved, "approved"},
                                                                     {ApprovalStatus::Denied, "denied"},
                                                                     {ApprovalStatus::Used, "used"},
                                                                     {ApprovalStatus::Expired, "expired"}};
constexpr std::size_t kReasonBytesMax = 1000;
// An identical call that was approved or used between two of our statements makes us look again.
constexpr int kClaimTries = 3;

oauth::SecretContext arguments_context(core::PlatformId platform, core::ApprovalId id) {
  return {platform, "approval", id.str(), "arguments"};
}

// What the trail says of an approval: enough to follow one call, nothing of its arguments.
core::Json approval_details(const Approval& approval) {
  return {{"app", approval.app},
          {"tool", approval.tool},
          {"connection_id", approval.connection_id.str()},
          {"arguments_sha256", approval.arguments_sha256}};
}

}  // namespace

std::string_view approval_status_name(ApprovalStatus status) {
  for (const auto& [candidate, name] : kStatuses) {
    if (candidate == status) return name;
  }
  return "expired";
}

std::optional<ApprovalStatus> parse_approval_status(std::string_view name) {
  for (const auto& [status, candidate] : kStatuses) {
    if (candidate == name) return status;
  }
  return {};
}

core::Json to_json(const Approval& approval) {
  const auto arguments = core::try_parse_json(approval.arguments_json);
  return {{"id", approval.id.str()},
          {"end_user_id", approval.end_user_id.str()},
          {"connection_id", approval.connection_id.str()},
          {"app", approval.app},
          {"tool", approval.tool},
          {"risk", risk_name(approval.risk)},
          {"arguments", arguments ? *arguments : core::Json()},
          {"status", approval_status_name(approval.status)},
          {"reason", approval.reason.empty() ? core::Json() : core::Json(approval.reason)},
          {"created_at", core::format_time(approval.created_at)},
          {"expires_at", core::format_time(approval.expires_at)},
          {"decided_at",
           approval.decided_at ? core::Json(core::format_time(*approval.decided_at)) : core::Json()}};
}

std::string canonical_json(const core::Json& value) {
  return core::dump_json(value);
}

std::vector<oauth::SealedColumn> approval_sealed_columns() {
  return {{"approval", "approval_id", "uuid", "arguments", "arguments"}};
}

// One claim inside one transaction.
class ApprovalService::Claim {
 public:
  Claim(const ApprovalService& service, const ApprovalRequest& request, storage::Transaction& tx)
      : service_(service),
        request_(request),
        tx_(tx),
        platform_(request.principal->platform_id),
        now_(service.clock_.now()),
        call_{request.principal->end_user_id.value(), request.connection_id, request.tool,
              core::sha256_hex(request.arguments_json)} {}

  Approval run() {
    store_.expire(tx_, platform_, call_, now_);
    for (int i = 0; i < kClaimTries; ++i) {
      if (auto used = store_.use(tx_, platform_, call_, now_)) return record("approval.used", used->approval);
      store_.lock_end_user(tx_, platform_, call_.end_user_id);
      if (auto standing = store_.standing(tx_, platform_, call_, now_)) return standing->approval;
      refuse_too_many();
      StoredApproval row = request_row();
      if (store_.insert(tx_, platform_, row)) return record("approval.requested", row.approval);
    }
    throw core::Error(core::ErrorKind::Unavailable, "The approval of this call is being changed. Try again.");
  }

 private:
  void refuse_too_many() {
    if (store_.count_pending(tx_, platform_, call_.end_user_id, now_) < service_.limits_.pending_max) return;
    throw core::Error(core::ErrorKind::RateLimited,
                      "Too many calls wait for an approval already (" +
                          std::to_string(service_.limits_.pending_max) +
                          "). Ask for decisions on those, or wait until they expire.")
        .with_code("too_many_approvals");
  }

  StoredApproval request_row() {
    StoredApproval row;
    Approval& approval = row.approval;
    approval.id = core::ApprovalId::make(service_.clock_, service_.random_);
    approval.end_user_id = call_.end_user_id;
    approval.connection_id = call_.connection_id;
    approval.app = request_.app;
    approval.tool = call_.tool;
    approval.risk = request_.risk;
    approval.arguments_sha256 = call_.arguments_sha256;
    approval.created_at = now_;
    approval.expires_at = now_ + service_.limits_.pending_for;
    row.sealed_arguments = service_.vault_.seal(arguments_context(platform_, approval.id),
                                                core::Secret(request_.arguments_json));
    return row;
  }

  Approval record(const std::string& event, const Approval& approval) {
    service_.announce(tx_, platform_, event, approval, {request_.principal, request_.request_id});
    return approval;
  }

  const ApprovalService& service_;
  const ApprovalRequest& request_;
  storage::Transaction& tx_;
  ApprovalStore store_;
  core::PlatformId platform_;
  core::Time now_;
  ApprovalCall call_;
};

ApprovalService::ApprovalService(storage::Database& database, storage::AuditLog& audit,
                                 const oauth::Vault& vault, const core::Clock& clock, core::Random& random,
                                 ApprovalLimits limits)
    : database_(database), audit_(audit), vault_(vault), clock_(clock), random_(random), limits_(limits) {}

void ApprovalService::announce(storage::Transaction& tx, core::PlatformId platform, const std::string& event,
                               const Approval& approval, const oauth::AuditContext& context) const {
  audit_.append(tx, platform,
                oauth::audit_event(context, event, approval.end_user_id, approval.id.str(),
                                   approval_details(approval)));
  tx.notify("approval", platform.str() + "/" + approval.id.str());
}

core::Task<Approval> ApprovalService::claim(ApprovalRequest request) {
  if (request.arguments_json.size() > limits_.arguments_bytes_max) {
    throw core::Error(
        core::ErrorKind::PayloadTooLarge,
        "This call needs an approval, and its arguments are too large to be shown to the one who decides "
        "(more than " +
            std::to_string(limits_.arguments_bytes_max) + " bytes). Use smaller arguments.");
  }
  const auto scope = storage::Scope::tenant(request.principal->platform_id);
  co_return co_await database_.run(scope, [this, request = std::move(request)](storage::Transaction& tx) {
    return Claim(*this, request, tx).run();
  });
}

Approval ApprovalService::opened(core::PlatformId platform, StoredApproval row) const {
  try {
    row.approval.arguments_json =
        vault_.open(arguments_context(platform, row.approval.id), row.sealed_arguments).reveal();
  } catch (const core::Error& e) {
    core::log::error("approval.unreadable", {{"approval", row.approval.id.str()}, {"detail", e.detail()}});
  }
  return std::move(row.approval);
}

core::Task<oauth::Page<Approval>> ApprovalService::list(core::PlatformId platform, ApprovalFilter filter,
                                                        oauth::PageRequest page) {
  page.check();
  co_return co_await database_.run(
      storage::Scope::tenant(platform), [this, platform, filter, page](storage::Transaction& tx) {
        auto stored = ApprovalStore().list(tx, platform, filter, page, clock_.now());
        oauth::Page<Approval> out{{}, stored.total, stored.page, stored.limit};
        for (auto& row : stored.items) out.items.push_back(opened(platform, std::move(row)));
        return out;
      });
}

core::Task<Approval> ApprovalService::get(core::PlatformId platform, core::ApprovalId id) {
  co_return co_await database_.run(storage::Scope::tenant(platform),
                                   [this, platform, id](storage::Transaction& tx) {
                                     auto row = ApprovalStore().get(tx, platform, id, clock_.now());
                                     if (!row) throw core::not_found("There is no such approval.");
                                     return opened(platform, std::move(*row));
                                   });
}

core::Task<Approval> ApprovalService::decide(core::PlatformId platform, core::ApprovalId id,
                                             ApprovalChoice choice, std::string reason,
                                             oauth::AuditContext context) {
  if (reason.size() > kReasonBytesMax) {
    throw core::bad_request("\"reason\" must have at most " + std::to_string(kReasonBytesMax) + " bytes.",
                            "/reason");
  }
  co_return co_await database_.run(
      storage::Scope::tenant(platform),
      [this, platform, id, choice, reason = std::move(reason), context = std::move(context)](
          storage::Transaction& tx) { return decide_in(tx, platform, id, choice, reason, context); });
}

Approval ApprovalService::decide_in(storage::Transaction& tx, core::PlatformId platform, core::ApprovalId id,
                                    ApprovalChoice choice, const std::string& reason,
                                    const oauth::AuditContext& context) const {
  const ApprovalStore store;
  const auto now = clock_.now();
  const auto before = store.get(tx, platform, id, now);
  if (!before) throw core::not_found("There is no such approval.");
  const bool approve = choice == ApprovalChoice::Approve;
  const auto expires_at = approve ? now + limits_.approved_for : before->approval.expires_at;
  auto after = store.decide(tx, platform, id, approve ? ApprovalStatus::Approved : ApprovalStatus::Denied,
                            reason, expires_at, now);
  if (!after) {
    const auto current = store.get(tx, platform, id, now);
    throw core::conflict("This approval is " +
                         std::string(approval_status_name((current ? *current : *before).approval.status)) +
                         "; only a pending one can be decided.");
  }
  PgTaskStore::wake_waiting(tx, platform, id, now);
  announce(tx, platform, approve ? "approval.approved" : "approval.denied", after->approval, context);
  return opened(platform, std::move(*after));
}

core::Task<std::int64_t> ApprovalService::sweep() {
  const auto limit = clock_.now() - limits_.kept_for;
  // System scope: the sweep is the server's own work for all tenants.
  co_return co_await database_.run(storage::Scope::system(), [limit](storage::Transaction& tx) {
    return ApprovalStore().remove_over_before(tx, limit);
  });
}

}  // namespace assistiv::mcp
