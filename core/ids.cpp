#include "core/ids.h"

#include "core/encoding.h"

namespace assistiv::core {

std::string Uuid::str() const {
  const std::string hex = hex_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != 36) return {};
  std::string hex;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) return {};
    if (!dash) hex.push_back(text[i]);
  }
  const auto raw = hex_decode(hex);
  if (!raw) return {};
  Uuid out;
  for (std::size_t i = 0; i < 16; ++i) out.bytes[i] = static_cast<std::uint8_t>((*raw)[i]);
  return out;
}

Uuid Uuid::v7(const Clock& clock, Random& random) {
  Uuid out;
  random.fill(out.bytes);
  const auto ms = static_cast<std::uint64_t>(to_epoch_ms(clock.now()));
  for (std::size_t i = 0; i < 6; ++i) out.bytes[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  out.bytes[6] = static_cast<std::uint8_t>((out.bytes[6] & 0x0F) | 0x70);
  out.bytes[8] = static_cast<std::uint8_t>((out.bytes[8] & 0x3F) | 0x80);
  return out;
}

}  // namespace assistiv::core
