#include "agents/store/run_store.h"

#include <exception>
#include <utility>

#include "agents/store/outage.h"
#include "agents/store/reply_page_store.h"
#include "agents/store/run_rows.h"
#include "agents/store/thread_store.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace {

using core::Json;
using storage::Param;
using storage::Scope;
using storage::Transaction;

std::vector<Param> run_reach(const Reach& reach) {
  Param end_user;
  if (reach.end_user) end_user = reach.end_user->str();
  return {reach.platform.str(), std::move(end_user)};
}

constexpr std::string_view kRunsOfThreads =
    " from agent_run r join agent_thread t on t.platform_id = r.platform_id and t.thread_id = r.thread_id";
constexpr const char* kRunBytes =
    "octet_length(s.metadata::text) + octet_length(s.kwargs) + octet_length(s.usage) + "
    "octet_length(s.woken_by) + coalesce(octet_length(s.error), 0)";

constexpr std::string_view kRunReached =
    " where r.platform_id = $1::uuid and ($2::uuid is null or t.end_user_id = $2::uuid) ";

const std::string kRunColumns =
    " r.platform_id, r.run_id, r.thread_id, t.is_temporary, t.end_user_id, r.agent_id, r.agent_version, "
    "r.assistant_id, r.status, r.metadata, r.kwargs, r.multitask_strategy, r.attempt, r.cancel_action, "
    "r.webhook, r.key_id, r.traceparent, r.max_wait_ms, r.woken_by, r.usage, r.error, r.base_seq, "
    "r.base_head_id, r.owner, r.epoch, assistiv_ms(r.due_at) as due_ms, assistiv_ms(r.created_at) as "
    "created_ms, assistiv_ms(r.updated_at) as updated_ms, assistiv_ms(r.started_at) as started_ms, "
    "assistiv_ms(r.ended_at) as ended_ms ";

std::optional<Run> find_run(Transaction& tx, const Reach& reach, RunId id) {
  auto params = run_reach(reach);
  params.emplace_back(id.str());
  const auto rows =
      tx.exec(kSelectRun + std::string(kRunReached) + "and r.run_id = $3::uuid", std::move(params));
  if (rows.empty()) return {};
  return read_run(rows[0]);
}

[[noreturn]] void no_such_run() {
  throw core::not_found("There is no such run.");
}

// A run of the thread that this transaction has locked, as it is now.
Run locked_run(Transaction& tx, core::PlatformId platform, RunId id) {
  tx.exec("select 1 from agent_run where platform_id = $1::uuid and run_id = $2::uuid for no key update",
          {platform.str(), id.str()});
  auto run = find_run(tx, {platform, {}}, id);
  if (!run) no_such_run();
  return std::move(*run);
}

// Of a thread that this transaction has locked.
void cancel_locked(Transaction& tx, core::PlatformId platform, const Run& run, CancelAction action,
                   const RunEndHook& hook) {
  if (run.is_over()) return;
  if (run.status == "running") {
    // The stronger wish stays.
    tx.exec(
        "update agent_run set cancel_action = case when cancel_action = 'rollback' then cancel_action else "
        "$3 end, "
        "updated_at = now() where platform_id = $1::uuid and run_id = $2::uuid",
        {platform.str(), run.id.str(), action == CancelAction::Rollback ? "rollback" : "interrupt"});
    tx.notify("agent_cancel", run.id.str());
    return;
  }
  const bool rolls_back = action == CancelAction::Rollback;
  end_runs(tx, {{platform, run.id, "interrupted", nullptr, true, rolls_back}}, hook);
}

std::string stored_key(const Reach& reach, const std::string& key) {
  return (reach.end_user ? reach.end_user->str() : std::string("platform")) + " " + key;
}

// The first run of the key; until the end of the transaction nobody else makes one with it.
std::optional<Run> first_run(Transaction& tx, const Reach& reach, const NewRun& input) {
  const auto key = stored_key(reach, *input.idempotency_key);
  tx.exec("select pg_advisory_xact_lock(hashtextextended($1, 0))",
          {"agent run " + reach.platform.str() + key});
  const auto rows = tx.exec(
      "select run_id, fingerprint from agent_run where platform_id = $1::uuid and "
      "idempotency_key = $2",
      {reach.platform.str(), key});
  if (rows.empty()) return {};
  if (rows[0].text("fingerprint") != input.fingerprint)
    throw core::conflict("This Idempotency-Key was used for another request.")
        .with_code("idempotency_key_reused");
  return find_run(tx, reach, rows[0].id<RunId>("run_id"));
}

bool lock_reached_thread(Transaction& tx, const Reach& reach, ThreadId thread) {
  auto params = run_reach(reach);
  params.emplace_back(thread.str());
  return !tx.exec(
                "select 1 from agent_thread t where t.platform_id = $1::uuid and ($2::uuid is null or "
                "t.end_user_id = $2::uuid) and t.thread_id = $3::uuid for no key update",
                std::move(params))
              .empty();
}

// What the strategy says about the runs that are on the thread. Whether none is left before the new one.
bool make_room(Transaction& tx, const Reach& reach, const NewRun& input, ThreadId thread,
               const RunEndHook& hook) {
  const auto open = tx.exec(
      "select run_id, status from agent_run where platform_id = $1::uuid and thread_id = "
      "$2::uuid and status in ('pending', 'running') order by due_at, run_id",
      {reach.platform.str(), thread.str()});
  if (open.empty()) return true;
  if (input.multitask_strategy == "reject")
    throw core::conflict("A run is on this thread already.").with_code("thread_busy");
  if (input.multitask_strategy == "enqueue") return false;
  const auto action =
      input.multitask_strategy == "rollback" ? CancelAction::Rollback : CancelAction::Interrupt;
  bool free = true;
  for (const auto row : open) {
    const auto run = locked_run(tx, reach.platform, row.id<RunId>("run_id"));
    if (run.status == "running") free = false;
    cancel_locked(tx, reach.platform, run, action, hook);
  }
  return free;
}

// Its thread in the same statement: a new one, or the one that this transaction has locked.
constexpr std::string_view kNewThread =
    "with thread as (insert into agent_thread (platform_id, thread_id, end_user_id, is_temporary, status, "
    "metadata) values ($1::uuid, $2::uuid, $24::uuid, $25::boolean, 'busy', assistiv_jsonb($21)) on conflict "
    "do nothing returning *), ";
constexpr std::string_view kLockedThread =
    "with thread as (update agent_thread set status = 'busy', updated_at = now(), metadata = case when $21 = "
    "'{}' then metadata else metadata || assistiv_jsonb($21) end where platform_id = $1::uuid and thread_id "
    "= $2::uuid returning *), ";
constexpr std::string_view kNewRun =
    "made as (insert into agent_run (platform_id, thread_id, run_id, agent_id, agent_version, assistant_id, "
    "metadata, kwargs, multitask_strategy, keep_thread, idempotency_key, fingerprint, webhook, due_at, "
    "base_seq, status, owner, epoch, attempt, lease_until, started_at, base_head_id, base_interrupts, "
    "cron_id, cron_slot, key_id, traceparent, max_wait_ms, woken_by, end_user_id) select $1::uuid, $2::uuid, "
    "$3::uuid, "
    "$4::uuid, $5::integer, $6::uuid, assistiv_jsonb($7), $8, $9, $10::boolean, $11, $12, $13, now() + "
    "make_interval(secs => $14::double precision), last_seq, case when $15::text is null then 'pending' else "
    "'running' end, coalesce($15, ''), case when $15 is null then 0 else 1 end, case when $15 is null then 0 "
    "else 1 end, case when $15 is not null then now() + $16::bigint * interval '1 millisecond' end, case "
    "when $15 is not null then now() end, head_id, interrupts, $17::uuid, assistiv_time($18::bigint), "
    "$19::uuid, $20, $22::bigint, $23, end_user_id from thread returning *) select";

// Nothing: the thread was to be made, and another transaction has made it meanwhile.
std::optional<Run> insert_run(Transaction& tx, const Reach& reach, const NewRun& input, RunId id,
                              ThreadId thread, bool is_new_thread, bool take, const QueueOptions& options) {
  Param key, owner, cron, slot, key_id, max_wait;
  if (input.key) key_id = input.key->str();
  if (input.max_wait) max_wait = std::to_string(input.max_wait->count());
  if (input.cron) {
    cron = input.cron->cron.str();
    slot = std::to_string(core::to_epoch_ms(input.cron->slot));
  }
  if (input.idempotency_key) key = stored_key(reach, *input.idempotency_key);
  if (take) owner = input.claim_as;
  std::vector<Param> params = {reach.platform.str(),
                               thread.str(),
                               id.str(),
                               input.agent.str(),
                               std::to_string(input.agent_version),
                               input.assistant.str(),
                               core::dump_json(input.metadata),
                               core::dump_json(input.kwargs),
                               input.multitask_strategy,
                               input.keep_thread ? "true" : "false",
                               key,
                               input.fingerprint,
                               input.webhook,
                               std::to_string(input.after.count()),
                               owner,
                               std::to_string(options.lease.count()),
                               cron,
                               slot,
                               key_id,
                               input.traceparent,
                               core::dump_json(input.thread_metadata),
                               max_wait,
                               core::dump_json(input.woken_by)};
  if (is_new_thread) {
    params.emplace_back();
    if (reach.end_user) params.back() = reach.end_user->str();
    params.emplace_back(input.thread ? "false" : "true");
  }
  static const auto statement = [](std::string_view thread_part) {
    return std::string(thread_part).append(kNewRun).append(kRunColumns) + "from made r cross join thread t";
  };
  static const std::string for_new = statement(kNewThread), for_locked = statement(kLockedThread);
  const auto rows = tx.exec(is_new_thread ? for_new : for_locked, std::move(params));
  if (rows.empty()) return {};
  return read_run(rows[0]);
}

std::string run_where(const RunSearch& query, std::vector<Param>& params) {
  std::string out(kRunReached);
  const auto add = [&](const char* before, std::string value, const char* after) {
    params.emplace_back(std::move(value));
    out.append(before).append("$").append(std::to_string(params.size())).append(after);
  };
  if (query.thread) add(" and r.thread_id = ", query.thread->str(), "::uuid");
  if (query.status) add(" and r.status = ", *query.status, "");
  if (query.open) out += " and r.status in ('pending', 'running')";
  if (!query.metadata.empty())
    add(" and r.metadata @> assistiv_jsonb(", core::dump_json(query.metadata), ")");
  return out;
}

std::string run_page(const RunSearch& query, std::vector<Param>& params) {
  params.emplace_back(std::to_string(query.limit));
  params.emplace_back(std::to_string(query.offset));
  return " order by r.run_id desc limit $" + std::to_string(params.size() - 1) + "::bigint offset $" +
         std::to_string(params.size()) + "::bigint";
}

void require_thread(Transaction& tx, const Reach& reach, const std::optional<ThreadId>& thread) {
  if (thread && !thread_exists(tx, reach, *thread)) throw core::not_found("There is no such thread.");
}

}  // namespace

const std::string kSelectRun = "select" + kRunColumns +
                               "from agent_run r join agent_thread t on t.platform_id = r.platform_id and "
                               "t.thread_id = r.thread_id";

Run read_run(const storage::Row& row) {
  Run out;
  out.id = row.id<RunId>("run_id");
  out.thread = row.id<ThreadId>("thread_id");
  out.thread_is_temporary = row.boolean("is_temporary");
  out.end_user = row.optional_id<core::EndUserId>("end_user_id");
  out.agent = core::Uuid::parse(row.text("agent_id")).value();
  out.agent_version = static_cast<int>(row.integer("agent_version"));
  out.assistant = core::Uuid::parse(row.text("assistant_id")).value();
  out.status = row.text("status");
  out.metadata = core::parse_json(row.text("metadata"), 512);
  out.kwargs = core::parse_json(row.text("kwargs"), 512);
  out.multitask_strategy = row.text("multitask_strategy");
  out.attempt = static_cast<int>(row.integer("attempt"));
  out.cancel_action = row.optional_text("cancel_action");
  out.webhook = row.optional_text("webhook");
  out.key = row.optional_id<core::KeyId>("key_id");
  out.traceparent = row.text("traceparent");
  if (!row.is_null("max_wait_ms")) out.max_wait = std::chrono::milliseconds(row.integer("max_wait_ms"));
  out.woken_by = core::parse_json(row.text("woken_by"));
  out.usage = core::parse_json(row.text("usage"), 512);
  if (!row.is_null("error")) out.error = core::parse_json(row.text("error"), 512);
  out.base_seq = row.integer("base_seq");
  out.base_head = row.optional_id<CheckpointId>("base_head_id");
  out.due_at = row.time("due_ms");
  out.created_at = row.time("created_ms");
  out.updated_at = row.time("updated_ms");
  out.started_at = row.optional_time("started_ms");
  out.ended_at = row.optional_time("ended_ms");
  return out;
}

RunLease read_lease(const storage::Row& row, std::chrono::steady_clock::time_point asked_at) {
  RunLease out;
  out.asked_at = asked_at;
  out.platform = row.id<core::PlatformId>("platform_id");
  out.thread = row.id<ThreadId>("thread_id");
  out.run = row.id<RunId>("run_id");
  out.owner = row.text("owner");
  out.epoch = row.integer("epoch");
  return out;
}

bool lock_thread_row(Transaction& tx, core::PlatformId platform, ThreadId thread) {
  return !tx.exec(
                "select 1 from agent_thread where platform_id = $1::uuid and thread_id = $2::uuid for no key "
                "update",
                {platform.str(), thread.str()})
              .empty();
}

CreatedRun create_run(Transaction& tx, const Reach& reach, const NewRun& input, RunId id,
                      const QueueOptions& options, const RunEndHook& hook) {
  if (input.idempotency_key)
    if (auto first = first_run(tx, reach, input)) return {std::move(*first), true, {}};
  const ThreadId thread = input.thread.value_or(ThreadId{id.uuid});
  const auto no_thread = [] { return core::not_found("There is no such thread."); };
  const bool may_take = input.claim_as && input.after.count() == 0;
  bool is_new_thread = !input.thread || !lock_reached_thread(tx, reach, thread);
  if (input.thread && is_new_thread && !input.create_thread) throw no_thread();
  std::optional<Run> run;
  bool take = may_take;
  if (is_new_thread) run = insert_run(tx, reach, input, id, thread, true, take, options);
  if (!run) {
    // Another request may have made the thread meanwhile.
    if (is_new_thread && !lock_reached_thread(tx, reach, thread)) throw no_thread();
    take = make_room(tx, reach, input, thread, hook) && may_take;
    run = insert_run(tx, reach, input, id, thread, false, take, options);
  }
  if (!run) no_such_run();
  CreatedRun out;
  out.run = std::move(*run);
  if (take) {
    out.lease.emplace();
    out.lease->platform = reach.platform;
    out.lease->thread = thread;
    out.lease->run = id;
    out.lease->owner = *input.claim_as;
    out.lease->epoch = 1;
  }
  return out;
}

RunStore::RunStore(storage::Database& database, const core::Clock& clock, core::Random& random,
                   QueueOptions options, RunSignals signals, RunEndHook hook, OwnerCounts* counts)
    : database_(database),
      clock_(clock),
      random_(random),
      options_(options),
      signals_(std::move(signals)),
      hook_(std::move(hook)),
      counts_(counts) {}

void RunStore::signal(const std::vector<ThreadKey>& changed, bool due) const {
  if (signals_.thread_has_changed)
    for (const auto& key : changed) signals_.thread_has_changed(key);
  if (due && signals_.runs_are_due) signals_.runs_are_due();
}

// Throws when the owner has no room for a run. The same request as before is not one more: its run.
core::Task<std::optional<Run>> RunStore::admit(Reach reach, NewRun input) {
  if (counts_ == nullptr) co_return std::nullopt;
  std::exception_ptr full;
  try {
    co_await counts_->admit_run(reach, input.thread, input.create_thread);
    co_return std::nullopt;
  } catch (const core::Error&) {
    full = std::current_exception();
  }
  std::optional<Run> first;
  if (input.idempotency_key)
    first = co_await database_.run(Scope::tenant(reach.platform),
                                   [=](Transaction& tx) { return first_run(tx, reach, input); });
  if (!first) std::rethrow_exception(full);
  co_return first;
}

core::Task<CreatedRun> RunStore::create(Reach reach, NewRun input) {
  if (auto first = co_await admit(reach, input)) co_return CreatedRun{std::move(*first), true, {}};
  const auto id = RunId::make(clock_, random_);
  const auto asked_at = std::chrono::steady_clock::now();
  auto out = co_await database_.run(Scope::tenant(reach.platform), [=, this](Transaction& tx) {
    return create_run(tx, reach, input, id, options_, hook_);
  });
  if (out.lease) out.lease->asked_at = asked_at;
  if (out.lease && counts_ != nullptr) counts_->taken(reach, input.thread);
  if (!out.repeated) signal({{reach.platform, out.run.thread}}, !out.lease);
  co_return out;
}

core::Task<Run> RunStore::get(Reach reach, RunId id) {
  auto run = co_await database_.run(Scope::tenant(reach.platform),
                                    [=](Transaction& tx) { return find_run(tx, reach, id); });
  if (!run) no_such_run();
  co_return std::move(*run);
}

core::Task<Run> RunStore::await_row(Reach reach, RunId id, std::stop_token stop) {
  return through_outage<Run>([=, this] { return get(reach, id); }, kOutagePatience, std::move(stop));
}

core::Task<std::vector<Run>> RunStore::list(Reach reach, RunSearch query) {
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    require_thread(tx, reach, query.thread);
    auto params = run_reach(reach);
    const auto sql = kSelectRun + run_where(query, params) + run_page(query, params);
    std::vector<Run> out;
    for (const auto row : tx.exec(fitting_rows(sql, kRunBytes), std::move(params)))
      out.push_back(read_run(row));
    return out;
  });
}

core::Task<std::vector<RunId>> RunStore::ids(Reach reach, RunSearch query) {
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    auto params = run_reach(reach);
    const auto sql =
        "select r.run_id" + std::string(kRunsOfThreads) + run_where(query, params) + run_page(query, params);
    std::vector<RunId> out;
    for (const auto row : tx.exec(sql, std::move(params))) out.push_back(row.id<RunId>("run_id"));
    return out;
  });
}

core::Task<std::int64_t> RunStore::count(Reach reach, RunSearch query) {
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    auto params = run_reach(reach);
    const auto where = run_where(query, params);
    return tx.exec("select count(*) as n" + std::string(kRunsOfThreads) + where, std::move(params))[0]
        .integer("n");
  });
}

core::Task<std::optional<Run>> RunStore::cancel(Reach reach, RunId id, CancelAction action) {
  ThreadKey key{reach.platform, {}};
  auto after = co_await database_.run(
      Scope::tenant(reach.platform), [=, this, &key](Transaction& tx) -> std::optional<Run> {
        const auto seen = find_run(tx, reach, id);
        if (!seen || !lock_thread_row(tx, reach.platform, seen->thread)) no_such_run();
        key.thread = seen->thread;
        cancel_locked(tx, reach.platform, locked_run(tx, reach.platform, id), action, hook_);
        return find_run(tx, reach, id);
      });
  signal({key}, true);
  co_return after;
}

core::Task<> RunStore::remove(Reach reach, RunId id) {
  co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    const auto seen = find_run(tx, reach, id);
    if (!seen || !lock_thread_row(tx, reach.platform, seen->thread)) no_such_run();
    if (!locked_run(tx, reach.platform, id).is_over())
      throw core::conflict("This run is not over: cancel it first.").with_code("run_open");
    tx.exec("delete from agent_run where platform_id = $1::uuid and run_id = $2::uuid",
            {reach.platform.str(), id.str()});
  });
}

}  // namespace assistiv::agents
