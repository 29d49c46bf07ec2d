#include "agents/store/event_store.h"

#include <string>

#include "agents/store/reply_page_store.h"
#include "core/json_read.h"

namespace assistiv::agents {

using storage::Param;
using storage::Transaction;

EventPage EventStore::read(Transaction& tx, const ThreadKey& key, std::int64_t after,
                           std::optional<RunId> run, std::size_t max) {
  Param wanted;
  if (run) wanted = run->str();
  const auto found = tx.exec(
      fitting_rows(
          "select seq, run_id, method, checkpoint_ns, node, assistiv_ms(at) as at_ms, data from "
          "agent_event where platform_id = $1::uuid and thread_id = $2::uuid and seq > $3::bigint and "
          "($4::uuid is null or run_id = $4::uuid) order by seq limit $5::bigint",
          "octet_length(s.data)"),
      {key.platform.str(), key.thread.str(), std::to_string(after), wanted, std::to_string(max)});
  EventPage out;
  out.more = !found.empty() && (found.size() == max ||
                                found[0].integer("page_found") > static_cast<std::int64_t>(found.size()));
  for (const auto row : found) {
    LoggedEvent one;
    one.run = row.id<RunId>("run_id");
    one.event.seq = row.integer("seq");
    one.event.method = row.text("method");
    one.event.ns = row.text("checkpoint_ns");
    one.event.node = row.text("node");
    one.event.at = row.time("at_ms");
    one.event.data = core::parse_json(row.text("data"), 512);
    out.events.push_back(std::move(one));
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
