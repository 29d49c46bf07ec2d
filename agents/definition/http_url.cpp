// Which URLs an http node may have. The outbound client vets every address again when it calls.
#include <algorithm>
#include <cctype>

#include "agents/definition/node_reader.h"
#include "agents/definition/toolset.h"

namespace assistiv::agents {

namespace {

constexpr char kLiteralHost[] =
    "must begin with https:// and a host that are written out: a template may only follow a \"/\" or \"?\" "
    "after the host";

bool is_loopback(std::string_view host) {
  return host == "127.0.0.1" || host == "localhost" || host == "[::1]";
}

// Letters, digits, hyphens and at least one dot, the last label no number: a name of the public DNS.
bool is_public_name(std::string_view host) {
  const auto last = host.rfind('.');
  if (last == std::string_view::npos || last + 1 == host.size() || host.front() == '.' || host.size() > 253)
    return false;
  const auto allowed = [](unsigned char c) {
    return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-' || c == '.';
  };
  if (!std::all_of(host.begin(), host.end(), allowed) || host.find("..") != std::string_view::npos)
    return false;
  const auto top = host.substr(last + 1);
  if (std::isdigit(static_cast<unsigned char>(top.front())) != 0) return false;
  return top != "local" && top != "localhost" && top != "internal" && top != "arpa";
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

bool in_hosts(const std::vector<std::string>& hosts, std::string_view host) {
  return std::any_of(hosts.begin(), hosts.end(),
                     [host](const std::string& pattern) { return fits_pattern(pattern, host); });
}

}  // namespace

std::string http_url_fault(const std::string& url, const DefinitionWorld& world) {
  const bool plain = url.starts_with("http://");
  if (!plain && !url.starts_with("https://")) return kLiteralHost;
  const std::size_t begin = plain ? 7 : 8;
  const std::string authority = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  if (authority.find('$') != std::string::npos || authority.find('{') != std::string::npos)
    return kLiteralHost;
  std::string host = authority;
  const auto colon = authority.rfind(':');
  if (colon != std::string::npos && !authority.ends_with(']')) {
    if (!is_port(std::string_view(authority).substr(colon + 1))) return kLiteralHost;
    host.resize(colon);
  }
  const bool loopback = world.loopback_http && is_loopback(host);
  if (!loopback && (plain || !is_public_name(host)))
    return plain ? "must begin with https://"
                 : "\"" + authority + "\" is no name of a public host in lower case";
  if (world.hosts && !in_hosts(*world.hosts, host))
    return "\"" + host + "\" is none of the agent's \"hosts\"";
  return {};
}

}  // namespace assistiv::agents
