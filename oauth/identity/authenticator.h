#pragma once
// From a bearer key or an access token to a Principal. Answers are cached in memory for a minute and dropped
// at once when a notice says that the key, its end user or its platform changed; expiry is checked on every
// use.
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/ids.h"
#include "core/task.h"
#include "oauth/identity/key_store.h"
#include "oauth/identity/token_door.h"
#include "oauth/principal.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct AuthenticatorOptions {
  std::size_t max_entries = 65536;       // keys in memory; past it the least recently used of a sample goes
  std::chrono::milliseconds ttl{60000};  // how long a good key is trusted without a look-up
  std::chrono::milliseconds deny_ttl{5000};  // how long an unknown key is refused without a look-up
  std::size_t max_denied = 16384;
  std::chrono::milliseconds use_write_interval{60000};  // how often last_used_at goes to the database
};

// Thread-safe.
class Authenticator {
 public:
  Authenticator(storage::Database& database, const KeyStore& keys, const core::Clock& clock,
                AuthenticatorOptions options = {});
  ~Authenticator();  // calls stop()
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

  // Lets what `tokens` knows in, too. Before the first call of authenticate().
  void accept(TokenDoor& tokens);

  // `bearer` is what follows "Bearer " in the Authorization header, or "" when there is none. Throws
  // Error{Unauthenticated} with a message for the caller; malformed keys cost no look-up, and concurrent
  // calls with one unknown key share one.
  core::Task<PrincipalPtr> authenticate(std::string bearer);
  // The hot path: the cached answer, or null when only authenticate() can tell. No I/O, one short lock.
  PrincipalPtr cached(std::string_view bearer);

  // Who acts for the end user by a key, or by what stands behind an access token (Principal::key_id), as it
  // is now; null when that is no good any more. For work that goes on without its caller: always a look-up.
  core::Task<PrincipalPtr> standing(core::PlatformId platform, core::EndUserId end_user, core::KeyId key);
  // The same for a key of either kind: a platform's acts for the end user (acting_for), or without one for
  // itself.
  core::Task<PrincipalPtr> standing_any(core::PlatformId platform, std::optional<core::EndUserId> end_user,
                                        core::KeyId key);

  // For storage::Notifier::subscribe and IdentityHooks::changed. Topics: key, platform, end_user, resync.
  void on_notify(std::string_view topic, std::string_view payload);

  // Starts the writer of last_used_at on `executor`; stop() writes what is left and joins.
  void start(core::AnyExecutor executor);
  void stop();
  // Writes the uses since the last write now.
  core::Task<> write_uses();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A platform's key acts for one of its end users: as that end user, with the id and the scopes of the key.
// One that manages could make that user a key, so it may use their tools, too. That the end user is the
// platform's is the caller's to check.
PrincipalPtr acting_for(const Principal& platform, core::EndUserId end_user);

}  // namespace assistiv::oauth
