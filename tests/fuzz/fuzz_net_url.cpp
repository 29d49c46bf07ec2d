// What parse_url() takes must read the same when written again, and what vet_url() lets pass must be public.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "net/ip.h"
#include "net/url_guard.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace net = assistiv::net;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto require = [](bool holds) {
    if (!holds) std::abort();
  };
  (void)net::vet_address(text, net::Reach::PublicOnly);
  const auto url = net::parse_url(text);
  if (!url) return 0;
  require(url->port != 0 && !url->host.empty() && url->target.starts_with('/'));
  require(url->host.find_first_of("@/\\?#%[] ") == std::string::npos && !url->host.ends_with('.'));
  const std::string scheme = url->scheme == net::Scheme::Https ? "https://" : "http://";
  const auto again = net::parse_url(scheme + url->authority() + url->target);
  require(again && again->host == url->host && again->port == url->port && again->target == url->target);
  require(url->is_address == net::IpAddress::parse(url->host).has_value());
  if (net::vet_url(*url, net::Reach::PublicOnly)) return 0;
  require(url->scheme == net::Scheme::Https && url->host.find_first_of(".:") != std::string::npos);
  if (url->is_address) require(!net::vet_address(url->host, net::Reach::PublicOnly));
  return 0;
}
