#pragma once
#include "api/commands/arguments.h"
#include "api/config.h"

namespace assistiv::api {

// `assistiv admin revoke`: 0 when every token is revoked at its provider, 1 when some are not.
int revoke_app(const Config& config, const Arguments& arguments);

}  // namespace assistiv::api
