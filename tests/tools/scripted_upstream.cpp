// A model provider that answers happily, for demonstrations and measurements.
// usage: scripted_upstream [port] [tokens per stream] [milliseconds per token]     prints its base URL
#include "support/scripted_upstream.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  // Before the thread is made, so that it leaves the signals to sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto number = [&](int place, long standard) {
    return argc > place ? std::strtol(argv[place], nullptr, 10) : standard;
  };
  assistiv::test::UpstreamPace pace;
  pace.tokens = static_cast<std::size_t>(number(2, 20));
  pace.per_token = std::chrono::milliseconds(number(3, 0));
  const assistiv::test::ScriptedUpstream upstream(static_cast<std::uint16_t>(number(1, 0)), pace, false);
  std::printf("%s\n", upstream.url("/v1").c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
}
