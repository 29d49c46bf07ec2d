#pragma once
// What api_key and operator_key have in common: the columns, and the values of a new row.
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/random.h"
#include "oauth/identity/api_key.h"
#include "storage/database.h"

namespace assistiv::oauth {

inline constexpr std::size_t kMaxKeyName = 100;

inline constexpr std::string_view kApiKeyColumns =
    "key_id, platform_id, end_user_id, kind, key_prefix, name, array_to_string(scopes, ' ') scopes, "
    "is_active, "
    "assistiv_ms(last_used_at) last_used_at, assistiv_ms(expires_at) expires_at, assistiv_ms(created_at) "
    "created_at";
inline constexpr std::string_view kOperatorKeyColumns =
    "key_id, null::uuid platform_id, null::uuid end_user_id, 'operator' kind, key_prefix, name, "
    "array_to_string(scopes, ' ') scopes, is_active, assistiv_ms(last_used_at) last_used_at, "
    "assistiv_ms(expires_at) expires_at, assistiv_ms(created_at) created_at";

ApiKey api_key_of(const storage::Row& row);

// Checked values, as a statement's arguments.
struct FreshKey {
  core::KeyId id;
  core::Secret raw;
  storage::Param name;
  std::string scopes;  // space-separated
  storage::Param expires_ms;
  std::string created_ms;
};

// Throws Error{InvalidArgument} with the field.
FreshKey make_fresh_key(PrincipalKind kind, const NewKey& input, const core::Clock& clock,
                        core::Random& random);

}  // namespace assistiv::oauth
