#include "core/random.h"

#include <openssl/rand.h>

#include <stdexcept>
#include <vector>

#include "core/encoding.h"

namespace assistiv::core {

void SystemRandom::fill(std::span<std::uint8_t> out) {
  if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) throw std::runtime_error("no random bytes");
}

std::string random_hex(Random& random, std::size_t bytes) {
  std::vector<std::uint8_t> raw(bytes);
  random.fill(raw);
  return hex_encode({reinterpret_cast<const char*>(raw.data()), raw.size()});
}

std::string random_token(Random& random, std::size_t bytes) {
  std::vector<std::uint8_t> raw(bytes);
  random.fill(raw);
  return base64url_encode({reinterpret_cast<const char*>(raw.data()), raw.size()});
}

}  // namespace assistiv::core
