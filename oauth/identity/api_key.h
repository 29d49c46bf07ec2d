#pragma once
// API keys: what they look like and what they may do. Pure functions.
// raw key = kind's prefix ("sk-plat_", "sk-eu_", "sk-admin_") + 64 lowercase hex digits of 32 random bytes.
// Only its SHA-256 is stored; `key_prefix` (the prefix and 8 digits) stays readable so that people can tell
// keys apart.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/random.h"
#include "core/secret.h"
#include "oauth/principal.h"

namespace assistiv::oauth {

struct ApiKey {
  core::KeyId id;
  std::optional<core::PlatformId> platform_id;  // none for an operator key
  std::optional<core::EndUserId> end_user_id;   // set for an end user's key
  PrincipalKind kind = PrincipalKind::Platform;
  std::string key_prefix;
  std::optional<std::string> name;
  std::vector<std::string> scopes;
  bool is_active = true;
  std::optional<core::Time> last_used_at, expires_at;
  core::Time created_at;
};

// A fresh key; `raw` exists here and in the one reply that carries it, nowhere else.
struct IssuedKey {
  ApiKey key;
  core::Secret raw;
};

struct NewKey {
  std::optional<std::string> name;                 // 1..100 characters
  std::optional<std::vector<std::string>> scopes;  // all of the kind's when absent
  std::optional<core::Time> expires_at;            // in the future; never when absent
};

struct KeyPatch {
  std::optional<std::string> name;  // "" removes it
  std::optional<bool> is_active;
};

std::string_view raw_key_prefix(PrincipalKind kind);
// The kind of a well-formed raw key; empty for anything else. Needs no look-up.
std::optional<PrincipalKind> kind_of_raw_key(std::string_view raw);
core::Secret make_raw_key(PrincipalKind kind, core::Random& random);
// What people may see of a raw key.
std::string visible_prefix(std::string_view raw);

// The scopes that a kind of key can have; also its default.
std::span<const std::string_view> scopes_of(PrincipalKind kind);
// Sorted, without duplicates. Throws Error{InvalidArgument} (field "/scopes") on an unknown or missing scope.
std::vector<std::string> checked_scopes(PrincipalKind kind,
                                        const std::optional<std::vector<std::string>>& scopes);

}  // namespace assistiv::oauth
