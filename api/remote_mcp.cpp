#include "api/remote_mcp.h"

#include <utility>

#include "api/version.h"
#include "net/url_guard.h"

namespace assistiv::api {

namespace {

net::Reach remote_reach(const Config& config) {
  return config.allow_loopback_upstreams ? net::Reach::LoopbackAndPrivate : net::Reach::PublicOnly;
}

net::UpstreamOptions remote_upstream_options(const Config& config) {
  net::UpstreamOptions options;
  options.reach = remote_reach(config);
  // A request on a connection that was kept may be sent twice (core/upstream.h); a tool call must not.
  options.idle_per_origin_max = 0;
  return options;
}

mcp::RemoteClientOptions remote_client_options() {
  mcp::RemoteClientOptions options;
  options.client_version = kVersion;
  return options;
}

// A client ID is https (client ID metadata documents, section 3); plain only among tests on one machine.
bool serves_documents(const Config& config) {
  return config.public_url.starts_with("https://") || config.allow_loopback_upstreams;
}

mcp::RemoteServersOptions remote_servers_options(const Config& config) {
  mcp::RemoteServersOptions options;
  options.refresh_interval = config.remote_tools_interval;
  return options;
}

std::optional<std::string> remote_url_fault(const std::string& text, net::Reach reach) {
  const auto url = net::parse_url(text);
  if (!url) return "is no absolute https:// URL";
  return net::vet_url(*url, reach);
}

}  // namespace

RemoteMcp::RemoteMcp(RemoteMcpWorld world)
    : upstream_(remote_upstream_options(world.config), world.resolver),
      client_(upstream_, remote_client_options()),
      executor_(
          {world.database, world.vault, world.clock, world.random, client_, world.tokens, world.changed}),
      servers_({world.database, world.audit, world.vault, world.clock, world.random, client_, world.http,
                world.tokens, world.config.public_url, serves_documents(world.config),
                [reach = remote_reach(world.config)](const std::string& url) {
                  return remote_url_fault(url, reach);
                },
                std::move(world.changed)},
               remote_servers_options(world.config)) {}

}  // namespace assistiv::api
