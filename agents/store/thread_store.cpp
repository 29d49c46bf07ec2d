#include "agents/store/thread_store.h"

#include <utility>

#include "agents/store/reply_page_store.h"
#include "core/error.h"
#include "core/json_read.h"
#include "storage/text_array.h"

namespace assistiv::agents {

namespace {

using core::Json;
using storage::Param;
using storage::Row;
using storage::Scope;
using storage::TextArray;
using storage::Transaction;

// The values may be megabytes: a list that does not show them does not read them. A thread that asks
// something may be answered until a run that is queued for later begins.
std::string thread_columns(bool with_values) {
  return std::string(
             " t.thread_id, t.end_user_id, case when t.status = 'busy' and t.interrupts <> '{}' and not "
             "exists (select 1 from agent_run r where r.platform_id = t.platform_id and r.thread_id = "
             "t.thread_id and (r.status = 'running' or (r.status = 'pending' and r.due_at <= "
             "clock_timestamp()))) then 'interrupted' else t.status end as status, t.metadata, t.config, "
             "t.interrupts, t.error, t.head_id, "
             "t.last_seq, t.ttl_minutes, t.ttl_strategy, assistiv_ms(t.created_at) as created_ms, "
             "assistiv_ms(t.updated_at) as updated_ms, assistiv_ms(t.state_updated_at) as state_ms, ") +
         (with_values ? "t.state_values " : "null as state_values ");
}

constexpr const char* kThreadBytes =
    "octet_length(s.metadata::text) + octet_length(s.config) + octet_length(s.interrupts) + "
    "coalesce(octet_length(s.error), 0) + coalesce(octet_length(s.state_values), 0)";

constexpr std::string_view kReached =
    " t.platform_id = $1::uuid and ($2::uuid is null or t.end_user_id = $2::uuid) ";

std::vector<Param> reach_params(const Reach& reach) {
  Param end_user;
  if (reach.end_user) end_user = reach.end_user->str();
  return {reach.platform.str(), std::move(end_user)};
}

std::vector<Param> one_params(const Reach& reach, ThreadId id) {
  auto out = reach_params(reach);
  out.emplace_back(id.str());
  return out;
}

Json thread_json(const Row& row, const char* column) {
  return row.is_null(column) ? Json(nullptr) : core::parse_json(row.text(column), 512);
}

Thread read_thread(const Row& row) {
  Thread out;
  out.id = row.id<ThreadId>("thread_id");
  out.end_user = row.optional_id<core::EndUserId>("end_user_id");
  out.status = row.text("status");
  out.metadata = thread_json(row, "metadata");
  out.config = thread_json(row, "config");
  out.values = thread_json(row, "state_values");
  out.interrupts = thread_json(row, "interrupts");
  out.error = thread_json(row, "error");
  out.head = row.optional_id<CheckpointId>("head_id");
  out.last_seq = row.integer("last_seq");
  if (!row.is_null("ttl_minutes"))
    out.ttl = ThreadTtl{static_cast<int>(row.integer("ttl_minutes")), row.text("ttl_strategy")};
  out.created_at = row.time("created_ms");
  out.updated_at = row.time("updated_ms");
  out.state_updated_at = row.optional_time("state_ms");
  return out;
}

std::optional<Thread> read_one(Transaction& tx, const Reach& reach, ThreadId id, bool lock) {
  const auto rows =
      tx.exec("select" + thread_columns(true) + "from agent_thread t where" + std::string(kReached) +
                  "and t.thread_id = $3::uuid" + (lock ? " for no key update" : ""),
              one_params(reach, id));
  if (rows.empty()) return {};
  return read_thread(rows[0]);
}

core::Error metadata_too_large() {
  return core::Error(core::ErrorKind::PayloadTooLarge, "A thread's metadata has at most 64 KiB.")
      .with_field("/metadata");
}

[[noreturn]] void no_such_thread() {
  throw core::not_found("There is no such thread.");
}

Thread require(std::optional<Thread> thread) {
  if (!thread) no_such_thread();
  return std::move(*thread);
}

void add_ttl(std::vector<Param>& params, const std::optional<ThreadTtl>& ttl) {
  params.push_back(ttl ? Param(std::to_string(ttl->minutes)) : Param());
  params.push_back(ttl ? Param(ttl->strategy) : Param());
}

bool has_open_run(Transaction& tx, const ThreadKey& key) {
  return !tx.exec(
                "select 1 from agent_run where platform_id = $1::uuid and thread_id = $2::uuid and status in "
                "('pending', 'running') limit 1",
                {key.platform.str(), key.thread.str()})
              .empty();
}

// Of a thread that this transaction has locked.
void check_bases(Transaction& tx, const ThreadKey& key, const Thread& thread,
                 const std::vector<StateBase>& bases) {
  for (const auto& base : bases) {
    std::string newest = thread.head ? thread.head->str() : "";
    if (!base.ns.empty()) {
      const auto stored = CheckpointStore::load(tx, key, base.ns, std::nullopt);
      newest = stored ? stored->checkpoint.id : "";
    }
    if (newest != base.checkpoint)
      throw core::conflict("The state of the thread has changed meanwhile.").with_code("state_moved");
  }
}

std::string interrupts_text(const Json& interrupts) {
  return interrupts.is_object() ? core::dump_json(interrupts) : "{}";
}

// The conditions of a search; $1 and $2 are the reach.
std::string search_where(const ThreadSearch& query, std::vector<Param>& params) {
  std::string out = "where" + std::string(kReached) + "and not t.is_temporary";
  const auto add = [&](const char* before, std::string value, const char* after) {
    params.emplace_back(std::move(value));
    out.append(before).append("$").append(std::to_string(params.size())).append(after);
  };
  if (!query.metadata.empty())
    add(" and t.metadata @> assistiv_jsonb(", core::dump_json(query.metadata), ")");
  if (!query.values.empty()) {
    add(" and t.state_values is not null and assistiv_jsonb(t.state_values) @> assistiv_jsonb(",
        core::dump_json(query.values), ")");
  }
  if (query.status) add(" and t.status = ", *query.status, "");
  if (!query.ids.empty()) {
    TextArray ids;
    for (const auto& id : query.ids) ids.add(id.str());
    add(" and t.thread_id = any(", ids.take(), "::uuid[])");
  }
  return out;
}

std::string sort_column(const std::string& name) {
  for (const char* known : {"thread_id", "status", "created_at", "updated_at", "state_updated_at"})
    if (name == known) return "t." + name;
  throw core::bad_request("Threads are not sorted by this.", "/sort_by");
}

}  // namespace

std::optional<Thread> lock_thread(Transaction& tx, const Reach& reach, ThreadId id) {
  return read_one(tx, reach, id, true);
}

bool thread_exists(Transaction& tx, const Reach& reach, ThreadId id) {
  return !tx.exec("select 1 from agent_thread t where" + std::string(kReached) + "and t.thread_id = $3::uuid",
                  one_params(reach, id))
              .empty();
}

bool insert_thread(Transaction& tx, const Reach& reach, ThreadId id, const NewThread& input,
                   bool is_temporary) {
  auto params = one_params(reach, id);
  params.emplace_back(core::dump_json(input.metadata));
  params.emplace_back(core::dump_json(input.config));
  params.emplace_back(is_temporary ? "true" : "false");
  add_ttl(params, input.ttl);
  return tx.exec(
               "insert into agent_thread (platform_id, end_user_id, thread_id, metadata, config, "
               "is_temporary, "
               "ttl_minutes, ttl_strategy, expires_at) values ($1::uuid, $2::uuid, $3::uuid, "
               "assistiv_jsonb($4), $5, "
               "$6::boolean, $7::integer, $8, now() + make_interval(mins => $7::integer)) on conflict do "
               "nothing",
               std::move(params))
             .affected() == 1;
}

core::Task<Thread> ThreadStore::create(Reach reach, NewThread input) {
  if (core::dump_json(input.metadata).size() > kMetadataMax) throw metadata_too_large();
  if (counts_ != nullptr && !co_await counts_->has_room(reach, Owned::Threads)) {
    const bool is_there = input.existing_is_fine && input.id && (co_await find(reach, *input.id)).has_value();
    if (!is_there) throw too_many(Owned::Threads);
  }
  const auto id = input.id ? *input.id : ThreadId::make(clock_, random_);
  co_return co_await database_.run(
      Scope::tenant(reach.platform), [=, input = std::move(input)](Transaction& tx) {
        const bool fresh = insert_thread(tx, reach, id, input, false);
        auto found = fresh || input.existing_is_fine ? read_one(tx, reach, id, false) : std::nullopt;
        if (!found) throw core::conflict("There is a thread of this id already.");
        return std::move(*found);
      });
}

core::Task<std::optional<Thread>> ThreadStore::find(Reach reach, ThreadId id) {
  co_return co_await database_.run(Scope::tenant(reach.platform),
                                   [=](Transaction& tx) { return read_one(tx, reach, id, false); });
}

core::Task<Thread> ThreadStore::get(Reach reach, ThreadId id) {
  co_return require(co_await find(reach, id));
}

core::Task<Thread> ThreadStore::update(Reach reach, ThreadId id, ThreadPatch patch) {
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    auto params = one_params(reach, id);
    params.emplace_back(core::dump_json(patch.metadata));
    add_ttl(params, patch.ttl);
    params.emplace_back(std::to_string(kMetadataMax));
    // Who merges at the same time waits for the row, and the sum of both is what is looked at. One that is
    // too large from before may become smaller.
    const auto done = tx.exec(
        "update agent_thread t set metadata = metadata || assistiv_jsonb($4), ttl_minutes = "
        "coalesce($5::integer, "
        "ttl_minutes), ttl_strategy = coalesce($6, ttl_strategy), expires_at = now() + make_interval(mins => "
        "coalesce($5::integer, ttl_minutes)), updated_at = now() where" +
            std::string(kReached) +
            "and t.thread_id = $3::uuid and octet_length((t.metadata || assistiv_jsonb($4))::text) <= "
            "greatest($7::bigint, octet_length(t.metadata::text))",
        std::move(params));
    auto thread = require(read_one(tx, reach, id, false));
    if (done.affected() == 0) throw metadata_too_large();
    return thread;
  });
}

core::Task<> ThreadStore::remove(Reach reach, ThreadId id) {
  co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    const auto gone =
        tx.exec("delete from agent_thread t where" + std::string(kReached) + "and t.thread_id = $3::uuid",
                one_params(reach, id))
            .affected();
    if (gone == 0) no_such_thread();
  });
}

core::Task<ThreadPage> ThreadStore::search(Reach reach, ThreadSearch query) {
  const auto column = sort_column(query.sort_by);
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    ThreadPage out;
    auto params = reach_params(reach);
    const auto where = search_where(query, params);
    out.total = tx.exec("select count(*) as n from agent_thread t " + where, params)[0].integer("n");
    params.emplace_back(std::to_string(query.limit));
    params.emplace_back(std::to_string(query.offset));
    const auto last = params.size();
    const std::string direction = query.ascending ? " asc nulls first" : " desc nulls last";
    const auto rows = "select" + thread_columns(query.with_values) + "from agent_thread t " + where +
                      " order by " + column + direction + ", t.thread_id" + direction + " limit $" +
                      std::to_string(last - 1) + "::bigint offset $" + std::to_string(last) + "::bigint";
    for (const auto row : tx.exec(fitting_rows(rows, kThreadBytes), params))
      out.threads.push_back(read_thread(row));
    return out;
  });
}

core::Task<std::int64_t> ThreadStore::count(Reach reach, ThreadSearch query) {
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    auto params = reach_params(reach);
    const auto where = search_where(query, params);
    return tx.exec("select count(*) as n from agent_thread t " + where, params)[0].integer("n");
  });
}

core::Task<Thread> ThreadStore::copy(Reach reach, ThreadId id) {
  if (counts_ != nullptr &&
      !co_await counts_->has_room(co_await counts_->owner_of(reach, id), Owned::Threads))
    throw too_many(Owned::Threads);
  const auto fresh = ThreadId::make(clock_, random_);
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    require(read_one(tx, reach, id, true));
    tx.exec(
        "insert into agent_thread (platform_id, thread_id, end_user_id, status, metadata, config, "
        "state_values, "
        "interrupts, head_id, ttl_minutes, ttl_strategy, expires_at, state_updated_at) select platform_id, "
        "$3::uuid, end_user_id, case when status = 'interrupted' then status else 'idle' end, metadata, "
        "config, "
        "state_values, interrupts, head_id, ttl_minutes, ttl_strategy, now() + make_interval(mins => "
        "ttl_minutes), "
        "state_updated_at from agent_thread where platform_id = $1::uuid and thread_id = $2::uuid",
        {reach.platform.str(), id.str(), fresh.str()});
    CheckpointStore::copy(tx, {reach.platform, id}, fresh);
    return require(read_one(tx, reach, fresh, false));
  });
}

core::Task<std::int64_t> ThreadStore::prune(Reach reach, std::vector<ThreadId> ids, std::string strategy) {
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    std::int64_t done = 0;
    for (const auto& id : ids) {
      const auto thread = read_one(tx, reach, id, true);
      const ThreadKey key{reach.platform, id};
      if (!thread || has_open_run(tx, key)) continue;
      if (strategy == "keep_latest") {
        CheckpointStore::keep_latest(tx, key, thread->head);
      } else {
        tx.exec("delete from agent_thread where platform_id = $1::uuid and thread_id = $2::uuid",
                {reach.platform.str(), id.str()});
      }
      ++done;
    }
    return done;
  });
}

core::Task<std::optional<StoredCheckpoint>> ThreadStore::state(Reach reach, ThreadId id, std::string ns,
                                                               std::optional<CheckpointId> checkpoint) {
  co_return co_await database_.run(Scope::tenant(reach.platform),
                                   [=](Transaction& tx) -> std::optional<StoredCheckpoint> {
                                     const auto thread = require(read_one(tx, reach, id, false));
                                     const auto wanted = checkpoint || !ns.empty() ? checkpoint : thread.head;
                                     if (!wanted && ns.empty()) return {};
                                     return CheckpointStore::load(tx, {reach.platform, id}, ns, wanted);
                                   });
}

core::Task<HistoryPage> ThreadStore::history(Reach reach, ThreadId id, HistoryQuery query) {
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    require(read_one(tx, reach, id, false));
    return CheckpointStore::history(tx, {reach.platform, id}, query);
  });
}

core::Task<> ThreadStore::update_state(Reach reach, ThreadId id, StateUpdate update) {
  const auto rows = to_rows(update.checkpoints);
  co_await database_.run(Scope::tenant(reach.platform), [=, update = std::move(update)](Transaction& tx) {
    const ThreadKey key{reach.platform, id};
    const auto thread = require(read_one(tx, reach, id, true));
    if (has_open_run(tx, key))
      throw core::conflict("A run is on this thread: wait for its end, or cancel it.")
          .with_code("thread_busy");
    check_bases(tx, key, thread, update.made_from);
    CheckpointStore::insert(tx, {{key, std::nullopt, &rows}});
    CheckpointStore::insert_tasks(tx, {{key, &update.tasks}});
    if (!update.view) return;
    tx.exec(
        "update agent_thread set head_id = $3::uuid, state_values = $4, interrupts = $5, status = case when "
        "$5 = "
        "'{}' then 'idle' else 'interrupted' end, error = null, updated_at = now(), state_updated_at = now() "
        "where "
        "platform_id = $1::uuid and thread_id = $2::uuid",
        {key.platform.str(), key.thread.str(), update.view->checkpoint, core::dump_json(update.view->values),
         interrupts_text(update.view->interrupts)});
  });
}

core::Task<> ThreadStore::forget_waits(Reach reach, ThreadId id) {
  co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    require(read_one(tx, reach, id, true));
    tx.exec("delete from agent_wait where platform_id = $1::uuid and thread_id = $2::uuid",
            {reach.platform.str(), id.str()});
  });
}

core::Task<std::size_t> ThreadStore::sweep(std::size_t max) {
  // System scope: the threads of every platform.
  co_return co_await database_.run(Scope::system(), [=](Transaction& tx) {
    const auto due = tx.exec(
        "select platform_id, thread_id, head_id, ttl_strategy, is_temporary from agent_thread t where "
        "expires_at <= "
        "now() and status <> 'busy' order by expires_at limit $1::bigint for update skip locked",
        {std::to_string(max)});
    for (const auto row : due) {
      const ThreadKey key{row.id<core::PlatformId>("platform_id"), row.id<ThreadId>("thread_id")};
      const std::vector<Param> params = {key.platform.str(), key.thread.str()};
      if (row.text("ttl_strategy") == "keep_latest" && !row.boolean("is_temporary")) {
        CheckpointStore::keep_latest(tx, key, row.optional_id<CheckpointId>("head_id"));
        tx.exec(
            "update agent_thread set expires_at = null where platform_id = $1::uuid and thread_id = $2::uuid",
            params);
      } else {
        tx.exec("delete from agent_thread where platform_id = $1::uuid and thread_id = $2::uuid", params);
      }
    }
    return due.size();
  });
}

}  // namespace assistiv::agents
