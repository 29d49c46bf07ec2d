#include "agents/store/checkpoint_store.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "agents/pregel/codec.h"
#include "agents/store/reply_page_store.h"
#include "core/encoding.h"
#include "core/error.h"
#include "core/json_pointer.h"
#include "core/json_read.h"
#include "storage/text_array.h"

namespace assistiv::agents {

namespace {

using core::Json;
using storage::Param;
using storage::Row;
using storage::TextArray;
using storage::Transaction;

// Objects are looked into down to here for members that are big.
constexpr int kOutlineDepth = 3;

// Our own text; it was bounded when it came in.
Json stored_json(const std::string& text) {
  return core::parse_json(text, 512);
}

// Moves the big members of `object` to `blobs` and leaves null.
void outline(Json& object, const std::string& place, int depth, std::vector<StoredRow::Blob>& blobs) {
  for (auto& [key, value] : object.items()) {
    if (!value.is_structured() && !value.is_string()) continue;
    auto text = core::dump_json(value);
    if (text.size() <= kBlobMin) continue;
    const auto own = place + "/" + core::pointer_token(key);
    if (value.is_object() && depth > 1) {
      outline(value, own, depth - 1, blobs);
    } else {
      auto digest = core::sha256_hex(text);
      blobs.push_back({own, std::move(digest), std::move(text)});
      value = nullptr;
    }
  }
}

StoredRow to_row(const CheckpointRow& from) {
  StoredRow out;
  out.id = from.id;
  out.parent = from.parent;
  out.ns = from.ns;
  out.source = from.source;
  out.metadata = core::dump_json(from.metadata);
  out.step = from.step;
  out.at = from.at;
  out.whole = from.whole;
  out.body = core::dump_json(from.body);
  if (out.body.size() <= kBlobMin || !from.body.is_object()) return out;
  Json body = from.body;
  outline(body, "", kOutlineDepth, out.blobs);
  if (!out.blobs.empty()) out.body = core::dump_json(body);
  return out;
}

// Back from a checkpoint to the last whole one. A chain that is longer than it can be is a loop in the rows.
constexpr std::string_view kChain =
    "with recursive chain as (select c.*, 0 as back from agent_checkpoint c where c.platform_id = $1::uuid "
    "and "
    "c.thread_id = $2::uuid and c.checkpoint_ns = $3 and c.checkpoint_id = $4::uuid union all select p.*, "
    "chain.back + 1 from chain join agent_checkpoint p on p.platform_id = chain.platform_id and p.thread_id "
    "= "
    "chain.thread_id and p.checkpoint_ns = chain.checkpoint_ns and p.checkpoint_id = chain.parent_id where "
    "not "
    "chain.is_whole and chain.back < 1000) select checkpoint_ns, checkpoint_id, parent_id, step, source, "
    "metadata, "
    "is_whole, body, assistiv_ms(at) as at_ms, to_json(places)::text as places, to_json(digests)::text as "
    "digests from "
    "chain order by back desc";

using Blobs = std::map<std::string, std::string, std::less<>>;

Blobs read_blobs(Transaction& tx, const ThreadKey& key, const storage::Result& chain) {
  std::set<std::string> digests;
  for (const auto row : chain)
    for (const auto& digest : stored_json(row.text("digests"))) digests.insert(digest.get<std::string>());
  Blobs out;
  if (digests.empty()) return out;
  TextArray wanted;
  for (const auto& digest : digests) wanted.add(digest);
  for (const auto row :
       tx.exec("select digest, body from agent_blob where platform_id = $1::uuid and thread_id = "
               "$2::uuid and digest = any($3::text[])",
               {key.platform.str(), key.thread.str(), wanted.take()}))
    out.emplace(row.text("digest"), row.text("body"));
  return out;
}

CheckpointRow read_checkpoint(const Row& row, const Blobs& blobs) {
  CheckpointRow out;
  out.id = row.text("checkpoint_id");
  out.parent = row.text("parent_id");
  out.ns = row.text("checkpoint_ns");
  out.step = static_cast<int>(row.integer("step"));
  out.source = row.text("source");
  out.at = row.time("at_ms");
  out.whole = row.boolean("is_whole");
  out.metadata = stored_json(row.text("metadata"));
  out.body = stored_json(row.text("body"));
  const auto places = stored_json(row.text("places")), digests = stored_json(row.text("digests"));
  for (std::size_t i = 0; i < places.size() && i < digests.size(); ++i) {
    const auto blob = blobs.find(digests[i].get<std::string>());
    if (blob == blobs.end()) throw core::internal("a checkpoint's value is missing");
    out.body[Json::json_pointer(places[i].get<std::string>())] = stored_json(blob->second);
  }
  return out;
}

std::vector<TaskRow> read_tasks(Transaction& tx, const ThreadKey& key, const std::string& checkpoint) {
  std::vector<TaskRow> out;
  for (const auto row :
       tx.exec("select task_id, fact, fact_key, value from agent_task where platform_id = $1::uuid and "
               "thread_id = $2::uuid and checkpoint_id = $3::uuid order by task_id, fact, fact_key",
               {key.platform.str(), key.thread.str(), checkpoint})) {
    const auto fact = fact_of(row.text("fact"));
    if (!fact) throw core::internal("a task's record is of an unknown kind");
    out.push_back(
        {checkpoint, row.text("task_id"), *fact, row.text("fact_key"), stored_json(row.text("value"))});
  }
  return out;
}

std::string latest_id(Transaction& tx, const ThreadKey& key, const std::string& ns) {
  const auto rows = tx.exec(
      "select checkpoint_id from agent_checkpoint where platform_id = $1::uuid and thread_id = $2::uuid and "
      "checkpoint_ns = $3 order by checkpoint_id desc limit 1",
      {key.platform.str(), key.thread.str(), ns});
  return rows.empty() ? std::string() : rows[0].text("checkpoint_id");
}

// About the bytes of what is told of it.
std::size_t told_bytes(const StoredCheckpoint& stored) {
  std::size_t sum = bytes_of(stored.metadata);
  for (const auto& [key, value] : stored.checkpoint.values) sum += key.size() + value.bytes();
  for (const auto& [id, task] : stored.pending.tasks) {
    if (task.result)
      for (const auto& write : task.result->writes) sum += write.value.bytes();
    for (const auto& one : task.interrupts) sum += 2 * one.value.bytes();  // told with the task and by itself
  }
  return sum;
}

// The heads of its subgraphs: where it goes on from, which after a fork are not their newest.
void add_named(const StoredCheckpoint& of, std::set<std::string>& ids) {
  for (const auto& [ns, id] : of.checkpoint.children) ids.insert(id);
  for (const auto& [task, record] : of.pending.tasks)
    if (!record.child.empty()) ids.insert(record.child);
}

std::optional<CheckpointId> named_in(Transaction& tx, const ThreadKey& key, const std::string& ns,
                                     const std::set<std::string>& named) {
  TextArray ids;
  for (const auto& id : named) ids.add(id);
  const auto rows = tx.exec(
      "select checkpoint_id from agent_checkpoint where platform_id = $1::uuid and thread_id = $2::uuid and "
      "checkpoint_ns = $3 and checkpoint_id = any($4::uuid[]) order by checkpoint_id desc limit 1",
      {key.platform.str(), key.thread.str(), ns, ids.take()});
  if (rows.empty()) return {};
  return rows[0].id<CheckpointId>("checkpoint_id");
}

// The rows of one statement, column by column.
struct CheckpointArrays {
  TextArray platform, thread, run, ns, id, parent, step, source, metadata, at, whole, body, places, digests;
  TextArray blob_platform, blob_thread, blob_digest, blob_body;
  bool any = false, any_blob = false;

  void add(const CheckpointStore::Insert& insert, const StoredRow& row) {
    any = true;
    platform.add(insert.key.platform.str());
    thread.add(insert.key.thread.str());
    insert.run ? run.add(insert.run->str()) : run.add_null();
    ns.add(row.ns);
    id.add(row.id);
    row.parent.empty() ? parent.add_null() : parent.add(row.parent);
    step.add(std::to_string(row.step));
    source.add(row.source);
    metadata.add(row.metadata);
    at.add(std::to_string(core::to_epoch_ms(row.at)));
    whole.add(row.whole ? "true" : "false");
    body.add(row.body);
    TextArray own_places, own_digests;  // arrays within an array, as their text
    for (const auto& blob : row.blobs) {
      any_blob = true;
      own_places.add(blob.place);
      own_digests.add(blob.digest);
      blob_platform.add(insert.key.platform.str());
      blob_thread.add(insert.key.thread.str());
      blob_digest.add(blob.digest);
      blob_body.add(blob.text);
    }
    places.add(own_places.take());
    digests.add(own_digests.take());
  }
};

}  // namespace

std::vector<StoredRow> to_rows(const std::vector<CheckpointRow>& checkpoints) {
  std::vector<StoredRow> out;
  out.reserve(checkpoints.size());
  for (const auto& one : checkpoints) out.push_back(to_row(one));
  return out;
}

void CheckpointStore::insert(Transaction& tx, const std::vector<Insert>& checkpoints) {
  CheckpointArrays all;
  for (const auto& insert : checkpoints)
    for (const auto& row : *insert.rows) all.add(insert, row);
  if (!all.any) return;
  if (all.any_blob) {
    tx.exec(
        "insert into agent_blob (platform_id, thread_id, digest, body) select distinct on (1, 2, 3) * from "
        "unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) order by 1, 2, 3 on conflict do nothing",
        {all.blob_platform.take(), all.blob_thread.take(), all.blob_digest.take(), all.blob_body.take()});
  }
  tx.exec(
      "insert into agent_checkpoint (platform_id, thread_id, run_id, checkpoint_ns, checkpoint_id, "
      "parent_id, step, "
      "source, metadata, at, is_whole, body, places, digests) select p, t, r, n, c, a, s, o, m, "
      "assistiv_time(w), f, b, "
      "l::text[], d::text[] from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], "
      "$6::uuid[], "
      "$7::int[], $8::text[], $9::text[], $10::bigint[], $11::boolean[], $12::text[], $13::text[], "
      "$14::text[]) as i(p, "
      "t, r, n, c, a, s, o, m, w, f, b, l, d) on conflict do nothing",
      {all.platform.take(), all.thread.take(), all.run.take(), all.ns.take(), all.id.take(),
       all.parent.take(), all.step.take(), all.source.take(), all.metadata.take(), all.at.take(),
       all.whole.take(), all.body.take(), all.places.take(), all.digests.take()});
}

void CheckpointStore::insert_tasks(Transaction& tx, const std::vector<TaskInsert>& tasks) {
  TextArray platform, thread, checkpoint, task, fact, key, value;
  bool any = false;
  for (const auto& insert : tasks) {
    for (const auto& row : *insert.rows) {
      any = true;
      platform.add(insert.key.platform.str());
      thread.add(insert.key.thread.str());
      checkpoint.add(row.checkpoint);
      task.add(row.task);
      fact.add(to_string(row.fact));
      key.add(row.key);
      value.add(core::dump_json(row.value));
    }
  }
  if (!any) return;
  // Within one write the last value of a fact stands.
  tx.exec(
      "insert into agent_task (platform_id, thread_id, checkpoint_id, task_id, fact, fact_key, value) select "
      "distinct on "
      "(1, 2, 3, 4, 5, 6) p, t, c, k, f, y, v from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], "
      "$5::text[], "
      "$6::text[], $7::text[]) with ordinality as w(p, t, c, k, f, y, v, o) order by 1, 2, 3, 4, 5, 6, o "
      "desc on "
      "conflict (platform_id, thread_id, checkpoint_id, task_id, fact, fact_key) do update set value = "
      "excluded.value",
      {platform.take(), thread.take(), checkpoint.take(), task.take(), fact.take(), key.take(),
       value.take()});
}

std::optional<StoredCheckpoint> CheckpointStore::load(Transaction& tx, const ThreadKey& key,
                                                      const std::string& ns, std::optional<CheckpointId> id) {
  const auto wanted = id ? id->str() : latest_id(tx, key, ns);
  if (wanted.empty()) return {};
  const auto rows = tx.exec(kChain, {key.platform.str(), key.thread.str(), ns, wanted});
  if (rows.empty()) return {};
  const auto blobs = read_blobs(tx, key, rows);
  std::vector<CheckpointRow> chain;
  for (const auto row : rows) chain.push_back(read_checkpoint(row, blobs));
  return stored_checkpoint(chain, read_tasks(tx, key, wanted));
}

std::optional<StoredCheckpoint> CheckpointStore::load_head(Transaction& tx, const ThreadKey& key,
                                                           const std::string& ns,
                                                           std::optional<CheckpointId> id) {
  if (id || !ns.empty()) return load(tx, key, ns, id);
  const auto rows = tx.exec(
      "select head_id from agent_thread where platform_id = $1::uuid and thread_id = $2::uuid and head_id is "
      "not null",
      {key.platform.str(), key.thread.str()});
  if (rows.empty()) return {};
  return load(tx, key, ns, rows[0].id<CheckpointId>("head_id"));
}

HistoryPage CheckpointStore::history(Transaction& tx, const ThreadKey& key, const HistoryQuery& query) {
  Param before;
  if (query.before) before = query.before->str();
  const auto ids = tx.exec(
      "select checkpoint_id from agent_checkpoint where platform_id = $1::uuid and thread_id = $2::uuid and "
      "checkpoint_ns = $3 and ($4::uuid is null or checkpoint_id < $4::uuid) and ($5 = '{}' or "
      "assistiv_jsonb(metadata) @> assistiv_jsonb($5)) order by checkpoint_id desc limit $6::bigint",
      {key.platform.str(), key.thread.str(), query.ns, before, core::dump_json(query.metadata),
       std::to_string(query.limit + 1)});  // whether there are more
  HistoryPage out;
  std::size_t bytes = 0;
  // One at a time: what a state weighs is known when its changes are applied.
  for (const auto row : ids) {
    out.more = !out.states.empty() &&
               (bytes >= kReplyBytesMax || out.states.size() >= static_cast<std::size_t>(query.limit));
    if (out.more) break;
    auto found = load(tx, key, query.ns, row.id<CheckpointId>("checkpoint_id"));
    if (!found) continue;
    bytes += told_bytes(*found);
    out.more = !out.states.empty() && bytes > kReplyBytesMax;
    if (out.more) break;
    out.states.push_back(std::move(*found));
  }
  return out;
}

void CheckpointStore::keep_latest(Transaction& tx, const ThreadKey& key, std::optional<CheckpointId> head) {
  const std::vector<Param> thread = {key.platform.str(), key.thread.str()};
  std::vector<CheckpointRow> kept;
  std::set<std::string> spaces;  // a graph before its subgraphs
  for (const auto row :
       tx.exec("select distinct checkpoint_ns from agent_checkpoint where platform_id = $1::uuid and "
               "thread_id = $2::uuid",
               thread))
    spaces.insert(row.text("checkpoint_ns"));
  std::set<std::string> named;
  for (const auto& ns : spaces) {
    auto found = load(tx, key, ns, ns.empty() ? head : named_in(tx, key, ns, named));
    if (!found) continue;
    add_named(*found, named);
    auto& one = found->checkpoint;
    one.parent.clear();
    one.chain = 0;
    kept.push_back({one.id, "", ns, one.step, std::string(pregel::to_string(one.source)), one.at, true,
                    pregel::encode(one, {}), found->metadata});
  }
  tx.exec("delete from agent_checkpoint where platform_id = $1::uuid and thread_id = $2::uuid", thread);
  tx.exec("delete from agent_blob where platform_id = $1::uuid and thread_id = $2::uuid", thread);
  const auto rows = to_rows(kept);
  insert(tx, {{key, std::nullopt, &rows}});
  tx.exec(
      "delete from agent_task w where platform_id = $1::uuid and thread_id = $2::uuid and not exists (select "
      "1 from "
      "agent_checkpoint c where c.platform_id = w.platform_id and c.thread_id = w.thread_id and "
      "c.checkpoint_id = "
      "w.checkpoint_id)",
      thread);
}

void CheckpointStore::remove_of_run(Transaction& tx, const ThreadKey& key, RunId run) {
  const std::vector<Param> ids = {key.platform.str(), key.thread.str(), run.str()};
  tx.exec(
      "with gone as (delete from agent_checkpoint where platform_id = $1::uuid and thread_id = $2::uuid and "
      "run_id = "
      "$3::uuid returning checkpoint_id) delete from agent_task w using gone where w.platform_id = $1::uuid "
      "and "
      "w.thread_id = $2::uuid and w.checkpoint_id = gone.checkpoint_id",
      ids);
  tx.exec(
      "delete from agent_blob b where platform_id = $1::uuid and thread_id = $2::uuid and not exists (select "
      "1 from "
      "agent_checkpoint c where c.platform_id = b.platform_id and c.thread_id = b.thread_id and b.digest = "
      "any(c.digests))",
      {key.platform.str(), key.thread.str()});
}

void CheckpointStore::copy(Transaction& tx, const ThreadKey& from, ThreadId to) {
  const std::vector<Param> ids = {from.platform.str(), from.thread.str(), to.str()};
  tx.exec(
      "insert into agent_checkpoint (platform_id, thread_id, run_id, checkpoint_ns, checkpoint_id, "
      "parent_id, step, "
      "source, metadata, at, is_whole, body, places, digests) select platform_id, $3::uuid, run_id, "
      "checkpoint_ns, "
      "checkpoint_id, parent_id, step, source, metadata, at, is_whole, body, places, digests from "
      "agent_checkpoint where "
      "platform_id = $1::uuid and thread_id = $2::uuid",
      ids);
  tx.exec(
      "insert into agent_blob (platform_id, thread_id, digest, body) select platform_id, $3::uuid, digest, "
      "body from "
      "agent_blob where platform_id = $1::uuid and thread_id = $2::uuid",
      ids);
  tx.exec(
      "insert into agent_task (platform_id, thread_id, checkpoint_id, task_id, fact, fact_key, value) select "
      "platform_id, $3::uuid, checkpoint_id, task_id, fact, fact_key, value from agent_task where "
      "platform_id = "
      "$1::uuid and thread_id = $2::uuid",
      ids);
}

}  // namespace assistiv::agents
