#pragma once
// End users of a platform, known to it by its own `external_id`. Rows of `end_user`.
#include <optional>
#include <string>
#include <utility>

#include "core/clock.h"
#include "core/ids.h"
#include "core/random.h"
#include "oauth/identity/page.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct EndUser {
  core::EndUserId id;
  core::PlatformId platform_id;
  std::string external_id;  // unique within the platform
  std::optional<std::string> display_name;
  std::string metadata_json;  // an object
  bool is_active = true;
  core::Time created_at, updated_at;
};

struct NewEndUser {
  std::string external_id;                   // 1..255 characters
  std::optional<std::string> display_name;   // 1..100 characters
  std::optional<std::string> metadata_json;  // an object, at most 16 KiB
};

struct EndUserPatch {
  std::optional<std::string> display_name;   // "" removes it
  std::optional<std::string> metadata_json;  // merged into the present (RFC 7396)
  std::optional<bool> is_active;             // false refuses all keys of the end user
};

// As PlatformStore.
class EndUserStore {
 public:
  EndUserStore(const core::Clock& clock, core::Random& random) : clock_(clock), random_(random) {}

  // The end user with this external_id, and whether this call created it. Any number of concurrent calls make
  // one row. An existing one is returned unchanged. Throws Error{NotFound} when the platform does not exist.
  std::pair<EndUser, bool> create_or_get(storage::Transaction& tx, core::PlatformId platform,
                                         const NewEndUser& input) const;
  std::optional<EndUser> get(storage::Transaction& tx, core::PlatformId platform, core::EndUserId id) const;
  Page<EndUser> list(storage::Transaction& tx, core::PlatformId platform,
                     const std::optional<std::string>& external_id,
                     PageRequest page) const;  // newest first
  std::optional<EndUser> update(storage::Transaction& tx, core::PlatformId platform, core::EndUserId id,
                                const EndUserPatch& patch) const;
  bool remove(storage::Transaction& tx, core::PlatformId platform, core::EndUserId id) const;

 private:
  const core::Clock& clock_;
  core::Random& random_;
};

}  // namespace assistiv::oauth
