#pragma once
// The JWK sets of registered issuers, in memory. A set is fetched when it is needed and too old, or does not
// have the key that a token names; but never twice within kAskAgainAfter, whatever strangers send us.
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/async.h"
#include "core/task.h"
#include "oauth/authorize/authorize_world.h"
#include "oauth/crypto/foreign_jws.h"

namespace assistiv::oauth {

// Thread-safe.
class KeySets {
 public:
  static constexpr std::chrono::seconds kAskAgainAfter{30};
  static constexpr std::size_t kSetsMax = 1000;

  explicit KeySets(AuthorizeWorld& world) : world_(world) {}

  // The payload of a JWS that a key of the set at `url` signed; nothing for any other text. Throws
  // Error{Unavailable} while there is no set to look into.
  core::Task<std::optional<std::string>> verify(std::string url, std::string jws);

 private:
  using Set = std::shared_ptr<const std::vector<ForeignKey>>;
  using Flight = std::shared_ptr<core::AsyncEvent>;
  struct Entry {
    Set keys;                            // null: none was ever read
    core::Time read_at{}, good_until{};  // of `keys`
    std::optional<core::Time> asked_at;
    core::Time used_at{};
    Flight flight;  // while it is fetched
  };
  struct Landing;

  // The keys to look into; fetches them first where `jws` needs it.
  core::Task<Set> keys_for(std::string url, std::string jws);
  core::Task<> fetch(std::string url, Flight flight);
  // What to wait for: one's own flight (first is true), another's, or nothing.
  std::pair<bool, Flight> board(const std::string& url, const std::string& jws);
  void make_room();
  Set usable(const std::string& url);

  AuthorizeWorld& world_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace assistiv::oauth
