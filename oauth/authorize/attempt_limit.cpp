#include "oauth/authorize/attempt_limit.h"

#include <algorithm>

namespace assistiv::oauth {

namespace {

// The first groups of an IPv6 address; any other address as it is.
std::string first_groups(const std::string& address, int wanted) {
  std::size_t end = 0;
  for (int groups = 0; groups < wanted; ++groups) {
    const auto colon = address.find(':', end);
    if (colon == std::string::npos) return address;
    end = colon + 1;
    // "2001:db8::1": what is left out is zero, and the rest is the host's.
    if (end < address.size() && address[end] == ':') break;
  }
  return address.substr(0, end);
}

}  // namespace

bool AttemptLimit::take(const std::string& address) {
  const auto now = clock_.now();
  std::lock_guard lock(mutex_);
  if (counts_.size() >= options_.addresses_max && !counts_.contains(address)) counts_.clear();
  auto& count = counts_[address];
  if (count.attempts == 0 || now - count.since >= options_.window || now < count.since) count = {now, 0};
  if (count.attempts >= options_.attempts) return false;
  ++count.attempts;
  return true;
}

std::string address_block(const std::string& address) {
  return first_groups(address, 4);
}

std::string address_site(const std::string& address) {
  return first_groups(address, 3);
}

}  // namespace assistiv::oauth
