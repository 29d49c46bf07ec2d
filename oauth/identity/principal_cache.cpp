#include "oauth/identity/principal_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/encoding.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kEvictionSample = 16;

bool is_fresh(core::Time since, core::Time now, std::chrono::milliseconds ttl) {
  return now - since < ttl &&
         since - now < ttl;  // a clock that was set back must not keep an answer for long
}

KeyHash hash_of_bytes(const std::string& bytes) {
  KeyHash out;
  std::memcpy(out.data(), bytes.data(), out.size());
  return out;
}

KeyUse use_of(const Principal& principal, core::Time at) {
  const bool of_tenant = principal.kind != PrincipalKind::Operator;
  return {of_tenant ? std::optional(principal.platform_id) : std::nullopt, principal.key_id, at,
          !principal.audience.empty()};
}

}  // namespace

bool is_live(const Principal& principal, core::Time now) {
  return !principal.expires_at || now < *principal.expires_at;
}

KeyHash hash_of_raw_key(std::string_view raw) {
  return hash_of_bytes(core::sha256(raw));
}

std::optional<KeyHash> key_hash_of_hex(std::string_view hex) {
  const auto bytes = core::hex_decode(hex);
  if (!bytes || bytes->size() != std::tuple_size_v<KeyHash>) return std::nullopt;
  return hash_of_bytes(*bytes);
}

std::size_t KeyHashHash::operator()(const KeyHash& hash) const {
  std::size_t out = 0;
  std::memcpy(&out, hash.data(), sizeof(out));
  return out;
}

PrincipalCache::Answer PrincipalCache::find(const KeyHash& hash, core::Time now) {
  auto& shard = shard_of(hash);
  std::lock_guard lock(shard.mutex);
  if (const auto hit = shard.entries.find(hash); hit != shard.entries.end()) {
    auto& entry = hit->second;
    if (!is_fresh(entry.loaded_at, now, options_.ttl)) return {};
    if (is_live(*entry.principal, now)) entry.used_at = now;
    return {true, entry.principal};
  }
  const auto denied = shard.denied.find(hash);
  return {denied != shard.denied.end() && is_fresh(denied->second, now, options_.deny_ttl), nullptr};
}

std::uint64_t PrincipalCache::version(const KeyHash& hash) {
  auto& shard = shard_of(hash);
  std::lock_guard lock(shard.mutex);
  return shard.version;
}

void PrincipalCache::store(const KeyHash& hash, PrincipalPtr principal, std::uint64_t version,
                           core::Time now) {
  auto& shard = shard_of(hash);
  std::lock_guard lock(shard.mutex);
  if (shard.version != version) return;
  if (!principal) return deny(shard, hash, now);
  shard.denied.erase(hash);
  auto hit = shard.entries.find(hash);
  if (hit == shard.entries.end()) {
    make_room(shard);
    hit = shard.entries.emplace(hash, Entry{}).first;
  }
  hit->second.principal = std::move(principal);
  hit->second.loaded_at = now;
  if (is_live(*hit->second.principal, now)) hit->second.used_at = now;
}

void PrincipalCache::deny(Shard& shard, const KeyHash& hash, core::Time now) {
  if (const auto hit = shard.entries.find(hash); hit != shard.entries.end()) {
    keep_use(shard, hit->second);
    shard.entries.erase(hit);
  }
  // Refusals are cheap to make and to lose: a flood of them only costs their memory.
  if (shard.denied.size() >= std::max<std::size_t>(1, options_.max_denied / kShards)) shard.denied.clear();
  shard.denied[hash] = now;
}

void PrincipalCache::make_room(Shard& shard) {
  if (shard.entries.size() < std::max<std::size_t>(1, options_.max_entries / kShards)) return;
  auto victim = shard.entries.end();
  std::size_t seen = 0;
  const std::size_t buckets = shard.entries.bucket_count();
  for (std::size_t i = 0; i < buckets && seen < kEvictionSample; ++i, ++shard.hand) {
    const std::size_t bucket = shard.hand % buckets;
    for (auto it = shard.entries.begin(bucket); it != shard.entries.end(bucket); ++it, ++seen) {
      const auto entry = shard.entries.find(it->first);
      if (victim == shard.entries.end() || entry->second.used_at < victim->second.used_at) victim = entry;
    }
  }
  keep_use(shard, victim->second);
  shard.entries.erase(victim);
}

void PrincipalCache::keep_use(Shard& shard, const Entry& entry) {
  const std::size_t room = std::max<std::size_t>(1, options_.max_entries / kShards);
  if (entry.used_at > entry.reported_at && shard.uses.size() < room) {
    shard.uses.push_back(use_of(*entry.principal, entry.used_at));
  }
}

void PrincipalCache::forget(const KeyHash& hash) {
  auto& shard = shard_of(hash);
  std::lock_guard lock(shard.mutex);
  ++shard.version;
  shard.denied.erase(hash);
  if (const auto hit = shard.entries.find(hash); hit != shard.entries.end()) {
    keep_use(shard, hit->second);
    shard.entries.erase(hit);
  }
}

void PrincipalCache::forget_if(const std::function<bool(const Principal&)>& concerned) {
  for (auto& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    ++shard.version;
    shard.denied.clear();
    std::erase_if(shard.entries, [&](const auto& item) {
      if (!concerned(*item.second.principal)) return false;
      keep_use(shard, item.second);
      return true;
    });
  }
}

std::vector<KeyUse> PrincipalCache::take_uses() {
  std::vector<KeyUse> out;
  for (auto& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    out.insert(out.end(), shard.uses.begin(), shard.uses.end());
    shard.uses.clear();
    for (auto& [hash, entry] : shard.entries) {
      if (entry.used_at <= entry.reported_at) continue;
      entry.reported_at = entry.used_at;
      out.push_back(use_of(*entry.principal, entry.used_at));
    }
  }
  return out;
}

}  // namespace assistiv::oauth
