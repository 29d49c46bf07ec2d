#include "core/uuid5.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <string>

#include "core/error.h"

namespace assistiv::core {

Uuid uuid5(const Uuid& space, std::string_view name) {
  std::string text(reinterpret_cast<const char*>(space.bytes.data()), space.bytes.size());
  text.append(name);
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha1(), nullptr) != 1)
    throw internal("SHA-1 failed");
  Uuid out;
  std::copy_n(digest.begin(), out.bytes.size(), out.bytes.begin());
  out.bytes[6] = static_cast<std::uint8_t>((out.bytes[6] & 0x0F) | 0x50);
  out.bytes[8] = static_cast<std::uint8_t>((out.bytes[8] & 0x3F) | 0x80);
  return out;
}

}  // namespace assistiv::core
