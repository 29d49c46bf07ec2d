#include "agents/effects/result_cache.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "core/metrics.h"

namespace assistiv::agents {
namespace {

core::metrics::Counter& asked_counter(const char* outcome) {
  return core::metrics::counter("assistiv_agent_cache_total",
                                "Results of agents' nodes that were looked for.", {{"outcome", outcome}});
}

}  // namespace

std::optional<core::Json> ResultCache::find(const std::string& key) {
  static auto& hits = asked_counter("hit");
  static auto& misses = asked_counter("miss");
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    if (found != by_key_.end() && found->second->until <= clock_.now()) {
      drop(found->second);
    } else if (found != by_key_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      text = found->second->text;
    }
  }
  (text.empty() ? misses : hits).add();
  if (text.empty()) return std::nullopt;
  return core::parse_json(text);
}

void ResultCache::put(const std::string& key, const core::Json& result, std::chrono::seconds ttl) {
  auto text = core::dump_json(result);
  if (key.size() + text.size() > limits_.entry_bytes_max) return;
  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) drop(found->second);
  bytes_ += key.size() + text.size();
  entries_.push_front({key, std::move(text), clock_.now() + ttl});
  by_key_[key] = entries_.begin();
  while (entries_.size() > limits_.entries_max || bytes_ > limits_.bytes_max) drop(std::prev(entries_.end()));
}

void ResultCache::drop(Entries::iterator entry) {
  bytes_ -= entry->key.size() + entry->text.size();
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

std::size_t ResultCache::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::size_t ResultCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace assistiv::agents
