#pragma once
// What a reply says of its call besides the answer: x-aig-* and x-ratelimit-*. Internal to inference/.
#include "core/http.h"
#include "inference/engine/turn.h"

namespace assistiv::inference {

// `with_cost`: the call is over, so that its cost is known.
void add_fact_headers(core::HttpHeaders& headers, const TurnFacts& facts, bool with_cost);

}  // namespace assistiv::inference
