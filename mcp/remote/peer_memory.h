#pragma once
// What a node remembers of remote servers: which revision each speaks, and the session of each caller.
#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "mcp/protocol/version.h"

namespace assistiv::mcp {

struct Peer {
  Version version = Version::v2026_07_28;
  std::string session;  // legacy; "" when the server keeps none
  std::string server_name, server_version;
};

// Thread-safe and bounded.
class PeerMemory {
 public:
  using Time = std::chrono::steady_clock::time_point;
  PeerMemory(std::size_t max, std::chrono::minutes life) : max_(max), life_(life) {}

  std::optional<Peer> find(const std::string& key, Time now);
  void keep(const std::string& key, Peer peer, Time now);
  // Only while it is the one that is remembered: another caller may have a newer one by now.
  void forget(const std::string& key, const Peer& peer);
  void clear();

 private:
  struct Entry {
    Peer peer;
    Time until;
  };
  void make_room(Time now);
  const std::size_t max_;
  const std::chrono::minutes life_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace assistiv::mcp
