#pragma once
// Whole replies by the exact request that they answered, per platform. In this process's memory only: another
// process has its own, a restart empties it.
#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/ids.h"
#include "inference/dialect.h"

namespace assistiv::inference {

struct CachedReply {
  std::string body;
  std::string content_type;
  std::string provider;
  std::string model;
  std::string provider_model;
};
using CachedReplyPtr = std::shared_ptr<const CachedReply>;

// Thread-safe. The least recently used go first when the bytes run out.
class ResponseCache {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  explicit ResponseCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // The request's key: the platform, the dialect, and a digest of the bytes. `path_model` and `stream` are
  // there for Gemini, which says them in the path.
  static std::string key_of(core::PlatformId platform, DialectId dialect, const std::string& path_model,
                            bool stream, std::string_view body);

  CachedReplyPtr find(const std::string& key, SteadyTime now);
  // One that is larger than an eighth of the cache is not kept.
  void put(const std::string& key, CachedReplyPtr reply, SteadyTime until);
  std::size_t bytes() const;

 private:
  struct Entry {
    std::string key;
    CachedReplyPtr reply;
    SteadyTime until;
    std::size_t bytes = 0;
  };
  using Entries = std::list<Entry>;
  void drop(Entries::iterator entry);

  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  Entries entries_;  // the most recently used first
  std::unordered_map<std::string, Entries::iterator> places_;
  std::size_t bytes_ = 0;
};

}  // namespace assistiv::inference
