#include "api/wire/agent_protocol.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "agents/doors/agent_door.h"
#include "api/wire/langgraph.h"
#include "core/clock.h"

namespace assistiv::api::agent_protocol {

namespace {

using core::Json;

std::string role_of(const Json& message) {
  auto out = message.value("role", Json());
  if (!out.is_string()) out = message.value("type", Json());
  if (!out.is_string()) return "user";
  if (out == "human") return "user";
  if (out == "ai") return "assistant";
  return out.get<std::string>();
}

// LangChain's message by its role; what says which tools were called and answered stays.
Json message_view(const Json& message) {
  if (!message.is_object()) return {{"role", "user"}, {"content", message}};
  Json out = {{"role", role_of(message)}, {"content", message.value("content", Json(""))}};
  for (const char* name : {"id", "name", "tool_calls", "tool_call_id", "status", "usage_metadata"}) {
    const auto found = message.find(name);
    if (found != message.end() && !found->empty()) out[name] = *found;
  }
  return out;
}

// Puts `values` into `out`, and the conversation beside them.
void add_values(Json& out, const char* name, Json values, const std::string& key) {
  if (!key.empty() && (values.is_object() || values.is_null())) {
    out["messages"] = Json::array();
    const auto said = values.find(key);
    if (said != values.end()) {
      if (said->is_array())
        for (const auto& one : *said) out["messages"].push_back(message_view(one));
      values.erase(key);
    }
  }
  if (!values.is_null()) out[name] = std::move(values);
}

// The protocol has one word for a run that is not over.
std::string status_of(const agents::Run& run) {
  return run.status == "running" ? "pending" : run.status;
}

}  // namespace

std::string agent_id(const core::Uuid& assistant, const std::string& graph_id) {
  return assistant == agents::default_assistant_id(graph_id) ? graph_id : assistant.str();
}

Json agent_view(const agents::Assistant& assistant, const agents::Graph& graph) {
  Json out = {{"agent_id", agent_id(assistant.id, assistant.graph_id)},
              {"name", assistant.name},
              {"metadata", assistant.metadata},
              {"capabilities",
               {{"ap.io.messages", !agents::messages_key(graph).empty()}, {"ap.io.streaming", true}}}};
  if (assistant.description) out["description"] = *assistant.description;
  return out;
}

Json thread_view(const agents::Thread& thread, const std::string& key) {
  Json out = {{"thread_id", thread.id.str()},
              {"created_at", core::format_time(thread.created_at)},
              {"updated_at", core::format_time(thread.updated_at)},
              {"metadata", thread.metadata},
              {"status", thread.status}};
  add_values(out, "values", thread.values, key);
  if (auto open = langgraph::open_interrupts(thread.interrupts); !open.empty())
    out["interrupts"] = std::move(open);
  return out;
}

Json state_view(const Json& state, const std::string& key) {
  Json out = {{"checkpoint", {{"checkpoint_id", state.at("checkpoint").value("checkpoint_id", Json())}}},
              {"metadata", state.at("metadata")}};
  add_values(out, "values", state.at("values").is_null() ? Json::object() : state.at("values"), key);
  return out;
}

Json run_view(const agents::Run& run, const std::string& key) {
  const auto graph = run.metadata.is_object() ? run.metadata.value("graph_id", Json()) : Json();
  Json out = {{"run_id", run.id.str()},
              {"thread_id", run.thread.str()},
              {"agent_id", agent_id(run.assistant, graph.is_string() ? graph.get<std::string>() : "")},
              {"created_at", core::format_time(run.created_at)},
              {"updated_at", core::format_time(run.updated_at)},
              {"status", status_of(run)},
              {"metadata", run.metadata}};
  const auto& kwargs = run.kwargs;
  add_values(out, "input", kwargs.value("input", Json()), key);
  for (const char* name : {"config", "stream_mode"})
    if (kwargs.contains(name)) out[name] = kwargs[name];
  if (run.webhook) out["webhook"] = *run.webhook;
  if (run.error.is_object()) out["error"] = run.error;
  return out;
}

Json answer_view(const agents::RunResult& result, const std::string& key) {
  Json out = {{"run", run_view(result.run, key)}};
  add_values(out, "values", result.values.is_null() ? Json::object() : result.values, key);
  if (auto open = langgraph::open_interrupts(result.interrupts); !open.empty())
    out["interrupts"] = std::move(open);
  return out;
}

Json run_input(const Json& body, const agents::Graph& graph) {
  auto input = body.value("input", Json());
  const auto messages = body.value("messages", Json());
  if (messages.is_null()) return input;
  const auto key = agents::messages_key(graph);
  if (!key.empty() && (input.is_null() || input.is_object())) {
    input[key] = messages;
    return input;
  }
  if (!input.is_null())
    throw core::bad_request("This agent takes an input without messages: send one of them.", "/messages");
  return agents::input_of_messages(graph, messages);
}

Json error_view(const core::Error& error, const std::string& request_id) {
  Json metadata = {{"request_id", request_id}};
  if (!error.field().empty()) metadata["field"] = error.field();
  return {{"code", error.code()}, {"message", error.message()}, {"metadata", std::move(metadata)}};
}

}  // namespace assistiv::api::agent_protocol
