#pragma once
// What a reply says of its call besides the answer: x-aig-* and x-ratelimit-*. Internal to inference/.
#include <string>

#include "core/http.h"
#include "core/money.h"
#include "inference/engine/turn.h"

namespace assistiv::inference {

// `with_cost`: the call is over, so that its cost is known.
void add_fact_headers(core::HttpHeaders& headers, const TurnFacts& facts, bool with_cost);
// The cost in a stream, where headers are gone by then: a comment, which SSE readers skip.
std::string cost_comment(core::NanoUsd cost);

}  // namespace assistiv::inference
