#pragma once
#include "api/commands/arguments.h"

namespace assistiv::api {

// `assistiv manifest draft --openapi FILE`: the draft on stdout, what the author is to decide on stderr.
int run_manifest(const Arguments& arguments);

}  // namespace assistiv::api
