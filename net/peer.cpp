#include "net/peer.h"

#include <algorithm>
#include <optional>

#include "core/error.h"

namespace assistiv::net {

namespace {

constexpr std::size_t kForwardedHopsMax = 32;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// "203.0.113.7", "203.0.113.7:4711", "[2001:db8::1]:4711", "2001:db8::1".
std::optional<IpAddress> read_hop(std::string_view hop) {
  if (hop.starts_with('[')) {
    const auto end = hop.find(']');
    return end == std::string_view::npos ? std::nullopt : IpAddress::parse(hop.substr(1, end - 1));
  }
  const auto colon = hop.find(':');
  if (colon != std::string_view::npos && hop.find(':', colon + 1) == std::string_view::npos)
    hop = hop.substr(0, colon);
  return IpAddress::parse(hop);
}

// The entries of all X-Forwarded-For fields, from the right.
std::vector<std::string_view> hops_from_right(const core::HttpHeaders& headers) {
  std::vector<std::string_view> hops;
  const auto& fields = headers.fields();
  for (auto it = fields.rbegin(); it != fields.rend(); ++it) {
    if (!core::equals_ignore_case(it->first, "x-forwarded-for")) continue;
    std::string_view rest = it->second;
    while (hops.size() < kForwardedHopsMax) {
      const auto comma = rest.rfind(',');
      hops.push_back(trim(comma == std::string_view::npos ? rest : rest.substr(comma + 1)));
      if (comma == std::string_view::npos) break;
      rest = rest.substr(0, comma);
    }
  }
  return hops;
}

bool is_lower_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool all_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

TrustedProxies::TrustedProxies(const std::vector<std::string>& cidrs) {
  for (const auto& cidr : cidrs) {
    const auto network = IpNetwork::parse(cidr);
    if (!network)
      throw core::Error(core::ErrorKind::InvalidArgument,
                        "trusted_proxies: \"" + cidr + "\" is not an address or a CIDR such as 10.0.0.0/8.")
          .with_field("trusted_proxies");
    networks_.push_back(*network);
  }
}

bool TrustedProxies::contains(const IpAddress& address) const {
  return std::any_of(networks_.begin(), networks_.end(),
                     [&](const IpNetwork& one) { return one.contains(address); });
}

IpAddress client_address(const IpAddress& peer, const core::HttpHeaders& headers,
                         const TrustedProxies& trusted) {
  if (!trusted.contains(peer)) return peer;
  IpAddress client = peer;
  for (const auto hop : hops_from_right(headers)) {
    const auto address = read_hop(hop);
    if (!address) return client;
    client = *address;
    if (!trusted.contains(client)) return client;
  }
  return client;
}

bool forwarded_secure(const core::HttpHeaders& headers) {
  std::string_view last;
  for (const auto& [name, value] : headers.fields())
    if (core::equals_ignore_case(name, "x-forwarded-proto")) last = value;
  const auto comma = last.rfind(',');
  if (comma != std::string_view::npos) last.remove_prefix(comma + 1);
  return core::equals_ignore_case(trim(last), "https");
}

bool valid_request_id(std::string_view text) {
  return text.size() >= 8 && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                  c == '-' || c == '.';
         });
}

std::string valid_traceparent(const core::HttpHeaders& headers) {
  const auto value = headers.get("traceparent");
  if (!value || headers.count("traceparent") != 1 || value->size() < 55 || value->size() > 128) return {};
  const auto text = *value;
  const bool dashes = text[2] == '-' && text[35] == '-' && text[52] == '-';
  const auto version = text.substr(0, 2);
  if (!dashes || !is_lower_hex(version) || version == "ff") return {};
  if (version == "00" ? text.size() != 55 : text.size() > 55 && text[55] != '-') return {};
  const auto trace = text.substr(3, 32);
  const auto parent = text.substr(36, 16);
  if (!is_lower_hex(trace) || all_zero(trace) || !is_lower_hex(parent) || all_zero(parent) ||
      !is_lower_hex(text.substr(53, 2)))
    return {};
  return std::string(text);
}

}  // namespace assistiv::net
