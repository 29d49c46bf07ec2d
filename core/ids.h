#pragma once
// Strong ids: UUIDs (version 7 when we make them) that cannot be mixed up with each other.
#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/random.h"

namespace assistiv::core {

// 128 bits, printed in the 8-4-4-4-12 form.
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};
  std::string str() const;
  static std::optional<Uuid> parse(std::string_view text);
  static Uuid v7(const Clock& clock, Random& random);  // RFC 9562 section 5.7
  auto operator<=>(const Uuid&) const = default;
};

template <class Tag>
struct Id {
  Uuid uuid;
  std::string str() const { return uuid.str(); }
  static std::optional<Id> parse(std::string_view text) {
    const auto uuid = Uuid::parse(text);
    return uuid ? std::optional<Id>(Id{*uuid}) : std::nullopt;
  }
  static Id make(const Clock& clock, Random& random) { return Id{Uuid::v7(clock, random)}; }
  // For text that our own database wrote.
  static Id of(std::string_view text) { return parse(text).value(); }
  auto operator<=>(const Id&) const = default;
};

using PlatformId = Id<struct PlatformTag>;
using EndUserId = Id<struct EndUserTag>;
using KeyId = Id<struct KeyTag>;
using ConnectionId = Id<struct ConnectionTag>;
using FlowId = Id<struct FlowTag>;
using ApprovalId = Id<struct ApprovalTag>;

struct IdHash {
  template <class Tag>
  std::size_t operator()(const Id<Tag>& id) const {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(id.uuid.bytes.data()), 16});
  }
};

}  // namespace assistiv::core
