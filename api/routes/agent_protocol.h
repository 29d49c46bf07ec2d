#pragma once
// What the routes of the Agent Protocol have in common. They are thin over the services of the LangGraph
// Server API, and say what they mean in the protocol's words.
#include <map>
#include <string>

#include "agents/store/reach.h"
#include "api/http/route.h"
#include "api/routes/routes.h"
#include "core/json.h"
#include "core/task.h"

namespace assistiv::api::agent_protocol {

// `path` is without the base: "/threads". For keys of end users and platforms, with the scope "inference".
Route route(std::string method, const std::string& path, std::string operation, std::string summary);

// By graph id: the state's key that holds the conversation, or "".
using MessageKeys = std::map<std::string, std::string>;

// Of the graph that the metadata of a thread or run name; "" when they name none, or it is out of reach.
// `known` outlives the task and is added to.
core::Task<std::string> messages_key_of(Services* services, agents::Reach reach, core::Json metadata,
                                        MessageKeys* known);

}  // namespace assistiv::api::agent_protocol
