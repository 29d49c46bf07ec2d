#include "net/address_limit.h"

#include <algorithm>

#include "core/error.h"

namespace assistiv::net {

AddressLimit::Seat::~Seat() {
  if (!state_) return;
  const std::lock_guard lock(state_->mutex);
  const auto it = state_->open.find(key_);
  if (--it->second == 0) state_->open.erase(it);
}

AddressLimit::AddressLimit(std::size_t max, const std::vector<std::string>& uncounted) : max_(max) {
  for (const auto& entry : uncounted) {
    const auto network = IpNetwork::parse(entry);
    if (!network) {
      throw core::bad_request("\"" + entry + "\" is neither an address nor a CIDR range.",
                              "uncounted_addresses");
    }
    uncounted_.push_back(*network);
  }
}

std::optional<AddressLimit::Seat> AddressLimit::enter(const IpAddress& address) {
  const bool free = max_ == 0 || std::any_of(uncounted_.begin(), uncounted_.end(),
                                             [&](const auto& network) { return network.contains(address); });
  if (free) return Seat();
  Key key = address.bytes();
  if (!address.is_v4()) std::fill(key.begin() + 8, key.end(), std::uint8_t{0});
  const std::lock_guard lock(state_->mutex);
  auto& open = state_->open[key];
  if (open >= max_) return std::nullopt;
  ++open;
  return Seat(state_, key);
}

std::size_t AddressLimit::addresses() const {
  const std::lock_guard lock(state_->mutex);
  return state_->open.size();
}

}  // namespace assistiv::net
