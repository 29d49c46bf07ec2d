#include "oauth/authorize/refresh_token.h"

#include <algorithm>
#include <array>

#include "core/encoding.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kGenerationBytes = 4;
constexpr std::size_t kMacBytes = 32;

std::string bytes_of(const core::KeyId& id) {
  return {id.uuid.bytes.begin(), id.uuid.bytes.end()};
}

core::KeyId id_of_bytes(std::string_view bytes) {
  core::KeyId out;
  std::copy_n(bytes.begin(), kIdBytes, out.uuid.bytes.begin());
  return out;
}

std::string bytes_of(std::uint32_t generation) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>((generation >> shift) & 0xff));
  return out;
}

std::string mac_of(const core::KeyId& id, std::uint32_t generation, const core::Secret& secret) {
  return core::hmac_sha256(secret.reveal(), bytes_of(id) + bytes_of(generation));
}

// The bytes behind a prefix, when there are exactly `size` of them.
std::optional<std::string> body_of(std::string_view text, std::string_view prefix, std::size_t size) {
  if (!text.starts_with(prefix) || text.size() > 128) return std::nullopt;
  auto bytes = core::base64url_decode(text.substr(prefix.size()));
  return bytes && bytes->size() == size ? bytes : std::nullopt;
}

}  // namespace

core::Secret make_code(core::KeyId authorization, core::Random& random) {
  std::array<std::uint8_t, kMacBytes> secret;
  random.fill(secret);
  return core::Secret(
      "ac_" + core::base64url_encode(bytes_of(authorization) + std::string(secret.begin(), secret.end())));
}

std::optional<core::KeyId> authorization_of_code(std::string_view code) {
  const auto bytes = body_of(code, "ac_", kIdBytes + kMacBytes);
  return bytes ? std::optional(id_of_bytes(*bytes)) : std::nullopt;
}

core::Secret make_refresh_token(core::KeyId authorization, std::uint32_t generation,
                                const core::Secret& secret) {
  return core::Secret("rt_" + core::base64url_encode(bytes_of(authorization) + bytes_of(generation) +
                                                     mac_of(authorization, generation, secret)));
}

std::optional<RefreshTokenParts> read_refresh_token(std::string_view token) {
  const auto bytes = body_of(token, "rt_", kIdBytes + kGenerationBytes + kMacBytes);
  if (!bytes) return std::nullopt;
  RefreshTokenParts out;
  out.authorization_id = id_of_bytes(*bytes);
  for (std::size_t i = 0; i < kGenerationBytes; ++i)
    out.generation = (out.generation << 8) | static_cast<unsigned char>((*bytes)[kIdBytes + i]);
  out.mac = bytes->substr(kIdBytes + kGenerationBytes);
  return out;
}

bool is_genuine(const RefreshTokenParts& parts, const core::Secret& secret) {
  return core::constant_time_equal(parts.mac, mac_of(parts.authorization_id, parts.generation, secret));
}

}  // namespace assistiv::oauth
