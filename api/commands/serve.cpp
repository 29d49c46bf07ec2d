#include "api/commands/serve.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <iostream>

#include "api/application.h"
#include "core/log.h"

namespace assistiv::api {

namespace {

// Memory holds tokens and keys: no core file, no reading by other processes of the user.
void keep_memory_private() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

// 5,000 streams need 5,000 descriptors: as many as we are allowed.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Every thread inherits the mask, so the signals wait for the main thread.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return set;
}

void wait_for_end(const sigset_t& signals, Application& app) {
  int number = 0;
  while (sigwait(&signals, &number) == 0 && number == SIGHUP) {
    try {
      app.reload();
    } catch (const std::exception& error) {
      core::log::error("server.reload_failed", {{"error", error.what()}});
    }
  }
}

}  // namespace

int serve(Config config) {
  keep_memory_private();
  raise_descriptor_limit();
  const sigset_t signals = block_signals();
  core::log::set_level(config.log_level);
  core::SystemClock clock;
  core::SystemRandom random;
  Application app(std::move(config), {clock, random});
  app.start();
  std::cout << "Assistiv Gateway listens on " << app.config().public_url << "\n"
            << "MCP endpoint: " << app.config().mcp_public_url << "/mcp\n";
  if (!app.new_admin_key_file().empty()) std::cout << "Operator key: " << app.new_admin_key_file() << "\n";
  std::cout << std::flush;
  wait_for_end(signals, app);
  app.stop();
  return 0;
}

}  // namespace assistiv::api
