#pragma once
// Rows of `sign_in_link` and `sign_in_session`. Both are found by the hash of a secret that only the browser
// has, so the look-ups run in the system's scope.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/ids.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct SignInLinkRow {
  core::PlatformId platform_id;
  core::EndUserId end_user_id;
  std::optional<core::KeyId> created_by;
  core::Time expires_at;
  bool consumed = false;
};

struct SignInSessionRow {
  core::PlatformId platform_id;
  core::EndUserId end_user_id;
  std::optional<core::KeyId> key_id;  // the pasted key
  core::Time expires_at;
  std::optional<core::KeyId> issuer_id = {};  // of the platform's provider
};

class SignInStore {
 public:
  explicit SignInStore(const core::Clock& clock) : clock_(clock) {}

  // Throws NotFound when the end user is not the platform's. Of one end user only the newest few are kept.
  void insert_link(storage::Transaction& tx, const SignInLinkRow& link, std::string_view token) const;
  std::optional<SignInLinkRow> find_link(storage::Transaction& tx, std::string_view token) const;
  // The row as it was; afterwards it is used up. Of any number of callers one gets it unconsumed.
  std::optional<SignInLinkRow> consume_link(storage::Transaction& tx, std::string_view token) const;

  void insert_session(storage::Transaction& tx, const SignInSessionRow& session,
                      std::string_view cookie) const;
  // One that has not expired and whose key, if it has one, is still good.
  std::optional<SignInSessionRow> find_session(storage::Transaction& tx, std::string_view cookie) const;
  void remove_session(storage::Transaction& tx, std::string_view cookie) const;

  void discard_expired(storage::Transaction& tx, core::Time before, std::int64_t limit) const;

 private:
  const core::Clock& clock_;
};

}  // namespace assistiv::oauth
