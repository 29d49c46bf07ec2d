#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace assistiv::core {

// A source of bytes. Thread-safe. The real one is the operating system's generator through OpenSSL.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;
};

class SystemRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

// `bytes` random bytes as lowercase hex / unpadded base64url.
std::string random_hex(Random& random, std::size_t bytes);
std::string random_token(Random& random, std::size_t bytes);

}  // namespace assistiv::core
