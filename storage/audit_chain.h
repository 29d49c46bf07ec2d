#pragma once
// Inside storage/ only: what an audit entry's hash is over, and the rows of the chain.
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/async.h"
#include "storage/audit.h"

namespace assistiv::storage {

// Tells a waiting caller what became of an entry.
struct AuditReceipt {
  std::atomic<bool> written{false};
  core::AsyncEvent settled;
};

// An entry on its way into the chain. seq and the hashes (32 raw bytes) are set when it is linked.
struct AuditRecord {
  core::PlatformId platform;
  core::Time at;
  AuditEvent event;      // made fit by fit_event()
  std::int64_t seq = 0;  // 0: not linked
  std::string prev_hash, hash;
  std::shared_ptr<AuditReceipt> receipt = nullptr;  // none: nobody waits
};

struct AuditHead {
  std::int64_t seq = 0;
  std::string hash;  // raw
};

inline constexpr std::size_t kAuditDetailsMax = 16 * 1024;

// The hash before the first entry: 32 zero bytes.
std::string audit_genesis_hash();
// Bounded valid text everywhere, details compact with sorted keys. Throws Internal when details are no object
// or too long.
AuditEvent fit_event(AuditEvent event);
// One line of JSON with sorted keys; details as they are stored.
std::string canonical_entry(core::PlatformId platform, std::int64_t seq, core::Time at,
                            const AuditEvent& event);
// SHA-256(prev_hash || canonical entry), raw.
std::string audit_hash(std::string_view prev_hash, core::PlatformId platform, std::int64_t seq, core::Time at,
                       const AuditEvent& event);
// Gives `record` its place after `head`, and moves the head onto it.
void link_record(AuditRecord& record, AuditHead& head);

using AuditHeads = std::map<core::PlatformId, AuditHead>;

// Locks the chains of these platforms until the transaction ends, in the order of their ids (no deadlock
// between writers), and starts those that have none. A platform that does not exist is not in the result.
AuditHeads lock_audit_heads(Transaction& tx, const std::vector<core::PlatformId>& platforms);
// Adds linked records and moves the heads.
void insert_audit_records(Transaction& tx, const std::vector<const AuditRecord*>& records,
                          const AuditHeads& heads);
bool audit_record_exists(Transaction& tx, const AuditRecord& record);

std::optional<AuditHead> read_audit_head(Transaction& tx, core::PlatformId platform);
std::vector<AuditEntry> read_audit_entries(Transaction& tx, core::PlatformId platform, std::int64_t after_seq,
                                           std::int64_t up_to_seq, int limit);
AuditPage read_audit_page(Transaction& tx, core::PlatformId platform, const AuditFilter& filter);

}  // namespace assistiv::storage
