#pragma once
// What a request says about where it comes from, and how much of that is believed. Pure.
#include <string>
#include <string_view>
#include <vector>

#include "core/http.h"
#include "net/ip.h"

namespace assistiv::net {

class TrustedProxies {
 public:
  // Throws core::Error{InvalidArgument} that names the entry.
  explicit TrustedProxies(const std::vector<std::string>& cidrs);
  bool contains(const IpAddress& address) const;

 private:
  std::vector<IpNetwork> networks_;
};

// The rightmost address of X-Forwarded-For that is not a trusted proxy, when `peer` is one; else the peer. An
// entry that is no address ends the walk at the last address known.
IpAddress client_address(const IpAddress& peer, const core::HttpHeaders& headers,
                         const TrustedProxies& trusted);

// The last value of X-Forwarded-Proto is "https". Only to be asked of a trusted peer.
bool forwarded_secure(const core::HttpHeaders& headers);

// 8 to 64 of [A-Za-z0-9_.-].
bool valid_request_id(std::string_view text);

// The single traceparent field when it is well formed (W3C Trace Context, level 1), else empty.
std::string valid_traceparent(const core::HttpHeaders& headers);

}  // namespace assistiv::net
