#pragma once
// A model request as a conversation with an agent: the canonical form's messages in LangChain's. Pure.
#include <string>
#include <vector>

#include "core/json.h"
#include "inference/canonical.h"

namespace assistiv::agents {

// Texts, images by URL or as data URLs, calls of tools and their results. Throws InvalidArgument with the
// message's pointer for what agents do not take (documents, audio, file ids).
core::Json langchain_messages(const std::vector<inference::Message>& messages);

// Those that come after the last one of the assistant: what is new in a conversation that goes on.
core::Json newest_messages(const core::Json& messages);

}  // namespace assistiv::agents
