// The MCP fixtures on a port of their own, without database or API: for the conformance suite and for
// measuring the protocol alone. mcp_fixture_server [port] [threads]
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "core/clock.h"
#include "core/random.h"
#include "mcp/conformance/fixture_endpoint.h"
#include "net/io_threads.h"
#include "net/server.h"
#include "oauth/crypto/vault.h"

namespace {

namespace core = assistiv::core;
namespace mcp = assistiv::mcp;
namespace net = assistiv::net;
namespace oauth = assistiv::oauth;

void run(std::uint16_t port, std::size_t threads) {
  core::SystemClock clock;
  core::SystemRandom random;
  const auto keys =
      std::filesystem::temp_directory_path() / ("mcp_fixture_keys_" + core::random_hex(random, 8));
  const auto vault = oauth::Vault::open_file(keys.string(), random);
  mcp::MemorySessionStore unused(clock, std::chrono::hours(1));
  mcp::EndpointOptions options;
  options.streams_per_user_max = options.streams_max;  // all callers are one anonymous user here
  mcp::FixtureEndpoint fixtures(options, {unused, *vault, clock, random});
  net::IoThreads io(threads);
  net::Server server({.port = port}, io, clock, random, [&fixtures](core::HttpRequest request) {
    return fixtures.endpoint().handle(std::move(request), nullptr, {});
  });
  server.start();
  std::printf("http://127.0.0.1:%d/mcp\n", server.port());
  std::fflush(stdout);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  int signal = 0;
  sigwait(&signals, &signal);
  fixtures.endpoint().drain();
  server.drain(std::chrono::seconds(2));
  server.stop();
  fixtures.endpoint().stop();
  std::filesystem::remove(keys);
}

}  // namespace

int main(int argc, char** argv) {
  // Before the threads are made, so that they leave the signals to sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  run(argc > 1 ? static_cast<std::uint16_t>(std::atoi(argv[1])) : 0,
      argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0);
}
