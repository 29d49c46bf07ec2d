#pragma once
// The whole server as a class that is given its world. main.cpp and the tests start it the same way; nothing
// in it touches the process (signals, environment, exit).
#include <cstdint>
#include <memory>
#include <string>

#include "api/config.h"
#include "api/http/route.h"
#include "core/clock.h"
#include "core/random.h"

namespace assistiv::api {

// What the server cannot make by itself. Outlives it.
struct World {
  core::Clock& clock;
  core::Random& random;
};

// Reads what the settings point to besides the database (TLS files, manifests) and checks addresses and
// networks. Throws core::Error or mcp::ManifestError with what to mend.
void check_files(const Config& config);

class Application {
 public:
  // Opens the database (making and starting the private one when none is configured), migrates it, loads keys
  // and connectors. Blocks. Throws core::Error or mcp::ManifestError with what to mend.
  Application(Config config, World world);
  ~Application();  // stop()
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;

  // Listens, starts background work and writes <data_dir>/run.json {"port","pid"}.
  void start();
  std::uint16_t port() const;
  const Config& config() const;
  const RouteTable& routes() const;
  // A request as if it had come in through the socket; on an I/O thread. For tests of the doors.
  core::Task<core::HttpReply> handle(core::HttpRequest request);
  // Where the first operator key was written, when this start made it; "" otherwise.
  const std::string& new_admin_key_file() const;
  // Reads TLS files and the keyring again (SIGHUP).
  void reload();
  // Refuses new work, lets requests in flight finish (drain_timeout), ends streams, stops everything in
  // order.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::api
