#pragma once
#include "core/http.h"

namespace assistiv::api {

// Lists and calls an end user's tools in the browser: the one page with a script, which is ours and a file of
// its own. It talks only to the server that it came from.
core::HttpReply inspect_page();

}  // namespace assistiv::api
