#include "mcp/remote/peer_memory.h"

#include <algorithm>
#include <utility>

namespace assistiv::mcp {

std::optional<Peer> PeerMemory::find(const std::string& key, Time now) {
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) return {};
  if (it->second.until <= now) {
    entries_.erase(it);
    return {};
  }
  return it->second.peer;
}

void PeerMemory::keep(const std::string& key, Peer peer, Time now) {
  const std::lock_guard lock(mutex_);
  if (!entries_.contains(key)) make_room(now);
  entries_.insert_or_assign(key, Entry{std::move(peer), now + life_});
}

void PeerMemory::forget(const std::string& key, const Peer& peer) {
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it != entries_.end() && it->second.peer.session == peer.session &&
      it->second.peer.version == peer.version)
    entries_.erase(it);
}

void PeerMemory::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

// Needs the lock.
void PeerMemory::make_room(Time now) {
  if (entries_.size() < max_) return;
  std::erase_if(entries_, [now](const auto& entry) { return entry.second.until <= now; });
  if (entries_.size() < max_) return;
  entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
    return a.second.until < b.second.until;
  }));
}

}  // namespace assistiv::mcp
