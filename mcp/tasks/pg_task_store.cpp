#include "mcp/tasks/pg_task_store.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "mcp/connectors/clean_text.h"
#include "mcp/grants/approval_store.h"
#include "mcp/tasks/task_notice.h"

namespace assistiv::mcp {

namespace {

using storage::Param;
using storage::Scope;
using storage::Transaction;

constexpr std::size_t kSubjectBytesMax = 128;  // a tool's name is the caller's text

constexpr std::string_view kTaskColumns =
    " t.platform_id, t.task_id, t.end_user_id, t.key_id, t.endpoint, t.status, t.message, t.call, t.outcome,"
    " assistiv_ms(t.due_at) as due_ms, t.approval_id, t.runner, t.acting, t.cancel_asked, t.turns,"
    " assistiv_ms(t.created_at) as created_ms, assistiv_ms(t.updated_at) as updated_ms,"
    " assistiv_ms(t.expires_at) as expires_ms ";

std::string epoch_text(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

const char* flag(bool value) {
  return value ? "true" : "false";
}

oauth::SecretContext sealed_in(const TaskOwner& owner, const std::string& id, const char* field) {
  return {owner.platform, "mcp_task", id, field};
}

std::string call_text(const TaskCall& call) {
  const auto& client = call.client;
  return core::dump_json({{"tool", call.tool},
                          {"arguments", call.arguments_json},
                          {"state", call.state},
                          {"requests", call.requests_json},
                          {"responses", call.responses_json},
                          {"selection", call.selection},
                          {"request_id", call.request_id},
                          {"client",
                           {{"form", client.elicitation_form},
                            {"url", client.elicitation_url},
                            {"sampling", client.sampling},
                            {"roots", client.roots},
                            {"tasks", client.tasks}}}});
}

TaskCall call_of(const std::string& text) {
  const auto json = core::parse_json(text);
  const auto& client = json.at("client");
  TaskCall out;
  out.tool = json.at("tool").get<std::string>();
  out.arguments_json = json.at("arguments").get<std::string>();
  out.state = json.at("state").get<std::string>();
  out.requests_json = json.at("requests").get<std::string>();
  out.responses_json = json.at("responses").get<std::string>();
  out.selection = json.at("selection").get<std::string>();
  out.request_id = json.at("request_id").get<std::string>();
  out.client.elicitation_form = client.at("form").get<bool>();
  out.client.elicitation_url = client.at("url").get<bool>();
  out.client.sampling = client.at("sampling").get<bool>();
  out.client.roots = client.at("roots").get<bool>();
  out.client.tasks = client.at("tasks").get<bool>();
  return out;
}

// A decision may have come between the moment when the tool saw none and this one. The lock makes a decision
// that is just being made wait for us, or us for it.
void notice_decision(Transaction& tx, ToolTask& task, core::Time now) {
  const auto rows =
      tx.exec("select status from approval where platform_id = $1::uuid and approval_id = $2::uuid for share",
              {task.owner.platform.str(), task.approval->str()});
  if (!rows.empty() && rows[0].text("status") == "pending") return;
  task.approval.reset();
  task.due_at = now;
}

// Whether another task needs the decision.
bool waited_for(Transaction& tx, core::PlatformId platform, core::ApprovalId approval,
                const std::string& except) {
  return !tx.exec(
                "select 1 as n from mcp_task where platform_id = $1::uuid and approval_id = $2::uuid and "
                "task_id <> $3 and status = 'working' limit 1",
                {platform.str(), approval.str(), except})
              .empty();
}

}  // namespace

std::vector<oauth::SealedColumn> task_sealed_columns() {
  return {{"mcp_task", "task_id", "text", "call", "call"},
          {"mcp_task", "task_id", "text", "outcome", "outcome"}};
}

PgTaskStore::PgTaskStore(storage::Database& database, storage::AuditLog& audit, const oauth::Vault& vault,
                         const core::Clock& clock)
    : database_(database), audit_(audit), vault_(vault), clock_(clock) {}

ToolTask PgTaskStore::read(const storage::Row& row) const {
  ToolTask out;
  out.owner = {row.id<core::PlatformId>("platform_id"), row.id<core::EndUserId>("end_user_id"),
               row.id<core::KeyId>("key_id"), row.text("endpoint")};
  out.id = row.text("task_id");
  out.status = parse_task_status(row.text("status")).value_or(TaskStatus::Failed);
  out.message = row.text("message");
  out.call = call_of(vault_.open(sealed_in(out.owner, out.id, "call"), row.text("call")).reveal());
  if (!row.is_null("outcome")) {
    out.outcome_json = vault_.open(sealed_in(out.owner, out.id, "outcome"), row.text("outcome")).reveal();
  }
  out.due_at = row.optional_time("due_ms");
  out.approval = row.optional_id<core::ApprovalId>("approval_id");
  out.runner = row.text("runner");
  out.acting = row.boolean("acting");
  out.cancel_asked = row.boolean("cancel_asked");
  out.turns = static_cast<int>(row.integer("turns"));
  out.created_at = row.time("created_ms");
  out.updated_at = row.time("updated_ms");
  out.expires_at = row.time("expires_ms");
  return out;
}

std::optional<ToolTask> PgTaskStore::read_one(Transaction& tx, const TaskOwner& owner, const std::string& id,
                                              bool lock) const {
  const auto rows = tx.exec("select" + std::string(kTaskColumns) +
                                "from mcp_task t where t.platform_id = $1::uuid and t.task_id = $2 and "
                                "t.end_user_id = $3::uuid and t.key_id = $4::uuid and t.endpoint = $5 and "
                                "t.expires_at > assistiv_time($6::bigint)" +
                                (lock ? " for update" : ""),
                            {owner.platform.str(), id, owner.end_user.str(), owner.key.str(), owner.endpoint,
                             epoch_text(clock_.now())});
  if (rows.empty()) return {};
  return read(rows[0]);
}

// Inserts without `before`, else updates. What is sealed is sealed again only when it has changed.
void PgTaskStore::write(Transaction& tx, const ToolTask* before, ToolTask& task) const {
  if (task.approval && (before == nullptr || before->approval != task.approval))
    notice_decision(tx, task, clock_.now());
  Param call, outcome, due, approval;
  if (before == nullptr || before->call != task.call)
    call = vault_.seal(sealed_in(task.owner, task.id, "call"), core::Secret(call_text(task.call)));
  if (!task.outcome_json.empty() && (before == nullptr || before->outcome_json != task.outcome_json))
    outcome = vault_.seal(sealed_in(task.owner, task.id, "outcome"), core::Secret(task.outcome_json));
  if (task.due_at) due = epoch_text(*task.due_at);
  if (task.approval) approval = task.approval->str();
  std::vector<Param> params = {task.owner.platform.str(),
                               task.id,
                               std::string(task_status_name(task.status)),
                               task.message,
                               call,
                               outcome,
                               due,
                               approval,
                               task.runner,
                               flag(task.acting),
                               flag(task.cancel_asked),
                               epoch_text(task.updated_at)};
  if (before != nullptr) {
    tx.exec(
        "update mcp_task set status = $3, message = $4, call = coalesce($5, call), outcome = coalesce($6, "
        "outcome),"
        " due_at = assistiv_time($7::bigint), approval_id = $8::uuid, runner = $9, acting = $10::boolean,"
        " cancel_asked = $11::boolean, updated_at = assistiv_time($12::bigint)"
        " where platform_id = $1::uuid and task_id = $2",
        std::move(params));
    return;
  }
  params.insert(params.end(), {task.owner.end_user.str(), task.owner.key.str(), task.owner.endpoint,
                               epoch_text(task.created_at), epoch_text(task.expires_at)});
  tx.exec(
      "insert into mcp_task (platform_id, task_id, status, message, call, outcome, due_at, approval_id, "
      "runner,"
      " acting, cancel_asked, updated_at, end_user_id, key_id, endpoint, created_at, expires_at) values"
      " ($1::uuid, $2, $3, $4, $5, $6, assistiv_time($7::bigint), $8::uuid, $9, $10::boolean, $11::boolean,"
      " assistiv_time($12::bigint), $13::uuid, $14::uuid, $15, assistiv_time($16::bigint),"
      " assistiv_time($17::bigint))",
      std::move(params));
}

// At the end of the transaction that ends the task: the audit trail is locked until it commits.
void PgTaskStore::record_end(Transaction& tx, const ToolTask& before, const ToolTask& after) const {
  const auto entry = [&](std::string event, std::string subject, const core::Json& details) {
    storage::AuditEvent out;
    out.event = std::move(event);
    out.actor_kind = after.status == TaskStatus::Cancelled ? "end_user" : "system";
    out.end_user_id = after.owner.end_user;
    out.subject = std::move(subject);
    out.details_json = core::dump_json(details);
    out.request_id = before.call.request_id;  // what is over has forgotten it
    audit_.append(tx, after.owner.platform, out);
  };
  const auto platform = after.owner.platform;
  if (before.approval && !waited_for(tx, platform, *before.approval, after.id) &&
      ApprovalStore().withdraw(tx, platform, *before.approval, clock_.now())) {
    entry("approval.withdrawn", before.approval->str(), {{"tool", after.call.tool}, {"task_id", after.id}});
    tx.notify("approval", platform.str() + "/" + before.approval->str());
  }
  entry("task.ended", clip_text(after.call.tool, kSubjectBytesMax),
        {{"task_id", after.id}, {"status", task_status_name(after.status)}, {"turns", after.turns}});
}

core::Task<bool> PgTaskStore::create(ToolTask task, std::size_t open_max) {
  co_return co_await database_.run(
      Scope::tenant(task.owner.platform), [this, given = std::move(task), open_max](Transaction& tx) {
        ToolTask fresh = given;
        const std::string platform = fresh.owner.platform.str(), end_user = fresh.owner.end_user.str();
        // Until the end of the transaction nobody else counts or adds tasks of this end user.
        tx.exec("select pg_advisory_xact_lock(hashtextextended($1, 0))", {"mcp task " + platform + end_user});
        const auto open = tx.exec(
            "select count(*) as n from mcp_task where platform_id = $1::uuid and end_user_id = $2::uuid and "
            "status in ('working', 'input_required') and expires_at > assistiv_time($3::bigint)",
            {platform, end_user, epoch_text(clock_.now())});
        if (open[0].integer("n") >= static_cast<std::int64_t>(open_max)) return false;
        write(tx, nullptr, fresh);
        for (const auto& notice : notices_of(nullptr, fresh)) tx.notify(notice.topic, notice.payload);
        return true;
      });
}

core::Task<std::optional<ToolTask>> PgTaskStore::find(TaskOwner owner, std::string id) {
  co_return co_await database_.run(Scope::tenant(owner.platform), [this, owner, id](Transaction& tx) {
    return read_one(tx, owner, id, false);
  });
}

core::Task<std::optional<ToolTask>> PgTaskStore::change(TaskOwner owner, std::string id, TaskEdit edit) {
  co_return co_await database_.run(
      Scope::tenant(owner.platform),
      [this, owner, id, edit = std::move(edit)](Transaction& tx) -> std::optional<ToolTask> {
        auto before = read_one(tx, owner, id, true);
        if (!before) return {};
        ToolTask after = *before;
        if (!edit(after)) return before;
        write(tx, &*before, after);
        for (const auto& notice : notices_of(&*before, after)) tx.notify(notice.topic, notice.payload);
        if (after.over() && !before->over()) record_end(tx, *before, after);
        return after;
      });
}

core::Task<DueTasks> PgTaskStore::claim(std::string runner, core::Time lease_until, std::size_t max) {
  const std::string now = epoch_text(clock_.now());
  // System scope: the tasks of every platform.
  co_return co_await database_.run(Scope::system(), [=, this](Transaction& tx) {
    DueTasks out;
    const auto rows = tx.exec(
        "with due as (select platform_id, task_id, runner <> '' as orphaned from mcp_task where due_at <= "
        "assistiv_time($1::bigint) and expires_at > assistiv_time($1::bigint) order by due_at limit "
        "$4::bigint "
        "for update skip locked) update mcp_task t set runner = $2, due_at = assistiv_time($3::bigint), "
        "turns = "
        "t.turns + 1 from due where t.platform_id = due.platform_id and t.task_id = due.task_id returning "
        "due.orphaned," +
            std::string(kTaskColumns),
        {now, runner, epoch_text(lease_until), std::to_string(max)});
    for (const auto row : rows) {
      // One that no key opens any more must not keep the others from being run; it goes when its time is
      // over.
      try {
        out.tasks.push_back(read(row));
        out.tasks.back().orphaned = row.boolean("orphaned");
      } catch (const core::Error& e) {
        core::log::error("mcp.task_unreadable", {{"detail", e.detail()}});
      }
    }
    const auto next = tx.exec(
        "select assistiv_ms(min(due_at)) as due_ms from mcp_task where due_at is not null and expires_at > "
        "assistiv_time($1::bigint)",
        {now});
    out.next = next[0].optional_time("due_ms");
    return out;
  });
}

core::Task<std::size_t> PgTaskStore::sweep(std::size_t max) {
  const std::string now = epoch_text(clock_.now());
  // System scope: the tasks of every platform.
  co_return co_await database_.run(Scope::system(), [=](Transaction& tx) {
    return tx
        .exec(
            "delete from mcp_task where (platform_id, task_id) in (select platform_id, task_id from mcp_task "
            "where expires_at <= assistiv_time($1::bigint) order by expires_at limit $2::bigint for update "
            "skip "
            "locked)",
            {now, std::to_string(max)})
        .affected();
  });
}

void PgTaskStore::wake_waiting(Transaction& tx, core::PlatformId platform, core::ApprovalId approval,
                               core::Time now) {
  const auto rows = tx.exec(
      "update mcp_task set due_at = assistiv_time($3::bigint), approval_id = null where platform_id = "
      "$1::uuid "
      "and approval_id = $2::uuid returning task_id",
      {platform.str(), approval.str(), epoch_text(now)});
  if (!rows.empty()) tx.notify("mcp_task_due", rows[0].text("task_id"));
}

}  // namespace assistiv::mcp
