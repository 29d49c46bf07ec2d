#pragma once
// What codes and refresh tokens look like. A refresh token is a MAC over its generation under a secret of its
// authorization: all generations that ever were can be told from forgeries without a row for each, and the
// present one can be given again to a client that did not get it. Pure.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/ids.h"
#include "core/random.h"
#include "core/secret.h"

namespace assistiv::oauth {

// "ac_" + base64url(authorization id, 32 random bytes).
core::Secret make_code(core::KeyId authorization, core::Random& random);
std::optional<core::KeyId> authorization_of_code(std::string_view code);

struct RefreshTokenParts {
  core::KeyId authorization_id;
  std::uint32_t generation = 0;
  std::string mac;
};

// "rt_" + base64url(authorization id, generation, MAC).
core::Secret make_refresh_token(core::KeyId authorization, std::uint32_t generation,
                                const core::Secret& secret);
// The parts, not yet checked.
std::optional<RefreshTokenParts> read_refresh_token(std::string_view token);
bool is_genuine(const RefreshTokenParts& parts, const core::Secret& secret);

}  // namespace assistiv::oauth
