#pragma once
// What the authenticator remembers: principals by the hash of their key, and hashes that lead nowhere.
// Sharded, so that a look-up takes one short lock; bounded in both. Thread-safe, no I/O.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/clock.h"
#include "oauth/identity/key_store.h"
#include "oauth/principal.h"

namespace assistiv::oauth {

using KeyHash = std::array<std::uint8_t, 32>;  // SHA-256 of a raw key

KeyHash hash_of_raw_key(std::string_view raw);
std::optional<KeyHash> key_hash_of_hex(std::string_view hex);

// False once the credential has expired.
bool is_live(const Principal& principal, core::Time now);

struct KeyHashHash {
  std::size_t operator()(const KeyHash& hash) const;
};

struct PrincipalCacheOptions {
  std::size_t max_entries;
  std::chrono::milliseconds ttl;
  std::size_t max_denied;
  std::chrono::milliseconds deny_ttl;
};

class PrincipalCache {
 public:
  explicit PrincipalCache(PrincipalCacheOptions options) : options_(options) {}

  struct Answer {
    bool known = false;      // false: only the database can tell
    PrincipalPtr principal;  // null when known: refused. The caller checks its expiry.
  };
  // Counts as a use of the key when it gives a principal that has not expired.
  Answer find(const KeyHash& hash, core::Time now);

  // Grows with every change that concerns the key. What was read from the database is stored only if it has
  // not moved since before the reading: otherwise the answer may be older than the change.
  std::uint64_t version(const KeyHash& hash);
  // A null principal stores the refusal.
  void store(const KeyHash& hash, PrincipalPtr principal, std::uint64_t version, core::Time now);

  void forget(const KeyHash& hash);
  // Forgets the principals that `concerned` says yes to, and all refusals.
  void forget_if(const std::function<bool(const Principal&)>& concerned);

  // The keys used since the last call, at most one use per key and cache entry.
  std::vector<KeyUse> take_uses();

 private:
  struct Entry {
    PrincipalPtr principal;
    core::Time loaded_at, used_at, reported_at;
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<KeyHash, Entry, KeyHashHash> entries;
    std::unordered_map<KeyHash, core::Time, KeyHashHash> denied;  // refused at
    std::vector<KeyUse> uses;                                     // of entries that are gone
    std::uint64_t version = 0;
    std::size_t hand = 0;  // where the next search for a victim starts
  };
  static constexpr std::size_t kShards = 16;

  Shard& shard_of(const KeyHash& hash) { return shards_[hash[31] % kShards]; }
  void deny(Shard& shard, const KeyHash& hash, core::Time now);
  void make_room(Shard& shard);
  void keep_use(Shard& shard, const Entry& entry);

  const PrincipalCacheOptions options_;
  std::array<Shard, kShards> shards_;
};

}  // namespace assistiv::oauth
