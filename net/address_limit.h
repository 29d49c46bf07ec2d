#pragma once
// How many connections one client address has open. IPv6 counts by /64, which is what one client is given.
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "net/ip.h"

namespace assistiv::net {

// Thread-safe. Seats may outlive it.
class AddressLimit {
  using Key = std::array<std::uint8_t, 16>;
  struct State {
    std::mutex mutex;
    std::map<Key, std::size_t> open;
  };

 public:
  // Held while a connection is open.
  class Seat {
   public:
    Seat() = default;  // of an address that is not counted
    Seat(std::shared_ptr<State> state, Key key) : state_(std::move(state)), key_(key) {}
    Seat(Seat&&) noexcept = default;
    Seat& operator=(Seat&&) = delete;
    ~Seat();

   private:
    std::shared_ptr<State> state_;
    Key key_{};
  };

  // 0: no limit. Addresses of `uncounted` have none either: proxies speak for many clients. Throws
  // core::Error{InvalidArgument} for an entry that is no address or CIDR.
  AddressLimit(std::size_t max, const std::vector<std::string>& uncounted);
  // None when all seats of the address are taken.
  std::optional<Seat> enter(const IpAddress& address);
  std::size_t addresses() const;

 private:
  const std::size_t max_;
  std::vector<IpNetwork> uncounted_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace assistiv::net
