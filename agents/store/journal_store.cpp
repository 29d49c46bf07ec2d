#include "agents/store/journal_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/json_read.h"
#include "storage/text_array.h"

namespace assistiv::agents {

namespace {

using core::Json;
using storage::TextArray;
using storage::Transaction;

// The thread first, then the run (run_rows.h). That the run is still the lease's is checked twice: the second
// time on the row as it is once its lock is held. A write is a sign of life: nobody else can renew the lease
// while it holds the row. The events get the thread's next numbers. Questions are those of the head: where it
// moves on they are closed.
constexpr std::string_view kAppend =
    "with entry as materialized (select * from unnest($1::int[], $2::uuid[], $3::uuid[], $4::text[], "
    "$5::bigint[], $6::bigint[], $7::int[], $8::uuid[], $9::text[], $10::text[], $11::text[]) as e(n, "
    "platform, run, owner, epoch, number, events, head, interrupts, state, usage)), head as (update "
    "agent_thread t set last_seq = t.last_seq + e.events, head_id = coalesce(e.head, t.head_id), interrupts "
    "= coalesce(e.interrupts, case when e.head is null or e.head = t.head_id then t.interrupts else '{}' "
    "end), state_values = coalesce(e.state, t.state_values), "
    "state_updated_at = case when e.head is null then t.state_updated_at else now() end from entry e join "
    "agent_run r on r.platform_id = e.platform and r.run_id = e.run where r.status = 'running' and r.owner = "
    "e.owner and r.epoch = e.epoch and r.journal = e.number - 1 and t.platform_id = r.platform_id and "
    "t.thread_id = r.thread_id returning e.n, e.run, e.events, t.platform_id, t.thread_id, t.last_seq), mine "
    "as (update agent_run r set journal = e.number, usage = e.usage, lease_until = clock_timestamp() + "
    "$12::bigint * interval '1 millisecond' from entry e join head h on h.n = e.n where r.platform_id = "
    "e.platform and r.run_id = e.run and r.status = 'running' and r.owner = e.owner and r.epoch = e.epoch "
    "and r.journal = e.number - 1 returning e.n), told as (insert into agent_event (platform_id, thread_id, "
    "seq, run_id, method, checkpoint_ns, node, at, data) select h.platform_id, h.thread_id, h.last_seq - "
    "h.events + i.nth, h.run, i.method, i.ns, i.node, assistiv_time(i.at), i.data from unnest($13::int[], "
    "$14::int[], $15::text[], $16::text[], $17::text[], $18::bigint[], $19::text[]) as i(n, nth, method, ns, "
    "node, at, data) join head h on h.n = i.n) select h.n, h.last_seq, m.n is not null as held from head h "
    "left join mine m on m.n = h.n";

// Those that the fence kept out although they are in the journal.
constexpr std::string_view kDone =
    "select e.n, t.last_seq from unnest($1::int[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], "
    "$6::bigint[]) as "
    "e(n, platform, run, owner, epoch, number) join agent_run r on r.platform_id = e.platform and r.run_id = "
    "e.run join "
    "agent_thread t on t.platform_id = r.platform_id and t.thread_id = r.thread_id where r.journal = "
    "e.number and "
    "((r.owner = e.owner and r.epoch = e.epoch) or (r.epoch = e.epoch + 1 and r.status not in ('pending', "
    "'running')))";

struct Leases {
  TextArray n, platform, run, owner, epoch, number;

  void add(std::size_t at, const JournalAppend& append) {
    n.add(std::to_string(at));
    platform.add(append.lease.platform.str());
    run.add(append.lease.run.str());
    owner.add(append.lease.owner);
    epoch.add(std::to_string(append.lease.epoch));
    number.add(std::to_string(append.number));
  }
};

void add_if(TextArray& array, bool is, const std::string& text) {
  if (is) return array.add(text);
  array.add_null();
}

using Appends = std::vector<const JournalAppend*>;
using Outcomes = std::vector<AppendOutcome>;

// Where the thread stands after the write; "" when it stays where it is. From there a run is taken up again
// whose process has died.
std::string root_head_of(const JournalWrite& write) {
  if (write.view && !write.view->checkpoint.empty()) return write.view->checkpoint;
  std::string out;
  for (const auto& row : write.checkpoints)
    if (row.ns.empty()) out = row.id;
  return out;
}

struct EventArrays {
  TextArray entry, nth, method, ns, node, at, data;

  void add(std::size_t of, const std::vector<RunEvent>& events) {
    const auto number = std::to_string(of);
    int next = 0;
    for (const auto& event : events) {
      entry.add(number);
      nth.add(std::to_string(++next));
      method.add(event.method);
      ns.add(event.ns);
      node.add(event.node);
      at.add(std::to_string(core::to_epoch_ms(event.at)));
      data.add(core::dump_json(event.data));
    }
  }
};

// Those that the lease still holds, with their events.
Outcomes append_heads(Transaction& tx, const Appends& appends, std::chrono::milliseconds lease) {
  Leases leases;
  EventArrays told;
  TextArray events, head, interrupts, state, usage;
  for (std::size_t i = 0; i < appends.size(); ++i) {
    const auto& one = *appends[i];
    const auto* view = one.write.view ? &*one.write.view : nullptr;
    leases.add(i, one);
    told.add(i, one.write.events);
    events.add(std::to_string(one.write.events.size()));
    const auto root = root_head_of(one.write);
    add_if(head, !root.empty(), root);
    const bool has_interrupts = view != nullptr && view->interrupts.is_object();
    add_if(interrupts, has_interrupts, has_interrupts ? core::dump_json(view->interrupts) : "");
    // The values may be big: they are written when the run ends, not at every step.
    const bool has_state = view != nullptr && one.write.ends && !view->values.is_null();
    add_if(state, has_state, has_state ? core::dump_json(view->values) : "");
    usage.add(one.usage);
  }
  Outcomes out(appends.size());
  for (const auto row :
       tx.exec(kAppend,
               {leases.n.take(), leases.platform.take(), leases.run.take(), leases.owner.take(),
                leases.epoch.take(), leases.number.take(), events.take(), head.take(), interrupts.take(),
                state.take(), usage.take(), std::to_string(lease.count()), told.entry.take(), told.nth.take(),
                told.method.take(), told.ns.take(), told.node.take(), told.at.take(), told.data.take()})) {
    // The run was lost between the two looks: the whole is done again, and the first look keeps it out.
    if (!row.boolean("held"))
      throw core::Error(core::ErrorKind::Unavailable, "The run was taken over.").with_code("fence_race");
    out[static_cast<std::size_t>(row.integer("n"))] = {true, row.integer("last_seq")};
  }
  return out;
}

// Marks those that were applied by an earlier try. They are in the journal already: nothing else is done for
// them.
Outcomes with_earlier(Transaction& tx, const Appends& appends, Outcomes outcomes) {
  Leases leases;
  bool any = false;
  for (std::size_t i = 0; i < appends.size(); ++i) {
    if (outcomes[i].applied) continue;
    leases.add(i, *appends[i]);
    any = true;
  }
  if (!any) return outcomes;
  for (const auto row : tx.exec(kDone, {leases.n.take(), leases.platform.take(), leases.run.take(),
                                        leases.owner.take(), leases.epoch.take(), leases.number.take()}))
    outcomes[static_cast<std::size_t>(row.integer("n"))] = {true, row.integer("last_seq")};
  return outcomes;
}

Json error_of(const RunView& view) {
  if (view.error_code.empty() && view.error_message.empty()) return nullptr;
  return {{"error", view.error_code}, {"message", view.error_message}};
}

}  // namespace

JournalAppend to_append(RunLease lease, JournalWrite write) {
  JournalAppend out;
  out.number = ++*lease.appends;
  if (write.ends && (write.events.empty() || write.events.back().method != "end")) {
    RunEvent end;
    end.method = "end";
    if (!write.events.empty()) end.at = write.events.back().at;
    const RunView none;
    const auto& view = write.view ? *write.view : none;
    end.data =
        core::parse_json(end_event_body(lease.run, std::string(to_string(view.status)), error_of(view)));
    write.events.push_back(std::move(end));
  }
  out.rows = to_rows(write.checkpoints);
  out.usage = core::dump_json(to_json(write.totals));
  out.lease = std::move(lease);
  out.write = std::move(write);
  return out;
}

Outcomes append_to_journal(Transaction& tx, const Appends& appends, std::chrono::milliseconds lease,
                           const RunEndHook& hook) {
  const auto fresh = append_heads(tx, appends, lease);
  std::vector<CheckpointStore::Insert> checkpoints;
  std::vector<CheckpointStore::TaskInsert> tasks;
  std::vector<RunEnding> endings;
  for (std::size_t i = 0; i < appends.size(); ++i) {
    if (!fresh[i].applied) continue;
    const auto& one = *appends[i];
    const ThreadKey key{one.lease.platform, one.lease.thread};
    checkpoints.push_back({key, one.lease.run, &one.rows});
    tasks.push_back({key, &one.write.tasks});
    if (!one.write.ends) continue;
    const RunView none;
    const auto& view = one.write.view ? *one.write.view : none;
    endings.push_back(
        {one.lease.platform, one.lease.run, std::string(to_string(view.status)), error_of(view), false});
  }
  CheckpointStore::insert(tx, checkpoints);
  CheckpointStore::insert_tasks(tx, tasks);
  const auto ended = end_runs(tx, endings, hook);
  auto out = with_earlier(tx, appends, fresh);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].next_waits = ended.next_waits;
    const auto& gone = ended.rolled_back;
    out[i].rolled_back = std::find(gone.begin(), gone.end(), appends[i]->lease.run) != gone.end();
  }
  return out;
}

}  // namespace assistiv::agents
