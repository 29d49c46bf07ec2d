#pragma once
// The keys that sign access tokens, in memory. A new one is made every month; it is published before it
// signs, and the old one stays until nothing that it signed is valid any more.
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/task.h"
#include "oauth/authorize/authorize_world.h"
#include "oauth/authorize/signing_key_store.h"

namespace assistiv::oauth {

// Thread-safe.
class SigningKeys {
 public:
  explicit SigningKeys(AuthorizeWorld& world) : world_(world) {}

  // Makes the first key when there is none and reads all. Blocks: for start-up. Throws Error{InvalidArgument}
  // when the master keys are not those of the database.
  void load();
  // Makes a new key when the newest is old, forgets what has expired. Any number of nodes may call it.
  core::Task<> rotate_if_due();

  // A JWS with the key of this moment. Throws Error{Unavailable} without one.
  std::string sign(std::string_view type, std::string_view payload) const;
  // The payload of a JWS of this type that one of the keys signed. An unknown key makes it read the keys
  // again, at most once a second.
  core::Task<std::optional<std::string>> verify(std::string type, std::string jws);
  // A JWK set (RFC 7517 section 5) of the public parts.
  core::Json public_set() const;
  // Topics "signing_key" and "resync": the keys are read again at the next need.
  void on_notify(std::string_view topic);

 private:
  using Ring = std::vector<SigningKey>;
  std::shared_ptr<const Ring> ring() const;
  void keep(Ring keys);
  static std::string public_jwk_of(const Ring& ring, std::string_view kid);
  Ring read_or_make(storage::Transaction& tx) const;
  core::Task<> read_again();

  AuthorizeWorld& world_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Ring> ring_ = std::make_shared<const Ring>();
  std::chrono::steady_clock::time_point read_at_{};
  std::atomic<bool> stale_{false};
};

}  // namespace assistiv::oauth
