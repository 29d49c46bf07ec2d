#include "agents/store/event_store.h"

#include <string>

#include "core/json_read.h"
#include "storage/text_array.h"

namespace assistiv::agents {

using storage::Param;
using storage::TextArray;
using storage::Transaction;

void EventStore::insert(Transaction& tx, const std::vector<Insert>& events) {
  TextArray platform, thread, seq, run, method, ns, node, at, data;
  bool any = false;
  for (const auto& [key, run_id, last_seq, list] : events) {
    auto next = last_seq - static_cast<std::int64_t>(list->size());
    for (const auto& event : *list) {
      any = true;
      platform.add(key.platform.str());
      thread.add(key.thread.str());
      seq.add(std::to_string(++next));
      run.add(run_id.str());
      method.add(event.method);
      ns.add(event.ns);
      node.add(event.node);
      at.add(std::to_string(core::to_epoch_ms(event.at)));
      data.add(core::dump_json(event.data));
    }
  }
  if (!any) return;
  tx.exec(
      "insert into agent_event (platform_id, thread_id, seq, run_id, method, checkpoint_ns, node, at, data) "
      "select p, t, "
      "s, r, m, c, n, assistiv_time(w), d from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], "
      "$5::text[], "
      "$6::text[], $7::text[], $8::bigint[], $9::text[]) as e(p, t, s, r, m, c, n, w, d)",
      {platform.take(), thread.take(), seq.take(), run.take(), method.take(), ns.take(), node.take(),
       at.take(), data.take()});
}

std::vector<LoggedEvent> EventStore::read(Transaction& tx, const ThreadKey& key, std::int64_t after,
                                          std::optional<RunId> run, std::size_t max) {
  Param wanted;
  if (run) wanted = run->str();
  std::vector<LoggedEvent> out;
  for (const auto row :
       tx.exec("select seq, run_id, method, checkpoint_ns, node, assistiv_ms(at) as at_ms, data from "
               "agent_event where "
               "platform_id = $1::uuid and thread_id = $2::uuid and seq > $3::bigint and ($4::uuid is null "
               "or run_id = "
               "$4::uuid) order by seq limit $5::bigint",
               {key.platform.str(), key.thread.str(), std::to_string(after), wanted, std::to_string(max)})) {
    LoggedEvent one;
    one.run = row.id<RunId>("run_id");
    one.event.seq = row.integer("seq");
    one.event.method = row.text("method");
    one.event.ns = row.text("checkpoint_ns");
    one.event.node = row.text("node");
    one.event.at = row.time("at_ms");
    one.event.data = core::parse_json(row.text("data"), 512);
    out.push_back(std::move(one));
  }
  return out;
}

std::size_t EventStore::discard_old(Transaction& tx, int days, std::size_t max) {
  return tx
      .exec(
          "delete from agent_event where (platform_id, thread_id, seq) in (select e.platform_id, "
          "e.thread_id, e.seq "
          "from agent_event e join agent_thread t on t.platform_id = e.platform_id and t.thread_id = "
          "e.thread_id where "
          "e.at < now() - make_interval(days => $1::integer) and t.status <> 'busy' limit $2::bigint)",
          {std::to_string(days), std::to_string(max)})
      .affected();
}

}  // namespace assistiv::agents
