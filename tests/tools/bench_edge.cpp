// The edge and the outbound client of the server with nothing between them, for bench/mcp: what a POST costs
// before MCP, rules, tokens and the audit trail.
//
// usage: bench_edge API_URL     prints its port and serves until it is killed. Every POST goes to
// API_URL/echo with its body, and the answer comes back; one to /here is answered with its own body at once.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "core/clock.h"
#include "core/http.h"
#include "core/http_client.h"
#include "core/random.h"
#include "net/io_threads.h"
#include "net/outbound_client.h"
#include "net/resolver.h"
#include "net/server.h"

namespace core = assistiv::core;
namespace net = assistiv::net;

namespace {

// Parameters by value: they live in the coroutine.
core::Task<core::HttpReply> pass_on(net::OutboundClient* client, std::string api, core::HttpRequest request) {
  if (request.path == "/here") co_return core::json_reply(200, std::move(request.body));
  core::OutboundRequest out;
  out.method = "POST";
  out.url = api + "/echo";
  out.headers.add("Content-Type", "application/json");
  out.body = std::move(request.body);
  out.allowed_hosts = {api.substr(api.find("//") + 2)};
  out.stop = request.gone;
  try {
    auto reply = co_await client->send(std::move(out));
    co_return core::json_reply(reply.status, std::move(reply.body));
  } catch (const core::OutboundError& error) {
    co_return core::text_reply(502, error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: bench_edge API_URL\n");
    return 2;
  }
  const std::string api = argv[1];
  core::SystemClock clock;
  core::SystemRandom random;
  net::IoThreads io;
  net::SystemResolver resolver;
  net::OutboundOptions options;
  options.reach = net::Reach::LoopbackAndPrivate;
  net::OutboundClient client(options, resolver);
  net::Server server({}, io, clock, random, [&client, api](core::HttpRequest request) {
    return pass_on(&client, api, std::move(request));
  });
  server.start();
  std::printf("%d\n", static_cast<int>(server.port()));
  std::fflush(stdout);
  for (;;) pause();  // SIGTERM ends it
}
