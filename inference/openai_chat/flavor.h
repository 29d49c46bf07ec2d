#pragma once
// Who speaks OpenAI's chat dialect, and what each does not take. Works on the wire's JSON, so that a hop
// within the dialect, which is not decoded, passes the same filter.
#include <string_view>

#include "core/json.h"
#include "inference/dialect.h"
#include "inference/translate/drops.h"

namespace assistiv::inference::openai_chat {

enum class Flavor { OpenAi, Xai, Compatible };
Flavor flavor_of(std::string_view name);  // TargetModel::flavor

// Takes out of a chat body what the target refuses, and what only this gateway writes:
// - xAI: prompt_cache_key, store, service_tier, verbosity; on reasoning models presence_penalty,
//   frequency_penalty and stop; reasoning_effort where the model takes none;
// - OpenAI: reasoning_content, reasoning_details, thinking_blocks and extra_content in the history.
void apply_flavor(core::Json& body, const TargetModel& target, Drops& drops);

}  // namespace assistiv::inference::openai_chat
