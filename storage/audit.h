#pragma once
// The audit trail: append-only, one hash chain per platform, seq from 1 without a gap.
// hash = SHA-256(the 32 bytes of prev_hash || the entry as one line of JSON: keys sorted, no white space,
// `at` in epoch milliseconds: actor_kind, at, details, end_user_id, event, key_id, platform_id, request_id,
// seq, subject). The first entry's prev_hash is 32 zero bytes.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::storage {

struct AuditEvent {
  std::string event;       // e.g. "tool.called"; the list is in docs/rest-api.md
  std::string actor_kind;  // "operator", "platform", "end_user", "system"
  std::optional<core::KeyId> key_id;
  std::optional<core::EndUserId> end_user_id;
  std::string subject;       // what it is about: a tool's name, a key's id
  std::string details_json;  // an object ("" is {}), at most 16 KiB; never a secret, arguments only as a hash
  std::string request_id;
  // details_json is an object as core::dump_json() writes it (compact, sorted): it is not read again.
  bool details_are_canonical = false;
};

struct AuditEntry {
  std::int64_t seq;
  core::Time at;
  AuditEvent event;
  std::string prev_hash, hash;  // hex
};

struct AuditFilter {
  std::optional<std::string> event;
  std::optional<core::EndUserId> end_user_id;
  int page = 1, limit = 20;
};

struct AuditPage {
  std::vector<AuditEntry> entries;  // newest first
  std::int64_t total;
};

struct AuditVerdict {
  bool valid;
  std::int64_t entries;  // that fit the chain, from the first one on
  std::int64_t head_seq;
  std::string head_hash;
  std::optional<std::int64_t> broken_at;
};

class AuditLog {
 public:
  AuditLog(Database& database, const core::Clock& clock);
  ~AuditLog();

  // Inside the transaction that does the thing: both happen or neither. It locks the platform's chain until
  // the transaction ends, so it belongs at its end. Throws NotFound when there is no such platform.
  void append(Transaction& tx, core::PlatformId platform, const AuditEvent& event);
  // For events without a transaction of their own (tool calls). Written in batches by one background writer:
  // the task resumes when the entry is queued, waits when the queue is full (bounded), and throws Unavailable
  // when the database has been away for so long that the queue cannot drain.
  core::Task<> record(core::PlatformId platform, AuditEvent event);
  // The same, resuming when the entry is in the database: for what must be on record before it is done.
  // Throws Unavailable when that cannot be had; the entry may be written later.
  core::Task<> record_durably(core::PlatformId platform, AuditEvent event);
  // Everything recorded so far is in the database when this returns.
  core::Task<> flush();
  // Starts the writer on `executor`; stop() flushes and joins.
  void start(core::AnyExecutor executor);
  void stop();

  core::Task<AuditPage> list(core::PlatformId platform, AuditFilter filter);
  // Recomputes the chain from the first entry, in chunks.
  core::Task<AuditVerdict> verify(core::PlatformId platform);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::storage
