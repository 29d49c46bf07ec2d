#pragma once
// Decrypted access tokens in this process's memory, and nowhere else. Thread-safe.
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/clock.h"
#include "core/ids.h"
#include "oauth/connect/token_service.h"

namespace assistiv::oauth {

class TokenCache {
 public:
  explicit TokenCache(std::size_t max) : max_(max) {}

  // The token while it is fresh.
  std::optional<TokenAnswer> get(core::PlatformId platform, core::ConnectionId connection,
                                 const std::string& slot, core::Time now) const;
  // Changes with every invalidation. A value read from the database is kept only when nothing was invalidated
  // since before the read: otherwise it may be what the notice was about.
  std::uint64_t epoch() const;
  struct Entry {
    core::PlatformId platform_id;
    core::EndUserId end_user_id;
    std::string app;
    TokenAnswer answer;
    std::optional<core::Time> fresh_until;
  };
  void put(core::ConnectionId connection, const std::string& slot, Entry entry, std::uint64_t epoch);
  void drop(core::ConnectionId connection, const std::string& slot);

  void on_notify(std::string_view topic, std::string_view payload);
  std::size_t size() const;

 private:
  static std::string key_of(core::ConnectionId connection, const std::string& slot);
  mutable std::mutex mutex_;
  std::size_t max_;
  std::uint64_t epoch_ = 0;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace assistiv::oauth
