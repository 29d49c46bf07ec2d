#pragma once
// The history as Anthropic wants it: system text apart, turns that alternate, every call with its result
// (rules A1 to A7, A11, A12, A15).
#include <string>
#include <vector>

#include "core/json.h"
#include "inference/canonical.h"
#include "inference/dialect.h"
#include "inference/translate/drops.h"

namespace assistiv::inference::anthropic {

struct Turns {
  core::Json system;                    // null, text or a list of blocks
  core::Json messages;                  // a list
  std::vector<std::string> tool_names;  // of the calls in the history, each once
  bool uses_files = false;              // needs the files beta
  // The turn that called the tools whose results come last began without (signed) thinking: Anthropic takes
  // no thinking for the reply then.
  bool loop_without_thinking = false;
};

// Throws Error{InvalidArgument} for a call without a result.
Turns encode_turns(const Request& request, const EncodeOptions& options, Drops& drops);

}  // namespace assistiv::inference::anthropic
