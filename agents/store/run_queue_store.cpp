// The queue of runs: the other half of run_store.h.
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/store/run_rows.h"
#include "agents/store/run_store.h"
#include "core/error.h"
#include "core/json_read.h"
#include "storage/text_array.h"

namespace assistiv::agents {

namespace {

using core::Json;
using storage::Param;
using storage::Scope;
using storage::TextArray;
using storage::Transaction;

std::string lease_ms(const QueueOptions& options) {
  return std::to_string(options.lease.count());
}

// Sorted, so that two transactions wait for each other in one order only.
constexpr std::string_view kClaim =
    "with due as materialized (select r.platform_id, r.run_id from agent_run r where r.status = 'pending' "
    "and r.due_at "
    "<= now() and not exists (select 1 from agent_run b where b.platform_id = r.platform_id and b.thread_id "
    "= "
    "r.thread_id and b.status in ('pending', 'running') and (b.status = 'running' or (b.due_at, b.run_id) < "
    "(r.due_at, "
    "r.run_id))) and r.platform_id <> all($4::uuid[]) and not exists (select 1 from agent_thread u where "
    "u.platform_id = r.platform_id and u.thread_id = r.thread_id and u.end_user_id = any($5::uuid[])) order "
    "by r.due_at, r.run_id limit $3::bigint for update of r skip locked) update agent_run "
    "c set "
    "status = 'running', owner = $1, epoch = c.epoch + 1, journal = 0, attempt = c.attempt + 1, lease_until "
    "= now() + "
    "$2::bigint * interval '1 millisecond', updated_at = now(), started_at = coalesce(c.started_at, now()), "
    "base_head_id = case when c.started_at is null then t.head_id else c.base_head_id end, base_interrupts = "
    "case when "
    "c.started_at is null then t.interrupts else c.base_interrupts end, base_seq = case when c.started_at is "
    "null then "
    "t.last_seq else c.base_seq end from due, agent_thread t where c.platform_id = due.platform_id and "
    "c.run_id = "
    "due.run_id and t.platform_id = c.platform_id and t.thread_id = c.thread_id returning c.run_id";

// Waits for no row: one that a long write holds must not cost the others their leases.
constexpr std::string_view kRenew =
    "with l as materialized (select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[]) as "
    "l(platform, run, owner, epoch)), mine as materialized (select r.platform_id, r.run_id from l join "
    "agent_run r on r.platform_id = l.platform and r.run_id = l.run where r.status = 'running' and r.owner = "
    "l.owner and r.epoch = l.epoch order by r.platform_id, r.run_id for no key update of r skip locked), "
    "done "
    "as (update agent_run r set lease_until = now() + $5::bigint * interval '1 millisecond' from mine where "
    "r.platform_id = mine.platform_id and r.run_id = mine.run_id returning r.run_id) select r.run_id, "
    "r.cancel_action, d.run_id is not null as renewed from l join agent_run r on r.platform_id = l.platform "
    "and r.run_id = l.run and r.status = 'running' and r.owner = l.owner and r.epoch = l.epoch left join "
    "done "
    "d on d.run_id = r.run_id";

// The run is over, and its thread has the status that follows.
constexpr std::string_view kEndRuns =
    "with e as materialized (select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], "
    "$5::boolean[]) as e(platform, run, status, error, add_event)), after as (update agent_thread t set "
    "last_seq = t.last_seq + case when e.add_event then 1 else 0 end, updated_at = now(), error = e.error, "
    "expires_at = case when t.is_temporary then now() + case when r.keep_thread then interval '7 days' else "
    "interval '10 minutes' end else now() + make_interval(mins => t.ttl_minutes) end, status = case when "
    "exists (select 1 from agent_run o where o.platform_id = t.platform_id and o.thread_id = t.thread_id and "
    "o.run_id <> e.run and o.status in ('pending', 'running')) then 'busy' when t.interrupts <> '{}' and "
    "(e.status not in ('error', 'timeout') or (t.interrupts = r.base_interrupts and not exists (select 1 "
    "from "
    "agent_task a where a.platform_id = t.platform_id and a.thread_id = t.thread_id and a.checkpoint_id = "
    "t.head_id and a.fact = 'answer' and position(a.fact_key in t.interrupts) > 0))) then 'interrupted' when "
    "e.status in ('error', 'timeout') then 'error' else 'idle' end from e join "
    "agent_run r on r.platform_id = e.platform and r.run_id = e.run where t.platform_id = r.platform_id and "
    "t.thread_id = r.thread_id returning t.platform_id, t.thread_id, t.last_seq, t.end_user_id, e.run, "
    "e.add_event, t.status = 'busy' as next_waits, r.started_at is not null as has_begun, r.webhook is not "
    "null as has_webhook, coalesce(r.cancel_action = 'rollback', false) as rolls_back, r.max_wait_ms, "
    "r.woken_by, assistiv_ms(now()) as ended_ms, case when e.status = "
    "'interrupted' then t.interrupts end as interrupts), ended as (update agent_run r set status = e.status, "
    "error = e.error, owner = '', lease_until = null, epoch = r.epoch + 1, updated_at = now(), ended_at = "
    "now() from e where r.platform_id = e.platform and r.run_id = e.run) select * from after";

struct EndingArrays {
  TextArray platform, run, status, error, add_event;
};

EndingArrays arrays_of(const std::vector<RunEnding>& endings) {
  EndingArrays out;
  for (const auto& one : endings) {
    out.platform.add(one.platform.str());
    out.run.add(one.run.str());
    out.status.add(one.status);
    if (one.error.is_null()) {
      out.error.add_null();
    } else {
      out.error.add(core::dump_json(one.error));
    }
    out.add_event.add(one.append_event ? "true" : "false");
  }
  return out;
}

void add_end_event(Transaction& tx, const storage::Row& row, const RunEnding& ending) {
  tx.exec(
      "insert into agent_event (platform_id, thread_id, seq, run_id, method, data) values ($1::uuid, "
      "$2::uuid, "
      "$3::bigint, $4::uuid, 'end', $5)",
      {row.text("platform_id"), row.text("thread_id"), row.text("last_seq"), ending.run.str(),
       end_event_body(ending.run, ending.status, ending.error)});
}

std::optional<Run> run_of(Transaction& tx, core::PlatformId platform, RunId id) {
  const auto rows = tx.exec(kSelectRun + " where r.platform_id = $1::uuid and r.run_id = $2::uuid",
                            {platform.str(), id.str()});
  if (rows.empty()) return {};
  return read_run(rows[0]);
}

// A rollback that was asked for while the run came to its own end is done all the same.
EndedRun read_ended(const storage::Row& row, const RunEnding& ending) {
  EndedRun out;
  out.platform = ending.platform;
  out.run = ending.run;
  out.thread = row.id<ThreadId>("thread_id");
  out.end_user = row.optional_id<core::EndUserId>("end_user_id");
  out.status = ending.status;
  out.has_begun = row.boolean("has_begun");
  out.has_webhook = row.boolean("has_webhook");
  out.rolled_back = ending.rolls_back || row.boolean("rolls_back");
  out.ended_at = row.time("ended_ms");
  if (!row.is_null("max_wait_ms")) out.max_wait = std::chrono::milliseconds(row.integer("max_wait_ms"));
  out.woken_by = core::parse_json(row.text("woken_by"));
  if (!row.is_null("interrupts")) out.interrupts = core::parse_json(row.text("interrupts"), 512);
  return out;
}

// Deletes the run and its checkpoints; the thread goes back to where it was before.
void roll_back(Transaction& tx, const EndedRun& ended) {
  const ThreadKey key{ended.platform, ended.thread};
  const auto base = tx.exec(
      "delete from agent_run where platform_id = $1::uuid and run_id = $2::uuid returning "
      "base_head_id, base_interrupts, started_at is not null as has_started",
      {ended.platform.str(), ended.run.str()});
  if (base.empty() || !base[0].boolean("has_started")) return;
  CheckpointStore::remove_of_run(tx, key, ended.run);
  const auto head = base[0].optional_id<CheckpointId>("base_head_id");
  const auto stored = head ? CheckpointStore::load(tx, key, "", head) : std::nullopt;
  Param id, values;
  if (stored) {
    id = stored->checkpoint.id;
    values = core::dump_json(pregel::to_json(stored->checkpoint.values));
  }
  tx.exec(
      "update agent_thread set head_id = $3::uuid, state_values = $4, interrupts = coalesce($5, '{}'), "
      "status = case "
      "when status = 'busy' then status when coalesce($5, '{}') = '{}' then 'idle' else 'interrupted' end, "
      "error = null, state_updated_at = now() where platform_id = $1::uuid and thread_id = $2::uuid",
      {ended.platform.str(), ended.thread.str(), id, values, base[0].optional_text("base_interrupts")});
}

// The run, locked after its thread, if the lease still holds.
std::optional<Run> hold(Transaction& tx, const RunLease& lease) {
  if (!lock_thread_row(tx, lease.platform, lease.thread)) return {};
  const auto rows = tx.exec(
      "select 1 from agent_run where platform_id = $1::uuid and run_id = $2::uuid and status = "
      "'running' and owner = $3 and epoch = $4::bigint for no key update",
      {lease.platform.str(), lease.run.str(), lease.owner, std::to_string(lease.epoch)});
  if (rows.empty()) return {};
  return run_of(tx, lease.platform, lease.run);
}

void queue_again(Transaction& tx, core::PlatformId platform, RunId run, bool give_attempt_back) {
  tx.exec(
      "update agent_run set status = 'pending', owner = '', lease_until = null, epoch = epoch + 1, attempt = "
      "attempt - $3::integer, updated_at = now() where platform_id = $1::uuid and run_id = $2::uuid",
      {platform.str(), run.str(), give_attempt_back ? "1" : "0"});
}

// What the run has recorded: steps, and calls. Taking it up again records none by itself.
std::int64_t progress_of(const Run& run) {
  const auto totals = totals_of(run.usage.is_object() ? run.usage : Json::object());
  return totals.supersteps + totals.llm_calls + totals.tool_calls;
}

// Notes that the run was lost. How often in a row it was without having got on.
int count_loss(Transaction& tx, core::PlatformId platform, const Run& run) {
  return static_cast<int>(
      tx.exec("update agent_run set losses = case when progress < $3::bigint then 0 else losses + 1 end, "
              "progress = $3::bigint where platform_id = $1::uuid and run_id = $2::uuid returning losses",
              {platform.str(), run.id.str(), std::to_string(progress_of(run))})[0]
          .integer("losses"));
}

void end_cancelled(Transaction& tx, core::PlatformId platform, const Run& run, const RunEndHook& hook) {
  end_runs(tx, {{platform, run.id, "interrupted", nullptr}}, hook);
}

Json exhausted(int losses) {
  return {{"error", "attempts_exhausted"},
          {"message", "The run was lost " + std::to_string(losses) + " times without getting on."}};
}

}  // namespace

std::string end_event_body(RunId run, const std::string& status, const Json& error) {
  Json body = {{"run_id", run.str()}, {"status", status}};
  if (!error.is_null()) body["error"] = error;
  return core::dump_json(body);
}

EndedRuns end_runs(Transaction& tx, const std::vector<RunEnding>& endings, const RunEndHook& hook) {
  EndedRuns out;
  if (endings.empty()) return out;
  auto ends = arrays_of(endings);
  for (const auto row : tx.exec(kEndRuns, {ends.platform.take(), ends.run.take(), ends.status.take(),
                                           ends.error.take(), ends.add_event.take()})) {
    out.next_waits = out.next_waits || row.boolean("next_waits");
    const auto run = row.id<RunId>("run");
    for (const auto& ending : endings) {
      if (ending.run != run) continue;
      if (row.boolean("add_event")) add_end_event(tx, row, ending);
      const auto ended = read_ended(row, ending);
      if (hook) hook(tx, ended);
      if (!ended.rolled_back) continue;
      roll_back(tx, ended);
      out.rolled_back.push_back(run);
    }
  }
  return out;
}

Run ended_run(Transaction& tx, const EndedRun& ended) {
  auto run = run_of(tx, ended.platform, ended.run);
  if (!run) throw core::internal("the run that ended is gone");
  return std::move(*run);
}

core::Task<std::vector<ClaimedRun>> RunStore::claim(std::string owner, std::size_t max, ClaimExcept except) {
  const auto asked_at = std::chrono::steady_clock::now();
  // System scope: the runs of every platform.
  co_return co_await database_.run(Scope::system(), [=, this](Transaction& tx) {
    std::vector<ClaimedRun> out;
    TextArray platforms, end_users;
    for (const auto& one : except.platforms) platforms.add(one.str());
    for (const auto& one : except.end_users) end_users.add(one.str());
    const auto taken =
        tx.exec(kClaim, {owner, lease_ms(options_), std::to_string(max), platforms.take(), end_users.take()});
    if (taken.empty()) return out;
    TextArray ids;
    for (const auto row : taken) ids.add(row.text("run_id"));
    for (const auto row :
         tx.exec(kSelectRun + " where r.run_id = any($1::uuid[]) and r.owner = $2 and r.status = "
                              "'running' order by r.due_at, r.run_id",
                 {ids.take(), owner}))
      out.push_back({read_lease(row, asked_at), read_run(row)});
    return out;
  });
}

std::vector<RenewedRun> RunStore::renew(const std::vector<RunLease>& leases) {
  std::vector<RenewedRun> out;
  if (leases.empty()) return out;
  // System scope: an owner runs the runs of every platform.
  database_.execute(Scope::system(), [&](Transaction& tx) {
    out.clear();
    TextArray platform, run, owner, epoch;
    for (const auto& lease : leases) {
      platform.add(lease.platform.str());
      run.add(lease.run.str());
      owner.add(lease.owner);
      epoch.add(std::to_string(lease.epoch));
    }
    for (const auto row :
         tx.exec(kRenew, {platform.take(), run.take(), owner.take(), epoch.take(), lease_ms(options_)}))
      out.push_back({row.id<RunId>("run_id"), row.optional_text("cancel_action"), row.boolean("renewed")});
  });
  return out;
}

core::Task<bool> RunStore::hand_over(RunLease lease) {
  const bool held = co_await database_.run(Scope::tenant(lease.platform), [=, this](Transaction& tx) {
    const auto run = hold(tx, lease);
    if (!run) return false;
    if (run->cancel_action) {
      end_cancelled(tx, lease.platform, *run, hook_);
    } else {
      queue_again(tx, lease.platform, lease.run, true);
    }
    return true;
  });
  if (held) signal({{lease.platform, lease.thread}}, true);
  co_return held;
}

core::Task<bool> RunStore::finish_cancel(RunLease lease) {
  const bool held = co_await database_.run(Scope::tenant(lease.platform), [=, this](Transaction& tx) {
    const auto run = hold(tx, lease);
    if (!run || !run->cancel_action) return false;
    end_cancelled(tx, lease.platform, *run, hook_);
    return true;
  });
  if (held) signal({{lease.platform, lease.thread}}, true);
  co_return held;
}

core::Task<ReapedRuns> RunStore::reap(std::size_t max) {
  std::vector<ThreadKey> changed;
  // System scope: the runs of every platform.
  auto out = co_await database_.run(Scope::system(), [=, this, &changed](Transaction& tx) {
    changed.clear();
    ReapedRuns done;
    // Both rows at once and without waiting: whoever holds one of them is alive.
    const auto stale = tx.exec(
        "select r.platform_id, r.run_id from agent_run r join agent_thread t on t.platform_id = "
        "r.platform_id and "
        "t.thread_id = r.thread_id where r.status = 'running' and r.lease_until < now() order by "
        "r.lease_until limit "
        "$1::bigint for no key update of t, r skip locked",
        {std::to_string(max)});
    for (const auto row : stale) {
      const auto platform = row.id<core::PlatformId>("platform_id");
      const auto run = run_of(tx, platform, row.id<RunId>("run_id"));
      if (!run) continue;
      changed.push_back({platform, run->thread});
      if (run->cancel_action) {
        end_cancelled(tx, platform, *run, hook_);
        ++done.cancelled;
      } else if (const int losses = count_loss(tx, platform, *run); losses >= options_.attempts_max) {
        end_runs(tx, {{platform, run->id, "error", exhausted(losses)}}, hook_);
        ++done.exhausted;
      } else {
        queue_again(tx, platform, run->id, false);
        ++done.queued_again;
      }
    }
    return done;
  });
  signal(changed, !changed.empty());
  co_return out;
}

core::Task<std::optional<core::Time>> RunStore::next_due() {
  // System scope: the runs of every platform.
  co_return co_await database_.run(Scope::system(), [](Transaction& tx) {
    return tx.exec("select assistiv_ms(min(due_at)) as due_ms from agent_run where status = 'pending'")[0]
        .optional_time("due_ms");
  });
}

}  // namespace assistiv::agents
