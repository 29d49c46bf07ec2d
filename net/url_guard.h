#pragma once
// Which URLs and addresses the server may connect to. Pure: no lookups, no clock. A host name that passes is
// no proof; every address it resolves to must pass vet_address() too, and the connection must go to such an
// address.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace assistiv::net {

// LoopbackAndPrivate is for tests and air-gapped installations (--allow-loopback-upstreams): it admits http
// and 127/8, ::1, RFC 1918 and fc00::/7. Metadata, link-local, multicast and reserved addresses stay refused.
enum class Reach { PublicOnly, LoopbackAndPrivate };

enum class Scheme { Http, Https };

// An absolute URL in its parts. `host` is lower case, without brackets; `address` is set when it is an IP
// literal.
struct Url {
  Scheme scheme = Scheme::Https;
  std::string host;
  std::uint16_t port = 443;
  std::string target;  // path and query as given, at least "/"
  bool is_address = false;

  bool default_port() const { return port == (scheme == Scheme::Https ? 443 : 80); }
  // For the Host header: brackets around IPv6, the port unless it is the scheme's own.
  std::string authority() const;
};

// Strict reading (RFC 3986 with what attackers use left out): scheme http or https, a host of letters,
// digits, "-", "." (IDN only as punycode) or an IP literal in canonical form, port 1..65535. Refused: user
// info, fragments, backslashes, control characters and spaces, percent-encoding in the host, a trailing dot,
// and every numeric host that is not dotted decimal (inet_aton's "0x7f.1", "2130706433", "0177.0.0.1").
// Empty, with the reason in `why` for the log.
std::optional<Url> parse_url(std::string_view text, std::string* why = nullptr);

// Whether a URL may be called at all under `reach`: https unless LoopbackAndPrivate, no name that means this
// machine
// ("localhost", "*.local", "*.internal", single-label names), no port of a service that is not HTTP, an
// allowed address when the host is one. Empty when it may; else the reason for the log.
std::optional<std::string> vet_url(const Url& url, Reach reach);

// Whether `address` (text, IPv4 or IPv6, no zone) may be connected to. Only globally reachable unicast passes
// (IANA special-purpose registries, RFC 6890); IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4, Teredo,
// ISATAP) is judged by refusing the form. Empty when it may; else the reason for the log.
std::optional<std::string> vet_address(std::string_view address, Reach reach);

// Whether the URL's host is one of `allowed` ("api.github.com", or with a port "api.github.com:8443").
bool host_allowed(const Url& url, std::string_view allowed);

}  // namespace assistiv::net
