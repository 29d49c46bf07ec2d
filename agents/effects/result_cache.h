#pragma once
// Results of nodes that are used again, of all tenants of this process: the least recently used go first.
#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/json.h"

namespace assistiv::agents {

struct ResultCacheLimits {
  std::size_t entries_max = 20'000;
  std::size_t bytes_max = 64 << 20;       // of keys and results, as text
  std::size_t entry_bytes_max = 1 << 20;  // what is larger is not kept
};

// Thread-safe.
class ResultCache {
 public:
  explicit ResultCache(const core::Clock& clock, ResultCacheLimits limits = {})
      : clock_(clock), limits_(limits) {}

  std::optional<core::Json> find(const std::string& key);
  void put(const std::string& key, const core::Json& result, std::chrono::seconds ttl);
  std::size_t entries() const;
  std::size_t bytes() const;

 private:
  struct Entry {
    std::string key;
    std::string text;
    core::Time until;
  };
  using Entries = std::list<Entry>;
  void drop(Entries::iterator entry);

  const core::Clock& clock_;
  const ResultCacheLimits limits_;
  mutable std::mutex mutex_;
  Entries entries_;  // the most recently used first
  std::map<std::string, Entries::iterator> by_key_;
  std::size_t bytes_ = 0;
};

}  // namespace assistiv::agents
