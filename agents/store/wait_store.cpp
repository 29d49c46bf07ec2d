#include "agents/store/wait_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "agents/store/run_rows.h"
#include "agents/store/thread_store.h"
#include "core/error.h"

namespace assistiv::agents {

namespace {

using core::Json;
using storage::Param;
using storage::Scope;
using storage::Transaction;

constexpr std::string_view kColumns = "select platform_id, thread_id, interrupt_id, run_id from agent_wait ";

struct Noted {
  std::string kind = "answer";
  std::string subject;
  std::optional<core::Time> expires_at;
};

Noted read_interrupt(const Json& value, const Run& run, core::Time now) {
  Noted out;
  if (run.max_wait) out.expires_at = now + *run.max_wait;
  if (!value.is_object()) return out;
  const auto text = [](const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (const auto at = core::parse_time(text(value, "expires_at")); at && text(value, "type") == "approval")
    out.expires_at = out.expires_at ? std::min(*out.expires_at, *at) : *at;
  if (text(value, "type") == "connection_required") out.kind = "connection";
  if (text(value, "type") == "approval_required" && value.contains("ask") && value["ask"].is_object()) {
    out.subject = text(value["ask"], "approval_id");
    if (!out.subject.empty()) out.kind = "approval";
  }
  return out;
}

bool is_open(const Json& interrupts, const std::string& id) {
  for (const auto& [task, list] : interrupts.items()) {
    for (const auto& one : list)
      if (one.value("id", std::string()) == id) return true;
  }
  return false;
}

}  // namespace

struct WaitStore::Due {
  core::PlatformId platform;
  ThreadId thread;
  RunId run;
  std::string interrupt;
};

WaitStore::WaitStore(storage::Database& database, const core::Clock& clock, core::Random& random,
                     QueueOptions queue, RunEndHook hook)
    : database_(database), clock_(clock), random_(random), queue_(queue), hook_(std::move(hook)) {}

void WaitStore::note(Transaction& tx, const EndedRun& ended) {
  const auto& run = ended.run;
  if (run.status != "interrupted" || ended.rolled_back) return;
  const auto thread = lock_thread(tx, {ended.platform, {}}, run.thread);
  if (!thread || !thread->interrupts.is_object() || thread->interrupts.empty()) return;
  tx.exec("delete from agent_wait where platform_id = $1::uuid and thread_id = $2::uuid",
          {ended.platform.str(), run.thread.str()});
  const auto now = run.ended_at.value_or(run.updated_at);
  for (const auto& [task, list] : thread->interrupts.items()) {
    for (const auto& one : list) {
      const auto noted = read_interrupt(one.value("value", Json()), run, now);
      if (noted.kind == "answer" && !noted.expires_at) continue;
      Param expires, user;
      if (noted.expires_at) expires = std::to_string(core::to_epoch_ms(*noted.expires_at));
      if (run.end_user) user = run.end_user->str();
      tx.exec(
          "insert into agent_wait (platform_id, thread_id, interrupt_id, run_id, end_user_id, kind, subject, "
          "expires_at) values ($1::uuid, $2::uuid, $3, $4::uuid, $5::uuid, $6, $7, "
          "assistiv_time($8::bigint)) on conflict do nothing",
          {ended.platform.str(), run.thread.str(), one.value("id", std::string()), run.id.str(), user,
           noted.kind, noted.subject, expires});
    }
  }
}

// Whether a run was made. What is not open any more is forgotten; a busy thread is left alone.
bool WaitStore::wake_one(Transaction& tx, const Due& due, const Json& answer) const {
  const auto thread = lock_thread(tx, {due.platform, {}}, due.thread);
  if (!thread || thread->status == "busy") return false;
  // Under the thread's lock: of several nodes that saw the row one goes on.
  const auto gone = tx.exec(
      "delete from agent_wait where platform_id = $1::uuid and thread_id = $2::uuid and interrupt_id = $3",
      {due.platform.str(), due.thread.str(), due.interrupt});
  if (gone.affected() == 0) return false;
  if (thread->status != "interrupted" || !is_open(thread->interrupts, due.interrupt)) return false;
  const auto rows = tx.exec(kSelectRun + " where r.platform_id = $1::uuid and r.run_id = $2::uuid",
                            {due.platform.str(), due.run.str()});
  if (rows.empty()) return false;
  const auto parked = read_run(rows[0]);
  NewRun input;
  input.thread = due.thread;
  input.agent = parked.agent;
  input.agent_version = parked.agent_version;
  input.assistant = parked.assistant;
  input.metadata = parked.metadata;
  input.kwargs = parked.kwargs;
  input.kwargs["input"] = nullptr;
  input.kwargs["checkpoint_id"] = "";
  input.kwargs["command"] = {{"resume", {{due.interrupt, answer}}}};
  input.key = parked.key;
  input.traceparent = parked.traceparent;
  input.max_wait = parked.max_wait;
  input.webhook = parked.webhook;
  create_run(tx, {due.platform, thread->end_user}, input, RunId::make(clock_, random_), queue_, hook_);
  return true;
}

std::size_t WaitStore::wake(Transaction& tx, const storage::Result& rows, const Json& answer) const {
  std::size_t woken = 0;
  for (const auto row : rows) {
    const Due due{row.id<core::PlatformId>("platform_id"), row.id<ThreadId>("thread_id"),
                  row.id<RunId>("run_id"), row.text("interrupt_id")};
    if (wake_one(tx, due, answer)) ++woken;
  }
  return woken;
}

core::Task<std::size_t> WaitStore::fire_expired(std::size_t max) {
  // System scope: the threads of every platform.
  co_return co_await database_.run(Scope::system(), [this, max](Transaction& tx) {
    return wake(
        tx,
        tx.exec(std::string(kColumns) + "where expires_at <= now() order by expires_at limit $1::bigint",
                {std::to_string(max)}),
        {{"__expired__", true}});
  });
}

core::Task<std::size_t> WaitStore::connection_changed(core::PlatformId platform, core::EndUserId user) {
  co_return co_await database_.run(Scope::tenant(platform), [this, platform, user](Transaction& tx) {
    return wake(tx,
                tx.exec(std::string(kColumns) +
                            "where platform_id = $1::uuid and end_user_id = $2::uuid and kind = 'connection'",
                        {platform.str(), user.str()}),
                {{"settled", true}});
  });
}

core::Task<std::size_t> WaitStore::approval_changed(core::PlatformId platform, std::string approval) {
  co_return co_await database_.run(Scope::tenant(platform), [this, platform, approval](Transaction& tx) {
    return wake(
        tx,
        tx.exec(std::string(kColumns) + "where platform_id = $1::uuid and subject = $2 and kind = 'approval'",
                {platform.str(), approval}),
        {{"settled", true}});
  });
}

}  // namespace assistiv::agents
