#pragma once
// The objects of the Agent Protocol (langchain-ai/agent-protocol, 0.1.6), made of those of the LangGraph
// Server API. Pure.
#include <string>

#include "agents/definition/graph.h"
#include "agents/service/assistant_service.h"
#include "agents/service/run_service.h"
#include "agents/store/run.h"
#include "agents/store/thread_store.h"
#include "core/error.h"
#include "core/json.h"

namespace assistiv::api::agent_protocol {

// An agent is an assistant; a default one goes by its graph's id, the slug.
std::string agent_id(const core::Uuid& assistant, const std::string& graph_id);
core::Json agent_view(const agents::Assistant& assistant, const agents::Graph& graph);

// `key` is the state's key that holds the conversation, or "": its messages stand beside the values, by
// "role".
core::Json thread_view(const agents::Thread& thread, const std::string& key);
// Of a ThreadState of the LangGraph API.
core::Json state_view(const core::Json& state, const std::string& key);
core::Json run_view(const agents::Run& run, const std::string& key);
// {run, values, messages?, interrupts?}
core::Json answer_view(const agents::RunResult& result, const std::string& key);

// What a run is given: `input` and `messages` of the request in one. Throws InvalidArgument.
core::Json run_input(const core::Json& body, const agents::Graph& graph);

// {code, message, metadata}
core::Json error_view(const core::Error& error, const std::string& request_id);

}  // namespace assistiv::api::agent_protocol
