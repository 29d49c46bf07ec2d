#include "net/url_guard.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "net/ip.h"

namespace assistiv::net {

namespace {

constexpr std::size_t kUrlBytesMax = 8192;
constexpr std::size_t kHostBytesMax = 253;
constexpr std::size_t kLabelBytesMax = 63;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-';
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

std::vector<std::string_view> labels_of(std::string_view host) {
  std::vector<std::string_view> labels;
  while (true) {
    const auto dot = host.find('.');
    labels.push_back(host.substr(0, dot));
    if (dot == std::string_view::npos) return labels;
    host.remove_prefix(dot + 1);
  }
}

// The rule of the WHATWG URL standard ("ends in a number"): such a host is meant as IPv4 by some resolver.
bool looks_numeric(std::string_view last_label) {
  if (std::all_of(last_label.begin(), last_label.end(), is_digit)) return true;
  return last_label.starts_with("0x") && std::all_of(last_label.begin() + 2, last_label.end(), [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'f');
         });
}

const char* check_name(std::string_view host) {
  if (host.size() > kHostBytesMax) return "the host name is too long";
  const auto labels = labels_of(host);
  for (const auto label : labels) {
    if (label.empty()) return "the host name has an empty label";
    if (label.size() > kLabelBytesMax) return "a label of the host name is too long";
    if (!std::all_of(label.begin(), label.end(), is_host_char))
      return "the host name has a forbidden character";
    if (label.front() == '-' || label.back() == '-') return "a label of the host name begins or ends with -";
  }
  if (looks_numeric(labels.back())) return "a numeric host must be dotted decimal";
  return nullptr;
}

const char* read_host(std::string_view text, Url& url) {
  if (text.starts_with('[')) {
    if (!text.ends_with(']')) return "an IPv6 host must be in brackets";
    const auto address = IpAddress::parse(text.substr(1, text.size() - 2));
    if (!address || text.find(':') == std::string_view::npos) return "the IPv6 address is malformed";
    url.host = lower_case(text.substr(1, text.size() - 2));
    url.is_address = true;
    return nullptr;
  }
  url.host = lower_case(text);
  url.is_address = IpAddress::parse(url.host).has_value() && url.host.find(':') == std::string::npos;
  return url.is_address ? nullptr : check_name(url.host);
}

const char* read_port(std::string_view text, Url& url) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || port == 0 || port > 65535)
    return "the port is not a number from 1 to 65535";
  url.port = static_cast<std::uint16_t>(port);
  return nullptr;
}

const char* read_authority(std::string_view authority, Url& url) {
  if (authority.find('@') != std::string_view::npos) return "user info in a URL is refused";
  const auto bracket = authority.rfind(']');
  const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    if (const char* why = read_port(authority.substr(colon + 1), url)) return why;
  }
  const auto host = authority.substr(0, colon);
  return host.empty() ? "the URL has no host" : read_host(host, url);
}

const char* read_url(std::string_view text, Url& url) {
  if (text.size() > kUrlBytesMax) return "the URL is too long";
  for (const char c : text)
    if (c <= 0x20 || c >= 0x7f || c == '\\' || c == '"' || c == '<' || c == '>' || c == '^' || c == '`')
      return "the URL has a character that must be percent-encoded";
  if (text.find('#') != std::string_view::npos) return "a fragment in a URL is refused";
  const auto colon = text.find("://");
  if (colon == std::string_view::npos) return "the URL is not absolute";
  const std::string scheme = lower_case(text.substr(0, colon));
  if (scheme != "http" && scheme != "https") return "the scheme is neither http nor https";
  url.scheme = scheme == "http" ? Scheme::Http : Scheme::Https;
  url.port = url.scheme == Scheme::Http ? 80 : 443;
  text.remove_prefix(colon + 3);
  const auto end = text.find_first_of("/?");
  if (const char* why = read_authority(text.substr(0, end), url)) return why;
  const auto rest = end == std::string_view::npos ? std::string_view() : text.substr(end);
  url.target = rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);
  return nullptr;
}

struct Range {
  IpNetwork network;
  const char* name;
};

std::vector<Range> ranges(std::initializer_list<std::pair<const char*, const char*>> list) {
  std::vector<Range> out;
  for (const auto& [cidr, name] : list) out.push_back({*IpNetwork::parse(cidr), name});
  return out;
}

const char* find_range(const std::vector<Range>& list, const IpAddress& address) {
  for (const auto& range : list)
    if (range.network.contains(address)) return range.name;
  return nullptr;
}

// Cloud metadata services; refused even where private addresses are allowed.
const std::vector<Range>& metadata_ranges() {
  static const auto list = ranges({{"169.254.0.0/16", "link-local (cloud metadata)"},
                                   {"168.63.129.16/32", "Azure's wire server"},
                                   {"100.100.100.200/32", "Alibaba's metadata service"},
                                   {"192.0.0.192/32", "Oracle's metadata service"},
                                   {"fd00:ec2::/32", "the AWS metadata service"},
                                   {"fd20:ce::/32", "Google's metadata service"},
                                   {"fe80::/10", "link-local"}});
  return list;
}

const std::vector<Range>& inner_ranges() {
  static const auto list = ranges({{"127.0.0.0/8", "loopback"},
                                   {"::1/128", "loopback"},
                                   {"10.0.0.0/8", "private"},
                                   {"172.16.0.0/12", "private"},
                                   {"192.168.0.0/16", "private"},
                                   {"fc00::/7", "unique local"}});
  return list;
}

// IANA's special-purpose registries (RFC 6890), what is not globally reachable.
const std::vector<Range>& special_ranges() {
  static const auto list = ranges({{"0.0.0.0/8", "this network"},
                                   {"100.64.0.0/10", "shared address space (carrier-grade NAT)"},
                                   {"192.0.0.0/24", "protocol assignments"},
                                   {"192.0.2.0/24", "documentation"},
                                   {"192.88.99.0/24", "6to4 relay"},
                                   {"198.18.0.0/15", "benchmarking"},
                                   {"198.51.100.0/24", "documentation"},
                                   {"203.0.113.0/24", "documentation"},
                                   {"224.0.0.0/4", "multicast"},
                                   {"240.0.0.0/4", "reserved"},
                                   {"2001::/23", "protocol assignments (Teredo, ORCHID, benchmarking)"},
                                   {"2001:db8::/32", "documentation"},
                                   {"2002::/16", "6to4"},
                                   {"3fff::/20", "documentation"}});
  return list;
}

// RFC 5214: an interface identifier that carries an IPv4 address.
bool is_isatap(const IpAddress& address) {
  const auto& b = address.bytes();
  return (b[8] == 0 || b[8] == 2) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe;
}

// Ports of services that answer to text that an HTTP request can be made to look like (after the Fetch
// standard's "bad ports"), and of databases and caches.
bool forbidden_port(std::uint16_t port) {
  static constexpr auto kPorts =
      std::to_array<std::uint16_t>({1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375,  2376,  2379, 2380, 3306,
                                    3659, 4045, 4190, 5060, 5061, 5432, 5672, 6000,  6379,  6443, 6566, 6665,
                                    6666, 6667, 6668, 6669, 6679, 6697, 9042, 10080, 11211, 27017});
  if (port < 1024) return port != 80 && port != 443;
  return std::find(kPorts.begin(), kPorts.end(), port) != kPorts.end();
}

bool means_this_network(std::string_view host) {
  if (host.find('.') == std::string_view::npos) return true;
  for (const std::string_view suffix : {".localhost", ".local", ".internal", ".localdomain", ".lan", ".home",
                                        ".corp", ".intranet", ".home.arpa", ".onion"})
    if (host.ends_with(suffix)) return true;
  return false;
}

}  // namespace

std::string Url::authority() const {
  std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (!default_port()) out += ":" + std::to_string(port);
  return out;
}

std::optional<Url> parse_url(std::string_view text, std::string* why) {
  Url url;
  const char* reason = read_url(text, url);
  if (!reason) return url;
  if (why) *why = reason;
  return {};
}

std::optional<std::string> vet_url(const Url& url, Reach reach) {
  if (url.is_address) {
    if (auto why = vet_address(url.host, reach)) return why;
  }
  if (reach == Reach::LoopbackAndPrivate) return {};
  if (url.scheme != Scheme::Https) return "only https is allowed";
  if (forbidden_port(url.port)) return "port " + std::to_string(url.port) + " is not allowed";
  if (!url.is_address && means_this_network(url.host)) return "the host name is one of the local network";
  return {};
}

std::optional<std::string> vet_address(std::string_view text, Reach reach) {
  const auto address = IpAddress::parse(text);
  if (!address) return "not an IP address";
  const bool written_as_v6 = text.find(':') != std::string_view::npos;
  if (written_as_v6 && address->is_v4()) return "an IPv4-mapped IPv6 address";
  if (const char* name = find_range(metadata_ranges(), *address))
    return std::string("the address is ") + name;
  if (const char* name = find_range(inner_ranges(), *address)) {
    if (reach == Reach::LoopbackAndPrivate) return {};
    return std::string("the address is ") + name;
  }
  if (const char* name = find_range(special_ranges(), *address)) return std::string("the address is ") + name;
  if (address->is_v4()) return {};
  static const auto global_unicast = *IpNetwork::parse("2000::/3");
  if (!global_unicast.contains(*address)) return "not a global unicast address";
  if (is_isatap(*address)) return "an ISATAP address";
  return {};
}

bool host_allowed(const Url& url, std::string_view allowed) {
  std::string given = lower_case(allowed);
  if (given == url.authority()) return true;
  // A default port that is spelled out.
  Url spelled = url;
  return url.default_port() && given == spelled.host + ":" + std::to_string(spelled.port);
}

}  // namespace assistiv::net
