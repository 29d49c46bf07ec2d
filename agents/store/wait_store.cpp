#include "agents/store/wait_store.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "agents/store/run_rows.h"
#include "agents/store/thread_store.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "mcp/grants/approval_store.h"
#include "oauth/connect/connection_store.h"
#include "storage/text_array.h"

namespace assistiv::agents {

namespace {

using core::Json;
using storage::Param;
using storage::Scope;
using storage::TextArray;
using storage::Transaction;

constexpr std::string_view kColumns =
    "select w.platform_id, w.thread_id, w.interrupt_id, w.run_id, w.end_user_id, w.kind, w.subject, w.seen, "
    "w.checked from agent_wait w ";
// A run that is queued for later leaves the thread to what settles its questions.
constexpr std::string_view kRunIsDue =
    "(r.status = 'running' or (r.status = 'pending' and r.due_at <= clock_timestamp()))";
const std::string kIsFree =
    "not exists (select 1 from agent_run r where r.platform_id = w.platform_id and r.thread_id = w.thread_id "
    "and " +
    std::string(kRunIsDue) + ") ";
constexpr int kAccountsMax = 100;  // of one app and end user that are looked at

struct Noted {
  std::string kind = "answer";
  std::string subject;
  std::optional<core::Time> expires_at;
};

Noted read_interrupt(const Json& value, const EndedRun& run) {
  Noted out;
  if (run.max_wait) out.expires_at = run.ended_at + *run.max_wait;
  if (!value.is_object()) return out;
  const auto text = [](const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto type = text(value, "type");
  if (const auto at = core::parse_time(text(value, "expires_at")); at && type == "approval")
    out.expires_at = out.expires_at ? std::min(*out.expires_at, *at) : *at;
  if (!value.contains("ask") || !value["ask"].is_object()) return out;
  const bool connects = type == "connection_required";
  if (!connects && type != "approval_required") return out;
  out.subject = text(value["ask"], connects ? "app" : "approval_id");
  if (!out.subject.empty()) out.kind = connects ? "connection" : "approval";
  return out;
}

// Of a thread that this transaction has locked.
bool has_due_run(Transaction& tx, core::PlatformId platform, ThreadId thread) {
  return !tx.exec("select 1 from agent_run r where r.platform_id = $1::uuid and r.thread_id = $2::uuid and " +
                      std::string(kRunIsDue) + " limit 1",
                  {platform.str(), thread.str()})
              .empty();
}

// A question whose answer made its node fail is open again, but nothing settles it by itself (decision 86).
bool has_answer(Transaction& tx, core::PlatformId platform, const Thread& thread, const std::string& id) {
  return thread.head &&
         !tx.exec(
                "select 1 from agent_task where platform_id = $1::uuid and thread_id = $2::uuid and "
                "checkpoint_id = $3::uuid and fact = 'answer' and fact_key = $4",
                {platform.str(), thread.id.str(), thread.head->str(), id})
              .empty();
}

bool is_open(const Json& interrupts, const std::string& id) {
  for (const auto& [task, list] : interrupts.items()) {
    for (const auto& one : list)
      if (one.value("id", std::string()) == id) return true;
  }
  return false;
}

}  // namespace

struct WaitStore::Wait {
  core::PlatformId platform;
  ThreadId thread;
  RunId run;
  std::string interrupt;
  std::optional<core::EndUserId> end_user;
  std::string kind, subject, seen;
  bool checked = false;

  std::vector<Param> key() const { return {platform.str(), thread.str(), interrupt, run.str()}; }
};

namespace {

constexpr std::string_view kThisWait =
    " where platform_id = $1::uuid and thread_id = $2::uuid and interrupt_id = $3 and run_id = $4::uuid";

void set_checked(Transaction& tx, const std::vector<Param>& wait, bool checked) {
  tx.exec(
      "update agent_wait set checked = " + std::string(checked ? "true" : "false") + std::string(kThisWait),
      wait);
}

}  // namespace

WaitStore::WaitStore(storage::Database& database, const core::Clock& clock, core::Random& random,
                     QueueOptions queue, RunEndHook hook)
    : database_(database), clock_(clock), random_(random), queue_(queue), hook_(std::move(hook)) {}

bool WaitStore::has_settled_by_others(const Json& interrupts) {
  if (!interrupts.is_object()) return false;
  for (const auto& [task, list] : interrupts.items()) {
    for (const auto& one : list)
      if (read_interrupt(one.value("value", Json()), {}).kind != "answer") return true;
  }
  return false;
}

void WaitStore::note(Transaction& tx, const EndedRun& ended) {
  // One that never began has left the thread as it was.
  if (!ended.has_begun || ended.rolled_back || !ended.interrupts.is_object() || ended.interrupts.empty())
    return;
  TextArray ids, kinds, subjects, expiries, seen;
  for (const auto& [task, list] : ended.interrupts.items()) {
    for (const auto& one : list) {
      const auto noted = read_interrupt(one.value("value", Json()), ended);
      if (noted.kind == "answer" && !noted.expires_at) continue;
      ids.add(one.value("id", std::string()));
      kinds.add(noted.kind);
      subjects.add(noted.subject);
      seen.add(noted.kind == "connection" ? ended.woken_by.value(noted.subject, std::string()) : "");
      if (noted.expires_at) {
        expiries.add(std::to_string(core::to_epoch_ms(*noted.expires_at)));
      } else {
        expiries.add_null();
      }
    }
  }
  Param user;
  if (ended.end_user) user = ended.end_user->str();
  tx.exec(
      "with noted as materialized (select distinct on (id) * from unnest($5::text[], $6::text[], $7::text[], "
      "$8::bigint[], $9::text[]) as n(id, kind, subject, expires, seen)), gone as (delete from agent_wait "
      "where platform_id = $1::uuid and thread_id = $2::uuid and interrupt_id not in (select id from noted)) "
      "insert into agent_wait (platform_id, thread_id, interrupt_id, run_id, end_user_id, kind, subject, "
      "expires_at, seen) select $1::uuid, $2::uuid, id, $3::uuid, $4::uuid, kind, subject, "
      "assistiv_time(expires), seen from noted on conflict (platform_id, thread_id, interrupt_id) do update "
      "set run_id = excluded.run_id, kind = excluded.kind, subject = excluded.subject, expires_at = "
      "excluded.expires_at, seen = excluded.seen, checked = false",
      {ended.platform.str(), ended.thread.str(), ended.run.str(), user, ids.take(), kinds.take(),
       subjects.take(), expiries.take(), seen.take()});
}

// So that of several nodes that saw the row one goes on. Whether it was still there. Its deadline outlives
// what settles it: the run that goes on may be cancelled before it has begun, and the question is open then.
bool WaitStore::take(Transaction& tx, const Wait& wait, bool keeps_deadline) {
  if (!keeps_deadline)
    return tx.exec("delete from agent_wait" + std::string(kThisWait), wait.key()).affected() > 0;
  const auto kept = tx.exec("update agent_wait set kind = 'answer', subject = '', checked = true" +
                                std::string(kThisWait) + " and kind <> 'answer' and expires_at is not null",
                            wait.key());
  if (kept.affected() > 0) return true;
  return tx.exec("delete from agent_wait" + std::string(kThisWait) + " and expires_at is null", wait.key())
             .affected() > 0;
}

// A busy thread is left alone: the row stays, and is looked at again. What is not open any more is forgotten.
// That a run has failed since the question was asked says nothing about the question.
WaitStore::Woken WaitStore::wake(Transaction& tx, const Wait& wait, const Json& answer,
                                 const Json& woken_by) const {
  const auto thread = lock_thread(tx, {wait.platform, {}}, wait.thread);
  if (!thread) return Woken::Gone;
  if (has_due_run(tx, wait.platform, wait.thread)) return Woken::Busy;
  const bool asks =
      is_open(thread->interrupts, wait.interrupt) && !has_answer(tx, wait.platform, *thread, wait.interrupt);
  if (!take(tx, wait, asks && !answer.contains("__expired__")) || !asks) return Woken::Gone;
  const auto rows = tx.exec(kSelectRun + " where r.platform_id = $1::uuid and r.run_id = $2::uuid",
                            {wait.platform.str(), wait.run.str()});
  if (rows.empty()) return Woken::Gone;
  const auto parked = read_run(rows[0]);
  NewRun input;
  input.thread = wait.thread;
  input.agent = parked.agent;
  input.agent_version = parked.agent_version;
  input.assistant = parked.assistant;
  input.metadata = parked.metadata;
  input.kwargs = parked.kwargs;
  input.kwargs["input"] = nullptr;
  input.kwargs["checkpoint_id"] = "";
  input.kwargs["command"] = {{"resume", {{wait.interrupt, answer}}}};
  input.key = parked.key;
  input.traceparent = parked.traceparent;
  input.max_wait = parked.max_wait;
  input.webhook = parked.webhook;
  input.woken_by = parked.woken_by;
  input.woken_by.update(woken_by);
  create_run(tx, {wait.platform, thread->end_user}, input, RunId::make(clock_, random_), queue_, hook_);
  return Woken::Yes;
}

std::vector<WaitStore::Wait> WaitStore::read(const storage::Result& rows) {
  std::vector<Wait> out;
  for (const auto row : rows) {
    Wait one{row.id<core::PlatformId>("platform_id"),
             row.id<ThreadId>("thread_id"),
             row.id<RunId>("run_id"),
             row.text("interrupt_id"),
             row.optional_id<core::EndUserId>("end_user_id"),
             row.text("kind"),
             row.text("subject"),
             row.text("seen"),
             row.boolean("checked")};
    out.push_back(std::move(one));
  }
  return out;
}

bool WaitStore::expire(Transaction& tx, const Wait& wait) const {
  return wake(tx, wait, {{"__expired__", true}}, Json::object()) == Woken::Yes;
}

bool WaitStore::settle(Transaction& tx, const Wait& wait) const {
  bool settled = false;
  Json woken_by = Json::object();
  if (wait.kind == "approval") {
    const auto id = core::ApprovalId::parse(wait.subject);
    const auto found = id ? mcp::ApprovalStore().get(tx, wait.platform, *id, clock_.now()) : std::nullopt;
    settled = !found || found->approval.status != mcp::ApprovalStatus::Pending;
  } else if (wait.end_user) {
    oauth::ConnectionFilter filter{wait.end_user, {}, oauth::ConnectionStatus::Active};
    if (!wait.subject.empty()) filter.app = wait.subject;
    std::string state;
    for (const auto& one :
         oauth::ConnectionStore(clock_, random_).list(tx, wait.platform, filter, {1, kAccountsMax}).items)
      state += one.id.str() + "@" + std::to_string(core::to_epoch_ms(one.updated_at)) + " ";
    settled = !state.empty() && state != wait.seen;
    woken_by[wait.subject] = std::move(state);
  }
  const auto woken = settled ? wake(tx, wait, {{"settled", true}}, woken_by) : Woken::Gone;
  // Whatever is settled from now on has its own notice.
  if (!settled && !wait.checked) set_checked(tx, wait.key(), true);
  if (woken == Woken::Busy && wait.checked) set_checked(tx, wait.key(), false);
  return woken == Woken::Yes;
}

// A transaction for each: threads are locked one at a time, and one that cannot go on keeps no other from it.
core::Task<std::size_t> WaitStore::for_each(Scope scope, Select select, Act act) {
  const auto waits = co_await database_.run(scope, [select](Transaction& tx) { return read(select(tx)); });
  std::size_t woken = 0;
  for (const auto& wait : waits) {
    try {
      const bool one =
          co_await database_.run(Scope::tenant(wait.platform),
                                 [this, wait, act](Transaction& tx) { return (this->*act)(tx, wait); });
      if (one) ++woken;
    } catch (const core::Error& e) {
      if (e.kind() == core::ErrorKind::Unavailable) throw;
      core::log::warn("agents.wait_not_ended",
                      {{"thread_id", wait.thread.str()}, {"error", e.message()}, {"detail", e.detail()}});
    } catch (const std::exception& e) {
      core::log::error("agents.wait_not_ended", {{"thread_id", wait.thread.str()}, {"detail", e.what()}});
    }
  }
  co_return woken;
}

core::Task<std::size_t> WaitStore::fire_expired(std::size_t max) {
  // System scope: the threads of every platform.
  const auto select = [max](Transaction& tx) {
    return tx.exec(std::string(kColumns) + "where w.expires_at <= now() and " + kIsFree +
                       "order by w.expires_at limit $1::bigint",
                   {std::to_string(max)});
  };
  co_return co_await for_each(Scope::system(), select, &WaitStore::expire);
}

core::Task<std::size_t> WaitStore::connection_changed(core::PlatformId platform, core::EndUserId user) {
  const auto select = [platform, user](Transaction& tx) {
    return tx.exec(
        std::string(kColumns) +
            "where w.platform_id = $1::uuid and w.end_user_id = $2::uuid and w.kind = 'connection'",
        {platform.str(), user.str()});
  };
  return for_each(Scope::tenant(platform), select, &WaitStore::settle);
}

core::Task<std::size_t> WaitStore::approval_changed(core::PlatformId platform, std::string approval) {
  const auto select = [platform, approval](Transaction& tx) {
    return tx.exec(
        std::string(kColumns) + "where w.platform_id = $1::uuid and w.subject = $2 and w.kind = 'approval'",
        {platform.str(), approval});
  };
  return for_each(Scope::tenant(platform), select, &WaitStore::settle);
}

core::Task<std::size_t> WaitStore::check_noted(std::size_t max) {
  // System scope: the threads of every platform.
  const auto select = [max](Transaction& tx) {
    return tx.exec(std::string(kColumns) + "where not w.checked and w.kind <> 'answer' and " + kIsFree +
                       "limit $1::bigint",
                   {std::to_string(max)});
  };
  return for_each(Scope::system(), select, &WaitStore::settle);
}

core::Task<> WaitStore::forget_checks() {
  // System scope: the threads of every platform.
  co_await database_.run(Scope::system(), [](Transaction& tx) {
    tx.exec("update agent_wait set checked = false where checked and kind <> 'answer'");
  });
}

}  // namespace assistiv::agents
