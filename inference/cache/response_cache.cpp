#include "inference/cache/response_cache.h"

#include "core/encoding.h"

namespace assistiv::inference {

namespace {

constexpr std::size_t kEntryOverhead = 256;

}  // namespace

std::string ResponseCache::key_of(core::PlatformId platform, DialectId dialect, const std::string& path_model,
                                  bool stream, std::string_view body) {
  std::string key(reinterpret_cast<const char*>(platform.uuid.bytes.data()), platform.uuid.bytes.size());
  key.append(to_string(dialect)).append(stream ? " stream " : " whole ").append(path_model).push_back('\0');
  return key + core::sha256(body);
}

CachedReplyPtr ResponseCache::find(const std::string& key, SteadyTime now) {
  std::lock_guard lock(mutex_);
  const auto place = places_.find(key);
  if (place == places_.end()) return nullptr;
  if (place->second->until <= now) {
    drop(place->second);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, place->second);
  return place->second->reply;
}

void ResponseCache::put(const std::string& key, CachedReplyPtr reply, SteadyTime until) {
  const std::size_t bytes = reply->body.size() + key.size() * 2 + kEntryOverhead;
  if (bytes > bytes_max_ / 8) return;
  std::lock_guard lock(mutex_);
  if (const auto place = places_.find(key); place != places_.end()) drop(place->second);
  while (bytes_ + bytes > bytes_max_ && !entries_.empty()) drop(std::prev(entries_.end()));
  entries_.push_front({key, std::move(reply), until, bytes});
  places_[key] = entries_.begin();
  bytes_ += bytes;
}

std::size_t ResponseCache::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

void ResponseCache::drop(Entries::iterator entry) {
  bytes_ -= entry->bytes;
  places_.erase(entry->key);
  entries_.erase(entry);
}

}  // namespace assistiv::inference
