#include "mcp/grants/approval_store.h"

namespace assistiv::mcp {

namespace {

constexpr std::string_view kColumns =
    " approval_id, end_user_id, connection_id, app, tool, risk, arguments_sha256, arguments, status, reason,"
    " assistiv_ms(created_at) as created_ms, assistiv_ms(expires_at) as expires_ms,"
    " assistiv_ms(decided_at) as decided_ms ";

// $1 platform, $2 end user, $3 connection, $4 tool, $5 hash, $6 now
constexpr std::string_view kSameCall =
    " platform_id = $1::uuid and end_user_id = $2::uuid and connection_id = $3::uuid and tool = $4"
    " and arguments_sha256 = $5 ";

std::string time_param(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

std::vector<storage::Param> call_params(core::PlatformId platform, const ApprovalCall& call, core::Time now) {
  return {platform.str(), call.end_user_id.str(), call.connection_id.str(),
          call.tool,      call.arguments_sha256,  time_param(now)};
}

StoredApproval read_approval(const storage::Row& row, core::Time now) {
  StoredApproval out;
  Approval& approval = out.approval;
  approval.id = row.id<core::ApprovalId>("approval_id");
  approval.end_user_id = row.id<core::EndUserId>("end_user_id");
  approval.connection_id = row.id<core::ConnectionId>("connection_id");
  approval.app = row.text("app");
  approval.tool = row.text("tool");
  approval.risk = parse_risk(row.text("risk")).value_or(Risk::Destructive);
  approval.arguments_sha256 = row.text("arguments_sha256");
  approval.status = parse_approval_status(row.text("status")).value_or(ApprovalStatus::Expired);
  approval.reason = row.text("reason");
  approval.created_at = row.time("created_ms");
  approval.expires_at = row.time("expires_ms");
  approval.decided_at = row.optional_time("decided_ms");
  out.sealed_arguments = row.text("arguments");
  const bool open = approval.status == ApprovalStatus::Pending || approval.status == ApprovalStatus::Approved;
  if (open && approval.expires_at <= now) approval.status = ApprovalStatus::Expired;
  return out;
}

std::optional<StoredApproval> first(const storage::Result& result, core::Time now) {
  if (result.empty()) return {};
  return read_approval(result[0], now);
}

std::string sql(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const auto part : parts) out += part;
  return out;
}

}  // namespace

void ApprovalStore::expire(storage::Transaction& tx, core::PlatformId platform, const ApprovalCall& call,
                           core::Time now) const {
  tx.exec(sql({"update approval set status = 'expired' where", kSameCall,
               "and status in ('pending', 'approved') and expires_at <= assistiv_time($6::bigint)"}),
          call_params(platform, call, now));
}

std::optional<StoredApproval> ApprovalStore::use(storage::Transaction& tx, core::PlatformId platform,
                                                 const ApprovalCall& call, core::Time now) const {
  return first(
      tx.exec(sql({"update approval set status = 'used' where", kSameCall,
                   "and status = 'approved' and expires_at > assistiv_time($6::bigint) returning", kColumns}),
              call_params(platform, call, now)),
      now);
}

std::optional<StoredApproval> ApprovalStore::standing(storage::Transaction& tx, core::PlatformId platform,
                                                      const ApprovalCall& call, core::Time now) const {
  return first(tx.exec(sql({"select", kColumns, "from approval where", kSameCall,
                            "and status in ('pending', 'denied') and expires_at > assistiv_time($6::bigint)"
                            " order by created_at desc, approval_id desc limit 1"}),
                       call_params(platform, call, now)),
               now);
}

void ApprovalStore::lock_end_user(storage::Transaction& tx, core::PlatformId platform,
                                  core::EndUserId end_user) const {
  tx.exec("select pg_advisory_xact_lock(hashtextextended($1, 0))",
          {"approval " + platform.str() + end_user.str()});
}

std::int64_t ApprovalStore::count_pending(storage::Transaction& tx, core::PlatformId platform,
                                          core::EndUserId end_user, core::Time now) const {
  return tx
      .exec(
          "select count(*) as n from approval where platform_id = $1::uuid and end_user_id = $2::uuid"
          " and status = 'pending' and expires_at > assistiv_time($3::bigint)",
          {platform.str(), end_user.str(), time_param(now)})[0]
      .integer("n");
}

bool ApprovalStore::insert(storage::Transaction& tx, core::PlatformId platform,
                           const StoredApproval& row) const {
  const Approval& a = row.approval;
  return !tx.exec(
                "insert into approval (platform_id, approval_id, end_user_id, connection_id, app, tool, risk,"
                " arguments_sha256, arguments, status, created_at, expires_at) values ($1::uuid, $2::uuid, "
                "$3::uuid,"
                " $4::uuid, $5, $6, $7, $8, $9, 'pending', assistiv_time($10::bigint), "
                "assistiv_time($11::bigint))"
                " on conflict do nothing returning approval_id",
                {platform.str(), a.id.str(), a.end_user_id.str(), a.connection_id.str(), a.app, a.tool,
                 std::string(risk_name(a.risk)), a.arguments_sha256, row.sealed_arguments,
                 time_param(a.created_at), time_param(a.expires_at)})
              .empty();
}

std::optional<StoredApproval> ApprovalStore::get(storage::Transaction& tx, core::PlatformId platform,
                                                 core::ApprovalId id, core::Time now) const {
  return first(tx.exec(sql({"select", kColumns,
                            "from approval where platform_id = $1::uuid and approval_id = $2::uuid"}),
                       {platform.str(), id.str()}),
               now);
}

oauth::Page<StoredApproval> ApprovalStore::list(storage::Transaction& tx, core::PlatformId platform,
                                                const ApprovalFilter& filter, oauth::PageRequest page,
                                                core::Time now) const {
  constexpr std::string_view kWhere =
      " where platform_id = $1::uuid and ($2::uuid is null or end_user_id = $2::uuid) and ($3::text is null "
      "or $3 ="
      " case when status in ('pending', 'approved') and expires_at <= assistiv_time($4::bigint) then "
      "'expired'"
      " else status end) ";
  storage::Param end_user, status;
  if (filter.end_user_id) end_user = filter.end_user_id->str();
  if (filter.status) status = approval_status_name(*filter.status);
  std::vector<storage::Param> params = {platform.str(), end_user, status, time_param(now)};
  oauth::Page<StoredApproval> out;
  out.page = page.page;
  out.limit = page.limit;
  out.total = tx.exec(sql({"select count(*) as n from approval", kWhere}), params)[0].integer("n");
  params.insert(params.end(), {std::to_string(page.limit), page.offset()});
  const auto rows =
      tx.exec(sql({"select", kColumns, "from approval", kWhere,
                   "order by created_at desc, approval_id desc limit $5::bigint offset $6::bigint"}),
              params);
  for (const auto& row : rows) out.items.push_back(read_approval(row, now));
  return out;
}

std::optional<StoredApproval> ApprovalStore::decide(storage::Transaction& tx, core::PlatformId platform,
                                                    core::ApprovalId id, ApprovalStatus status,
                                                    const std::string& reason, core::Time expires_at,
                                                    core::Time now) const {
  return first(
      tx.exec(sql({"update approval set status = $3, reason = $4, expires_at = assistiv_time($5::bigint),"
                   " decided_at = assistiv_time($6::bigint) where platform_id = $1::uuid and approval_id = "
                   "$2::uuid"
                   " and status = 'pending' and expires_at > assistiv_time($6::bigint) returning",
                   kColumns}),
              {platform.str(), id.str(), std::string(approval_status_name(status)), reason,
               time_param(expires_at), time_param(now)}),
      now);
}

// Whoever decides holds the row and waits for the tasks that wait for it: who has one of those must not wait
// for the row.
bool ApprovalStore::withdraw(storage::Transaction& tx, core::PlatformId platform, core::ApprovalId id,
                             core::Time now) const {
  return tx.exec(
               "update approval set status = 'expired', reason = 'The call was cancelled.', expires_at ="
               " assistiv_time($3::bigint) where (platform_id, approval_id) in (select platform_id, "
               "approval_id from approval where platform_id = $1::uuid and approval_id = $2::uuid and "
               "status = 'pending' and expires_at > assistiv_time($3::bigint) for update skip locked)",
               {platform.str(), id.str(), time_param(now)})
             .affected() > 0;
}

std::int64_t ApprovalStore::remove_over_before(storage::Transaction& tx, core::Time time) const {
  return static_cast<std::int64_t>(
      tx.exec("delete from approval where expires_at < assistiv_time($1::bigint)", {time_param(time)})
          .affected());
}

}  // namespace assistiv::mcp
