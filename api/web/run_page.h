#pragma once
#include "core/http.h"

namespace assistiv::api {

// The runs of agents in the browser: a list, and a run with its graph, steps, calls and cost, live. One
// static page for both; which it is stands in its address. It talks only to the server that it came from.
core::HttpReply run_page();

}  // namespace assistiv::api
