#pragma once
// LangChain's messages and an alias's parameters as the canonical request of inference/. Pure. Internal to
// effects/.
#include "agents/runtime/effects.h"
#include "inference/canonical.h"

namespace assistiv::agents {

// Without a model's name. `call.params` are those of an OpenAI chat completion (temperature, max_tokens,
// top_p, stop, seed, tool_choice, reasoning_effort, ...), and max_output_tokens. Throws InvalidArgument for
// parameters and blocks of content that cannot be sent.
inference::Request chat_request(const ModelCall& call);

}  // namespace assistiv::agents
