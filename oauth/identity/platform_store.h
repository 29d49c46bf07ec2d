#pragma once
// Platforms: the tenants. Rows of `platform`.
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/ids.h"
#include "core/random.h"
#include "oauth/identity/page.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct Platform {
  core::PlatformId id;
  std::string name;
  std::string slug;           // unique on the server
  std::string settings_json;  // an object
  bool is_active = true;
  core::Time created_at, updated_at;
};

struct NewPlatform {
  std::string name;                          // 1..100 characters
  std::optional<std::string> slug;           // [a-z0-9-], 1..63; made from the name when absent
  std::optional<std::string> settings_json;  // an object, at most 64 KiB
};

struct PlatformPatch {
  std::optional<std::string> name;
  std::optional<std::string> slug;
  std::optional<std::string> settings_json;  // merged into the present ones (RFC 7396)
  std::optional<bool> is_active;             // the operator's switch: false refuses all keys of the platform
};

// Stores do one table's SQL inside the caller's transaction. Thread-safe: they hold no state of their own.
// Faulty values throw Error{InvalidArgument} with a JSON pointer; a taken slug throws Error{Conflict}.
class PlatformStore {
 public:
  PlatformStore(const core::Clock& clock, core::Random& random) : clock_(clock), random_(random) {}

  Platform create(storage::Transaction& tx, const NewPlatform& input) const;
  std::optional<Platform> get(storage::Transaction& tx, core::PlatformId id) const;
  Page<Platform> list(storage::Transaction& tx, PageRequest page) const;  // newest first
  std::optional<Platform> update(storage::Transaction& tx, core::PlatformId id,
                                 const PlatformPatch& patch) const;
  // Everything that the platform owns goes with it.
  bool remove(storage::Transaction& tx, core::PlatformId id) const;

 private:
  const core::Clock& clock_;
  core::Random& random_;
};

}  // namespace assistiv::oauth
