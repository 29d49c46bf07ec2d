#pragma once
// The content of LangChain's messages: a text, or blocks in one of the forms that its versions and providers
// have for them. Pure. Internal to effects/.
#include <nlohmann/json.hpp>
#include <vector>

#include "core/json.h"
#include "inference/canonical.h"

namespace assistiv::agents {

enum class ContentOf { Person, Model, Tool };

// Blocks that are told elsewhere in the message (calls of tools) are left out. Throws InvalidArgument for a
// block of a person's that is not understood; of a model's or a tool's it is left out.
std::vector<inference::Part> content_parts(const core::Json& content, ContentOf whose);

// The other way: {type: "reasoning", reasoning, extras} with what proves it to its provider.
core::Json reasoning_block(const inference::ThinkingPart& part);
// {type: "text", text, annotations?}
core::Json text_block(const inference::TextPart& part);

}  // namespace assistiv::agents
