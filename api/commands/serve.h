#pragma once
#include "api/config.h"

namespace assistiv::api {

// Runs the server until SIGTERM or SIGINT; SIGHUP reloads TLS files and the keyring. Exit status.
int serve(Config config);

}  // namespace assistiv::api
