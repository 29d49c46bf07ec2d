#pragma once
// IP addresses and networks as values. Pure.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace assistiv::net {

// IPv4 is held as its IPv4-mapped IPv6 form (::ffff:a.b.c.d), so both families compare in one way.
class IpAddress {
 public:
  // Canonical text only: four decimal parts without leading zeros, or RFC 4291 IPv6 without zone and
  // brackets.
  static std::optional<IpAddress> parse(std::string_view text);
  static IpAddress from_v4(std::uint32_t host_order);

  bool is_v4() const;
  // Host order; only for is_v4().
  std::uint32_t v4() const;
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  std::string text() const;
  bool operator==(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

// "10.0.0.0/8", "2001:db8::/32", or one address.
class IpNetwork {
 public:
  static std::optional<IpNetwork> parse(std::string_view text);
  bool contains(const IpAddress& address) const;

 private:
  IpAddress base_;
  unsigned bits_ = 128;  // of the 128-bit form
};

}  // namespace assistiv::net
