// The statements of the audit trail (migration 0006).
#include <array>

#include "core/encoding.h"
#include "core/error.h"
#include "storage/audit_chain.h"
#include "storage/text_array.h"

namespace assistiv::storage {

namespace {

constexpr const char* kEntryColumns =
    "seq, assistiv_ms(at) as at, event, actor_kind, key_id, end_user_id, subject, details, request_id,"
    " encode(prev_hash, 'hex') as prev_hash, encode(hash, 'hex') as hash";

std::string id_array(const std::vector<core::PlatformId>& platforms) {
  TextArray ids;
  for (const auto& platform : platforms) ids.add(platform.str());
  return ids.take();
}

std::string from_hex(const std::string& hex) {
  auto raw = core::hex_decode(hex);
  if (!raw) throw core::internal("not hex: " + hex);
  return *std::move(raw);
}

AuditHeads select_heads(Transaction& tx, const std::string& ids) {
  AuditHeads heads;
  for (const auto row : tx.exec("select platform_id, seq, encode(hash, 'hex') as hash from audit_head"
                                " where platform_id = any($1::uuid[]) order by platform_id for update",
                                {ids})) {
    heads[row.id<core::PlatformId>("platform_id")] = {row.integer("seq"), from_hex(row.text("hash"))};
  }
  return heads;
}

AuditEntry read_entry(const Row& row) {
  AuditEntry entry;
  entry.seq = row.integer("seq");
  entry.at = row.time("at");
  entry.event.event = row.text("event");
  entry.event.actor_kind = row.text("actor_kind");
  entry.event.key_id = row.optional_id<core::KeyId>("key_id");
  entry.event.end_user_id = row.optional_id<core::EndUserId>("end_user_id");
  entry.event.subject = row.text("subject");
  entry.event.details_json = row.text("details");
  entry.event.request_id = row.text("request_id");
  entry.prev_hash = row.text("prev_hash");
  entry.hash = row.text("hash");
  return entry;
}

std::vector<AuditEntry> read_entries(const Result& rows) {
  std::vector<AuditEntry> out;
  out.reserve(rows.size());
  for (const auto row : rows) out.push_back(read_entry(row));
  return out;
}

template <class AnyId>
void add_id(TextArray& column, const std::optional<AnyId>& id) {
  id ? column.add(id->str()) : column.add_null();
}

// Records turned into one array per column.
std::vector<Param> record_columns(const std::vector<const AuditRecord*>& records) {
  std::array<TextArray, 12> columns;
  for (const auto* record : records) {
    columns[0].add(record->platform.str());
    columns[1].add(std::to_string(record->seq));
    columns[2].add(std::to_string(core::to_epoch_ms(record->at)));
    columns[3].add(record->event.event);
    columns[4].add(record->event.actor_kind);
    add_id(columns[5], record->event.key_id);
    add_id(columns[6], record->event.end_user_id);
    columns[7].add(record->event.subject);
    columns[8].add(record->event.details_json);
    columns[9].add(record->event.request_id);
    columns[10].add(core::hex_encode(record->prev_hash));
    columns[11].add(core::hex_encode(record->hash));
  }
  std::vector<Param> out;
  for (auto& column : columns) out.emplace_back(column.take());
  return out;
}

}  // namespace

AuditHeads lock_audit_heads(Transaction& tx, const std::vector<core::PlatformId>& platforms) {
  const auto ids = id_array(platforms);
  auto heads = select_heads(tx, ids);
  if (heads.size() == platforms.size()) return heads;
  tx.exec(
      "insert into audit_head (platform_id, seq, hash)"
      " select platform_id, 0, decode(repeat('00', 32), 'hex') from platform where platform_id = "
      "any($1::uuid[])"
      " order by platform_id on conflict do nothing",
      {ids});
  return select_heads(tx, ids);
}

void insert_audit_records(Transaction& tx, const std::vector<const AuditRecord*>& records,
                          const AuditHeads& heads) {
  auto params = record_columns(records);
  TextArray platforms, seqs, hashes;
  for (const auto& [platform, head] : heads) {
    platforms.add(platform.str());
    seqs.add(std::to_string(head.seq));
    hashes.add(core::hex_encode(head.hash));
  }
  params.emplace_back(platforms.take());
  params.emplace_back(seqs.take());
  params.emplace_back(hashes.take());
  tx.exec(
      "with added as ("
      " insert into audit_entry (platform_id, seq, at, event, actor_kind, key_id, end_user_id, subject, "
      "details,"
      "  request_id, prev_hash, hash)"
      " select platform_id, seq, assistiv_time(at), event, actor_kind, key_id, end_user_id, subject, "
      "details, request_id,"
      "  decode(prev_hash, 'hex'), decode(hash, 'hex')"
      " from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], "
      "$8::text[],"
      "  $9::json[], $10::text[], $11::text[], $12::text[])"
      "  as r(platform_id, seq, at, event, actor_kind, key_id, end_user_id, subject, details, request_id, "
      "prev_hash, hash))"
      " update audit_head h set seq = n.seq, hash = decode(n.hash, 'hex')"
      " from unnest($13::uuid[], $14::bigint[], $15::text[]) as n(platform_id, seq, hash)"
      " where h.platform_id = n.platform_id",
      std::move(params));
}

bool audit_record_exists(Transaction& tx, const AuditRecord& record) {
  return !tx.exec(
                "select from audit_entry where platform_id = $1::uuid and seq = $2::bigint and hash = "
                "decode($3, 'hex')",
                {record.platform.str(), std::to_string(record.seq), core::hex_encode(record.hash)})
              .empty();
}

std::optional<AuditHead> read_audit_head(Transaction& tx, core::PlatformId platform) {
  const auto rows =
      tx.exec("select seq, encode(hash, 'hex') as hash from audit_head where platform_id = $1::uuid",
              {platform.str()});
  if (rows.empty()) return std::nullopt;
  return AuditHead{rows[0].integer("seq"), from_hex(rows[0].text("hash"))};
}

std::vector<AuditEntry> read_audit_entries(Transaction& tx, core::PlatformId platform, std::int64_t after_seq,
                                           std::int64_t up_to_seq, int limit) {
  return read_entries(
      tx.exec(std::string("select ") + kEntryColumns +
                  " from audit_entry where platform_id = $1::uuid and seq > $2::bigint"
                  " and seq <= $3::bigint order by seq limit $4::int",
              {platform.str(), std::to_string(after_seq), std::to_string(up_to_seq), std::to_string(limit)}));
}

AuditPage read_audit_page(Transaction& tx, core::PlatformId platform, const AuditFilter& filter) {
  const auto offset = static_cast<std::int64_t>(filter.page - 1) * filter.limit;
  if (!filter.event && !filter.end_user_id) {
    // The chain has no gaps, so the page is a range and the total is the head: no counting, no skipping.
    const auto head = read_audit_head(tx, platform);
    const auto total = head ? head->seq : 0;
    auto entries =
        read_audit_entries(tx, platform, total - offset - filter.limit, total - offset, filter.limit);
    return {{entries.rbegin(), entries.rend()}, total};
  }
  std::string where = " from audit_entry where platform_id = $1::uuid";
  std::vector<Param> params = {platform.str()};
  if (filter.event) {
    params.emplace_back(*filter.event);
    where += " and event = $" + std::to_string(params.size());
  }
  if (filter.end_user_id) {
    params.emplace_back(filter.end_user_id->str());
    where += " and end_user_id = $" + std::to_string(params.size()) + "::uuid";
  }
  const auto total = tx.exec("select count(*) as total" + where, params)[0].integer("total");
  const auto range =
      " order by seq desc limit " + std::to_string(filter.limit) + " offset " + std::to_string(offset);
  return {read_entries(tx.exec(std::string("select ") + kEntryColumns + where + range, params)), total};
}

}  // namespace assistiv::storage
